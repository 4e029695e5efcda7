"""Words that fit the data: what a source calls its subjects, in place of the house's word."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from jepa_core.results.text import plural

HOUSE = "subject"
"""What evaluators say; whose data it is they do not know."""
KEPT = {"name", "metric", "rows", "kind", "cells"}
"""What programs read, and cells, which are data."""

FoundT = TypeVar("FoundT")


def worded(text: str, noun: str) -> str:
    """A text with the noun of the data in place of `subject`; a name with underscores is no word and is kept."""
    if noun == HOUSE:
        return text
    of_several = {HOUSE: noun, plural(HOUSE): plural(noun)}

    def said(match: re.Match[str]) -> str:
        noun_of_it = of_several[match[0].lower()]
        return noun_of_it if match[0].islower() else noun_of_it[:1].upper() + noun_of_it[1:]

    return re.sub(r"(?<![\w-])subjects?(?![\w-])", said, text, flags=re.IGNORECASE)


def in_words_of(found: FoundT, noun: str) -> FoundT:
    """Findings, or a part of them, with every text that people read worded so."""
    if noun == HOUSE:
        return found
    return _worded(found, noun)


def _worded(value: Any, noun: str) -> Any:
    if isinstance(value, str):
        return worded(value, noun)
    if isinstance(value, list | tuple):
        return type(value)(_worded(inner, noun) for inner in value)
    if isinstance(value, dict):
        return {worded(key, noun): _worded(inner, noun) for key, inner in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        told = {part.name: _worded(getattr(value, part.name), noun) for part in fields(value) if part.name not in KEPT}
        return replace(value, **told)
    return value
