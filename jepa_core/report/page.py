"""The page: what was found first, then how it came about.

Sections in order: the first screen; training; one an evaluator, in the order of the recipe; what they found on other
data; data; cost; recipe; environment. A section whose file is missing is left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jepa_core.io.files import write_atomically
from jepa_core.report.document import document
from jepa_core.report.exports import csv_text, latex_text
from jepa_core.report.first_screen import first_screen, headlines
from jepa_core.report.html import Markup, element, join
from jepa_core.report.plots import (
    coloured,
    draw_curriculum,
    draw_figure,
    draw_logged,
    draw_phase,
    finite,
    legend,
    styles,
    y_limits,
)
from jepa_core.report.record_tables import is_records, record_tables
from jepa_core.report.tables import findings_table, pairs, records_table
from jepa_core.report.terms import GENERAL
from jepa_core.report.transfer_section import transfer_section
from jepa_core.results.findings import Figure, Table
from jepa_core.results.record import RunRecord, read_run
from jepa_core.results.text import number, sentence_case, value_of, words
from jepa_core.results.wording import in_words_of, worded

SAID_ABOVE = ("name", "description", "command", "evaluated", "dataset", "files")
"""Keys of the manifest that are written elsewhere, or otherwise."""
PLANNED = ("source", "encoder", "predictor", "latent_dim", "window_steps", "memory_bytes")
"""Keys of the plan that are shown beside its phases."""


def write_report(folder: Path) -> Path:
    """Write `report.html` into a run directory, and its tables as CSV and LaTeX into `tables/`, from the files of that
    directory alone. Each file is written atomically; tables that the report no longer has are removed.

    Raises RunError if the directory or a file in it cannot be read.
    """
    record = in_own_words(read_run(folder))
    path = folder / "report.html"
    replace_tables(folder / "tables", all_tables(record))
    write_atomically(path, page(record).encode())
    return path


def in_own_words(record: RunRecord) -> RunRecord:
    """The record with the noun of its data in all that evaluators say."""
    told = {name: in_words_of(findings, record.noun) for name, findings in record.findings.items()}
    return replace(record, findings=told)


def replace_tables(folder: Path, tables: dict[str, Table]) -> None:
    """Write tables by the stem of their files, in place of those that are there.

    A link to a folder gives way to a folder: what lies at its end may be somebody's own.
    """
    if folder.is_symlink():
        folder.unlink()
    contents = {f"{stem}.csv": csv_text(table) for stem, table in tables.items()}
    contents |= {f"{stem}.tex": latex_text(table) for stem, table in tables.items()}
    folder.mkdir(exist_ok=True)
    for path in [*folder.glob("*.csv"), *folder.glob("*.tex")]:
        if path.name not in contents:
            path.unlink(missing_ok=True)  # another report may be at work
    for name, content in contents.items():
        write_atomically(folder / name, content.encode())


def all_tables(record: RunRecord) -> dict[str, Table]:
    """Every table of the report by the stem of its files."""
    of_record = {stem: entry.table for stem, entry in record_tables(record).items()}
    return of_record | {
        f"{name}.{table.name}": table for name, findings in record.findings.items() for table in findings.tables
    }


def page(record: RunRecord) -> str:
    """The whole page as HTML."""
    in_order = record.in_order()
    terms = GENERAL | {term: meaning for _, findings in in_order for term, meaning in findings.terms.items()}
    terms = {term: worded(meaning, record.noun) for term, meaning in terms.items()}
    claimed = any(findings.claims for _, findings in in_order)
    sections = [
        ("training", "Training", _training(record)),
        *((f"of-{name}", sentence_case(name), _evaluator(record, name, terms, claimed)) for name, _ in in_order),
        ("transfer", "On other data", transfer_section(record)),
        ("data", "Data", _data(record)),
        ("cost", "Cost", _records(record, "cost.phases", "cost.evaluators")),
        ("recipe", "Recipe", _recipe(record)),
        ("environment", "Environment", _environment(record)),
    ]
    present = [(anchor, title, content) for anchor, title, content in sections if content]
    return document(f"{record.name}: report", first_screen(record, in_order, terms), present)


def _records(record: RunRecord, *stems: str) -> Markup | None:
    """Tables of the record under their titles; those that are empty are left out."""
    tables = record_tables(record)
    present = {stem: in_words_of(tables[stem], record.noun) for stem in stems if stem in tables}
    return join(records_table(table, stem) for stem, table in present.items()) or None


def _training(record: RunRecord) -> Markup | None:
    rest = {key: _model(record.plan[key]) for key in PLANNED if key in record.plan}
    parts = [
        _curriculum(record) if record.metrics else None,
        _records(record, "training.curriculum"),
        pairs(rest) if rest else None,
    ]
    return join(parts) or None


def _model(planned: Any) -> Any:
    """A planned encoder or predictor in a phrase; anything else as it is."""
    if not isinstance(planned, dict):
        return planned
    counts = [f"{number(planned[key])} {key}" for key in ("parameters", "trainable") if key in planned]
    return ", ".join([str(planned.get("use", "")), *counts])


def _curriculum(record: RunRecord) -> Markup:
    """The whole curriculum in one strip, then each phase in a panel of its own."""
    phases = record.phases()
    names = list(dict.fromkeys(term for line in record.metrics for term in line.get("terms", {})))
    terms = {name: coloured(index) for index, name in enumerate(names)}
    ranks = [line["rank"] for line in record.metrics if finite(line.get("rank"))]
    limits = (0.0, 1.08 * max(ranks)) if ranks and max(ranks) > 0 else None
    strip = draw_curriculum(record.metrics, phases, "curriculum")
    panels = [_phase(record, index, phase, terms, limits) for index, phase in enumerate(phases, start=1)]
    return join(
        [
            element("figure", element("div", strip, class_="scroll wide", tabindex=0), class_="strip"),
            legend([_term(name) for name in names], list(terms.values())) if names else None,
            element("div", *panels, class_="panels", style="--columns:3"),
            *_logged(record, phases),
        ]
    )


def _term(name: str) -> str:
    """A loss term or metric as words; that of an objective is called objective.term."""
    return words(name).replace(".", ": ")


def _logged(record: RunRecord, phases: list[str]) -> Iterator[Markup]:
    """What phases and objectives logged beside their loss terms, a panel for each number of each phase: numbers of
    different kinds share no axis."""
    panels = [
        element(
            "figure",
            element("figcaption", f"{sentence_case(phase)}: {_term(name)}"),
            draw_logged(lines, name, f"logged-{index}-{name}"),
            class_="panel",
        )
        for index, phase in enumerate(phases, start=1)
        for lines in [[line for line in record.metrics if line["phase"] == phase]]
        for name in dict.fromkeys(name for line in lines for name in line.get("metrics") or {})
    ]
    if panels:
        yield element("p", "Logged beside the loss, and no part of it:", class_="note")
        yield element("div", *panels, class_="panels", style="--columns:3")


def _phase(
    record: RunRecord, index: int, phase: str, terms: dict[str, Any], limits: tuple[float, float] | None
) -> Markup:
    lines = [line for line in record.metrics if line["phase"] == phase]
    planned: dict[str, Any] = next((entry for entry in record.plan.get("phases", []) if entry.get("name") == phase), {})
    about = " · ".join(f"{key} {value_of(key, planned[key])}" for key in ("steps", "trains") if planned.get(key))
    caption = element("figcaption", f"{index}. {sentence_case(phase)} ", element("span", about, class_="about"))
    if not lines:
        nothing = element("p", "No step was logged: the phase acts at its end only.", class_="note")
        return element("figure", caption, nothing, class_="panel")
    shown = {name: style for name, style in terms.items() if any(name in line.get("terms", {}) for line in lines)}
    return element("figure", caption, draw_phase(lines, shown, limits, f"phase-{index}"), class_="panel")


def _evaluator(record: RunRecord, name: str, terms: Mapping[str, str], claimed: bool) -> Markup | None:
    """What an evaluator found, less the figure that stands on the first screen. claimed: whether its headline figures
    do not stand there either."""
    findings = record.findings[name]
    cards = headlines("", findings.headlines, terms) if claimed and findings.headlines else None
    others = [figure for figure in findings.figures if not figure.headline]
    groups = itertools.groupby(others, key=lambda figure: [(figure.label, figure.control) for figure in figure.series])
    figures = [_figures(name, labels, list(group)) for labels, group in groups]
    tables = [findings_table(table, f"{name}.{table.name}", terms, record.noun) for table in findings.tables]
    return join([cards, element("div", *figures, class_="panels") if figures else None, *tables]) or None


def _figures(evaluator: str, labels: list[tuple[str, bool]], group: list[Figure]) -> Markup:
    """Figures with the same lines: under one legend, and on one scale if they measure the same."""
    samples = legend([label for label, _ in labels], styles(labels))
    same = len({figure.y_label for figure in group}) == 1
    limits = y_limits(group) if same else None
    if len(group) == 1:
        return _figure(evaluator, group[0], limits, samples)
    drawn = [_figure(evaluator, figure, limits or y_limits([figure]), None) for figure in group]
    return element("div", samples, element("div", *drawn, class_="panels"), class_="group")


def _figure(evaluator: str, figure: Figure, limits: tuple[float, float] | None, samples: Markup | None) -> Markup:
    return element(
        "figure",
        element("figcaption", figure.title),
        samples,
        draw_figure(figure, f"{evaluator}-{figure.name}", limits),
        element("p", figure.note, class_="note") if figure.note else None,
        class_="panel",
    )


def _data(record: RunRecord) -> Markup | None:
    """Attrition, then the manifest of the splits: counts, and which data and draws they are of."""
    records = _records(record, "data.attrition", "data.splits")
    facts = {key: record.manifest.get("dataset", {}).get(key) for key in ("source", "fingerprint", "content")}
    facts |= {"seed": record.manifest.get("seed")}
    return (
        join([records, pairs({key: value for key, value in facts.items() if value is not None})]) if records else None
    )


def _recipe(record: RunRecord) -> Markup | None:
    """The recipe as resolved, and what evaluators were set to otherwise since."""
    if not record.recipe:
        return None
    parts = [element("pre", element("code", record.recipe), tabindex=0)]
    for name, changes in record.evaluated_otherwise().items():
        parts += [element("h3", f"{sentence_case(name)}, as it was evaluated since"), pairs(changes)]
    return join(parts)


def _environment(record: RunRecord) -> Markup | None:
    """The command, then what is one value, then a heading for each dict and each list of records."""
    manifest = record.manifest
    command = manifest.get("command")
    line = command if isinstance(command, str) else " ".join(map(str, command or []))
    rest = {key: value for key, value in manifest.items() if key not in SAID_ABOVE and not is_records(value)}
    grouped = {key: value for key, value in rest.items() if value and isinstance(value, dict)}
    flat = {key: value for key, value in rest.items() if key not in grouped}
    parts = [
        element("pre", element("code", line), tabindex=0) if line else None,
        pairs(flat) if flat else None,
        *(join([element("h3", sentence_case(key)), pairs(value)]) for key, value in grouped.items()),
        _records(record, *(stem for stem in record_tables(record) if stem.startswith("environment."))),
    ]
    return join(parts) or None
