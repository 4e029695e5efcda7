"""What a run's evaluators found on other data: in short, with a link to the report of its own."""

from __future__ import annotations

from jepa_core.report.html import Markup, element, join
from jepa_core.report.tables import plain_table
from jepa_core.results.in_short import in_short
from jepa_core.results.record import RunRecord
from jepa_core.results.text import counted, sentence_case
from jepa_core.results.wording import in_words_of

HEADINGS = ("evaluator", "found", "value (95 % interval)", "gain over others")


def transfer_section(record: RunRecord) -> Markup | None:
    """A table for each of the other data; None where the run was measured on none."""
    return join(_transfer(name, other) for name, other in record.transfers.items()) or None


def _transfer(name: str, other: RunRecord) -> Markup:
    rows: list[list[str]] = []
    starts: list[int] = []
    thin: set[int] = set()
    for evaluator, findings in other.in_order():
        starts.append(len(rows))
        for row in in_short(in_words_of(findings, other.noun)):
            thin |= {len(rows)} if row.is_thin else set()
            gains = "; ".join(f"{figure} {over}" for figure, over in row.gains)
            rows.append([sentence_case(evaluator), row.about, f"{row.measure} {row.value}".lstrip(), gains])
    report = element("a", "its own report", href=f"transfer/{name}/report.html")
    about = element("p", f"Measured on {_counts(other)}, none of which was trained on; more in ", report, class_="note")
    return join(
        [element("h3", name), about, plain_table(HEADINGS, rows, [False] * len(HEADINGS), starts, frozenset(thin))]
    )


def _counts(other: RunRecord) -> str:
    facts = other.manifest.get("dataset") or {}
    nouns = {"trajectories": "trajectory", "subjects": other.noun}
    return " of ".join(counted(facts[key], noun) for key, noun in nouns.items() if key in facts)
