"""Imagined effects against those of a generator: figures that are known, and what is told where none can be."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from jepa_core.contracts import Evaluation
from jepa_core.errors import DataError
from jepa_core.results.findings import Findings
from jepa_core.testing.bench import oscillators, tiny_learner
from jepa_core.testing.oscillator_parts import Oscillators
from jepa_core.testing.oscillators import OscillatorsConfig
from jepa_latent_eval.config import ImaginationConfig
from jepa_latent_eval.imagination import Imagination
from jepa_latent_eval.imagination_findings import imagination_findings
from jepa_latent_eval.imagined_effects import (
    IGNORING,
    IMAGINED,
    LAST,
    LOGGED,
    Compared,
    Question,
    Start,
    Truth,
    find_starts,
    true_futures,
)

ROWS, HORIZON = 40, 6
PUSH = {"channel": "push", "value": 2.0, "against": 0.0, "steps": 3}


def config(**keys) -> ImaginationConfig:
    return ImaginationConfig(**{"acts": [PUSH], "at": [4], "horizon": HORIZON, "turns": 2, "bootstrap": 100} | keys)


def question(**keys) -> Question:
    dataset = SimpleNamespace(subject=np.arange(ROWS) // 2, trajectories=lambda split: np.arange(ROWS))
    evaluation = Evaluation(SimpleNamespace(dataset=dataset), 12, 0, None)
    return Question(config(**keys), evaluation, None, None, [Start(4, np.arange(ROWS))], ["position"], 3)


def compared(imagined: np.ndarray, true: np.ndarray, noise: float = 0.1, untrained: np.ndarray | None = None):
    """Of effects (R, H); the other future is 0, and so are all values that the generator makes without the act."""
    nothing = np.zeros_like(true)
    truth = Truth(true, nothing, true, np.full_like(true, noise))
    errors = {
        IMAGINED: np.abs(imagined - true), LOGGED: nothing + 0.25, IGNORING: np.abs(true), LAST: nothing * np.nan
    }  # fmt: skip
    asked = question()
    return Compared(
        asked.config.acts[0], "position", "m", truth, imagined, nothing, untrained, errors, asked.subjects
    )  # fmt: skip


def cell(findings: Findings, table: str, name: str, h: int):
    found = next(one for one in findings.tables if one.name == table)
    columns = [one.name for one in found.columns]
    row = next(row for row in found.rows if row[columns.index("h")] == h)
    return row[columns.index(name)]


def test_direction_and_size_are_those_of_effects_that_are_clear() -> None:
    """Every second row is imagined half as large; three of forty have the wrong sign; rows of no effect count not."""
    true = np.tile(np.where(np.arange(ROWS) % 2, 1.0, -1.0)[:, None], (1, HORIZON))
    imagined = true * np.where(np.arange(ROWS) % 2, 1.0, 0.5)[:, None]
    imagined[:3] *= -1
    true[-4:], imagined[-4:] = 0.01, -5.0
    found = imagination_findings([compared(imagined, true)], question())
    assert cell(found, "effects", "direction", 4) == pytest.approx(33 / 36)
    assert cell(found, "effects", "clear", 4) == 36 and cell(found, "effects", "subjects", 4) == 18
    signed = (imagined * np.sign(true))[:36, 3]
    assert cell(found, "effects", "ratio", 4) == pytest.approx(signed.sum() / 36)
    assert cell(found, "effects", "slope", 4) == pytest.approx((imagined * true)[:36, 3].sum() / 36)
    assert cell(found, "effects", "ratio_low", 4) < signed.mean() < cell(found, "effects", "ratio_high", 4)
    assert found.verdicts[0].level == "good" and "91.7%" in found.verdicts[0].text
    assert found.headlines[0].n == 18 and found.headlines[0].value == pytest.approx(33 / 36)


def test_the_gap_is_the_error_imagined_less_that_of_the_logged_forecast() -> None:
    true = np.ones((ROWS, HORIZON))
    found = imagination_findings([compared(0.4 * true, true)], question())
    assert cell(found, "errors", "gap", 3) == pytest.approx(0.6 - 0.25)
    assert cell(found, "errors", "error, ignoring the act", 3) == 1.0
    assert cell(found, "errors", "error, last value", 3) is None and "null where no value" in found.tables[1].note
    assert found.verdicts[1].level == "warning" and "0.40 of the true effect" in found.verdicts[1].text


def test_the_first_step_is_not_judged_as_no_act_can_change_it() -> None:
    found = imagination_findings([compared(np.ones((ROWS, HORIZON)), np.ones((ROWS, HORIZON)))], question())
    hs = [row[3] for row in found.tables[0].rows]
    assert hs == list(range(2, HORIZON + 1)) and [one.at for one in found.samples] == hs


def test_where_no_effect_is_clear_nothing_is_told_of_direction_and_the_reason_is() -> None:
    found = imagination_findings(
        [compared(np.ones((ROWS, HORIZON)), np.full((ROWS, HORIZON), 0.05), noise=0.1)], question()
    )
    assert found.headlines[0].value is None and "no effect of the generator is clear" in found.headlines[0].note
    assert {one.level for one in found.verdicts} == {"warning"} and found.samples == []


def test_an_untrained_control_stands_beside() -> None:
    true = np.ones((ROWS, HORIZON))
    control = np.where(np.arange(ROWS)[:, None] < 10, 1.0, -1.0) * true
    found = imagination_findings([compared(true, true, untrained=control)], question())
    assert cell(found, "effects", "direction_untrained", 3) == 0.25
    assert "by the untrained encoder in 25.0%" in found.verdicts[0].text
    assert [one.label for one in found.figures[0].series if one.control] == ["true", "untrained"]


# --- on oscillators ---------------------------------------------------------------------------------------------------

SOURCE = OscillatorsConfig(trajectories=40, shortest=12, longest=20)


def evaluation(source: Oscillators | None) -> Evaluation:
    dataset = oscillators(trajectories=40, shortest=12, longest=20)
    learner = tiny_learner(dataset)
    learner.freeze()
    return Evaluation(learner, 12, 0, None, source=source)


def test_the_truth_is_what_the_generator_does_under_both_futures() -> None:
    source = Oscillators(SOURCE)
    asked = evaluation(source)
    starts, left_out = find_starts(asked, source, config())
    mine = asked.dataset.trajectories("held_out")
    assert left_out == 0 and starts[0].chosen.tolist() == mine[asked.dataset.steps[mine] >= 4 + HORIZON].tolist()
    simulator = source.simulator()
    whole = Question(config(), asked, source, simulator, starts, ["position"], 0)
    truth = true_futures(whole, whole.config.acts[0])["position"]
    assert truth.effect.shape == (len(starts[0].chosen), HORIZON)
    np.testing.assert_array_equal(truth.effect[:, 0], 0.0)
    assert np.abs(truth.effect[:, 1:]).max() > 0.1 and np.allclose(truth.given - truth.against, truth.effect)
    np.testing.assert_allclose(truth.noise, 0.0, atol=1e-12)  # nothing in an oscillator is left to chance


class Cautious(Oscillators):
    """Cannot be pushed where a trajectory's position in the data is even."""

    def acting(self, act, trajectory, channels):
        if int(trajectory.identifier[0]) % 2:
            raise DataError("not this one")
        return [act]


def test_trajectories_in_which_an_act_cannot_be_done_are_left_out_and_counted() -> None:
    source = Cautious(SOURCE)
    asked = evaluation(source)
    starts, left_out = find_starts(asked, source, config())
    all_of_them, none = find_starts(asked, Oscillators(SOURCE), config())
    assert 0 < left_out == len(all_of_them[0].chosen) - len(starts[0].chosen) and none == 0


@pytest.mark.parametrize(
    ("source", "told"),
    [(None, "the data were recorded"), (Oscillators(SOURCE), "no objective of the curriculum keeps a decoder")],
)
def test_what_cannot_be_judged_is_null_with_the_reason(source: Oscillators | None, told: str) -> None:
    found = Imagination(config()).evaluate(evaluation(source))
    assert found.headlines[0].value is None and told in found.headlines[0].note
    found = Imagination(config(horizon=11, at=[12])).evaluate(evaluation(source))
    assert found.headlines[0].value is None and found.verdicts[0].level == "warning"


@pytest.mark.parametrize(("act", "told"), [({"channel": "pusch"}, "did you mean push"), ({"unit": "kN"}, "is in N")])
def test_an_act_that_the_data_do_not_know_is_refused_before_training(act: dict, told: str) -> None:
    with pytest.raises(DataError, match=told):
        Imagination(config(acts=[PUSH | act])).check(oscillators(trajectories=12))
