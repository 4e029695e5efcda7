"""Text files in blocks of whole records, with the line of every record.

A record is a row of CSV (RFC 4180). It ends at a line break that stands in no quoted cell, so a record may have several
lines; lines are counted as an editor counts them. A quote opens a cell only where the cell begins.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

BLOCK_BYTES = 1 << 23
LONGEST_RECORD = 1 << 26
"""Bytes after which a record that does not end is taken for one that lacks a closing quote."""

_BOM = b"\xef\xbb\xbf"
_LF, _CR, _QUOTE = 10, 13, 34


class EndlessRecord(Exception):
    """A record does not end. line: where it begins."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


@dataclass(frozen=True)
class TextBlock:
    """Some whole records. text: as it stands in the file. line: of the first record, counted from 1. breaks: for each
    line break within a quoted cell, which makes a line and no record, the record that it stands in, counted from 0."""

    text: bytes
    line: int
    breaks: tuple[int, ...] = ()

    def line_of(self, record: int) -> int:
        """The line that a record of the block begins in."""
        return self.line + record + bisect_left(self.breaks, record)

    def line_at(self, offset: int) -> int:
        """The line that a byte of the block stands in."""
        return self.line + int(_line_breaks(self.text[:offset], True).sum())

    def without_lines(self, count: int) -> TextBlock:
        """The block without its first record, which has so many lines."""
        ends = np.flatnonzero(_line_breaks(self.text, True))
        begins = int(ends[count - 1]) + 1 if len(ends) >= count else len(self.text)
        later = self.breaks[bisect_left(self.breaks, 1) :]
        return TextBlock(self.text[begins:], self.line + count, tuple(record - 1 for record in later))


def text_blocks(file: IO[bytes], separator: str, quoted: bool) -> Iterator[TextBlock]:
    """Every record of a file. quoted: whether cells can stand in quotes.

    Raises EndlessRecord, and what reading the file raises.
    """
    rest, line, ended = file.read(len(_BOM)).removeprefix(_BOM), 1, False
    while not ended:
        piece = file.read(BLOCK_BYTES)
        ended = not piece
        text = rest + piece
        block = _whole(text, line, separator if quoted and b'"' in text else "", ended)
        if block.text:
            yield block
            line = block.line_at(len(block.text))
        elif len(text) > LONGEST_RECORD:
            raise EndlessRecord(line)
        rest = text[len(block.text) :]


def _whole(text: bytes, line: int, separator: str, ended: bool) -> TextBlock:
    """The records that end within a text. separator: between its cells; empty if none of them stands in quotes. ended:
    whether the text goes on no further."""
    ends = _line_breaks(text, ended)
    if not separator or _is_simple(text, separator, ends, ended):
        return TextBlock(text[: _size(text, ends, ended)], line)
    within, opened = _in_quotes(text, separator)
    record_ends = ends & ~within
    size = _size(text, record_ends, ended)
    if opened is not None and ended:
        raise EndlessRecord(line + int(ends[:opened].sum()))
    record = np.cumsum(record_ends[:size])
    return TextBlock(text[:size], line, tuple(record[np.flatnonzero((ends & within)[:size])].tolist()))


def _size(text: bytes, record_ends: np.ndarray, ended: bool) -> int:
    """Bytes of a text up to the end of its last record."""
    places = np.flatnonzero(record_ends)
    return len(text) if ended else int(places[-1]) + 1 if len(places) else 0


def _line_breaks(text: bytes, ended: bool) -> np.ndarray:
    """(bytes,) whether a line ends with each: at a line feed, or at a carriage return that none follows."""
    byte = np.frombuffer(text, dtype=np.uint8)
    alone = byte == _CR
    if alone.any():
        alone[:-1] &= byte[1:] != _LF
        alone[-1] &= ended
    return (byte == _LF) | alone


def _is_simple(text: bytes, separator: str, ends: np.ndarray, ended: bool) -> bool:
    """Whether every line closes the quotes that it opens and no quote stands amid a cell, so that no quoted cell holds
    a line break. It spares finding the cells one by one."""
    byte = np.frombuffer(text, dtype=np.uint8)
    quotes = byte == _QUOTE
    lines = np.append(np.flatnonzero(ends), len(text) - 1) if ended else np.flatnonzero(ends)
    if np.any(np.cumsum(quotes)[lines] % 2):
        return False
    edge = np.isin(byte, np.frombuffer(b'\r\n"' + separator.encode(), dtype=np.uint8))
    return not np.any(quotes[1:-1] & ~edge[:-2] & ~edge[2:])


def _in_quotes(text: bytes, separator: str) -> tuple[np.ndarray, int | None]:
    """(bytes,) whether each stands in a quoted cell; and where a cell begins that does not end."""
    cell = re.compile(rb'(?<![^%s\r\n])"[^"]*(?:""[^"]*)*("|\Z)' % re.escape(separator.encode()))
    within = np.zeros(len(text), dtype=bool)
    for match in cell.finditer(text):
        start, stop = match.span()
        within[start:stop] = True
        if not match.group(1):
            return within, start
    return within, None
