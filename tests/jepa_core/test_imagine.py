"""What-ifs: acts in the data's units, put into trajectories as the source records them."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray

from jepa_core import Act
from jepa_core.config import ItemShape
from jepa_core.data.trajectories import Channel
from jepa_core.errors import DataError, RecipeError
from jepa_core.model.acts import PlannedActs, acted, acts_of, known_acts
from jepa_core.model.data import Data
from jepa_core.model.forecasting import Reach
from jepa_core.model.frozen import Frozen
from jepa_core.model.futures import futures_of
from jepa_core.model.model import Model
from jepa_core.plugin import Component, Registry
from jepa_core.testing.oscillator_parts import CHANNELS, PUSH, Oscillators, TinyChannels, TinyRecurrent
from jepa_core.testing.oscillators import OscillatorsConfig, TinyChannelsConfig, TinyRecurrentConfig

AT, HORIZON = 4, 5
CONFIG = OscillatorsConfig(seed=1)


@pytest.fixture(scope="module")
def model() -> Model:
    """A model as the weights are drawn."""
    torch.manual_seed(0)
    encoder = TinyChannels(TinyChannelsConfig(), ItemShape(4)).eval()
    predictor = TinyRecurrent(TinyRecurrentConfig(), encoder.latent_dim).eval()
    return Model(
        folder=Path("nowhere"),
        frozen=Frozen(encoder, predictor, torch.device("cpu"), nullcontext),
        source=Component("source", "oscillators", OscillatorsConfig, "jepa_core.testing.oscillator_parts:Oscillators"),
        source_config=CONFIG,
        modality="channels",
        reach=Reach(20, None),
        record={"name": "toy"},
        registry=Registry(),
        channels=CHANNELS,
    )


@pytest.fixture(scope="module")
def data(model: Model) -> Data:
    return Data(model, Oscillators(CONFIG), CONFIG)


def test_a_what_if_that_repeats_what_was_recorded_is_the_forecast(model, data):
    foreseen = model.forecast(data, AT, HORIZON)
    imagined = model.imagine(data, AT, HORIZON, otherwise="recorded")
    kept = foreseen.action_recorded.values.all(axis=1)
    assert kept.any() and not kept.all()
    np.testing.assert_allclose(imagined.state.values[kept], foreseen.state.values[kept], atol=1e-5)
    assert "all else as recorded" in imagined.attrs["actions"]


def test_an_act_changes_what_comes_after_it_and_nothing_before(model, data):
    nothing = model.imagine(data, AT, HORIZON).state.values
    pushed = model.imagine(data, AT, HORIZON, [Act("push", 3.0, "N", AT + 1, AT + 3)]).state.values
    np.testing.assert_array_equal(pushed[:, :2], nothing[:, :2])
    assert np.abs(pushed[:, 2:] - nothing[:, 2:]).max() > 1e-4


def test_a_trajectory_under_acts_is_one_whose_record_says_so(data):
    """The same items as if the act had been in the data."""
    store = data.dataset.store
    (position, alone), *_ = store.each(np.flatnonzero(store.steps >= AT + HORIZON))
    plan = PlannedActs([Act("push", 2.5, "N", AT, AT + 2)], AT, HORIZON, "recorded")
    rendered = data.rendered(acted(data.source, alone, CHANNELS, plan))
    recorded = data.rendered(alone)
    assert rendered.action[AT][PUSH, 0] == 2.5 and rendered.action[AT + 1][PUSH, 0] == 2.5
    np.testing.assert_array_equal(rendered.action[AT + 2], recorded.action[AT + 2])
    np.testing.assert_array_equal(rendered.state[:AT], recorded.state[:AT])
    assert np.isnan(rendered.state[AT:]).all()


def test_no_act_is_what_the_source_makes_of_a_step_without_an_action(data):
    (_, alone), *_ = data.dataset.store.each(np.flatnonzero(data.steps >= AT))
    rendered = data.rendered(acted(data.source, alone, CHANNELS, PlannedActs([], AT, HORIZON, "none")))
    assert np.isnan(rendered.action[AT:]).all() and not np.isnan(rendered.action[:AT]).all()


def test_answers_say_what_was_done_and_that_it_identifies_nothing(model, data):
    made = model.imagine(data, AT, HORIZON, [{"channel": "push", "value": 1, "unit": "N", "from": AT, "to": AT + 2}])
    assert made.attrs["actions"] == f"push 1 N, steps {AT} to {AT + 1}; nothing else is done"
    assert "do not identify" in made.attrs["caution"]


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ({"channel": "pusch", "from": AT, "to": AT + 1}, "did you mean push"),
        ({"channel": "push", "value": 1, "unit": "kN", "from": AT, "to": AT + 1}, "in N, and the act gives it in kN"),
        ({"channel": "push", "value": 1, "from": AT - 1, "to": AT + 1}, f"begins at step {AT}"),
        ({"channel": "push", "value": 1, "from": AT + 20, "to": AT + 21}, "choose a longer horizon"),
        ({"channel": "push", "value": "much", "from": AT, "to": AT + 1}, "0.value"),
        ({"channel": "push", "dose": 1, "from": AT, "to": AT + 1}, "0.dose"),
    ],
)
def test_an_act_that_cannot_be_done_is_refused_with_the_reason(model, data, act, told):
    with pytest.raises(RecipeError, match=told):
        model.imagine(data, AT, HORIZON, [act])


def test_what_a_source_cannot_do_to_one_trajectory_is_told_with_its_position(model, data, monkeypatch):
    def acting(self, act, trajectory, channels):
        raise DataError("there is nothing to push")

    monkeypatch.setattr(type(data.source), "acting", acting)
    with pytest.raises(DataError, match="the trajectory at position 0: there is nothing to push"):
        model.imagine(data, AT, HORIZON, [Act("push", 3.0, "N", AT, AT + 1)])


def test_a_unit_that_is_not_given_is_the_channels():
    (act,) = known_acts(acts_of([{"channel": "push", "value": 1, "from": 0, "to": 1}]), [Channel("push", "N")])
    assert act.unit == "N"


@pytest.mark.parametrize("value", [1e39, float("nan"), float("-inf")])
def test_an_act_of_no_number_in_single_precision_is_refused(value: float) -> None:
    with pytest.raises(RecipeError, match="acts.0.value: .* is no number that float32 holds"):
        known_acts([Act("push", value, "N", 0, 1)], [Channel("push", "N")])


def test_words_of_an_act_join_the_texts_of_the_trajectory(data):
    class Speaking(Oscillators):
        def acting(self, act, trajectory, channels):
            return [Act(act.channel, act.value, act.unit, act.begin, act.end, text) for text in ("hard", "softly")]

    (_, alone), *_ = data.dataset.store.each(np.flatnonzero(data.steps >= AT))
    plan = PlannedActs([Act("push", 1.0, "N", AT, AT + 2)], AT, HORIZON, "none")
    made = acted(Speaking(OscillatorsConfig()), alone, CHANNELS, plan)
    last = slice(int(made.action.offsets[AT]), None)
    assert [made.texts[text] for text in made.action.text[last]] == ["hard", "softly", "hard", "softly"]


def test_an_act_that_leaves_nothing_takes_away_what_is_recorded(data):
    """As a pump that is set to 0 is not charted."""

    class Silent(Oscillators):
        def acting(self, act, trajectory, channels):
            return [Act(act.channel, float("nan"), act.unit, act.begin, act.end)]

    store = data.dataset.store
    (_, alone), *_ = store.each(np.flatnonzero(store.steps >= AT + HORIZON))
    plan = PlannedActs([Act("push", 0.0, "N", AT + 1, AT + 3)], AT, HORIZON, "recorded")
    rendered = data.rendered(acted(Silent(OscillatorsConfig()), alone, CHANNELS, plan)).action[:, PUSH, 0]
    recorded = data.rendered(alone).action[:, PUSH, 0]
    assert np.isnan(rendered[AT + 1 : AT + 3]).all()
    np.testing.assert_array_equal(rendered[: AT + 1], recorded[: AT + 1])
    np.testing.assert_array_equal(rendered[AT + 3 :], recorded[AT + 3 : AT + HORIZON - 1])


def test_who_cannot_take_an_act_is_left_out_and_counted(model, data, monkeypatch, caplog):
    able = type(data.source).acting

    def acting(self, act, trajectory, channels):
        if trajectory.subject[0] == data.dataset.store.subject[0]:
            raise DataError("there is nothing to push")
        return able(self, act, trajectory, channels)

    monkeypatch.setattr(type(data.source), "acting", acting)
    given = model.imagine(data, AT, HORIZON, [{"channel": "push", "value": 1, "from": AT, "to": AT + 1}])
    nothing = model.imagine(data, AT, HORIZON)

    assert nothing["trajectory"].values[0] == 0 and nothing.attrs["left_out"] == 0
    assert 0 not in given["trajectory"].values
    assert given.attrs["left_out"] == len(nothing["trajectory"]) - len(given["trajectory"]) > 0
    assert "position 0: there is nothing to push" in caplog.text


def test_two_futures_are_put_beside_one_another_for_whom_both_are_about():
    def future(trajectories: list[int]) -> xarray.Dataset:
        values = np.array(trajectories, dtype=float)[:, None, None] * np.ones((1, 2, 1))
        along = ("trajectory", "horizon", "channel")
        coordinates = {"trajectory": trajectories, "horizon": [1, 2], "channel": ["speed"]}
        coordinates["time"] = (along[:2], np.zeros((len(trajectories), 2)))
        return xarray.Dataset({"decoded": (along, values)}, coordinates)

    both = futures_of(future([1, 3, 4]), future([0, 1, 4]))
    assert [side[:, 0, 0].tolist() for side in both.values] == [[1.0, 4.0], [1.0, 4.0]]
