"""YAML text to a tree in which every key and value knows where it stands.

ruamel.yaml's pure parser gives the events; keys, limits and scalars are dealt with here, so that nothing of YAML that
could execute, explode or surprise is ever constructed.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from jepa_core.errors import Preempted
from jepa_core.recipe.explain import Unreadable
from jepa_core.recipe.places import Place, Problems, Text
from jepa_core.recipe.scalars import BadScalar, Value, expand, resolve

LARGEST_FILE = 1024 * 1024
"""Bytes of a recipe file."""
_NOT_YAML = re.compile("[^\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MOST_VALUES = 5_000
_DEEPEST = 32


@dataclass(frozen=True)
class ScalarNode:
    """A single value. text: as written, after the environment's values were put in. given: whether some were."""

    value: Value
    text: str
    place: Place
    given: bool = False


@dataclass(frozen=True)
class ListNode:
    """A list of values."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True)
class Entry:
    """A value of a section, and where its key stands."""

    key: Place
    node: Node


@dataclass(frozen=True)
class SectionNode:
    """A YAML mapping."""

    entries: dict[str, Entry]
    place: Place

    def get(self, key: str) -> Node | None:
        """The value of a key, if the section has it."""
        return self.entries[key].node if key in self.entries else None


@dataclass(frozen=True)
class UnusableNode:
    """A value that cannot be read.

    reason: message and hint of a problem that counts only if no layer above replaces the value; None if it is reported.
    """

    place: Place
    reason: tuple[str, str] | None = None


Node: TypeAlias = ScalarNode | ListNode | SectionNode | UnusableNode


class _Fatal(Exception):
    """The rest of the text cannot be read."""


def parse_yaml(
    name: str, content: str, environment: Mapping[str, str], problems: Problems, folder: Path | None = None
) -> SectionNode | None:
    """The tree of a recipe's text; None if it cannot be read, after saying why in `problems`. folder: of its file."""
    node = parse_node(name, content, environment, problems, folder)
    if node is None or isinstance(node, SectionNode):
        return node
    if is_null(node):
        problems.add(Place(node.place.text, 1, 1, 1), "the recipe is empty")
    elif not isinstance(node, UnusableNode):
        problems.add(node.place, "a recipe is a section of keys, such as `seed: 0`", "")
    return None


def parse_node(
    name: str, content: str, environment: Mapping[str, str], problems: Problems, folder: Path | None = None
) -> Node | None:
    """The tree of any text of ours, whatever its root; None if it cannot be read, after saying why."""
    content = content.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    text = Text(name, tuple(content.split("\n")), folder=folder)
    try:
        return _Reader(text, content, environment, problems).read()
    except _Fatal:
        return None


def plain_values(node: Node) -> Any:
    """The values of a tree."""
    if isinstance(node, SectionNode):
        return {key: plain_values(entry.node) for key, entry in node.entries.items()}
    if isinstance(node, ListNode):
        return [plain_values(item) for item in node.items]
    return node.value if isinstance(node, ScalarNode) else Unreadable()


def is_null(node: Node) -> bool:
    """Whether nothing stands there, or `null`."""
    return isinstance(node, ScalarNode) and node.value is None


def report_unusable(node: Node, problems: Problems) -> None:
    """Note the values below a node that cannot be read."""
    if isinstance(node, UnusableNode) and node.reason:
        problems.add(node.place, *node.reason)
    elif isinstance(node, SectionNode):
        for entry in node.entries.values():
            report_unusable(entry.node, problems)
    elif isinstance(node, ListNode):
        for item in node.items:
            report_unusable(item, problems)


def parse_value(text: Text, start: int, environment: Mapping[str, str], problems: Problems) -> Node:
    """The value of an override, which begins at index `start` of a text of one line.

    What begins with a bracket, a brace or a quote is YAML; anything else is one scalar as it stands, `:` and `#` too.
    """
    content = text.lines[0]
    reader = _Reader(text, content, environment, problems)
    written = content[start:].strip()
    if written[:1] not in tuple("[{\"'"):
        return reader.scalar(written, None, Place(text, text.first_line, start + 1, max(len(content) - start, 1)))
    # Blanks keep the columns true. Only the first line may hold the key, so the blanks are no indentation of anything.
    reader.content = " " * start + content[start:]
    try:
        return reader.read()
    except _Fatal:
        return UnusableNode(Place(text, text.first_line, start + 1, 1))


@lru_cache(maxsize=64)
def _known(content: str) -> list[Any]:
    """The events of a text that was read to its end; none before."""
    return []


def _events(content: str) -> Iterator[Any]:
    """The parser's events of a text. Many recipes extend one file, and a study reads its base for every variant."""
    known = _known(content)
    if known:
        yield from known
        return
    events = []
    for event in YAML(typ="safe", pure=True).parse(content):
        events.append(event)
        yield event
    known[:] = events


@dataclass
class _Reader:
    text: Text
    content: str
    environment: Mapping[str, str]
    problems: Problems
    values: int = 0
    line_starts: list[int] = field(init=False)
    events: Iterator[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.line_starts = [0]
        for line in self.text.lines:
            self.line_starts.append(self.line_starts[-1] + len(line) + 1)

    def read(self) -> Node:
        """The only document of the text."""
        self._refuse_unreadable()
        last = 0
        self.events = _events(self.content)
        try:
            node: Node = ScalarNode(None, "", self.place(0, 0))
            documents = 0
            for event in self.events:
                last = event.end_mark.index
                if isinstance(event, DocumentStartEvent):
                    documents += 1
                    self._refuse_directives(event, documents)
                    node = self._node(next(self.events), None, 0)
        except MarkedYAMLError as error:
            self._syntax_problem(error)
        except (_Fatal, Preempted):
            raise
        except Exception as error:  # ruamel lets others through on malformed text, such as OverflowError on \U99999999
            self.problems.add(self.place(last, last), "this is not valid YAML")
            raise _Fatal from error
        return node

    def place(self, start: int, end: int) -> Place:
        """The place of the characters from index `start` up to `end`, or to the end of the line that `start` is on."""
        line = min(bisect.bisect_right(self.line_starts, start), len(self.text.lines))
        column = start - self.line_starts[line - 1]
        rest = len(self.text.lines[line - 1].rstrip()) - column
        return Place(self.text, line - 1 + self.text.first_line, column + 1, max(min(end - start, rest), 1))

    def scalar(self, written: str, style: str | None, place: Place) -> Node:
        """A scalar's value: quoted ones are text, and block scalars take nothing from the environment."""
        try:
            if style in ("|", ">"):
                return ScalarNode(written, written, place)
            text, whole = expand(written, self.environment)
            return ScalarNode(text if style and not whole else resolve(text), text, place, text != written)
        except BadScalar as error:
            message, hint = error.args
            return UnusableNode(place, (message, hint))

    def _node(self, event: Any, key: Place | None, depth: int) -> Node:
        self.values += 1
        place = self.place(event.start_mark.index, event.end_mark.index)
        if self.values > _MOST_VALUES or depth > _DEEPEST:
            limit = f"more than {_MOST_VALUES} values" if self.values > _MOST_VALUES else f"more than {_DEEPEST} levels"
            self._fatal(place, f"{limit} in one recipe")
        usable = self._is_plain_data(event, place)
        if isinstance(event, SequenceStartEvent):
            node: Node = self._list(event, key, depth)
        elif isinstance(event, MappingStartEvent):
            node = self._section(event, key, depth)
        elif isinstance(event, ScalarEvent) and usable:
            empty = event.start_mark.index == event.end_mark.index
            node = self.scalar(event.value, event.style, key if empty and key else place)
        else:
            node = UnusableNode(place)
        return node if usable else UnusableNode(place)

    def _list(self, start: Any, key: Place | None, depth: int) -> ListNode:
        items = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            items.append(self._node(event, None, depth + 1))
        return ListNode(tuple(items), self._collection_place(start, event, key))

    def _section(self, start: Any, key: Place | None, depth: int) -> SectionNode:
        entries: dict[str, Entry] = {}
        while not isinstance(event := next(self.events), MappingEndEvent):
            key_place = self.place(event.start_mark.index, event.end_mark.index)
            name = self._key(event, key_place)
            node = self._node(next(self.events), key_place, depth + 1)
            if name in entries:
                first = entries[name].key.line
                self.problems.add(key_place, f"the key '{name}' is given twice", f"first given on line {first}")
            else:
                entries[name] = Entry(key_place, node)
        first_key = next(iter(entries.values())).key if entries else None
        return SectionNode(entries, self._collection_place(start, event, key or first_key))

    def _key(self, event: Any, place: Place) -> str:
        if not isinstance(event, ScalarEvent):
            self._fatal(place, "a key must be a plain word")
        if not event.value:
            self._fatal(place, "a value without a key")
        self._is_plain_data(event, place)
        return event.value

    def _collection_place(self, start: Any, end: Any, key: Place | None) -> Place:
        """Of a collection in brackets, the brackets; else the key that it belongs to."""
        if start.flow_style or key is None:
            return self.place(start.start_mark.index, end.end_mark.index)
        return key

    def _is_plain_data(self, event: Any, place: Place) -> bool:
        """Whether the value carries no YAML feature that a recipe does without."""
        if isinstance(event, AliasEvent):
            self.problems.add(place, f"the alias '*{event.anchor}'", "recipes use no aliases; write the value out")
        elif event.anchor is not None:
            self.problems.add(place, f"the anchor '&{event.anchor}'", "recipes use no anchors; write the value out")
        elif event.tag is not None:
            self.problems.add(place, "a tag (!)", "recipes hold plain values; put text that begins with ! in quotes")
        else:
            return True
        return False

    def _refuse_unreadable(self) -> None:
        for number, line in enumerate(self.text.lines, start=1):
            if re.match(r"(<{7}|>{7})(\s|$)", line):
                self._fatal(Place(self.text, number, 1, 7), "a merge-conflict marker", "finish the merge")
        if match := _NOT_YAML.search(self.content):
            place = self.place(match.start(), match.end())
            self._fatal(place, f"a character that YAML does not allow (U+{ord(match[0]):04X})")

    def _refuse_directives(self, event: Any, documents: int) -> None:
        place = self.place(event.start_mark.index, event.end_mark.index)
        if documents > 1:
            self._fatal(place, "a second document (---)", "a recipe is one document")
        if event.tags or event.version not in (None, (1, 2)):
            line = next(number for number, line in enumerate(self.text.lines, start=1) if line.startswith("%"))
            self._fatal(
                Place(self.text, line, 1, 1), "a YAML directive (%)", "recipes are plain YAML 1.2; remove the line"
            )

    def _syntax_problem(self, error: MarkedYAMLError) -> None:
        problem = str(error.problem)
        mark = error.problem_mark or error.context_mark
        at = mark.index if mark else 0
        place = self.place(at, at + 1)
        blanks = re.match(r"\s*", self.text.lines[place.line - self.text.first_line])
        if "'\\t'" in problem or (blanks and "\t" in blanks[0]):
            self._fatal(place, "a tab", "indent with spaces")
        for sign, message, hint in _SYNTAX:
            if sign in problem:
                if error.context_mark and ("end of stream" in problem or "stream end" in problem):
                    place = self.place(error.context_mark.index, error.context_mark.index + 1)
                self._fatal(place, message, hint)
        self._fatal(place, f"this is not valid YAML: {problem}")

    def _fatal(self, place: Place, message: str, hint: str = "") -> None:
        self.problems.add(place, message, hint)
        raise _Fatal


_SYNTAX = (
    (
        "mapping values are not allowed",
        "a ':' that does not fit",
        "check the indentation; put text with ': ' in quotes",
    ),
    ("expected <block end>", "this line does not fit the lines above", "check the indentation"),
    ("<document start>", "this line does not fit the lines above", "check the indentation"),
    ("could not find expected ':'", "a key without ':'", "write `key: value`"),
    ("unexpected end of stream", "a quote that is not closed", ""),
    ("that cannot start any token", "text cannot begin with this character", "put it in quotes"),
    ("expected ',' or ']'", "a ',' or ']' is missing", ""),
    ("expected ',' or '}'", "a ',' or '}' is missing", "inside braces, put ${...} in quotes"),
    ("unknown escape character", "a backslash in double quotes", "use single quotes"),
)
