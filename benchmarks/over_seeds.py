"""What methods score in runs of one recipe with different seeds: means over the seeds, with intervals over subjects and
seeds.

    python benchmarks/over_seeds.py EVALUATOR RUN RUN ... [--score auroc|average_precision]

RUN is a finished run whose evaluator left predictions of binary tasks; all have the same held-out rows. For each task
and for the mean over the tasks that have both classes in all but 5 % of the draws: every method that all of them have,
and every feature minus its untrained twin, seed by seed. Intervals are 95 %, percentile, over redrawn subjects and
redrawn seeds, paired: a draw is of the same subjects and seeds for every method and task.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from planted_truth import DIGEST, PAIRS
from pyarrow import parquet

from jepa_core.results.statistics import percentile_interval
from jepa_downstream.measures import UNSTABLE, DrawnEstimate, Draws, binary

DRAWS = 1000
Scores = dict[str, dict[str, list[DrawnEstimate]]]
"""By task and method, one estimate a run."""


def main() -> int:
    options = parse_options()
    tables = [predictions(run, options.evaluator) for run in options.runs]
    if not all(tables):
        print(f"error: a run has no predictions of {options.evaluator}", file=sys.stderr)
        return 1
    draws = Draws(np.concatenate([of_method["subject_id"] for of_method in tables[0].values()]), DRAWS)
    seeds = np.random.default_rng(1).integers(0, len(tables), (DRAWS, len(tables)))
    scores = scored(tables, draws, options.score)
    steady = [task for task, methods in scores.items() if max(each.skipped for each in first(methods)) <= UNSTABLE]
    for task, methods in scores.items():
        rows = [table for (of_task, _), table in tables[0].items() if of_task == task][0]
        count = f"{len(rows['boolean_value'])} rows, {int(rows['boolean_value'].sum())} positive"
        print("\n".join([f"{task}: {count}", *lines(methods, seeds)]))
    print(f"mean of the {len(steady)} tasks {', '.join(steady)}: {len(draws.subjects)} subjects")
    everywhere = [method for method in scores[steady[0]] if all(method in scores[task] for task in steady)]
    print("\n".join(lines({method: means(scores, steady, method) for method in everywhere}, seeds)))
    return 0


def first(methods: dict[str, list[DrawnEstimate]]) -> list[DrawnEstimate]:
    return next(iter(methods.values()))


def predictions(run: Path, evaluator: str) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Columns of every file of an evaluator's binary tasks, by task and method."""
    columns = {}
    for path in sorted((run / "predictions").glob(f"{evaluator}.*.parquet")):
        _, task, method, _ = path.name.split(".")
        contents = parquet.read_table(path)
        if "boolean_value" in contents.column_names:
            plain = {name: contents[name].to_numpy(zero_copy_only=False) for name in contents.column_names}
            columns[task, DIGEST.sub("", method)] = plain
    return columns


def scored(tables: list[dict[tuple[str, str], dict[str, np.ndarray]]], draws: Draws, score: str) -> Scores:
    scores: Scores = {}
    for task, method in tables[0]:
        of_runs = [table[task, method] for table in tables]
        truths = [of_run["boolean_value"].astype(np.float64) for of_run in of_runs]
        if not all(np.array_equal(truth, truths[0]) for truth in truths):
            raise SystemExit(f"error: the runs do not have the same rows of {task}; evaluate them on one split")
        scores.setdefault(task, {})[method] = [
            binary(truth, of_run["predicted_boolean_probability"], of_run["subject_id"], draws, np.ones(len(truth)))[
                score
            ]
            for truth, of_run in zip(truths, of_runs, strict=True)
        ]
    return scores


def means(scores: Scores, tasks: list[str], method: str) -> list[DrawnEstimate]:
    """Of each run the mean over tasks."""
    by_run = zip(*(scores[task][method] for task in tasks), strict=True)
    return [
        DrawnEstimate(float(np.mean([each.value for each in of_run])), np.mean([each.draws for each in of_run], axis=0))
        for of_run in by_run
    ]


def lines(methods: dict[str, list[DrawnEstimate]], seeds: np.ndarray) -> list[str]:
    told = [line(name, estimates, seeds, "") for name, estimates in methods.items()]
    for name, twin in PAIRS:
        if name in methods and twin in methods:
            gains = [ours.minus(theirs) for ours, theirs in zip(methods[name], methods[twin], strict=True)]
            told.append(line(f"{name} minus {twin}", gains, seeds, "+"))
    return told


def line(name: str, estimates: list[DrawnEstimate], seeds: np.ndarray, sign: str) -> str:
    if any(estimate.value is None for estimate in estimates):
        return f"  {name:46} one class alone"
    values = [estimate.value for estimate in estimates]
    by_run = np.stack([estimate.draws for estimate in estimates])
    drawn = by_run[seeds.T, np.arange(seeds.shape[0])].mean(0)
    low, high = percentile_interval(drawn[~np.isnan(drawn)])
    one_by_one = ", ".join(f"{value:{sign}.3f}" for value in values)
    return f"  {name:46} {np.mean(values):{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})  [{one_by_one}]"


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("evaluator", help="name of the evaluator of tasks, such as early_events")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of a finished run")
    parser.add_argument("--score", choices=("auroc", "average_precision"), default="auroc")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
