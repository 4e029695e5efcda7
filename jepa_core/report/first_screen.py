"""What is read first: the answer in a sentence, what it rests on in a picture or two, and how many things there are to
be careful with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from jepa_core.report.answer import Group, answer, answer_plot
from jepa_core.report.document import LEVELS, judgement
from jepa_core.report.headline_figure import headline_figure
from jepa_core.report.html import Markup, element, join
from jepa_core.report.terms import explained, glossary
from jepa_core.results.findings import Findings, Headline, Verdict
from jepa_core.results.record import RunRecord
from jepa_core.results.text import counted, duration, estimate, sentence_case, with_unit, words

Found = list[tuple[str, Findings]]
"""Evaluators in the order of the recipe, with what they found."""


def first_screen(record: RunRecord, evaluated: Found, terms: Mapping[str, str]) -> Iterator[Markup | None]:
    """Everything above the sections."""
    description = record.manifest.get("description")
    verdicts = [(name, verdict) for name, findings in evaluated for verdict in findings.verdicts]
    unsound = [judgement(told.level, told.text, words(name)) for name, told in verdicts if told.level == "bad"]
    answers = [findings.claims[0] for _, findings in evaluated if findings.claims]
    yield element("p", "Run report", class_="kicker")
    yield element("h1", record.name)
    yield element("p", str(description), class_="lead") if description else None
    yield element("p", " · ".join(run_facts(record)), class_="facts")
    lacking = record.lacking()
    yield element("p", f"{sentence_case(lacking)}.", class_="note") if lacking else None
    yield element("ul", *unsound, class_="verdicts") if unsound else None
    leading = next((claim for claim in answers if not claim.is_thin and claim.compared[0].value is not None), None)
    yield from (answer(claim, terms, lead=claim is leading) for claim in answers)
    pictures = [*_forest(evaluated, record.noun), *_standing(evaluated)]
    yield element("div", *pictures, class_="panels first") if pictures else None
    if not answers:
        yield from _compared(evaluated, terms)
        yield from (headlines(name, findings.headlines, terms) for name, findings in evaluated if findings.headlines)
    yield _caveats([(name, told) for name, told in verdicts if told.level != "bad"])
    yield glossary(terms)


def _compared(evaluated: Found, terms: Mapping[str, str]) -> Iterator[Markup]:
    """Where nothing is claimed, the first evaluator's figures of which it is known which way they are better."""
    told = ([headline for headline in findings.headlines if _is_told(headline)] for _, findings in evaluated)
    for index, headline in enumerate(next(filter(None, told), [])):
        value, bounds = estimate(headline.value, headline.low, headline.high)
        told_of = [headline.note, f"{headline.n:,} {headline.n_unit}" if headline.n is not None else ""]
        yield element(
            "p",
            explained(f"{sentence_case(headline.label)} is ", terms),
            element("strong", with_unit(value, headline.unit)),
            explained(f"{f' ({bounds})' if bounds else ''}: {'; '.join(filter(None, told_of))}.", terms),
            class_="answer" if index else "answer leading",
        )


def _is_told(headline: Headline) -> bool:
    return bool(headline.better and headline.note and headline.value is not None and not headline.is_thin)


def _forest(evaluated: Found, noun: str) -> Iterator[Markup]:
    """Claims of those evaluators that no figure stands for."""
    groups = [
        Group(sentence_case(name), findings.claims)
        for name, findings in evaluated
        if findings.claims and not any(figure.headline for figure in findings.figures)
    ]
    yield from answer_plot(groups, noun)


def _standing(evaluated: Found) -> Iterator[Markup]:
    for name, findings in evaluated:
        yield from (headline_figure(figure, f"{name}-{figure.name}") for figure in findings.figures if figure.headline)


def _caveats(verdicts: list[tuple[str, Verdict]]) -> Markup | None:
    """One line with how many there are of each level, which opens."""
    if not verdicts:
        return None
    verdicts = sorted(verdicts, key=lambda item: list(LEVELS).index(item[1].level))
    counts = {level: sum(verdict.level == level for _, verdict in verdicts) for level in LEVELS}
    told = [f"{counts['warning']} to read with care"] if counts["warning"] else []
    told += [f"{counts['good']} sound"] if counts["good"] else []
    judged = [judgement(verdict.level, verdict.text, words(name)) for name, verdict in verdicts]
    head = element("summary", "What else the evaluators say: ", element("span", " · ".join(told), class_="count"))
    return element("details", head, element("ul", *judged, class_="verdicts"), class_="fold")


def run_facts(record: RunRecord) -> list[str]:
    """What was trained on what, in a line."""
    splits = record.data.get("splits", [])
    told = []
    nouns = (("trajectories", "trajectory"), ("subjects", record.noun), ("steps", "step"))
    for key, noun in nouns:
        counts = [split[key] for split in splits if isinstance(split.get(key), int)]
        if counts:
            told.append(counted(sum(counts), noun))
    if record.data.get("channels") is not None:
        told.append(counted(record.data["channels"], "channel"))
    if record.phases():
        told.append(counted(len(record.phases()), "phase"))
    if "seed" in record.manifest:
        told.append(f"seed {record.manifest['seed']}")
    seconds = [cost["seconds"] for cost in record.costs.values() if "seconds" in cost]
    if seconds:
        told.append(f"{duration(sum(seconds))} of training")
    return told


def headlines(title: str, of: Iterable[Headline], terms: Mapping[str, str]) -> Markup:
    """Headline figures as cards; those that too few positives stand behind are small and grey."""
    cards = element("div", *(_card(headline, terms) for headline in of), class_="cards")
    return element("div", element("h3", sentence_case(title)) if title else None, cards, class_="headlines")


def _card(headline: Headline, terms: Mapping[str, str]) -> Markup:
    value, bounds = estimate(headline.value, headline.low, headline.high)
    few = f"only {headline.positives} of one class: too few to be read" if headline.is_thin else None
    return element(
        "div",
        element("p", explained(sentence_case(headline.label), terms), class_="label"),
        element("p", with_unit(value, headline.unit), class_="value"),
        element("p", explained(f"95 % CI {bounds}", terms), class_="bounds") if bounds else None,
        element("p", f"n = {headline.n:,} {headline.n_unit}", class_="bounds") if headline.n is not None else None,
        element("p", sentence_case(few), class_="about") if few else None,
        element("p", join([explained(sentence_case(headline.note), terms)]), class_="about") if headline.note else None,
        class_="card thin" if headline.is_thin else "card",
    )
