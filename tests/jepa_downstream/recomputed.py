"""Every figure of the prediction tasks from their files of predictions alone, by numpy and scikit-learn.

Nothing of what is tested is used here. Of the recipe it takes the number of draws and the seed. A table is recomputed
row by row: from its words (task, method, channel, group) to all of its numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pyarrow import parquet
from sklearn import metrics

Columns = dict[str, np.ndarray]
Row = dict[str, str | float | None]
Measure = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

FEWEST = 10
"""Subjects below which a subgroup is not measured."""
LATE, EARLY = 10, 13


class Files:
    """The files of one evaluator, and how often each of its draws takes each subject."""

    def __init__(self, folder: Path, evaluator: str, draws: int, seed: int) -> None:
        self.columns: dict[tuple[str, str], Columns] = {}
        for path in sorted(folder.glob(f"{evaluator}.*.parquet")):
            task, method = (re.sub(r"-[0-9a-f]{8}$", "", part) for part in path.name.split(".")[1:3])
            found = parquet.read_table(path)
            names = found.column_names
            self.columns[task, method] = {name: found[name].to_numpy(zero_copy_only=False) for name in names}
        self.subjects = np.unique(np.concatenate([one["subject_id"] for one in self.columns.values()]))
        count = len(self.subjects)
        self.weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)

    def of(self, task: str, method: str) -> Columns | None:
        """None where a method could not be fitted to a task."""
        return self.columns.get((_in_a_name(task), _in_a_name(method)))

    def any_of(self, task: str) -> Columns:
        """Some method's file: the rows are the same in all of them."""
        return next(one for (name, _), one in self.columns.items() if name == _in_a_name(task))

    def drawn(self, subject: np.ndarray) -> np.ndarray:
        """(draws, R) how often each draw takes each row."""
        return self.weights[:, np.searchsorted(self.subjects, subject)].astype(np.float64)


def _in_a_name(word: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", word)


# --- measures ---------------------------------------------------------------------------------------------------------


def auroc(truth: np.ndarray, score: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(K,) share of pairs in the right order, ties counting one half, under weights (K, R)."""
    positive, negative = truth == 1, truth == 0
    above, below = score[positive][:, None], score[negative]
    right = (above > below) + (above == below) / 2
    pairs = weight[:, positive].sum(axis=1) * weight[:, negative].sum(axis=1)
    with np.errstate(invalid="ignore"):
        return ((weight[:, positive] @ right) * weight[:, negative]).sum(axis=1) / pairs


def average_precision(truth: np.ndarray, score: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(K,) mean over the positives of the precision at their scores; NaN where there is but one class."""
    positive = truth == 1
    called = (score >= score[positive][:, None]).astype(np.float64)
    with np.errstate(invalid="ignore"):
        precision = (weight * truth) @ called.T / (weight @ called.T)
        mean = np.nansum(weight[:, positive] * precision, axis=1) / weight[:, positive].sum(axis=1)
    return np.where(weight[:, ~positive].sum(axis=1) > 0, mean, np.nan)


def _mean(of: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Measure:
    def measure(truth: np.ndarray, score: np.ndarray, weight: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return weight @ of(truth, score) / weight.sum(axis=1)

    return measure


def ece(truth: np.ndarray, score: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(K,) gap between probability and share in ten bins, weighted by their rows."""
    gaps = [np.abs((weight * (truth - score))[:, bin_of(score) == one].sum(axis=1)) for one in range(10)]
    with np.errstate(invalid="ignore"):
        return np.sum(gaps, axis=0) / weight.sum(axis=1)


def bin_of(score: np.ndarray) -> np.ndarray:
    return np.minimum((10 * score).astype(int), 9)


def r2(truth: np.ndarray, score: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(K,) NaN where all drawn truths are the same."""
    found = np.full(len(weight), np.nan)
    for number, one in enumerate(weight):
        if len(np.unique(truth[one > 0])) > 1:
            spread = one @ (truth - np.average(truth, weights=one)) ** 2
            found[number] = 1 - one @ (truth - score) ** 2 / spread
    return found


def _cost(truth: np.ndarray, score: np.ndarray) -> np.ndarray:
    late = score - truth
    return np.exp(np.where(late < 0, -late / EARLY, late / LATE)) - 1


_SQUARES = _mean(lambda truth, score: (truth - score) ** 2)
BINARY: dict[str, Measure] = {
    "auroc": auroc,
    "average_precision": average_precision,
    "brier": _SQUARES,
    "ece": ece,
}
VALUES: dict[str, Measure] = {
    "rmse": lambda truth, score, weight: np.sqrt(_SQUARES(truth, score, weight)),
    "mae": _mean(lambda truth, score: np.abs(truth - score)),
    "r2": r2,
    "score_sum": lambda truth, score, weight: weight @ _cost(truth, score),
    "score_mean": _mean(_cost),
}
SCIKIT = {
    "auroc": metrics.roc_auc_score,
    "average_precision": metrics.average_precision_score,
    "brier": metrics.brier_score_loss,
    "rmse": metrics.root_mean_squared_error,
    "mae": metrics.mean_absolute_error,
    "r2": metrics.r2_score,
}


def measured(
    files: Files, name: str, found: Columns | None, by_subject: bool = False
) -> tuple[float | None, np.ndarray]:
    """A measure, by scikit-learn where it has it, and its draws."""
    if found is None:
        return None, np.full(len(files.weights), np.nan)
    truth, score = truth_and_score(found)
    _, owner, counts = np.unique(found["subject_id"], return_inverse=True, return_counts=True)
    weight = 1 / counts[owner] if by_subject else np.ones(len(truth))
    measure = (BINARY | VALUES)[name]
    draws = measure(truth, score, files.drawn(found["subject_id"]) * weight)
    if name in ("auroc", "average_precision", "r2") and len(np.unique(truth)) < 2:
        return None, draws
    if name in SCIKIT:
        return SCIKIT[name](truth, score, sample_weight=weight), draws
    return measure(truth, score, weight[None])[0], draws


def truth_and_score(found: Columns) -> tuple[np.ndarray, np.ndarray]:
    if "boolean_value" in found:
        return found["boolean_value"].astype(np.float64), found["predicted_boolean_probability"]
    return found["float_value"], found["predicted_float_value"]


def with_bounds(name: str, value: float | None, draws: np.ndarray) -> Row:
    known = draws[~np.isnan(draws)]
    if value is None or len(known) < 0.95 * len(draws):
        return {name: value, f"{name}_low": None, f"{name}_high": None}
    low, high = np.quantile(known, [0.025, 0.975])
    return {name: value, f"{name}_low": low, f"{name}_high": high}


# --- tables -----------------------------------------------------------------------------------------------------------


def scores(files: Files, row: Row, by_subject: bool = False) -> Row:
    """A row of `scores`, `values` and both of them by subject."""
    names = [name for name in BINARY | VALUES if name in row]
    found = files.of(row["task"], row["method"])
    made = [with_bounds(name, *measured(files, name, found, by_subject)) for name in names]
    return _joined(*made, _counts(files.any_of(row["task"])))


def differences(files: Files, row: Row) -> Row:
    other, main = (files.of(row["task"], method) for method in (row["method"], "latents"))
    made = []
    for name in [name for name in BINARY | VALUES if name in row]:
        (value, draws), (base, base_draws) = (measured(files, name, one) for one in (other, main))
        known = value is not None and base is not None
        made.append(with_bounds(name, value - base if known else None, draws - base_draws))
    return _joined(*made)


def overview(files: Files, row: Row) -> Row:
    made = []
    for method in [name for name in row if name != "task" and not name.endswith(("_low", "_high"))]:
        found = files.of(row["task"], method)
        measure = "auroc" if "boolean_value" in files.any_of(row["task"]) else "rmse"
        made.append(with_bounds(method, *measured(files, measure, found)))
    return _joined(*made)


def tasks(files: Files, row: Row) -> Row:
    """Of the split that was measured."""
    found = files.any_of(row["task"])
    truth, _ = truth_and_score(found)
    binary = "boolean_value" in found
    described = {"mean": None if binary else truth.mean(), "trajectories": len(np.unique(found["trajectory"]))}
    return {"positives": None, "positive_subjects": None, "prevalence": None} | _counts(found) | described


def calibration(files: Files, row: Row) -> Row:
    truth, score = truth_and_score(files.of(row["task"], row["method"]))
    inside = bin_of(score) == round(10 * row["from"])
    made = {"mean_probability": score[inside].mean(), "share_observed": truth[inside].mean(), "rows": inside.sum()}
    return made | {"from": bin_of(score)[inside][0] / 10, "below": (bin_of(score)[inside][0] + 1) / 10}


def subgroups(files: Files, row: Row) -> Row:
    found = files.of(row["task"], row["method"])
    inside = found[f"subgroup_{row['channel']}"] == row["group"]
    part = {name: column[inside] for name, column in found.items()}
    mine = BINARY if "boolean_value" in part else VALUES
    few = len(np.unique(part["subject_id"])) < FEWEST
    made = [
        with_bounds(name, *measured(files, name, None if few or name not in mine else part))
        for name in [name for name in BINARY | VALUES if name in row]
    ]
    known = {name: value for name, value in _counts(part).items() if name != "prevalence"}
    counts = {"positives": None, "positive_subjects": None} | known
    return _joined(*made, counts)


def _counts(found: Columns) -> Row:
    truth, _ = truth_and_score(found)
    counts = {"rows": len(truth), "subjects": len(np.unique(found["subject_id"]))}
    if "boolean_value" in found:
        positive_subjects = len(np.unique(found["subject_id"][truth == 1]))
        counts |= {"positives": truth.sum(), "positive_subjects": positive_subjects, "prevalence": truth.mean()}
    return counts


def _joined(*rows: Row) -> Row:
    return {name: value for row in rows for name, value in row.items()}


# --- alarms -----------------------------------------------------------------------------------------------------------


def events(files: Files, row: Row) -> Row:
    """From the columns `alarm` and `steps_to_event`; a step's length from the times of the rows."""
    found = files.of(row["task"], row["method"])
    if found is None or np.isnan(found["alarm_threshold"][0]):
        return dict.fromkeys(name for name in row if name not in ("task", "method", "remark"))
    alarm, ahead = found["alarm"], found["steps_to_event"]
    true = alarm & ~np.isnan(ahead)
    owner, lead = events_of(found)
    caught = ~np.isnan(lead)
    raised = {"alarm_precision": (true, alarm), "alarms_per_1000_steps": (1000 * alarm, np.ones(len(alarm)))}
    made = [_ratio(files, name, *parts, found["subject_id"]) for name, parts in raised.items()]
    made.append(_ratio(files, "event_recall", caught, np.ones(len(lead)), owner))
    a_day = np.timedelta64(1, "D") / step_length(found)
    made.append(_ratio(files, "alarms_per_day", a_day * alarm, np.ones(len(alarm)), found["subject_id"]))
    draws = [np.repeat(lead[caught], one[caught].astype(int)) for one in files.drawn(owner)]
    medians = np.array([np.median(one) if len(one) else np.nan for one in draws])
    made.append(with_bounds("lead_median", np.median(lead[caught]) if caught.any() else None, medians))
    quartiles = np.quantile(lead[caught], [0.25, 0.75]) if caught.any() else [None, None]
    made.append(dict(zip(["lead_quartile_1", "lead_quartile_3"], quartiles, strict=True)))
    counts = {"events": len(lead), "caught": caught.sum(), "alarms": alarm.sum()}
    return _joined(*made, counts, {"threshold": found["alarm_threshold"][0]})


def events_of(found: Columns) -> tuple[np.ndarray, np.ndarray]:
    """Subject of each event that a row announces, and the steps from its first alarm to it, NaN where it is missed."""
    known: dict[tuple[int, int], list[float]] = {}
    for place in np.flatnonzero(~np.isnan(found["steps_to_event"])):
        ahead = found["steps_to_event"][place]
        event = (found["trajectory"][place], found["step"][place] + ahead)
        first = known.setdefault(event, [found["subject_id"][place], np.nan])
        if found["alarm"][place]:
            first[1] = np.fmax(first[1], ahead)
    owner, lead = zip(*known.values(), strict=True) if known else ((), ())
    return np.array(owner, dtype=np.int64), np.array(lead, dtype=np.float64)


def alarms_at(found: Columns, silence: int) -> np.ndarray:
    """(R,) where alarms are raised, by the rule: at the threshold, unless silenced by the one before."""
    alarm, last = np.zeros(len(found["step"]), dtype=bool), (-1, 0)
    for place, (trajectory, step) in enumerate(zip(found["trajectory"], found["step"], strict=True)):
        silenced = last[0] == trajectory and step <= last[1] + silence
        if found["predicted_boolean_probability"][place] >= found["alarm_threshold"][place] and not silenced:
            alarm[place], last = True, (trajectory, step)
    return alarm


def step_length(found: Columns) -> np.timedelta64:
    return (found["prediction_time"][0] - np.datetime64(0, "us")) / (found["step"][0] + 1)


def _ratio(files: Files, name: str, above: np.ndarray, below: np.ndarray, subject: np.ndarray) -> Row:
    weight = files.drawn(subject)
    with np.errstate(invalid="ignore"):
        draws = (weight @ above) / (weight @ below)
    return with_bounds(name, above.sum() / below.sum() if below.sum() else None, draws)
