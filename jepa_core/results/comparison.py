"""Runs side by side: what differs in their recipes and budgets, and by how much in what they found.

The first run is the reference; every other is compared with it. Only runs on the same data are compared: the content of
the store, splits included, must be the same, and an evaluator must have measured the same split in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jepa_core.errors import DataError, RecipeError, RunError
from jepa_core.io.files import real_path
from jepa_core.results.findings import Headline, Redrawn, Samples
from jepa_core.results.meaning import meanings
from jepa_core.results.paired import PairedDifference, metric_difference, score_differences
from jepa_core.results.predictions import read_predictions
from jepa_core.results.record import RunRecord, read_run
from jepa_core.results.samples import read_kept
from jepa_core.results.text import number, words

TOLERANCE = 0.05
"""Part by which the budgets of two runs may differ without a warning."""


@dataclass(frozen=True)
class ComparedRun:
    """A run that takes part. settings: its resolved recipe by dotted key, evaluators as they measured last."""

    name: str
    folder: Path
    record: RunRecord
    settings: dict[str, Any]


@dataclass(frozen=True)
class SettingRow:
    """A row of a table of settings or budgets: one value a run, in the order of the runs."""

    key: str
    values: list[Any]


@dataclass(frozen=True)
class RunDifference:
    """A metric of the reference and of another run. difference: run less reference, its interval paired by subject.

    axis, at: the place on an axis that the metric belongs to. headline: whether the report has it on its first screen.
    note: why there is no difference or no interval.
    """

    run: str
    evaluator: str
    metric: str
    unit: str
    reference: float | None
    value: float | None
    difference: float | None
    low: float | None = None
    high: float | None = None
    subjects: int | None = None
    axis: str = ""
    at: float | None = None
    headline: bool = False
    note: str = ""


@dataclass(frozen=True)
class Comparison:
    """Everything that `jepa compare` prints. The first of the runs is the reference. noun: what their data call a
    subject."""

    runs: list[str]
    data: dict[str, Any]
    recipe: list[SettingRow]
    budgets: list[SettingRow]
    warnings: list[str]
    differences: list[RunDifference]
    noun: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare_runs(folders: Sequence[Path]) -> Comparison:
    """Compare finished runs with the first of them.

    Raises RecipeError if there are fewer than two, RunError if one has no findings, DataError if they are not on the
    same data.
    """
    if len(folders) < 2:
        raise RecipeError("name two runs or more to compare")
    runs = [_read(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]
    _refuse_unlike_data(runs)
    budgets = [SettingRow(key, [budget_of(run.record).get(key) for run in runs]) for key in budget_of(runs[0].record)]
    return Comparison(
        runs=[run.name for run in runs],
        data=runs[0].record.manifest["dataset"],
        recipe=_setting_rows(runs),
        budgets=budgets,
        warnings=[*_budget_warnings(budgets), *_version_warnings(runs), *_meaning_warnings(runs)],
        differences=[difference for other in runs[1:] for difference in _differences(runs[0], other)],
        noun=runs[0].record.noun,
    )


def _names(folders: Sequence[Path]) -> list[str]:
    """Folder names, or the paths as given where two of them are called the same."""
    names = [real_path(folder).name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _read(folder: Path, name: str) -> ComparedRun:
    if not (folder / "manifest.json").is_file():
        raise RecipeError(f"{folder} is not the folder of a run: it has no manifest.json")
    record = read_run(folder)
    if not record.findings or "dataset" not in record.manifest:
        raise RunError(f"{folder} has found nothing yet; go on with: jepa resume {folder}")
    return ComparedRun(name, folder, record, record.settings())


def _refuse_unlike_data(runs: Sequence[ComparedRun]) -> None:
    first = runs[0]
    for other in runs[1:]:
        if other.record.manifest["dataset"]["content"] != first.record.manifest["dataset"]["content"]:
            raise DataError(
                f"{first.name} and {other.name} are on different data or splits, so their figures cannot be compared; "
                "run both recipes on the same source"
            )
        for evaluator in first.record.findings.keys() & other.record.findings.keys():
            key = f"evaluators.{evaluator}.split"
            mine, its = first.settings.get(key), other.settings.get(key)
            if mine != its:
                raise DataError(
                    f"{evaluator} measured the split {mine} in {first.name} and {its} in {other.name}; "
                    f"bring them together with: jepa evaluate {other.folder} {key}={mine}"
                )


# --- settings and budgets ---------------------------------------------------------------------------------------------


def _setting_rows(runs: Sequence[ComparedRun]) -> list[SettingRow]:
    """Settings that are not the same in all runs, in the order of the recipes; one row for a component that a run lacks
    altogether."""
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    rows = [SettingRow(key, [run.settings.get(key) for run in runs]) for key in keys]
    lacking = tuple(row.key.removesuffix("use") for row in rows if row.key.endswith(".use") and None in row.values)
    return [
        row
        for row in rows
        if any(value != row.values[0] for value in row.values)
        and (row.key.endswith(".use") or not row.key.startswith(lacking))
    ]


def budget_of(record: RunRecord) -> dict[str, float | None]:
    """What a run was given to learn from and with, by name."""
    phases, models = record.plan.get("phases", []), [record.plan.get(key, {}) for key in ("encoder", "predictor")]
    trainable = [model.get("trainable") for model in models]
    flops = [phase["flops"] and phase["steps"] * phase["flops"] for phase in phases if "flops" in phase]
    return {
        "optimizer steps": sum(phase["steps"] for phase in phases),
        "windows": sum(phase["steps"] * phase["batch_size"] for phase in phases),
        "trainable parameters": None if None in trainable else sum(trainable),
        **({"FLOPs": None if None in flops else sum(flops)} if flops else {}),
    }


def _budget_warnings(budgets: Sequence[SettingRow]) -> list[str]:
    warnings = []
    for row in budgets:
        known = [value for value in row.values if value]
        if known and max(known) > (1 + TOLERANCE) * min(known):
            values = " against ".join(number(value) for value in row.values)
            warnings.append(f"the budgets differ by more than {TOLERANCE:.0%}: {values} {row.key}")
    return warnings


def _version_warnings(runs: Sequence[ComparedRun]) -> list[str]:
    versions = [run.record.manifest.get("versions", {}) for run in runs]
    names = [name for name in versions[0] if any(other.get(name) != versions[0][name] for other in versions)]
    return [f"made with other versions of {', '.join(names)}"] if names else []


def _meaning_warnings(runs: Sequence[ComparedRun]) -> list[str]:
    """Of training and of evaluators that versions did whose numbers mean different things."""
    told = [meanings(run.record.manifest) for run in runs]
    apart = [name for name in told[0] if any(other.get(name, told[0][name]) != told[0][name] for other in told)]
    return [
        f"{words(name)}: by versions of jepa-core whose scales, losses or measures mean different things; do what "
        "the older one did again"
        for name in apart
    ]


# --- what was found ---------------------------------------------------------------------------------------------------


def _differences(first: ComparedRun, other: ComparedRun) -> Iterator[RunDifference]:
    """Headlines of every evaluator that both runs have, then its other metrics; predictions last."""
    for evaluator, findings in first.record.findings.items():
        if evaluator not in other.record.findings:
            continue
        mine, its = (read_kept(run.folder, evaluator) for run in (first, other))
        same = _settings_of(first, evaluator) == _settings_of(other, evaluator)
        counterparts = {(mine.label, mine.unit): mine for mine in other.record.findings[evaluator].headlines}
        for headline in findings.headlines:
            counterpart = counterparts.get((headline.label, headline.unit))
            if counterpart is not None:
                yield _headline(other.name, evaluator, (headline, counterpart), (mine, its), same)
        for key, kept in mine.items():
            if key in its:
                yield _of_kept(other.name, evaluator, kept, its[key])
    yield from _of_predictions(first, other)


def _settings_of(run: ComparedRun, evaluator: str) -> dict[str, Any]:
    return {key: value for key, value in run.settings.items() if key.startswith(f"evaluators.{evaluator}.")}


def _headline(
    run: str,
    evaluator: str,
    pair: tuple[Headline, Headline],
    kept: tuple[dict[str, Samples | Redrawn], dict[str, Samples | Redrawn]],
    same_settings: bool,
) -> RunDifference:
    """Paired where both runs kept the headline by subject; a bare difference where they did not."""
    first, other = pair
    values: dict[str, Any] = {"reference": first.value, "value": other.value}
    row: dict[str, Any] = {"run": run, "evaluator": evaluator, "metric": first.label, "unit": first.unit}
    row["headline"] = True
    if not same_settings and (first.metric != other.metric or not first.metric):
        return RunDifference(**row, **values, difference=None, note="the evaluator was set otherwise")
    if first.value is None or other.value is None:
        return RunDifference(**row, **values, difference=None, note="not measured in both")
    if first.metric not in kept[0] or first.metric not in kept[1]:
        return RunDifference(
            **row, **values, difference=other.value - first.value, note="no interval: no values by subject"
        )
    return _paired(row, metric_difference(kept[0][first.metric], kept[1][first.metric]))


def _of_kept(run: str, evaluator: str, first: Samples | Redrawn, other: Samples | Redrawn) -> RunDifference:
    row = {"run": run, "evaluator": evaluator, "metric": first.metric, "unit": first.unit}
    return _paired(row | {"axis": first.axis, "at": first.at}, metric_difference(first, other))


def _paired(row: dict[str, Any], difference: PairedDifference | str) -> RunDifference:
    if isinstance(difference, str):
        return RunDifference(**row, reference=None, value=None, difference=None, note=difference)
    note = "" if difference.low is not None else "too few subjects for an interval"
    return RunDifference(**row, **asdict(difference), note=note)


def _of_predictions(first: ComparedRun, other: ComparedRun) -> Iterator[RunDifference]:
    """Scores of every file of predictions that both runs have: `predictions/<evaluator>.<task>.<method>.parquet`."""
    for path in sorted((first.folder / "predictions").glob("*.*.*.parquet")):
        counterpart = other.folder / "predictions" / path.name
        if not counterpart.is_file():
            continue
        evaluator, task, method = path.name.removesuffix(".parquet").split(".", 2)
        row = {"run": other.name, "evaluator": evaluator}
        for score, difference in score_differences(read_predictions([path]), read_predictions([counterpart])).items():
            yield _paired(row | {"metric": f"{score} of {task}, {method}", "unit": ""}, difference)
