"""The page: what was found first, then how it came about.

Sections in order: verdicts and headlines; training; one section an evaluator; data; cost; recipe; environment. A
section whose file is missing is left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from jepa_core.files import write_atomically
from jepa_core.findings import Figure, Findings, Headline, Verdict
from jepa_core.report.html import Markup, element, join, start
from jepa_core.report.plots import (
    coloured,
    draw_curriculum,
    draw_figure,
    draw_phase,
    finite,
    legend,
    styles,
    y_limits,
)
from jepa_core.report.record import RunRecord, read_run
from jepa_core.report.tables import findings_table, grid, pairs, record_table
from jepa_core.report.text import counted, duration, interval, number, sentence_case, value_of, with_unit, words

NO_REQUESTS = "default-src 'none'; style-src 'unsafe-inline'"
"""Content security policy: whatever stands in the page, the browser runs no script and asks no server for anything."""
LEVELS = {"bad": "not sound", "warning": "with care", "good": "sound"}
SAID_ABOVE = ("name", "description", "command")
"""Keys of the manifest that are written elsewhere, or otherwise."""
PLANNED = ("source", "encoder", "predictor", "latent_dim", "window_steps", "memory_bytes")
"""Keys of the plan that are shown beside its phases."""
PHASE_COLUMNS = ("phase", "name", "use", "steps", "batch_size", "trains", "trained_parameters", "updates")
SPLIT_COLUMNS = ("split", "trajectories", "subjects", "steps")
COST_COLUMNS = ("phase", "seconds", "steps", "steps_per_second", "peak_bytes")


def write_report(folder: Path) -> Path:
    """Write `report.html` into a run directory, atomically, from the files of that directory alone.

    Raises RunError if the directory or a file in it cannot be read.
    """
    path = folder / "report.html"
    write_atomically(path, page(read_run(folder)).encode())
    return path


def page(record: RunRecord) -> str:
    """The whole page as HTML."""
    sections = [
        ("training", "Training", _training(record)),
        *((f"of-{name}", sentence_case(name), _evaluator(name, found)) for name, found in _in_order(record)),
        ("data", "Data", _data(record.data)),
        ("cost", "Cost", _cost(record)),
        ("recipe", "Recipe", element("pre", element("code", record.recipe), tabindex=0) if record.recipe else None),
        ("environment", "Environment", _environment(record.manifest)),
    ]
    present = [(anchor, title, content) for anchor, title, content in sections if content]
    style = Markup(resources.files("jepa_core.report").joinpath("style.css").read_text(encoding="utf-8"))
    head = element(
        "head",
        start("meta", charset="utf-8"),
        start("meta", http_equiv="Content-Security-Policy", content=NO_REQUESTS),
        start("meta", name="viewport", content="width=device-width, initial-scale=1"),
        start("meta", name="color-scheme", content="light dark"),
        element("title", f"{record.name}: report"),
        element("style", style),
    )
    links = (element("a", title, href=f"#{anchor}") for anchor, title, _ in present)
    body = element(
        "body",
        element("main", _first_screen(record, element("nav", *links, aria_label="Sections")), *map(_section, present)),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _in_order(record: RunRecord) -> list[tuple[str, Findings]]:
    """Findings in the order of the recipe's evaluators; any others after them, by name."""
    order = [str(name) for name in record.plan.get("evaluators", [])]
    return sorted(
        record.findings.items(), key=lambda item: (order.index(item[0]) if item[0] in order else len(order), item[0])
    )


def _section(section: tuple[str, str, Markup]) -> Markup:
    anchor, title, content = section
    return element("section", element("h2", title), content, id=anchor)


def _first_screen(record: RunRecord, nav: Markup) -> Markup:
    description = record.manifest.get("description")
    verdicts = [(name, verdict) for name, found in _in_order(record) for verdict in found.verdicts]
    verdicts.sort(key=lambda item: list(LEVELS).index(item[1].level))
    return element(
        "header",
        element("p", "Run report", class_="kicker"),
        element("h1", record.name),
        element("p", str(description), class_="lead") if description else None,
        element("p", " · ".join(_facts(record)), class_="facts"),
        element("ul", *(_verdict(*verdict) for verdict in verdicts), class_="verdicts") if verdicts else None,
        *(_headlines(name, found.headlines) for name, found in _in_order(record) if found.headlines),
        nav,
    )


def _facts(record: RunRecord) -> list[str]:
    """What was trained on what, in a line."""
    splits = record.data.get("splits", [])
    facts = []
    for key, noun in (("trajectories", "trajectory"), ("subjects", "subject"), ("steps", "step")):
        counts = [split[key] for split in splits if isinstance(split.get(key), int)]
        if counts:
            facts.append(counted(sum(counts), noun))
    if record.data.get("channels") is not None:
        facts.append(counted(record.data["channels"], "channel"))
    if record.phases():
        facts.append(counted(len(record.phases()), "phase"))
    if "seed" in record.manifest:
        facts.append(f"seed {record.manifest['seed']}")
    seconds = [cost["seconds"] for cost in record.costs.values() if "seconds" in cost]
    if seconds:
        facts.append(f"{duration(sum(seconds))} of training")
    return facts


def _verdict(name: str, verdict: Verdict) -> Markup:
    level = element("span", LEVELS[verdict.level], class_="level")
    source = element("span", words(name), class_="source")
    text = element("span", verdict.text[:1].upper() + verdict.text[1:], " ", source)
    return element("li", level, text, class_=f"verdict {verdict.level}")


def _headlines(name: str, headlines: Iterable[Headline]) -> Markup:
    cards = element("div", *map(_headline, headlines), class_="cards")
    return element("div", element("h3", sentence_case(name)), cards, class_="headlines")


def _headline(headline: Headline) -> Markup:
    bounds = interval(headline.low, headline.high)
    return element(
        "div",
        element("p", sentence_case(headline.label), class_="label"),
        element("p", with_unit(number(headline.value), headline.unit), class_="value"),
        element("p", f"95 % CI {bounds}", class_="bounds") if bounds else None,
        element("p", f"n = {headline.n:,} {headline.n_unit}", class_="bounds") if headline.n is not None else None,
        element("p", sentence_case(headline.note), class_="about") if headline.note else None,
        class_="card",
    )


def _training(record: RunRecord) -> Markup | None:
    planned = [_planned(number_, phase) for number_, phase in enumerate(record.plan.get("phases", []), start=1)]
    rest = {key: _model(record.plan[key]) for key in PLANNED if key in record.plan}
    parts = [
        _curriculum(record) if record.metrics else None,
        element("h3", "The curriculum as planned") if planned else None,
        record_table(planned, PHASE_COLUMNS) if planned else None,
        pairs(rest) if rest else None,
    ]
    return join(parts) or None


def _model(planned: Any) -> Any:
    """A planned encoder or predictor in a phrase; anything else as it is."""
    if not isinstance(planned, dict):
        return planned
    counts = [f"{number(planned[key])} {key}" for key in ("parameters", "trainable") if key in planned]
    return ", ".join([str(planned.get("use", "")), *counts])


def _planned(place: int, phase: dict[str, Any]) -> dict[str, Any]:
    return {"phase": place, "name": words(str(phase.get("name", "")))} | {
        key: value for key, value in phase.items() if key != "name"
    }


def _curriculum(record: RunRecord) -> Markup:
    """The whole curriculum in one strip, then each phase in a panel of its own."""
    phases = record.phases()
    names = list(dict.fromkeys(term for line in record.metrics for term in line.get("terms", {})))
    terms = {name: coloured(place) for place, name in enumerate(names)}
    ranks = [line["rank"] for line in record.metrics if finite(line.get("rank"))]
    limits = (0.0, 1.08 * max(ranks)) if ranks and max(ranks) > 0 else None
    strip = draw_curriculum(record.metrics, phases, "curriculum")
    panels = [_phase(record, place, phase, terms, limits) for place, phase in enumerate(phases, start=1)]
    return join(
        [
            element("figure", element("div", strip, class_="scroll wide", tabindex=0), class_="strip"),
            legend([words(name) for name in names], list(terms.values())) if names else None,
            element("div", *panels, class_="panels", style="--columns:3"),
        ]
    )


def _phase(
    record: RunRecord, place: int, phase: str, terms: dict[str, Any], limits: tuple[float, float] | None
) -> Markup:
    lines = [line for line in record.metrics if line["phase"] == phase]
    planned = next((one for one in record.plan.get("phases", []) if one.get("name") == phase), {})
    about = " · ".join(f"{key} {value_of(key, planned[key])}" for key in ("steps", "trains") if planned.get(key))
    caption = element("figcaption", f"{place}. {sentence_case(phase)} ", element("span", about, class_="about"))
    if not lines:
        nothing = element("p", "No step was logged: the phase acts at its end only.", class_="note")
        return element("figure", caption, nothing, class_="panel")
    here = {name: style for name, style in terms.items() if any(name in line.get("terms", {}) for line in lines)}
    return element("figure", caption, draw_phase(lines, here, limits, f"phase-{place}"), class_="panel")


def _evaluator(name: str, found: Findings) -> Markup | None:
    groups = itertools.groupby(found.figures, key=lambda figure: [(one.label, one.control) for one in figure.series])
    figures = [_figures(name, labels, list(group)) for labels, group in groups]
    tables = [findings_table(table, f"findings/{name}.{table.name}.csv") for table in found.tables]
    return join([element("div", *figures, class_="panels") if figures else None, *tables]) or None


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


def _data(data: dict[str, Any]) -> Markup | None:
    splits, attrition = data.get("splits", []), data.get("attrition", [])
    parts = [
        element("h3", "Attrition") if attrition else None,
        _attrition(attrition) if attrition else None,
        element("h3", "Splits") if splits else None,
        _splits(splits) if splits else None,
        element("p", "Split by subject: no subject stands in two splits.", class_="note") if splits else None,
    ]
    return join(parts) or None


def _splits(splits: list[dict[str, Any]]) -> Markup:
    return record_table([{**split, "split": words(str(split.get("split", "")))} for split in splits], SPLIT_COLUMNS)


def _attrition(steps: list[dict[str, Any]]) -> Markup:
    """What each step of the selection left, and how much it took."""
    most = max((step.get("trajectories") or 0 for step in steps), default=0) or 1
    rows, before = [], None
    for step in steps:
        count, subjects = step.get("trajectories"), step.get("subjects")
        removed = "" if before is None or count is None or count == before else number(count - before)
        bar = element("span", class_="bar", style=f"width:{100 * (count or 0) / most:.1f}%")
        rows.append([str(step.get("step", "")), number(count), removed, number(subjects), bar])
        before = count if count is not None else before
    headings = ["step", "trajectories", "change", "subjects", "share kept"]
    return grid(headings, rows, [False, True, True, True, False])


def _cost(record: RunRecord) -> Markup | None:
    """What each phase cost, in the order of the curriculum."""
    phases = [phase for phase in record.phases() if phase in record.costs]
    phases += [phase for phase in record.costs if phase not in phases]
    return record_table([{"phase": words(one)} | record.costs[one] for one in phases], COST_COLUMNS) if phases else None


def _environment(manifest: dict[str, Any]) -> Markup | None:
    """The command, then what is one value, then a heading for each dict and each list of records."""
    command = manifest.get("command")
    line = command if isinstance(command, str) else " ".join(map(str, command or []))
    rest = {key: value for key, value in manifest.items() if key not in SAID_ABOVE}
    grouped = {key: value for key, value in rest.items() if value and (isinstance(value, dict) or _is_records(value))}
    flat = {key: value for key, value in rest.items() if key not in grouped}
    parts = [
        element("pre", element("code", line), tabindex=0) if line else None,
        pairs(flat) if flat else None,
        *(
            join([element("h3", sentence_case(key)), record_table(value) if _is_records(value) else pairs(value)])
            for key, value in grouped.items()
        ),
    ]
    return join(parts) or None


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)
