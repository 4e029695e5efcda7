"""Words that a reader may not know, explained where they stand."""

from __future__ import annotations

import re
from collections.abc import Mapping

from jepa_core.report.html import Markup, element, join

GENERAL = {
    "95 % CI": "95 % confidence interval: subjects are drawn anew a thousand times or so, with all of their rows, and "
    "the middle 95 % of the results lie in it",
    "95 % interval": "95 % confidence interval, over subjects drawn anew with all of their rows",
    "effective rank": "in how many directions latents really vary, between 1 and their size",
    "latent": "what the encoder makes of one step, a vector",
    "trajectory": "the history of one subject, step by step",
}
"""Words of the report itself."""


def explained(text: str, terms: Mapping[str, str]) -> Markup:
    """A text in which the first of each known word tells what it means when it is pointed at; longer words first."""
    if not terms:
        return join([text])
    known = {term.casefold(): meaning for term, meaning in terms.items()}
    either = "|".join(re.escape(term) for term in sorted(terms, key=len, reverse=True))
    parts: list[str] = []
    end = 0
    for match in re.finditer(rf"(?<![\w-])(?:{either})(?![\w-])", text, flags=re.IGNORECASE):
        meaning = known.pop(match[0].casefold(), None)
        if meaning is not None:
            parts += [text[end : match.start()], element("abbr", match[0], title=meaning)]
            end = match.end()
    return join([*parts, text[end:]])


def spelled(text: str, terms: Mapping[str, str]) -> str:
    """A text with abbreviations and names as the terms spell them, such as AUROC where a column is called auroc."""
    known = {term.casefold(): term for term in terms if not term.islower()}
    return " ".join(known.get(word.casefold(), word) for word in text.split(" "))


def glossary(terms: Mapping[str, str]) -> Markup | None:
    """All of them to be read where nothing can be pointed at, closed until it is opened."""
    if not terms:
        return None
    items = [element("div", element("dt", term), element("dd", meaning)) for term, meaning in sorted(terms.items())]
    head = element("summary", "What the words mean ", element("span", f"{len(terms)}", class_="count"))
    return element("details", head, element("dl", *items, class_="pairs terms"), class_="fold")
