"""What alarms are worth by their time, held against values worked out by hand from the published definition."""

from __future__ import annotations

import numpy as np
import pytest
from pyarrow import parquet
from pydantic import ValidationError

from jepa_core.results.findings import Findings
from jepa_core.results.predictions import predictions_path
from jepa_core.runs.pipeline import write_findings
from jepa_downstream.config import PredictionTasksConfig, UtilityConfig
from jepa_downstream.measures import Draws
from jepa_downstream.prediction_tasks import PredictionTasks
from jepa_downstream.rows import Rows
from jepa_downstream.utility import RowUtilities, alarmed_rows, most_useful_threshold, utility
from tests.jepa_downstream import fakes

CHALLENGE = UtilityConfig()
TASK = {"label": "warned", "utility": {"early": 5, "best": 3, "late": 2}}


def rows(*truths: list[int], subject: list[int] | None = None) -> Rows:
    """A trajectory for each list of truths."""
    trajectory = np.repeat(np.arange(len(truths)), [len(truth) for truth in truths])
    step = np.concatenate([np.arange(len(truth)) for truth in truths])
    return Rows(
        trajectory, step, np.concatenate(truths).astype(float), np.asarray(subject or range(len(truths)))[trajectory]
    )


def begins_at(step: int, length: int) -> list[int]:
    return [int(at >= step) for at in range(length)]


def test_an_alarm_is_worth_what_the_challenge_says_at_every_hour() -> None:
    """The label begins at hour 10, so the event begins at hour 16."""
    worth = RowUtilities.of(rows(begins_at(10, 22)), CHALLENGE)
    by_hand = {
        0: (-0.05, 0), 3: (-0.05, 0), 4: (0, 0), 5: (1 / 6, 0), 7: (1 / 2, 0), 10: (1, 0), 11: (8 / 9, -2 / 9),
        13: (6 / 9, -6 / 9), 16: (3 / 9, -12 / 9), 19: (0, -2), 20: (0, 0), 21: (0, 0),
    }  # fmt: skip
    for hour, (alarm, silent) in by_hand.items():
        assert (worth.alarm[hour], worth.silent[hour]) == pytest.approx((alarm, silent)), hour


def test_where_no_event_comes_every_alarm_costs_the_same_and_silence_nothing() -> None:
    worth = RowUtilities.of(rows([0] * 30), CHALLENGE)
    assert set(worth.alarm) == {-0.05} and set(worth.silent) == {0.0}


def test_the_scale_goes_from_silence_to_the_best_alarms() -> None:
    of_rows = rows(begins_at(2, 10), [0] * 8)
    worth, draws = RowUtilities.of(of_rows, CHALLENGE), Draws(of_rows.subject, 50)
    best = np.concatenate([np.ones(10, bool), np.zeros(8, bool)])
    assert utility(worth, best, of_rows.subject, draws).value == pytest.approx(1)
    assert utility(worth, np.zeros(18, bool), of_rows.subject, draws).value == 0
    # Hours 2 to 9 gain 1, 8/9 + 2/9, ..., 2/9 + 14/9; hours 0 and 1 gain 4/6 and 5/6. Eight false alarms cost 0.4.
    most = 4 / 6 + 5 / 6 + 1 + sum((9 - k) / 9 + 2 * k / 9 for k in range(1, 8))
    assert utility(worth, np.ones(18, bool), of_rows.subject, draws).value == pytest.approx((most - 0.4) / most)


def test_a_record_that_begins_after_the_label_counts_from_its_first_hour() -> None:
    worth = RowUtilities.of(rows([1] * 12), CHALLENGE)
    assert worth.alarm[[0, 9, 10]] == pytest.approx([1, 0, 0]) and worth.silent[9] == -2


def test_without_an_event_there_is_no_utility() -> None:
    of_rows = rows([0] * 5)
    worth = RowUtilities.of(of_rows, CHALLENGE)
    assert utility(worth, np.ones(5, bool), of_rows.subject, Draws(of_rows.subject, 10)).value is None


def test_the_threshold_is_the_one_of_all_that_is_worth_most() -> None:
    rng = np.random.default_rng(0)
    of_rows = rows(*(begins_at(8, 20) for _ in range(5)), *([0] * 20 for _ in range(20)))
    worth = RowUtilities.of(of_rows, CHALLENGE)
    score = np.round(of_rows.truth + rng.normal(size=len(of_rows)), 1)
    sums = {threshold: worth.gain[score >= threshold].sum() for threshold in np.unique(score)}
    assert most_useful_threshold(worth, score) == max(sums, key=lambda threshold: (sums[threshold], threshold))


def test_where_no_alarm_is_worth_anything_none_is_raised() -> None:
    worth = RowUtilities.of(rows([0] * 6), CHALLENGE)
    score = np.linspace(0, 1, 6)
    threshold = most_useful_threshold(worth, score)
    assert threshold is None and not alarmed_rows(score, threshold).any()


@pytest.mark.parametrize(
    "keys", [{"rows": "last"}, {"fit_rows": "stride"}, {"kind": "regression"}, {"utility": {"early": 3, "best": 3}}]
)
def test_a_utility_that_could_not_be_counted_is_refused(keys: dict) -> None:
    with pytest.raises(ValidationError):
        PredictionTasksConfig.model_validate({"tasks": [{**TASK, **keys}]})


@pytest.fixture(scope="module")
def found() -> Findings:
    """Alarms on a label that is 1 from three steps before an event on; the latents tell it with noise."""
    made = fakes.dataset()
    event = made.store.labels["event_on"]
    ahead = [
        np.append(event[k:], np.zeros(k)) * (np.append(made.trajectory[k:], [-1] * k) == made.trajectory)
        for k in range(4)
    ]
    made.store.labels["warned"] = np.max(ahead, axis=0)
    latents = fakes.table(made, 2 * made.store.labels["warned"] + np.random.default_rng(1).normal(size=made.total))
    small = {"bootstrap": 100, "rollout_horizons": [1], "heads": {"rounds": 5, "strengths": [1]}, "baselines": []}
    asked = {"tasks": [TASK], "methods": ["latents", "untrained_latents", "train_mean"], **small}
    evaluation = fakes.evaluation(made, latents, fakes.table(made, seed=5))
    return PredictionTasks(PredictionTasksConfig.model_validate(asked)).evaluate(evaluation)


def of_table(found: Findings) -> dict[str, dict]:
    table = next(table for table in found.tables if table.name == "utility")
    names = [column.name for column in table.columns]
    return {row[1]: dict(zip(names, row, strict=True)) for row in table.rows}


def test_the_evaluator_tells_the_utility_of_every_method_with_an_interval(found: Findings) -> None:
    by_method = of_table(found)
    latents, untrained = by_method["latents"], by_method["untrained latents"]
    assert latents["utility_low"] < latents["utility"] < latents["utility_high"] < 1
    assert untrained["difference_high"] < 0 and latents["difference"] is None
    headline = next(one for one in found.headlines if one.label.startswith("utility of alarms of warned, "))
    assert (headline.value, headline.low) == (latents["utility"], latents["utility_low"])


def test_the_utility_can_be_recomputed_row_by_row_from_the_file_of_predictions(found: Findings, tmp_path) -> None:
    write_findings(tmp_path, "tasks", found)
    of_file = parquet.read_table(predictions_path(tmp_path / "predictions", "tasks", "warned", "latents")).to_pydict()
    told = of_table(found)["latents"]
    first: dict[int, int] = {}
    lines = list(zip(of_file["trajectory"], of_file["step"], of_file["boolean_value"], of_file["alarm"], strict=True))
    for trajectory, step, positive, _ in lines:
        if positive:
            first.setdefault(trajectory, step)
    gained = most = 0.0
    for trajectory, step, _, alarm in lines:
        gain = -0.05
        if trajectory in first:
            hour = step - first[trajectory] - 3
            if hour <= -3:
                gain = max((hour + 5) / 2, -0.05)
            elif hour <= 2:
                gain = (2 - hour) / 5 + 2 * (hour + 3) / 5
            else:
                gain = 0.0
        gained, most = gained + gain * alarm, most + max(gain, 0)
    assert told["utility"] == pytest.approx(gained / most) and told["alarms"] == sum(of_file["alarm"])
