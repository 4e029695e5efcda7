"""A study's tables and its page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from jepa_core.io.files import disk_errors, write_atomically, write_json
from jepa_core.report.document import Section, document, judgement
from jepa_core.report.exports import csv_text, latex_text
from jepa_core.report.forest import forest_plots
from jepa_core.report.headline_figure import headline_figure
from jepa_core.report.html import Markup, element, join
from jepa_core.report.plots import draw_figure, legend, styles, y_limits
from jepa_core.report.tables import findings_table
from jepa_core.results.findings import Column, Findings, Table
from jepa_core.results.text import counted, sentence_case
from jepa_core.results.wording import HOUSE, in_words_of, worded
from jepa_core.study.definition import Study
from jepa_core.study.findings import StudyFindings, study_findings
from jepa_core.study.folder import StudyFolder, run_rows
from jepa_core.study.forests import NOTE
from jepa_core.study.methods import METHOD_NOTE, METHOD_TABLES


def write_study(study: Study, folder: StudyFolder) -> Path:
    """Compare the finished runs, and write findings, tables (CSV and LaTeX) and the page. Returns the page's path."""
    findings = in_words_of(study_findings(study, folder), common_noun(study))
    path = folder.path / "report.html"
    with disk_errors(folder.path):
        for name in ("findings", "tables"):
            (folder.path / name).mkdir(exist_ok=True)
        write_json(folder.path / "findings" / "study.json", findings.to_dict())
        for table in findings.tables:
            write_atomically(folder.path / "tables" / f"{table.name}.csv", csv_text(table).encode())
            write_atomically(folder.path / "tables" / f"{table.name}.tex", latex_text(table).encode())
        write_atomically(path, _page(study, folder, findings).encode())
    return path


def common_noun(study: Study) -> str:
    """What the data call a subject, where all runs are on data that call it so."""
    nouns = {cell.recipe.source.config.subject_noun for cell in study.cells}
    return nouns.pop() if len(nouns) == 1 else HOUSE


def _page(study: Study, folder: StudyFolder, findings: StudyFindings) -> str:
    tables, noun = {table.name: table for table in findings.tables}, common_noun(study)
    headlines, said = tables.pop("headlines"), tables.pop("verdicts")
    methods = [tables.pop(name) for name in METHOD_TABLES if name in tables]
    sizes = [tables.pop("sizes")] if "sizes" in tables else []
    standing = [headline_figure(curve, f"{evaluator}-{curve.name}") for evaluator, curve in findings.standing]
    sections: list[Section] = [
        *([("reference", f"The reference: {study.reference}", join(standing))] if standing else []),
        *([("differences", "Differences", _differences(findings, noun))] if findings.forests else []),
        *([("methods", "Methods", _methods(findings, methods, noun))] if methods else []),
        ("headlines", "Headlines", findings_table(headlines, headlines.name, noun=noun)),
        *(("sizes", "Sizes", findings_table(table, table.name)) for table in sizes),
        ("warnings", "Warnings", findings_table(said, said.name)),
        ("figures", "Figures", element("div", *_figures(findings), class_="panels")),
        ("metrics", "Every metric", join(findings_table(table, table.name, noun=noun) for table in tables.values())),
        ("runs", "Runs", findings_table(_runs(study, folder), "runs")),
    ]
    return document(f"Study {study.name}", _first_screen(study, findings), sections)


def _first_screen(study: Study, findings: Findings) -> Iterator[Markup | None]:
    facts = [counted(len(study.variants), "variant"), f"seeds {', '.join(map(str, study.seeds))}"]
    folds = len({cell.fold for cell in study.cells})
    facts += [f"{folds} folds"] if folds > 1 else []
    yield element("p", "Study", class_="kicker")
    yield element("h1", sentence_case(study.name))
    yield element("p", study.description, class_="facts") if study.description else None
    yield element("p", " · ".join([*facts, f"reference: {study.reference}"]), class_="facts")
    yield element("ul", *(judgement(verdict.level, verdict.text) for verdict in findings.verdicts), class_="verdicts")
    told = [f"{name}: {text}" for name, text in study.texts.items() if text]
    yield element("ul", *(element("li", text) for text in told)) if told else None


def _methods(findings: StudyFindings, tables: Sequence[Table], noun: str) -> Markup:
    drawn = [*forest_plots(findings.method_forests), element("p", worded(METHOD_NOTE, noun), class_="note")]
    return join([*drawn, *(findings_table(table, table.name, noun=noun) for table in tables)])


def _differences(findings: StudyFindings, noun: str) -> Markup:
    return join([*forest_plots(findings.forests), element("p", worded(NOTE, noun), class_="note")])


def _figures(findings: Findings) -> Iterator[Markup]:
    for figure in findings.figures:
        labels = [(series.label, series.control) for series in figure.series]
        yield element(
            "figure",
            element("figcaption", figure.title),
            legend([label for label, _ in labels], styles(labels)),
            draw_figure(figure, figure.name, y_limits([figure])),
            element("p", figure.note, class_="note"),
            class_="panel",
        )


def _runs(study: Study, folder: StudyFolder) -> Table:
    rows = run_rows(study, folder)
    names = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    columns = [Column(name, digits=6) for name in names]
    return Table("runs", "Runs", columns, [[row[name] for name in names] for row in rows])
