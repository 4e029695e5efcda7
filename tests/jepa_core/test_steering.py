"""Actions that are chosen: goals, searches, and plans of a model."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import torch

from jepa_core.config import ItemShape
from jepa_core.contracts import Act, Readout
from jepa_core.data.trajectories import Channel
from jepa_core.ensemble import ensemble_of
from jepa_core.errors import DataError, RecipeError
from jepa_core.model.data import Data
from jepa_core.model.forecasting import Reach
from jepa_core.model.frozen import Frozen
from jepa_core.model.goals import goal_of, read_goal, tail_mean
from jepa_core.model.model import Model
from jepa_core.model.searching import Method, Search, search
from jepa_core.model.steering import ImaginedCosts, Steering
from jepa_core.plugin import Component, Registry
from jepa_core.testing.oscillator_parts import CHANNELS, Oscillators, TinyChannels, TinyRecurrent
from jepa_core.testing.oscillators import OscillatorsConfig, TinyChannelsConfig, TinyRecurrentConfig

AT, HORIZON = 4, 6
WRITTEN = {
    "cost": [
        {"use": "target", "channel": "height", "value": 0.5, "from": AT + 2},
        {"use": "effort", "channel": "push", "weight": 0.01},
    ],
    "limits": [{"channel": "push", "low": -2.0, "high": 3.0, "unit": "N"}],
}
QUICK = Search(plans=12, rounds=3)


class Height(Readout):
    """The first number of a latent."""

    channels = [Channel("height", "m")]

    def decode(self, states: np.ndarray) -> np.ndarray:
        return states[..., :1]


class Reading(Model):
    @cached_property
    def readouts(self) -> list[Readout]:
        return [Height()]


class OfPeople(OscillatorsConfig):
    """Oscillators that are people."""

    @property
    def in_retrospect(self) -> bool:
        return True


def drawn(members: int = 1, config: OscillatorsConfig | None = None) -> tuple[Model, Data]:
    """A model as the weights are drawn, and data for it."""
    torch.manual_seed(0)
    config = config or OscillatorsConfig(seed=1, trajectories=6, shortest=2)
    encoder = TinyChannels(TinyChannelsConfig(), ItemShape(4)).eval()
    predictor = ensemble_of(lambda: TinyRecurrent(TinyRecurrentConfig(), encoder.latent_dim), members).eval()
    model = Reading(
        folder=Path("nowhere"),
        frozen=Frozen(encoder, predictor, torch.device("cpu"), nullcontext),
        source=Component("source", "oscillators", OscillatorsConfig, "jepa_core.testing.oscillator_parts:Oscillators"),
        source_config=config,
        modality="channels",
        reach=Reach(20, None),
        record={"name": "toy"},
        registry=Registry(),
        channels=CHANNELS,
    )
    return model, Data(model, Oscillators(config), config)


@pytest.fixture(scope="module")
def pair() -> tuple[Model, Data]:
    return drawn(members=3)


# --- goals ------------------------------------------------------------------------------------------------------------


def test_a_cost_is_the_weighted_sum_of_means_over_the_steps_that_count() -> None:
    goal = goal_of({
        "cost": [
            {"use": "target", "channel": "a", "value": 1.0, "scale": 2.0, "from": 11, "to": 12},
            {"use": "band", "channel": "b", "low": 0.0, "high": 1.0, "weight": 3.0},
            {"use": "effort", "channel": "u", "weight": 0.5},
        ],
        "limits": [{"channel": "u", "low": -1, "high": 1}],
    })  # fmt: skip
    values = {"a": np.array([[9.0, 3.0, 9.0]]), "b": np.array([[0.5, 2.0, -2.0]])}
    chosen = np.array([[[1.0], [0.0]]])
    assert goal.costs(values, chosen, 10) == pytest.approx([1.0 + 3 * (1 + 4) / 3 + 0.5 * 0.5])


def test_risk_is_the_mean_of_the_worst_members() -> None:
    costs = np.array([[1.0, 0.0], [3.0, 0.0], [2.0, 6.0], [0.0, 0.0]])
    np.testing.assert_array_equal(tail_mean(costs, 1.0), [1.5, 1.5])
    np.testing.assert_array_equal(tail_mean(costs, 0.5), [2.5, 3.0])
    np.testing.assert_array_equal(tail_mean(costs, 0.01), [3.0, 6.0])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cost: []\nlimits: [{channel: u, low: 0, high: 1}]\n", "cost"),
        ("cost:\n  - {use: wish, channel: a}\nlimits: [{channel: u, low: 0, high: 1}]\n", ":2:"),
        ("cost:\n  - {use: target, channel: a, value: 1}\nlimits:\n  - {channel: u, low: 1, high: 0}\n", ":4:.*below"),
        ("cost:\n  - {use: effort, channel: b}\nlimits: [{channel: u, low: 0, high: 1}]\n", "no limits"),
        ("- 1\n", "a goal is a section"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "goal.yaml").write_text(text)
    with pytest.raises(RecipeError, match=f"goal.yaml.*{told}"):
        read_goal(tmp_path / "goal.yaml")


# --- searches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["cem", "mppi"])
def test_a_search_comes_to_the_least_cost_within_the_bounds(method: Method) -> None:
    wanted = np.array([[0.5, 9.0], [-1.0, 9.0], [0.2, 9.0]])

    def costs(plans: np.ndarray) -> np.ndarray:
        assert plans[..., 0].min() >= -1.5 and plans.max() <= 2.0
        return ((plans - wanted) ** 2).sum(axis=(1, 2))

    bounds = np.array([-1.5, -2.0]), np.array([2.0, 2.0])
    found = search(costs, bounds, 3, Search(method, plans=96, rounds=25))
    np.testing.assert_allclose(found.chosen[:, 0], wanted[:, 0], atol=0.15)
    np.testing.assert_allclose(found.chosen[:, 1], 2.0, atol=0.1)
    assert found.cost == pytest.approx(float(costs(found.chosen[None])[0]))


def test_no_plan_is_worse_than_doing_nothing_where_that_is_best() -> None:
    found = search(lambda plans: (plans**2).sum(axis=(1, 2)), (np.array([-1.0]), np.array([1.0])), 4, Search(rounds=1))
    np.testing.assert_array_equal(found.chosen, 0.0)


# --- plans ------------------------------------------------------------------------------------------------------------


def test_equal_values_of_neighbouring_steps_are_one_act_and_0_is_none() -> None:
    asked = Steering(goal_of(WRITTEN), AT, HORIZON)
    acts = asked.acts(np.array([[1.0], [1.0], [0.0], [0.0], [-1.0]]))
    assert acts == [Act("push", 1.0, "N", AT, AT + 2), Act("push", -1.0, "N", AT + 4, AT + 5)]


def test_a_value_is_held_for_as_many_steps_as_the_goal_says() -> None:
    asked = Steering(goal_of({**WRITTEN, "hold": 2}), AT, HORIZON)
    assert asked.choices == 3
    np.testing.assert_array_equal(asked.steps(np.array([[1.0], [2.0], [3.0]]))[:, 0], [1, 1, 2, 2, 3])


def test_the_cost_of_a_plan_is_that_of_what_each_member_imagines_under_its_acts(pair) -> None:
    model, data = pair
    asked = Steering(goal_of(WRITTEN), AT, HORIZON)
    chosen = np.array([[[0.5], [-1.0], [2.0], [0.5], [1.5]], [[0.0]] * 5])
    trajectory, alone = next(iter(data.dataset.store.each(np.flatnonzero(data.steps >= AT))))
    costs = ImaginedCosts(model, data, trajectory, alone, asked).by_member(chosen)
    for plan, found in zip(chosen, costs.T, strict=True):
        for number, member in enumerate(model.frozen.apart()):
            alone_model, _ = drawn()
            object.__setattr__(alone_model, "frozen", member)
            own = Data(alone_model, data.source, alone_model.source_config)
            made = alone_model.imagine(own, AT, HORIZON, asked.acts(plan)).sel(trajectory=trajectory)
            height = made.decoded.values[:, 0]
            expected = ((height[2:] - 0.5) ** 2).mean() + 0.01 * (plan**2).mean()
            assert found[number] == pytest.approx(expected, rel=1e-4)
    assert len(np.unique(costs)) == costs.size


def test_what_is_chosen_costs_no_more_than_nothing_and_stays_within_its_limits(pair) -> None:
    model, data = pair
    made = model.steer(data, AT, HORIZON, WRITTEN, how=QUICK)
    assert made.chosen.shape == ((data.steps >= AT).sum(), HORIZON - 1, 1)
    assert (made.cost <= made.cost_of_nothing + 1e-9).all() and (made.cost < made.cost_of_nothing).any()
    assert made.chosen.min() >= -2 and made.chosen.max() <= 3
    assert made["unit"].values.tolist() == ["N"] and made.step.values[0] == AT
    assert "do not identify" in made.attrs["caution"] and made.attrs["members"] == 3
    again = model.steer(data, AT, HORIZON, WRITTEN, how=QUICK)
    np.testing.assert_array_equal(made.chosen.values, again.chosen.values)


def test_a_forecast_of_an_ensemble_has_a_spread_over_what_each_member_imagines(pair) -> None:
    model, data = pair
    made = model.forecast(data, AT, HORIZON)
    assert made.decoded_member.dims == ("trajectory", "member", "horizon", "channel") and made.sizes["member"] == 3
    np.testing.assert_allclose(made.epistemic, made.decoded_member.std("member", ddof=1), rtol=1e-6)
    first = made.decoded.isel(horizon=0)  # later each member goes on from its own states
    np.testing.assert_allclose(made.decoded_member.isel(horizon=0).mean("member"), first, atol=1e-6)


def test_a_plan_for_the_worst_members_costs_more(pair) -> None:
    model, data = pair
    mean, worst = (model.steer(data, AT, HORIZON, WRITTEN, risk, QUICK).cost_of_nothing for risk in (1.0, 0.3))
    assert (worst > mean).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"limits": [{"channel": "push", "low": -1, "high": 1, "unit": "kN"}]}, r"limits\.0\.unit: .* is in N"),
        ({"cost": [{"use": "target", "channel": "depth", "value": 0}]}, "nothing reads 'depth'.*it reads height"),
        ({"hold": 0}, "hold: "),
    ],
)
def test_a_goal_that_cannot_be_asked_for_is_refused_with_the_reason(pair, change, told) -> None:
    model, data = pair
    with pytest.raises(RecipeError, match=told):
        model.steer(data, AT, HORIZON, {**WRITTEN, **change}, how=QUICK)


def test_interventions_on_people_are_planned_in_retrospect_alone() -> None:
    model, data = drawn(config=OfPeople(seed=1, trajectories=6, shortest=AT))
    with pytest.raises(RecipeError, match="retrospective=True"):
        model.steer(data, AT, HORIZON, WRITTEN, how=QUICK)
    assert "no advice" in model.steer(data, AT, HORIZON, WRITTEN, how=QUICK, retrospective=True).attrs["caution"]


def test_who_cannot_take_what_may_be_done_is_left_out_and_counted(pair, monkeypatch, caplog) -> None:
    model, data = pair
    able, subject = type(data.source).acting, data.dataset.store.subject[data.steps >= AT]

    def acting(self, act, trajectory, channels):
        if trajectory.subject[0] == subject[0]:
            raise DataError("there is nothing to push")
        return able(self, act, trajectory, channels)

    monkeypatch.setattr(type(data.source), "acting", acting)
    steered = model.steer(data, AT, HORIZON, WRITTEN, how=Search(plans=4, rounds=1))
    assert steered.attrs["left_out"] == (subject == subject[0]).sum() > 0
    assert len(steered.trajectory) == (subject != subject[0]).sum() and "nothing to push" in caplog.text


def test_one_trajectory_alone_is_steered_as_among_the_others(pair) -> None:
    model, data = pair
    every = model.steer(data, AT, HORIZON, WRITTEN, how=QUICK)
    last = int(every.trajectory[-1])
    alone = model.steer(data, AT, HORIZON, WRITTEN, how=QUICK, trajectory=last)
    np.testing.assert_array_equal(alone.chosen, every.chosen.sel(trajectory=[last]))
    with pytest.raises(RecipeError, match="no trajectory of 4 steps at the position 99"):
        model.steer(data, AT, HORIZON, WRITTEN, how=QUICK, trajectory=99)
