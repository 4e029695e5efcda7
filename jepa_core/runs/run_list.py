"""The runs in a folder, each in a few facts."""

from __future__ import annotations

import fcntl
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jepa_core.errors import RecipeError, RunError, UnsafeArtefactError
from jepa_core.results.in_short import in_short
from jepa_core.results.record import RunRecord, read_run
from jepa_core.results.text import duration, number, with_unit, words

COLUMNS = ("name", "status", "seed", "started", "duration")


def list_runs(folder: Path) -> list[dict[str, Any]]:
    """The runs in a folder, the oldest first; of a damaged one no more than its name and what is wrong.

    Raises RecipeError if there is no such folder.
    """
    if not folder.is_dir():
        raise RecipeError(f"there is no folder {folder}; name the folder that holds the runs")
    runs = [_facts(path.parent) for path in sorted(folder.glob("*/manifest.json"))]
    return sorted(runs, key=lambda facts: (facts.get("started") or "", facts["name"]))


def runs_text(runs: list[dict[str, Any]]) -> str:
    """A table of runs; below each its recipe, its data and its answers, or headline figures where an evaluator claims
    nothing."""
    if not runs:
        return "no runs"
    rows = [COLUMNS, *(tuple(_cell(run, column) for column in COLUMNS) for run in runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    text = [lines[0]]
    for run, line in zip(runs, lines[1:], strict=True):
        text += [line, *([f"    {run['problem']}"] if "problem" in run else _detail_lines(run))]
    return "\n".join(text)


def _facts(folder: Path) -> dict[str, Any]:
    try:
        record = read_run(folder)
    except (RunError, UnsafeArtefactError) as error:
        return {"name": folder.name, "status": "damaged", "problem": str(error)}
    manifest = record.manifest
    return {
        "name": folder.name,
        "recipe": record.name,
        "status": "running" if _is_held(folder) else "finished" if "ended" in manifest else "stopped",
        "data": manifest.get("dataset", {}).get("fingerprint"),
        "seed": manifest.get("seed"),
        "started": manifest.get("started"),
        "seconds": run_seconds(manifest),
        "answers": _answers(record),
        "headlines": _headlines(record),
    }


def _answers(record: RunRecord) -> list[dict[str, Any]]:
    """The first claim of each evaluator that claims something, as the run's end tells it."""
    first = [(name, next(in_short(findings))) for name, findings in record.in_order() if findings.claims]
    return [
        {"evaluator": name, "about": row.about, "value": f"{row.value} {row.measure}".rstrip(), "is_thin": row.is_thin}
        for name, row in first
    ]


def _headlines(record: RunRecord) -> list[dict[str, Any]]:
    keys = ("label", "value", "unit", "low", "high", "n", "n_unit", "positives", "is_thin")
    return [
        {"evaluator": name} | {key: getattr(headline, key) for key in keys}
        for name, findings in record.in_order()
        for headline in findings.headlines
    ]


def run_seconds(manifest: dict[str, Any]) -> float | None:
    """From the start of a run to its end, pauses between them included; None where the manifest does not tell, or the
    clock was set back so far that it ended before it began."""
    if "ended" not in manifest or "started" not in manifest:
        return None
    try:
        started, ended = (datetime.fromisoformat(manifest[key]) for key in ("started", "ended"))
        seconds = (ended - started).total_seconds()
    except (TypeError, ValueError):  # no times, or one with a zone and one without
        return None
    return seconds if seconds >= 0 else None


def _is_held(folder: Path) -> bool:
    """Whether a process is at work on a run: it holds the run's lock, as `jepa_core.io.locks.locked` takes it."""
    lock = folder / ".lock"
    if not lock.is_file():
        return False
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _cell(run: dict[str, Any], column: str) -> str:
    if column == "duration":
        return "-" if run.get("seconds") is None else duration(run["seconds"])
    value = run.get(column)
    if value is None:
        return "-"
    return str(value)[:12] if column == "data" else str(value).replace("+00:00", "Z")


def _detail_lines(run: dict[str, Any]) -> list[str]:
    """What is run on which data, and one line an evaluator."""
    by_evaluator: dict[str, list[str]] = {}
    for answer in run.get("answers", []):
        by_evaluator[answer["evaluator"]] = [f"{answer['about']} {answer['value']}{_few(answer)}"]
    claiming = set(by_evaluator)
    for headline in run.get("headlines", []):
        if headline["evaluator"] in claiming:
            continue
        value = with_unit(number(headline["value"]), headline["unit"])
        by_evaluator.setdefault(headline["evaluator"], []).append(f"{words(headline['label'])} {value}{_few(headline)}")
    about = f"    recipe {_cell(run, 'recipe')}, data {_cell(run, 'data')}"
    return [about, *(f"    {name}: {', '.join(figures)}" for name, figures in by_evaluator.items())]


def _few(figure: Mapping[str, Any]) -> str:
    return " (few positives)" if figure["is_thin"] else ""
