"""Where a problem stands in a file or on the command line, and what it looks like there."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jepa_core.errors import printable
from jepa_core.recipe.problems import LONGEST_MESSAGE, InvalidRecipe

COMMAND_LINE = "command line"
OVERRIDES = "overrides"
_LOOSE = {COMMAND_LINE: "on the command line", OVERRIDES: "in the overrides"}
"""Texts that are no files: overrides, one a text, of a command or given in Python."""
_WIDEST_LINE = 110


@dataclass(frozen=True, eq=False)
class Text:
    """A text that places point into: a recipe file, or one `key=value` override.

    first_line: number of its first line; for an override, its number among the overrides. folder: of the file.
    """

    name: str
    lines: tuple[str, ...]
    first_line: int = 1
    folder: Path | None = None


@dataclass(frozen=True)
class Place:
    """A stretch of one line of a text. column counts from 1, line from the text's first."""

    text: Text
    line: int
    column: int
    width: int

    @property
    def origin(self) -> str:
        """`file:line`, or `command line`, or `overrides`."""
        return self.text.name if self.text.name in _LOOSE else f"{self.text.name}:{self.line}"


@dataclass(frozen=True)
class PlacedProblem:
    """One mistake, at its place. source_lines: the line it stands on, after the line before it where there is one.

    Of an override, the file is `command line` or `overrides`, and the line its number among the overrides.
    """

    file: str
    line: int
    column: int
    message: str
    source_lines: tuple[str, ...] = ()
    width: int = 1
    hint: str = ""
    broken_plugin: bool = False
    """Whether a plugin that cannot be loaded is the cause, rather than the recipe."""

    def __str__(self) -> str:
        """The problem, its lines, carets under the mistake and the hint."""
        message = printable(self.message, LONGEST_MESSAGE)
        hint = printable(self.hint, LONGEST_MESSAGE)
        if self.file in _LOOSE:
            return self._override(message, hint)
        head = f"  {self.file}:{self.line}:{self.column}  {message}"
        if not self.source_lines:
            return f"{head}\n     {hint}" if hint else head
        return "\n".join([head, *self._numbered_lines(), f"     {self._margin()}{self._carets(hint)}"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "width": self.width,
            "message": printable(self.message, LONGEST_MESSAGE),
            "hint": printable(self.hint, LONGEST_MESSAGE),
            "source_lines": [printable(line, _WIDEST_LINE) for line in self.source_lines],
        }

    def _override(self, message: str, hint: str) -> str:
        head = f"  {self.file}: "
        shown, _ = self._cut()
        return f"{head}{shown}  {message}\n{' ' * len(head)}{self._carets(hint)}"

    def _numbered_lines(self) -> list[str]:
        shown, start = self._cut()
        before = [printable(line[start : start + _WIDEST_LINE]) for line in self.source_lines[:-1]]
        digits = len(str(self.line))
        first = self.line - len(before)
        return [f"     {first + i:>{digits}} | {line}".rstrip() for i, line in enumerate([*before, shown])]

    def _margin(self) -> str:
        return " " * (len(str(self.line)) + len(" | "))

    def _cut(self) -> tuple[str, int]:
        """The part of a long line that holds the mistake, and the index it starts at."""
        line = self.source_lines[-1]
        start = 0 if self.column <= _WIDEST_LINE - 30 else self.column - _WIDEST_LINE // 2
        return printable(line[start : start + _WIDEST_LINE]), start

    def _carets(self, hint: str) -> str:
        shown, start = self._cut()
        left = self.column - 1 - start
        marked = shown[left : left + max(self.width, 1)]
        return f"{' ' * _cells(shown[:left])}{'^' * max(_cells(marked), 1)} {hint}".rstrip()


@dataclass
class Problems:
    """Collects problems, so that one pass reports them all."""

    found: dict[PlacedProblem, None] = field(default_factory=dict)

    def add(self, place: Place, message: str, hint: str = "", broken_plugin: bool = False) -> None:
        """Note a problem; the same one twice counts once."""
        last = place.line - place.text.first_line
        lines = place.text.lines[max(last - 1, 0) : last + 1]
        problem = PlacedProblem(
            place.text.name, place.line, place.column, message, lines, place.width, hint, broken_plugin
        )
        self.found.setdefault(problem)

    def refuse(self, main_file: str) -> None:
        """Raise InvalidRecipe if there is any problem: those of the main file first, those of overrides last."""
        if not self.found:
            return
        others = dict.fromkeys(problem.file for problem in self.found)
        files = [main_file, *(file for file in others if file != main_file and file not in _LOOSE), *_LOOSE]
        order = {file: number for number, file in enumerate(files)}
        ordered = sorted(self.found, key=lambda problem: (order[problem.file], problem.line, problem.column))
        where = [_LOOSE.get(file, f"in {file}") for file in files if file in others]
        raise InvalidRecipe(ordered, " and ".join(where))


def _cells(text: str) -> int:
    """Columns that a text takes on a terminal: East Asian wide characters take two, combining marks none."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)
