"""What tasks say of the question that a reader has: are frozen features better than untrained ones, and than trees?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from jepa_core.results.findings import FEW_POSITIVES, Claim, Side
from jepa_downstream.config import Kind
from jepa_downstream.measures import DrawnEstimate
from jepa_downstream.results import MethodResult
from jepa_downstream.rows import Rows, subjects_of
from jepa_downstream.task_tables import estimates_of, remark_on

CONTROLS = {
    "latents": "untrained latents",
    "latents and rollout": "untrained latents",
    "decoded latents": "decoded untrained latents",
    "belief": "untrained belief",
    "decoded belief": "decoded untrained belief",
}
"""By the name of a method, the same of the encoder as it was before training."""
ANY_CONTROL = "untrained latents"
RIVAL = "LightGBM"
"""The baseline that an answer names, where it was measured; else the first one is."""
OURS, UNTRAINED = "frozen features", "the untrained encoder"
MEASURE: dict[Kind, tuple[str, str, Literal["lower", "higher"]]] = {
    "binary": ("auroc", "AUROC", "higher"),
    "regression": ("rmse", "RMSE", "lower"),
}
"""Of each kind of task: the estimate that is looked for first, what it is called, which way is better."""
UNDEFINED = DrawnEstimate(None, np.full(1, np.nan))

TERMS = {
    "AUROC": "area under the receiver operating characteristic: the chance that a positive row is scored above a "
    "negative one; 0.5 is guessing, 1 is perfect",
    "average precision": "area under the precision-recall curve; guessing gives the share of positive rows",
    "Brier": "mean squared error of probabilities; lower is better",
    "ECE": "expected calibration error: how far probabilities lie from the shares observed; lower is better",
    "RMSE": "root mean squared error, in the unit of what is predicted; lower is better",
    "MAE": "mean absolute error, in the unit of what is predicted; lower is better",
    "utility": "what alarms are worth by when they are raised: 0 is no alarm at all, 1 the best alarms there are",
    "frozen features": "what the trained encoder and predictor make of the steps seen, no longer trained; a small head "
    "on them makes the prediction",
    "latents": "what the encoder makes of single steps, summarised over the steps seen",
    "belief": "what the predictor knows at a step, its hidden state",
    "decoded belief": "what the decoders that were trained with the predictor read of its belief",
    "untrained": "of the encoder as it was before training, with a predictor trained on it: what training must beat",
    "LightGBM": "boosted trees on hand-made summaries of the channels: the usual supervised rival",
    "logistic / ridge": "a linear model on hand-made summaries of the channels",
    "train mean": "the mean of the train split, whatever was seen",
    "last value": "the last known value of what is predicted",
    "positives": "subjects with a row in which what is predicted is true, however many rows they have; a figure on "
    "fewer than 20 subjects of either class is grey",
}
"""What is meant by words of the tables."""


@dataclass(frozen=True)
class Contender:
    """A method that an answer names. words: as `Side` has them."""

    name: str
    words: str


def contenders(names: Sequence[str], baselines: Sequence[str]) -> list[Contender]:
    """The first method, its untrained control and a baseline, of those that were measured. names: of all methods, in
    their order. baselines: of those of them that read no latent."""
    main = names[0]
    control = next((name for name in (CONTROLS.get(main), ANY_CONTROL) if name in names and name != main), None)
    rival = RIVAL if RIVAL in baselines else next(iter(baselines), None)
    asked = [Contender(main, OURS if main in CONTROLS else main)]
    asked += [Contender(control, UNTRAINED)] if control else []
    return asked + ([Contender(rival, rival)] if rival and rival != main else [])


def rarer(rows: Rows, kind: Kind) -> int | None:
    """Subjects with a row of the rarer class; None where there are no classes. Rows of a subject are no cases of their
    own: 24 hours before one death are one."""
    if kind != "binary":
        return None
    return min(len(np.unique(rows.subject[rows.truth == truth])) for truth in (0, 1))


def compared(asked: Sequence[Contender], estimates: Sequence[DrawnEstimate], kind: Kind) -> list[Side]:
    """Each with its estimate, and with how much better the first one is."""
    sign = 1.0 if MEASURE[kind][2] == "higher" else -1.0
    methods = []
    for method, estimate in zip(asked, estimates, strict=True):
        told = Side(method.name, method.words, estimate.value, *estimate.bounds)
        if method is not asked[0]:
            gain = estimates[0].minus(estimate).times(sign)
            low, high = gain.bounds
            told = replace(told, gain=gain.value, gain_low=low, gain_high=high)
        methods.append(told)
    return methods


def task_claims(results: list[MethodResult], baselines: Sequence[str]) -> list[Claim]:
    """An answer a task, those that could be measured first, and before them the mean of several that ask for a class.
    baselines: names of those measured."""
    if not results:
        return []
    names = list(dict.fromkeys(result.method for result in results))
    asked = contenders(names, baselines)
    by_task: dict[str, list[MethodResult]] = {}
    for result in results:
        by_task.setdefault(result.task.task.name, []).append(result)
    tasks = [_of_task(asked, {result.method: result for result in of_task}) for of_task in by_task.values()]
    classes = [result for result in tasks if result[0].task.task.kind == "binary"]
    values = [result for result in tasks if result[0].task.task.kind == "regression"]
    alone = sorted((_claim(asked, result) for result in [*classes, *values]), key=_is_unmeasured)
    return [*_mean_claim(asked, classes), *alone]


def _is_unmeasured(claim: Claim) -> bool:
    return claim.compared[0].value is None


def _of_task(asked: Sequence[Contender], by_method: dict[str, MethodResult]) -> list[MethodResult]:
    return [by_method[method.name] for method in asked]


def _estimates(results: Sequence[MethodResult]) -> list[DrawnEstimate]:
    name = MEASURE[results[0].task.task.kind][0]
    return [estimates_of(result).get(name, UNDEFINED) for result in results]


def _claim(asked: Sequence[Contender], results: Sequence[MethodResult]) -> Claim:
    task, rows = results[0].task.task, results[0].rows
    _, measure, better = MEASURE[task.kind]
    about, subjects = results[0].task.config.asked, len(np.unique(rows.subject))
    methods = compared(asked, _estimates(results), task.kind)
    note = remark_on(results[0])
    return Claim(about, measure, better, methods, subjects, positives=rarer(rows, task.kind), note=note)


def _mean_claim(asked: Sequence[Contender], tasks: Sequence[Sequence[MethodResult]]) -> Iterator[Claim]:
    """Of the tasks that have enough of both classes; of all that are measured if none has. None of fewer than two."""
    known = [task for task in tasks if all(estimate.value is not None for estimate in _estimates(task))]
    enough = [task for task in known if (rarer(task[0].rows, "binary") or 0) >= FEW_POSITIVES]
    chosen = enough or known
    if len(chosen) < 2:
        return
    of_methods = zip(*(_estimates(task) for task in chosen), strict=True)
    methods = compared(asked, [mean_estimate(list(task)) for task in of_methods], "binary")
    counts = [rarer(task[0].rows, "binary") or 0 for task in chosen]
    subjects = len(subjects_of(task[0].rows for task in chosen))
    note = "; ".join(_left_out(len(tasks), len(known), len(enough)))
    _, measure, better = MEASURE["binary"]
    about = f"mean of {len(chosen)} tasks"
    yield Claim(about, measure, better, methods, subjects, positives=min(counts), note=note)


def _left_out(tasks: int, known: int, enough: int) -> Iterator[str]:
    if known < tasks:
        yield f"{tasks - known} of {tasks} tasks could not be measured"
    if 0 < enough < known:
        yield f"the mean leaves out {known - enough} of {tasks} tasks, for want of {FEW_POSITIVES} subjects of a class"


def mean_estimate(estimates: Sequence[DrawnEstimate]) -> DrawnEstimate:
    """The mean of estimates under the same draws."""
    values = [estimate.value for estimate in estimates if estimate.value is not None]
    if not values:
        return UNDEFINED
    return DrawnEstimate(float(np.mean(values)), np.mean([estimate.draws for estimate in estimates], axis=0))
