"""What a finished run makes of the severity that was planted in synthetic tables, beside scorers of known answer.

    python benchmarks/planted_truth.py RUN TRUTH.parquet [--json]

RUN is a run such as `jepa run clin_jepa source.tables=FOLDER` on tables of `jepa_mimic_iv.synthetic.write_tables`. They
come with truth.parquet: the hidden severity of every hour, which no source reads. For each binary task in
RUN/predictions, on the same rows, the AUROC of

    perfect             the truth itself: 1
    random              seeded noise: 0.5 within its interval
    constant            one score for all: 0.5
    severity            the hidden severity of the row's step: orders as far as the planted truth can
    and every method that left predictions

with n, the difference of every feature to its untrained twin, and the mean over the tasks of an evaluator. Intervals
are 95 %, percentile, over the subjects that have a row in any of the evaluator's tasks, with its own draws: for the
methods they are those of the report. Then R2 of a linear probe of the severity (ridge, fitted on the hours of train,
scored on held-out ones) from latents, beliefs and what decoders read of them, each of the untrained control (its
encoder as drawn, a predictor and decoders trained on that) and of the run, with the interval of the gain over held-out
subjects, and the AUROC of the fifth of the hours with the highest severity by what the probe reads, beside the scorers
of known answer: a task that the planted truth alone defines.

Exit code 1 if the perfect scorer does not have 1.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hidden_severity import Reading, read_features, read_numbers, read_severity
from pyarrow import parquet

from jepa_core.data.dataset import Dataset
from jepa_core.data.preparation import recorded_data
from jepa_core.errors import DataError, JepaError, RunError
from jepa_core.plugin import shared_registry
from jepa_core.results.statistics import bootstrap_subjects, percentile_interval
from jepa_core.runs.learners import build_learner
from jepa_core.runs.pipeline import evaluation_of
from jepa_core.runs.reevaluation import load_model
from jepa_core.runs.run import Run
from jepa_downstream.measures import UNSTABLE, DrawnEstimate, Draws, binary

DRAWS = 1000
HIGH = 0.2
"""Share of the hours that count as those of the highest severity."""
PAIRS = (
    ("latents", "untrained_latents"), ("belief", "untrained_belief"), ("decoded_belief", "decoded_untrained_belief")
)  # fmt: skip
"""Every feature with its untrained twin."""
DIGEST = re.compile(r"-[0-9a-f]{8}$")
"""What a method's file bears behind its name where the name has a space in it (`plain_name`)."""


@dataclass(frozen=True)
class Rows:
    """A binary task as its files give it. scores: by method, (R,) probabilities."""

    evaluator: str
    split: str
    task: str
    subject: np.ndarray
    place: np.ndarray
    truth: np.ndarray
    scores: dict[str, np.ndarray]


@dataclass(frozen=True)
class Measured:
    """AUROC of every scorer on the rows of a task."""

    rows: Rows
    auroc: dict[str, DrawnEstimate]


def main() -> int:
    options = parse_options()
    try:
        result = measured_run(Run.open(options.run, shared_registry()), options.truth)
    except JepaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(result, indent=1) if options.json else table(result))
    perfect = [task["auroc"]["perfect"]["value"] for task in result["tasks"]]
    return int(any(value not in (None, 1.0) for value in perfect))


def measured_run(run: Run, truth: Path) -> dict[str, Any]:
    """Everything that is printed. Raises RunError if the run is not finished, DataError if the truth is not of its
    stays."""
    recorded = run.manifest().get("dataset")
    if recorded is None or not (run.folder / "model.safetensors").is_file():
        raise RunError(f"{run.folder} has not finished training; go on with: jepa resume {run.folder}")
    with run.locked():
        dataset = recorded_data(run.recipe, run.stores, recorded)
        severity = planted(truth, dataset)
        probes = probe(run, dataset, severity)
        shutil.rmtree(run.scratch, ignore_errors=True)
    by_evaluator = [
        measured for name in run.manifest()["evaluated"] if (measured := measure(run, name, dataset, severity))
    ]
    return {
        "stays": len(dataset.steps),
        "tasks": [task_result(result_of) for results_of in by_evaluator for result_of in results_of],
        "means": [mean_result(results_of) for results_of in by_evaluator],
        "probe": probes,
    }


def planted(path: Path, dataset: Dataset) -> np.ndarray:
    """Severity of every step of the store."""
    try:
        severity = read_severity(path, dataset)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"{path} is no truth.parquet of synthetic tables ({error}); give the one beside them"
        ) from error
    missing = int(np.isnan(severity).sum())
    if missing:
        raise DataError(
            f"{path} lacks {missing:,} of the {len(severity):,} hours of the run's stays; "
            "give the truth.parquet of the tables that the run was on"
        )
    return severity


# --- tasks ------------------------------------------------------------------------------------------------------------


def measure(run: Run, evaluator: str, dataset: Dataset, severity: np.ndarray) -> list[Measured]:
    """Every binary task of an evaluator, with the evaluator's own draws of subjects."""
    files = sorted((run.folder / "predictions").glob(f"{evaluator}.*.parquet"))
    if not files:
        return []
    settings = run.manifest()["evaluated"][evaluator]["settings"]
    subjects = np.concatenate([parquet.read_table(path, columns=["subject_id"])["subject_id"] for path in files])
    draws = Draws(subjects, settings["bootstrap"])
    order = np.unique(severity, return_inverse=True)[1] / len(severity)  # a score must lie between 0 and 1
    generator = np.random.default_rng(run.recipe.seed)
    measured = []
    for rows in tasks_of(evaluator, settings["split"], files, dataset):
        count = len(rows.truth)
        scores = {
            "perfect": rows.truth,
            "random": generator.random(count),
            "constant": np.full(count, rows.truth.mean()),
            "severity": order[rows.place],
        } | rows.scores
        given = (rows.subject, draws, np.ones(count))
        measured.append(
            Measured(rows, {name: binary(rows.truth, scored, *given)["auroc"] for name, scored in scores.items()})
        )
    return measured


def tasks_of(evaluator: str, split: str, files: list[Path], dataset: Dataset) -> Iterator[Rows]:
    """The files of an evaluator by task. Raises DataError if the methods of a task do not have the same rows."""
    by_task: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    for path in files:
        _, task, name, _ = path.name.split(".")
        method = DIGEST.sub("", name)
        contents = parquet.read_table(path)
        if "boolean_value" in contents.column_names:
            columns = {name: contents[name].to_numpy(zero_copy_only=False) for name in contents.column_names}
            by_task.setdefault(task, {})[method] = columns
    for task, methods in by_task.items():
        first = next(iter(methods.values()))
        places = [
            dataset.store.first_step[method_rows["trajectory"]] + method_rows["step"]
            for method_rows in methods.values()
        ]
        if not all(np.array_equal(places[0], other) for other in places):
            raise DataError(f"the predictions of {evaluator}, {task}, are not on the same rows; evaluate the run again")
        scores = {method: rows_of["predicted_boolean_probability"] for method, rows_of in methods.items()}
        truth = first["boolean_value"].astype(np.float64)
        yield Rows(evaluator, split, task, first["subject_id"], places[0], truth, scores)


def task_result(one: Measured) -> dict[str, Any]:
    truth, subject = one.rows.truth, one.rows.subject
    return {
        "evaluator": one.rows.evaluator,
        "split": one.rows.split,
        "task": one.rows.task,
        "rows": len(truth),
        "positives": int(truth.sum()),
        "prevalence": float(truth.mean()),
        "subjects": len(np.unique(subject)),
        "subjects_with_a_positive": len(np.unique(subject[truth == 1])),
        "auroc": {name: with_bounds(estimate) for name, estimate in one.auroc.items()},
        "gains": {name: with_bounds(gain) for name, gain in gains_of(one.auroc).items()},
    }


def mean_result(measured: list[Measured]) -> dict[str, Any]:
    """Mean AUROC over the tasks that have an interval, of every scorer that all of them have. Draws in which one of the
    tasks has a single class are left out."""
    counted = [of_task for of_task in measured if of_task.auroc["perfect"].bounds[0] is not None]
    names = [name for name in measured[0].auroc if all(name in of_task.auroc for of_task in measured)]
    auroc = {name: mean([of_task.auroc[name] for of_task in counted]) for name in names} if counted else {}
    return {
        "evaluator": measured[0].rows.evaluator,
        "tasks": len(counted),
        "of_tasks": len(measured),
        "positives": [int(of_task.rows.truth.sum()) for of_task in counted],
        "subjects": len(np.unique(np.concatenate([of_task.rows.subject for of_task in measured]))),
        "draws_left_out": auroc["perfect"].skipped if auroc else None,
        "auroc": {name: with_bounds(estimate, most_skipped=1.0) for name, estimate in auroc.items()},
        "gains": {name: with_bounds(gain, most_skipped=1.0) for name, gain in gains_of(auroc).items()},
    }


def gains_of(found: dict[str, DrawnEstimate]) -> dict[str, DrawnEstimate]:
    """Every feature minus its untrained twin, paired."""
    there = [(name, twin) for name, twin in PAIRS if name in found and twin in found]
    return {f"{name} minus {twin}": found[name].minus(found[twin]) for name, twin in there}


def mean(estimates: list[DrawnEstimate]) -> DrawnEstimate:
    values = [estimate.value for estimate in estimates if estimate.value is not None]
    return DrawnEstimate(float(np.mean(values)), np.mean([estimate.draws for estimate in estimates], axis=0))


def with_bounds(found: DrawnEstimate, most_skipped: float = UNSTABLE) -> dict[str, float | None]:
    known = found.draws[~np.isnan(found.draws)]
    if found.value is None or found.skipped > most_skipped or len(known) == 0:
        return {"value": found.value, "low": None, "high": None}
    low, high = percentile_interval(known)
    return {"value": found.value, "low": float(low), "high": float(high)}


# --- probe ------------------------------------------------------------------------------------------------------------


def probe(run: Run, dataset: Dataset, severity: np.ndarray) -> dict[str, Any]:
    """R2 of the severity in held-out hours: from their numbers, and from each feature of control and run."""
    learner, drawn = build_learner(run, dataset)
    load_model(run.folder / "model.safetensors", learner, run.recipe)
    control, length = evaluation_of(run, learner, drawn).untrained, run.recipe.windows.length
    readings = {"numbers": read_numbers(run.recipe, dataset, severity, "held_out")}
    for member, number in ((learner, 0), (control() if control else None, 1)):
        if member is not None:
            inputs = read_features(member, dataset, severity, "held_out", length)
            readings |= {pair[number]: inputs[name] for pair in PAIRS if (name := pair[0].replace("_", " ")) in inputs}
    r2 = {name: r2_of(reading) for name, reading in readings.items()}
    count = readings["latents"]
    return {
        "steps": len(count.wanted),
        "subjects": len(np.unique(count.subject)),
        "r2": {name: with_bounds(estimate) for name, estimate in r2.items()},
        "gains": {name: with_bounds(gain) for name, gain in gains_of(r2).items()},
        "ranking": ranking(readings),
    }


def ranking(readings: dict[str, Reading]) -> dict[str, Any]:
    """AUROC of the held-out hours of the highest severity, `HIGH` of them, from what was read of it."""
    wanted, subject = readings["latents"].wanted, readings["latents"].subject
    truth = (wanted > np.quantile(wanted, 1 - HIGH)).astype(np.float64)
    scores = {
        "perfect": truth,
        "random": np.random.default_rng(0).random(len(truth)),
        "constant": np.full(len(truth), HIGH),
    } | {name: np.unique(reading.read, return_inverse=True)[1] / len(truth) for name, reading in readings.items()}
    draws = Draws(subject, DRAWS)
    auroc = {name: binary(truth, score, subject, draws, np.ones(len(truth)))["auroc"] for name, score in scores.items()}
    return {
        "positives": int(truth.sum()),
        "auroc": {name: with_bounds(estimate) for name, estimate in auroc.items()},
        "gains": {name: with_bounds(gain) for name, gain in gains_of(auroc).items()},
    }


def r2_of(reading: Reading) -> DrawnEstimate:
    """With draws of subjects; draw i is of the same subjects for every reading of the same steps."""
    about = reading.wanted - reading.wanted.mean()
    terms = np.column_stack([about, about**2, (reading.wanted - reading.read) ** 2])
    first, second, error = bootstrap_subjects(terms, reading.subject, DRAWS, seed=0).T
    return DrawnEstimate(reading.r2, 1 - error / (second - first**2))


# --- text -------------------------------------------------------------------------------------------------------------


def table(result: dict[str, Any]) -> str:
    lines = [f"{result['stays']:,} stays; AUROC with its 95 % interval over subjects"]
    for task in result["tasks"]:
        counts = f"{task['rows']:,} rows, {task['positives']:,} positive ({100 * task['prevalence']:.1f} %)"
        subjects = f"{task['subjects']} subjects, {task['subjects_with_a_positive']} of them with a positive row"
        lines += [
            "",
            f"{task['evaluator']}, {task['task']} ({task['split']}): {counts}, {subjects}",
            *auroc_lines(task),
        ]
    for task in result["means"]:
        lines += ["", f"{task['evaluator']}, mean of the {task['tasks']} of {task['of_tasks']} tasks with an interval"]
        if task["tasks"]:
            lines[-1] += f": {task['subjects']} subjects, {100 * task['draws_left_out']:.3g} % of the draws left out"
            lines += auroc_lines(task)
    linear = result["probe"]
    lines += ["", f"R2 of the severity: {linear['steps']:,} held-out steps of {linear['subjects']} subjects"]
    lines += [line(name, value) for name, value in linear["r2"].items()] + gain_lines(linear)
    ranked = linear["ranking"]
    lines += ["", f"AUROC of the {ranked['positives']:,} hours of the highest severity among them"]
    lines += [line(name, value) for name, value in ranked["auroc"].items()]
    return "\n".join([*lines, *gain_lines(ranked), "", random_line(result)])


def auroc_lines(one: dict[str, Any]) -> list[str]:
    if one["auroc"]["perfect"]["value"] is None:
        return ["  rows of one class: no AUROC"]
    return [line(name, value) for name, value in one["auroc"].items()] + gain_lines(one)


def gain_lines(one: dict[str, Any]) -> list[str]:
    return [line(name, value, "+") for name, value in one["gains"].items()]


def line(name: str, found: dict[str, float | None], sign: str = "-") -> str:
    """sign: `+` for differences."""
    value = f"  {name:46} {found['value']:{sign}7.3f}"
    if found["low"] is None:
        return f"{value}  no interval: too many draws of one class"
    return f"{value}  ({found['low']:{sign}.3f} to {found['high']:{sign}.3f})"


def random_line(result: dict[str, Any]) -> str:
    bounds = [row["auroc"]["random"] for row in result["tasks"] if row["auroc"]["random"]["low"] is not None]
    held = sum(bounds_of["low"] <= 0.5 <= bounds_of["high"] for bounds_of in bounds)
    return f"0.5 lies in the random scorer's interval in {held} of {len(bounds)} tasks (95 % are expected)"


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run on synthetic tables")
    parser.add_argument("truth", type=Path, metavar="TRUTH.parquet", help="the truth.parquet beside those tables")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
