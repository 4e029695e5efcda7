"""Docstrings of this code in the markup of Sphinx: prose with `names` in backticks, lists, and indented figures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from pydantic import BaseModel

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MARKUP = re.compile(r"([\\*_|:<>\[\]])")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
LIST = re.compile(r"[*-] ")


def read(app: Sphinx, kind: str, name: str, described: object, options: object, lines: list[str]) -> None:
    """Put the markup of a docstring in its place; keys of a config follow what is said of it."""
    written = list(markup(lines))
    if isinstance(described, type) and issubclass(described, BaseModel):
        written += keys(described)
    lines[:] = written


def markup(lines: list[str]) -> Iterator[str]:
    """Lines in reStructuredText, whatever characters the prose holds."""
    for is_empty, group in groupby(lines, key=lambda line: not line.strip()):
        if not is_empty:
            yield from _paragraph(list(group))
            yield ""


def _paragraph(lines: list[str]) -> Iterator[str]:
    if all(line.startswith("    ") for line in lines):
        yield from (".. code-block:: none", "", *lines)
        return
    starts = [number for number, line in enumerate(lines) if LIST.match(line)]
    if before := lines[: starts[0] if starts else None]:
        yield from (_text(before), "")
    for start, end in pairwise([*starts, len(lines)]):
        yield "* " + _text([lines[start][2:], *lines[start + 1 : end]])


def _text(lines: list[str]) -> str:
    """One line of text; what stands in backticks is a name or code, all else is meant letter by letter."""
    parts = " ".join(line.strip() for line in lines).split("`")
    if len(parts) % 2 == 0:  # a backtick alone is no markup
        parts = ["'".join(parts)]
    text = "".join(_code(part) if number % 2 else _plain(part) for number, part in enumerate(parts))
    return text if text[:1].isalpha() or text[:1] in "`\\" else "\\" + text


def _plain(text: str) -> str:
    return MARKUP.sub(r"\\\1", text)


def _code(text: str) -> str:
    """Code between letters must be set off by an empty escape, as in `name`s."""
    if not text.strip():
        return ""
    return rf"\ `{text}`\ " if NAME.fullmatch(text) else rf"\ ``{text.strip()}``\ "


def keys(config: type[BaseModel]) -> Iterator[str]:
    """What a recipe may say to a component: each key that the config adds, with what is said of it."""
    own = {name: field for name, field in config.model_fields.items() if name in config.__annotations__}
    if own:
        yield from ("Keys:", "")
    for name, field in own.items():
        default = "required" if field.is_required() else f"default ``{field.get_default(call_default_factory=True)!r}``"
        yield f"* ``{name}``, {default}" + (f": {_text([field.description])}" if field.description else "")
