"""What methods scored out of fold in a study by folds, and how far apart they are: a row a task, score and method.

    jepa study physionet2012_folds
    python benchmarks/out_of_fold.py studies/physionet2012_folds [--against LightGBM "decoded untrained belief"]

The predictions of all finished folds of a seed are pooled, so that every subject counts once, by what was said of it in
the run that had not seen it. Each figure is the mean over seeds; intervals are 95 %, percentile, over redrawn subjects
(and labellings), and pair subjects, labels and seeds. It can be asked while a study is still at work: the folds that
are there are counted on the first line. The page of `jepa study report` has the same figures of finished seeds.

Exit code 1 if no run is finished.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jepa_core.io.files import plain_name
from jepa_core.results.paired import stable_draws
from jepa_core.results.statistics import percentile_interval
from jepa_core.study.differences import VariantDifference, difference
from jepa_core.study.metrics import RunMetric, prediction_files

CELL = re.compile(r"(?P<variant>.+)-(?P<seed>\d+)-(?P<fold>\d+)")
SCORES = ("AUROC", "average precision", "RMSE")
Found = dict[tuple[str, str], dict[str, dict[int, RunMetric]]]
"""Of each (task, score) and method what was measured, by seed."""


def main() -> int:
    options = parse_options()
    folders = finished(options.study / "runs")
    if not folders:
        print(f"no run under {options.study / 'runs'} is finished", file=sys.stderr)
        return 1
    for (variant, seed), run_folders in folders.items():
        print(f"{variant}, seed {seed}: folds {', '.join(sorted(path.name.rsplit('-')[-1] for path in run_folders))}")
    for variant in dict.fromkeys(variant for variant, _ in folders):
        measured_folds = measured({seed: of_seed for (name, seed), of_seed in folders.items() if name == variant})
        for line in lines(measured_folds, [plain_name(plain) for plain in options.against]):
            print(f"{variant}  {line}")
    return 0


def finished(runs: Path) -> dict[tuple[str, int], list[Path]]:
    """Folders of the runs with predictions, by variant and seed."""
    by_run: dict[tuple[str, int], list[Path]] = defaultdict(list)
    for folder in sorted(runs.iterdir()) if runs.is_dir() else ():
        named = CELL.fullmatch(folder.name)
        if named and any(folder.glob("predictions/*.parquet")):
            by_run[named["variant"], int(named["seed"])].append(folder)
    return dict(by_run)


def measured(seeds: dict[int, list[Path]]) -> Found:
    scores_of: Found = defaultdict(lambda: defaultdict(dict))
    for seed, folders in seeds.items():
        for file in prediction_files(folders):
            for score, score_value in file.scores():
                if score in SCORES:
                    scores_of[file.task, score][file.method][seed] = score_value
    return scores_of


def lines(found: Found, against: list[str]) -> Iterator[str]:
    for (task, score), methods in found.items():
        for method, seeds in methods.items():
            compared = [(base, difference(seeds, methods[base])) for base in against if base in methods]
            others = [
                f"minus {_words(base)} {_told(gap)}" for base, gap in compared if gap is not None and base != method
            ]
            yield "  ".join([f"{_words(task)}  {score}  {_words(method)}  {_alone(seeds)}", *others])


def _words(name: str) -> str:
    """A part of a file's name, without what tells it from names that are written alike."""
    return re.sub(r"-[0-9a-f]{8}$", "", name).replace("_", " ")


def _alone(seeds: dict[int, RunMetric]) -> str:
    value = np.mean([seed_metric.value for seed_metric in seeds.values()])
    draws = [seed_metric.draws for seed_metric in seeds.values() if seed_metric.draws is not None]
    known = stable_draws(np.mean(draws, axis=0)) if len(draws) == len(seeds) else None
    return f"{value:.3f}" + ("" if known is None else " ({:.3f} to {:.3f})".format(*percentile_interval(known)))


def _told(gap: VariantDifference) -> str:
    bounds = "no interval" if gap.subjects_low is None else f"{gap.subjects_low:+.3f} to {gap.subjects_high:+.3f}"
    by_seed = " / ".join(f"{value:+.3f}" for _, value in gap.by_seed)
    return f"{gap.value:+.3f} ({bounds}; by seed {by_seed})"


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="folder of a study by folds")
    parser.add_argument("--against", nargs="+", default=["LightGBM", "decoded untrained belief", "untrained belief"])
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
