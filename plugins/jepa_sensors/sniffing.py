"""How files have to be read, as far as their first line and their bytes tell."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jepa_core.errors import DataError
from jepa_sensors.files import UNREADABLE, find, format_of, is_table, open_bytes

_BYTE_ORDER = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_PIECE = 1 << 20


def tables_at(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The tables of one kind that files, folders and wildcards name, in order; and the names of the other files there.

    The kind is that of most of them. Nothing is found where no name tells of a table.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        else:
            files += find([str(path)])
    kinds = Counter(format_of(path) for path in files if is_table(path))
    if not kinds:
        return [], []
    kind = kinds.most_common(1)[0][0]
    tables = [path for path in files if is_table(path) and format_of(path) == kind]
    return tables, [path.name for path in files if path not in tables]


def tables_below(paths: Sequence[Path]) -> list[str]:
    """Wildcards for the tables in folders of folders that were named, of the most usual ending in each."""
    patterns = []
    for path in (path for path in paths if path.is_dir()):
        endings = Counter(file.suffix for file in path.glob("*/*") if is_table(file))
        patterns += [f"{path}/*/*{endings.most_common(1)[0][0]}"] if endings else []
    return patterns


def sniffed(path: Path) -> dict[str, Any]:
    """How a file has to be read: its format, separator, encoding, and names of columns where it has none.

    Raises DataError if it cannot be read.
    """
    kind = format_of(path)
    if kind not in ("csv", "blanks"):
        return {"format": kind}
    try:
        encoding = _encoding(path)
        with open_bytes(path, encoding) as file:
            line = io.TextIOWrapper(file, encoding="utf-8-sig").readline().rstrip("\r\n")
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read ({type(error).__name__}); copy the file again") from error
    cells, reading = _laid_out(kind, line)
    if encoding != "utf-8":
        reading["encoding"] = encoding
    if _is_row(cells):
        reading["columns"] = [f"column_{number}" for number in range(1, len(cells) + 1)]
    return reading


def _laid_out(kind: str, line: str) -> tuple[list[str], dict[str, Any]]:
    """The cells of a line, and how it separates them."""
    counts = {separator: line.count(separator) for separator in ",;\t|"}
    separator = max(counts, key=counts.__getitem__)
    if kind == "blanks" and counts[separator] == 0 or counts[separator] == 0 and len(line.split()) > 1:
        return line.split(), {"format": "blanks"}
    cells = next(csv.reader([line], delimiter=separator), [])
    return cells, {"format": "csv", "separator": separator if counts[separator] else ","}


def _encoding(path: Path) -> str:
    """UTF-8 if all of the file is; else what its first bytes say, or the usual one of older files."""
    with open_bytes(path) as file:
        first = file.read(_PIECE)
        for mark, name in _BYTE_ORDER.items():
            if first.startswith(mark):
                return name
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while first:
                decoder.decode(first)
                first = file.read(_PIECE)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252" if _decodes(path, "cp1252") else "latin-1"
    return "utf-8"


def _decodes(path: Path, encoding: str) -> bool:
    with open_bytes(path) as file:
        try:
            while piece := file.read(_PIECE):
                piece.decode(encoding)
        except UnicodeDecodeError:
            return False
    return True


def _is_row(cells: Sequence[str]) -> bool:
    """Whether the first line holds readings, not names. Numbers that count on from 0 or 1 are names of samples."""
    numbers = [value for cell in cells if (value := _number(cell)) is not None]
    behind = len(numbers) > 2 and len(numbers) >= len(cells) - 1 and _number(cells[-1]) is not None
    counted = behind and numbers[0] in (0, 1) and all(b - a == 1 for a, b in zip(numbers, numbers[1:], strict=False))
    return bool(numbers) and not counted


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
