"""The spellings of times: ISO 8601, or a `time_format` of strptime's directives, as patterns of named fields."""

from __future__ import annotations

import re

_ZONE = r"(?P<zone>[Zz]|UTC|[+-]\d{2}(?::?\d{2})?)"

_NUMBERS = {"Y": 4, "m": 2, "d": 2, "H": 2, "I": 2, "M": 2, "S": 2, "y": 2, "j": 3}
"""Directives that are numbers, and their digits."""
_OTHERS = {
    "b": r"(?P<b>[A-Za-z]{3})[a-z]*", "B": r"(?P<b>[A-Za-z]{3})[a-z]*", "p": r"(?P<p>[AaPp])\.?[Mm]\.?",
    "f": r"(?P<f>\d{1,9})", "z": _ZONE, "a": r"[A-Za-z]+", "A": r"[A-Za-z]+", "%": "%",
}  # fmt: skip
_SHORT = {"e": "%d", "h": "%b", "T": "%H:%M:%S", "R": "%H:%M", "F": "%Y-%m-%d"}
"""Directives that stand for others."""

ISO = (
    r"(?P<Y>\d{4})[-/](?P<m>\d{1,2})[-/](?P<d>\d{1,2})"
    r"(?:[Tt ]\s*(?P<H>\d{1,2})(?::(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?)?)?"
    r"\s*" + _ZONE + r"?(?: UTC)?"
)
"""ISO 8601 with what .NET, Go, Java and people make of it: up to nine digits of a second, one digit of a month."""


def pattern_of(form: str) -> str:
    """The regular expression of a `time_format`.

    Raises ValueError naming a directive that is not read, is there twice, or is missing.
    """
    form = re.sub(r"%(.)", lambda match: _SHORT.get(match[1], match[0]), form)
    codes = re.findall(r"%(.?)", form)
    unread = [code for code in codes if code not in _NUMBERS and code not in _OTHERS]
    if unread:
        raise ValueError(f"%{unread[0]} is not read; there are {_listed()}")
    _check(["b" if code == "B" else code for code in codes])
    parts, last = [], 0
    for at in re.finditer(r"%(.)", form):
        parts.append(_literal(form[last : at.start()]))
        parts.append(_digits(form, at) if at[1] in _NUMBERS else _OTHERS[at[1]])
        last = at.end()
    return "".join([*parts, _literal(form[last:])])


def _listed() -> str:
    return ", ".join(f"%{code}" for code in [*_NUMBERS, *_OTHERS, *_SHORT])


def _check(codes: list[str]) -> None:
    """Refuse directives that make no instant."""
    twice = [code for code in codes if codes.count(code) > 1 and code not in "aA%"]
    if twice:
        raise ValueError(f"%{twice[0]} stands there twice")
    years, parts = {"Y", "y"} & set(codes), {"m", "b", "j"} & set(codes)
    if len(years) != 1 or len(parts) > 1 or ("d" in codes) > bool(parts - {"j"}):
        raise ValueError("a time has one year (%Y or %y), and a month and day (%m %d, %b %d) or %j")
    if ("I" in codes) != ("p" in codes) or {"I", "H"} <= set(codes):
        raise ValueError("%I is the hour of half a day, so %p goes with it, and %H does not")


def _digits(form: str, at: re.Match[str]) -> str:
    """A number; with as many digits as it can have where digits follow or come before, else leading zeros may lack."""
    most = _NUMBERS[at[1]]
    before = form[: at.start()]
    beside = re.search(r"(%[YmdHIMSyjf]|\d)$", before) or re.match(r"%[YmdHIMSyjf]|\d", form[at.end() :])
    return rf"(?P<{at[1]}>\d{{{most if beside or at[1] in 'Yy' else 1},{most}}})"


def _literal(text: str) -> str:
    return re.sub(r"(?:\\ |\s)+", r"\\s+", re.escape(text))
