"""The commands that look at several runs."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from jepa_core.cli.common import print_page

if TYPE_CHECKING:
    from jepa_core.results.comparison import Comparison, RunDifference


def runs(arguments: argparse.Namespace) -> None:
    """Print the runs in a folder."""
    from jepa_core.runs.run_list import list_runs, runs_text

    print_page({"runs": list_runs(arguments.folder)}, arguments, lambda page: runs_text(page["runs"]))


def compare(arguments: argparse.Namespace) -> None:
    """Print what differs between runs."""
    from jepa_core.results.comparison import compare_runs

    comparison = compare_runs(arguments.runs)
    if arguments.html is not None:
        from jepa_core.report.comparison_page import write_comparison

        write_comparison(comparison, arguments.html)
    print_page(comparison.to_dict(), arguments, lambda _: comparison_text(comparison))


def comparison_text(comparison: Comparison) -> str:
    """Differences in words and columns: of what the reports have on their first screens, and of the scores of
    predictions that are not the same in both runs."""
    told = [
        difference
        for difference in comparison.differences
        if difference.headline or (difference.at is None and difference.difference != 0)
    ]
    left = len(comparison.differences) - len(told)
    lines = [f"reference  {comparison.runs[0]}", *(f"against    {name}" for name in comparison.runs[1:])]
    data = comparison.data
    lines.append(f"data       {data['source']} {data['fingerprint'][:12]}, {data['trajectories']:,} trajectories")
    lines += [f"warning    {warning}" for warning in comparison.warnings]
    for title, rows in (("recipe", comparison.recipe), ("budget", comparison.budgets)):
        cells = [(row.key, *map(_setting, row.values)) for row in rows]
        lines += ["", title, *(_columns(cells) if cells else ["  no difference"])]
    for run in comparison.runs[1:]:
        of_run = [difference for difference in told if difference.run == run]
        lines += [
            "",
            f"{run} less {comparison.runs[0]}",
            *(_difference_lines(of_run, comparison.noun) or ["  nothing shared"]),
        ]
    if left:
        lines += ["", f"{left:,} more, by place on an axis or without any difference: with --json or --html FILE"]
    return "\n".join(lines)


def _difference_lines(differences: Sequence[RunDifference], noun: str) -> list[str]:
    """Columns of figures, those of an evaluator together; below a row why it has no interval."""
    cells = [("metric", "reference", "run", "difference", "95 % interval")]
    heading, *rows = _columns([*cells, *map(_difference_cells, differences)]) if differences else [""]
    lines: list[str] = [heading] if differences else []
    for number, (difference, row) in enumerate(zip(differences, rows, strict=True)):
        if number == 0 or difference.evaluator != differences[number - 1].evaluator:
            lines.append(f"  {difference.evaluator}{_subjects(differences, difference.evaluator, noun)}")
        lines += [row, *([f"      {difference.note}"] if difference.note else [])]
    return lines


def _difference_cells(difference: RunDifference) -> tuple[str, ...]:
    from jepa_core.results.text import interval, number

    values = (number(value) for value in (difference.reference, difference.value, difference.difference))
    metric = f"  {difference.metric} ({difference.unit})" if difference.unit else f"  {difference.metric}"
    return (metric, *values, interval(difference.low, difference.high))


def _subjects(differences: Sequence[RunDifference], evaluator: str, noun: str) -> str:
    """How many subjects, which the data call so, stand behind the intervals of an evaluator."""
    from jepa_core.results.text import counted

    of_it = (difference.subjects for difference in differences if difference.evaluator == evaluator)
    counts = sorted({count for count in of_it if count is not None})
    if not counts:
        return ""
    least = f"{counts[0]:,} to " if len(counts) > 1 else ""
    return f", {least}{counted(counts[-1], noun)}"


def _setting(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "not set" if value is None else f"{value:,}" if type(value) is int else str(value)


def _columns(rows: Iterable[Sequence[str]]) -> list[str]:
    rows = list(rows)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
