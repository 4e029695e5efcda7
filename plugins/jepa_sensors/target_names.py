"""Names of labels and outcomes that are made of words: one name for each word, and no two words of one name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_SIGNS = {"+": "plus", "-": "minus", "<": "below", ">": "above", "=": "equal", "%": "percent", "#": "number"}


def one_hot_names(target: str, words: Sequence[str]) -> list[str]:
    """A name for whether a target is each of its words. Where two would have one name, as ER+ and ER- would, their
    signs are spelled: er_ER_plus, er_ER_minus."""
    plain = [re.sub(r"\W+", "_", word) for word in words]
    return [
        f"{target}_{short if plain.count(short) == 1 else _spelled(word)}"
        for short, word in zip(plain, words, strict=True)
    ]


def _spelled(word: str) -> str:
    named = re.sub(r"[^\w\s]", lambda sign: f" {_sign(sign[0])} ", word)
    return re.sub(r"\s+", "_", named.strip())


def _sign(sign: str) -> str:
    return _SIGNS.get(sign) or re.sub(r"\W+", "_", unicodedata.name(sign, f"{ord(sign):x}")).lower()
