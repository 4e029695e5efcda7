"""Scalars of a recipe: the core schema of YAML 1.2 (its section 10.3.2), and references to the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

Value: TypeAlias = None | bool | int | float | str

_WORDS: dict[str, None | bool] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {word: True for word in ("true", "True", "TRUE")} | {word: False for word in ("false", "False", "FALSE")}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LONGEST_NUMBER = 100
_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?\}|\$\{")


class BadScalar(ValueError):
    """A scalar that a recipe may not hold. The first argument says why, the second (maybe empty) what to do."""


def resolve(text: str) -> Value:
    """The value of an unquoted scalar: `1e-4` is a number, `no` a word, `012` twelve and `12:30` text.

    Raises BadScalar for infinities, not-a-number and numbers of more than a hundred characters, which no setting means.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise BadScalar(f"expected a finite number, found {text}", "")
    for pattern, base in ((_DECIMAL, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
        if pattern.fullmatch(text):
            return int(_short(text), 10) if base == 10 else int(_short(text)[2:], base)
    if not _FLOAT.fullmatch(text):
        return text
    number = float(_short(text))
    if number in (float("inf"), float("-inf")):
        raise BadScalar(f"the number {text} is too large", "")
    return number


def expand(text: str, environment: Mapping[str, str]) -> tuple[str, bool]:
    """Put the environment's values in place of `${NAME}` and `${NAME:-default}`; `$${` stands for a plain `${`.

    As in a shell, the default also stands in for an empty variable. The flag says whether all of the text was one
    reference. Raises BadScalar for a variable that is not set and has no default, and for a reference not written so.
    """
    whole = _REFERENCE.fullmatch(text)
    expanded = _REFERENCE.sub(lambda match: _looked_up(match, environment), text)
    if any("\ud800" <= character <= "\udfff" for character in expanded):
        raise BadScalar("text that is not valid Unicode", "")
    return expanded, whole is not None and whole["name"] is not None


def _looked_up(match: re.Match[str], environment: Mapping[str, str]) -> str:
    if match[0] == "$${":
        return "${"
    name, default = match["name"], match["default"]
    if name is None:
        hint = "write ${NAME} or ${NAME:-default}; $${ for a plain ${"
        raise BadScalar("a reference to the environment that is not complete", hint)
    if default is not None:
        return environment.get(name) or default
    if name not in environment:
        raise BadScalar(
            f"the environment variable {name} is not set", f"set it, or give a default: ${{{name}:-default}}"
        )
    return environment[name]


def _short(text: str) -> str:
    if len(text) > _LONGEST_NUMBER:
        raise BadScalar(f"a number of {len(text)} characters", "")
    return text
