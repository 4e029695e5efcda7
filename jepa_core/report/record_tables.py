"""Tables of what a run wrote down of itself: its curriculum, its data, its cost."""

from __future__ import annotations

from typing import Any

from jepa_core.report.html import element
from jepa_core.report.tables import Records, records
from jepa_core.results.record import RunRecord
from jepa_core.results.text import number, sentence_case, words

PHASE_COLUMNS = ("phase", "name", "use", "steps", "batch_size", "trains", "trained_parameters", "updates")
SPLIT_COLUMNS = ("split", "trajectories", "subjects", "steps")
COST_COLUMNS = ("phase", "evaluator", "seconds", "steps", "windows", "steps_per_second", "peak_bytes")
DISJOINT = "Split by subject: no subject stands in two splits."


def record_tables(record: RunRecord) -> dict[str, Records]:
    """The tables by the stem of their files; those that would be empty are left out."""
    tables = {
        "training.curriculum": records("curriculum", "The curriculum as planned", _planned(record), PHASE_COLUMNS),
        "data.attrition": _attrition(record.data.get("attrition", [])),
        "data.splits": records("splits", "Splits", _splits(record), SPLIT_COLUMNS, DISJOINT),
        "cost.phases": records("phases", "Phases", _phase_costs(record), COST_COLUMNS),
        "cost.evaluators": records("evaluators", "Evaluators", _evaluator_costs(record), COST_COLUMNS),
    }
    for key, value in record.manifest.items():
        if is_records(value):
            tables[f"environment.{key}"] = records(key, sentence_case(key), value)
    return {stem: table for stem, table in tables.items() if table is not None}


def is_records(value: Any) -> bool:
    """Whether a value of the manifest is a list of records, hence a table."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _planned(record: RunRecord) -> list[dict[str, Any]]:
    phases = enumerate(record.plan.get("phases", []), start=1)
    return [{"phase": count, **phase, "name": words(str(phase.get("name", "")))} for count, phase in phases]


def _splits(record: RunRecord) -> list[dict[str, Any]]:
    return [{**split, "split": words(str(split.get("split", "")))} for split in record.data.get("splits", [])]


def _phase_costs(record: RunRecord) -> list[dict[str, Any]]:
    """In the order of the curriculum."""
    phases = [phase for phase in record.phases() if phase in record.costs]
    phases += [phase for phase in record.costs if phase not in phases]
    return [{"phase": words(phase)} | record.costs[phase] for phase in phases]


def _evaluator_costs(record: RunRecord) -> list[dict[str, Any]]:
    evaluated = record.manifest.get("evaluated", {})
    return [
        {"evaluator": words(name)}
        | {key: value for key, value in evaluation.items() if key not in ("settings", "command", "files")}
        for name, evaluation in evaluated.items()
    ]


def _attrition(steps: list[dict[str, Any]]) -> Records | None:
    """What each step of the selection left, and how much it took, with a bar of the share."""
    most = max((step.get("trajectories") or 0 for step in steps), default=0) or 1
    raw, cells = [], []
    before: int | None = None
    for step in steps:
        count = step.get("trajectories")
        change = None if before is None or count is None else count - before
        raw.append({"step": str(step.get("step", "")), "trajectories": count, "change": change} | step)
        bar = element("span", class_="bar", style=f"width:{100 * (count or 0) / most:.1f}%")
        shown = number(change) if change else ""
        cells.append([str(step.get("step", "")), number(count), shown, number(step.get("subjects")), bar])
        before = count if count is not None else before
    raw_records = records("attrition", "Attrition", raw)
    if raw_records is None:
        return None
    headings = ["step", "trajectories", "change", "subjects", "share kept"]
    return Records(raw_records.table, headings, cells, [False, True, True, True, False])
