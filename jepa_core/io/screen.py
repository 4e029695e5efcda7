"""Text on a screen: a line that is too long goes on below, between two words, under where its last column begins."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from typing import TextIO

USUAL = 80
LEAST = 20
"""Columns that the words of a line have at least, or as many as the longest word of the line."""


def for_screen(text: str) -> str:
    """The text as it is printed: as it is where it goes into a file or a pipe, else within the screen's columns."""
    return within(text, columns_of(sys.stdout)) if sys.stdout.isatty() else text


def columns_of(stream: TextIO) -> int:
    """Columns of the terminal that a stream goes to; those that the environment names, or 80, if it does not tell."""
    try:
        return int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL
    except (OSError, ValueError):
        return USUAL


def within(text: str, columns: int) -> str:
    """The text with no line longer than so many columns, as long as no word is; lines that fit are left alone."""
    return "\n".join(part for line in text.split("\n") for part in _parts(line, columns))


def _parts(line: str, columns: int) -> list[str]:
    if len(line) <= columns:
        return [line]
    indent = _indent(line, columns)
    return textwrap.wrap(
        line, columns, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False,
        drop_whitespace=True, expand_tabs=False, replace_whitespace=False,
    )  # fmt: skip


def _indent(line: str, columns: int) -> int:
    """Where the last column of a line begins, if its words have room there; else two more than the line, or where it
    begins if it is a paragraph."""
    begins = [gap.end() for gap in re.finditer(r"\S {2,}(?=\S)", line)]
    fitting = [at for at in begins if at <= columns - max(LEAST, *map(len, line[at:].split()))]
    margin = len(line) - len(line.lstrip())
    return fitting[-1] if fitting else margin + 2 if margin or line.startswith("* ") else 0
