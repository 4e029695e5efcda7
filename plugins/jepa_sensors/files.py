"""Where the files of a table lie, which format they have, and what their columns are called."""

from __future__ import annotations

import codecs
import csv
import glob
import gzip
import importlib.util
import io
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast

from jepa_core.errors import DataError
from jepa_sensors.series_files import Axis, ts_columns

Format = Literal["csv", "blanks", "parquet", "ts", "npy"]

PACKAGE = "package:"
"""What a place begins with that lies in an installed package, as in package:NAME/FOLDER/FILE."""

_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".psv": "csv",
    ".txt": "blanks",
    ".dat": "blanks",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".ts": "ts",
    ".npy": "npy",
}
_SEPARATORS = {".tsv": "\t", ".psv": "|"}

_PIECE = 1 << 20

_INDEX = re.compile(r"__index_level_\d+__|Unnamed: \d+")
"""What pandas calls the row labels that it writes beside the columns, and those that it reads back."""


@dataclass(frozen=True)
class Header:
    """Names of a file's columns, all different. indexes: those that are row labels of who wrote the file: its author
    gave them no name, so nothing but a recipe that asks for them by name makes them a channel. first: line of the first
    row."""

    names: list[str]
    indexes: frozenset[str] = frozenset()
    first: int = 1


def find(places: Sequence[str]) -> list[Path]:
    """The files that places name, in the order of the places and, where one has wildcards, of the names."""
    paths: list[Path] = []
    for pattern in places:
        path = Path(_in_package(pattern)).expanduser() if pattern.startswith(PACKAGE) else Path(pattern).expanduser()
        paths += [path] if path.is_file() else _matching(path)
    return [path for path in paths if path.is_file()]


def _matching(pattern: Path) -> list[Path]:
    """What a path with wildcards matches. The folders that are there as they are written are no wildcards."""
    folder = pattern.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    inside = str(pattern.relative_to(folder))
    return sorted(folder / name for name in glob.glob(inside, root_dir=folder, recursive=True))


def not_found(places: Sequence[str]) -> list[str]:
    """A sentence for every place where no file is."""
    said = []
    for pattern in places:
        package = pattern.removeprefix(PACKAGE).split("/")[0]
        if pattern.startswith(PACKAGE) and importlib.util.find_spec(package) is None:
            said.append(f"the package {package} is not installed; install it with: pip install {package}")
        elif not find([pattern]):
            said.append(f"no file is at {pattern}; set `files` to the files that hold the readings")
    return said


def _in_package(path: str) -> str:
    """The path of a file in an installed package, which is not imported."""
    package, _, inside = path.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    return str(Path(folders[0]) / inside) if folders else path


def is_table(path: Path) -> bool:
    """Whether a file's name says that it holds a table."""
    return path.is_file() and _ending(path) in _FORMATS


def refuse_other_kinds(paths: Sequence[Path]) -> None:
    """Say of files that hold readings in a form that is not read how to save them.

    Raises DataError for the first.
    """
    for path in paths:
        how = _OTHERS.get(path.suffix.lower())
        if how and path.is_file():
            raise DataError(f"{path}: this form of readings is not read; {how}")


_OTHERS = {
    ".npz": "it is an archive of arrays: save each by numpy.save",
    ".xls": "save the sheet as CSV", ".xlsx": "save the sheet as CSV", ".ods": "save the sheet as CSV",
    ".feather": "save it as Parquet", ".arrow": "save it as Parquet", ".h5": "save it as Parquet or CSV",
    ".hdf5": "save it as Parquet or CSV", ".mat": "save its arrays by numpy.save", ".pkl": "save it as Parquet or CSV",
    ".hea": "it heads a record of WFDB: save what wfdb.rdrecord(...).to_dataframe() gives as Parquet",
    ".edf": "save its signals as Parquet", ".bdf": "save its signals as Parquet", ".zip": "unpack it",
    ".json": "save it as CSV", ".jsonl": "save it as CSV",
}  # fmt: skip


def format_of(path: Path) -> Format:
    """The format that a file's name tells; CSV for an ending that nobody knows."""
    return _FORMATS.get(_ending(path), "csv")


def separator_of(path: Path) -> str:
    """The separator that the name of a CSV file tells."""
    return _SEPARATORS.get(_ending(path), ",")


def _ending(path: Path) -> str:
    return Path(path.stem if _is_packed(path) else path.name).suffix.lower()


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def open_bytes(path: Path, encoding: str = "utf-8") -> IO[bytes]:
    """A file's content in UTF-8, unpacked if it is packed."""
    raw = cast(IO[bytes], gzip.open(path)) if _is_packed(path) else path.open("rb")  # noqa: SIM115 - the caller's
    return raw if codecs.lookup(encoding).name == "utf-8" else io.BufferedReader(_Recoded(raw, encoding))


class _Recoded(io.RawIOBase):
    """A text in another encoding, as UTF-8."""

    def __init__(self, raw: IO[bytes], encoding: str) -> None:
        super().__init__()
        self._text = io.TextIOWrapper(raw, encoding, newline="")
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or self._text.read(_PIECE).encode()
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size

    def close(self) -> None:
        self._text.close()
        super().close()


UNREADABLE = (OSError, EOFError, zlib.error, UnicodeError, csv.Error)
"""What reading a damaged file raises."""


def header(
    path: Path, kind: Format, separator: str, columns: Sequence[str], encoding: str = "utf-8", axes: Sequence[Axis] = ()
) -> Header:
    """A file's columns: those given, else what its first record, its schema or its shape tells. axes: of an array.

    Raises DataError if the file is empty or cannot be read.
    """
    try:
        if kind == "parquet":
            return _named(path, _parquet_names(path))
        if columns:
            return Header(list(columns))
        if kind == "npy":
            from jepa_sensors.arrays import array_columns

            return Header(array_columns(path, axes))
        with open_bytes(path, encoding) as file:
            # What is no text is told when its row is read, for a wrapper reads ahead of the lines that it gives.
            lines = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
            if kind == "ts":
                return Header(ts_columns(lines))
            names, first = _first_record(lines, kind, separator)
            " ".join(names).encode()
    except UnicodeError as error:
        raise DataError(not_this_encoding(f"{path}, line 1", encoding)) from error
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read ({type(error).__name__}); copy the file again") from error
    if not names:
        raise DataError(f"{path} is empty; there is not even a header in its first line")
    return _named(path, names, first)


def not_this_encoding(place: str, encoding: str) -> str:
    """That the text at a place is in another encoding than it should be in."""
    told = "UTF-8" if codecs.lookup(encoding).name == "utf-8" else encoding
    return (
        f"{place}: not {told} text; save it as UTF-8, or set source.encoding to what it is (latin-1 and cp1252 are "
        "usual in older files)"
    )


def _named(path: Path, names: Sequence[str], first: int = 1) -> Header:
    """A header with a name for every column, a column without one being called by its place."""
    named = [name or f"column_{number}" for number, name in enumerate(names, start=1)]
    repeated = next((name for name in named if named.count(name) > 1), None)
    if repeated is not None:
        first_two = " and ".join([str(at) for at, name in enumerate(named, start=1) if name == repeated][:2])
        raise DataError(
            f"{path}, line 1: the columns {first_two} have one name; rename one, or, if this is no header, name "
            "all in source.columns"
        )
    indexes = (name for name, given in zip(named, names, strict=True) if not given or _INDEX.fullmatch(given))
    return Header(named, frozenset(indexes), first)


def _first_record(lines: Iterable[str], kind: Format, separator: str) -> tuple[list[str], int]:
    """The first record, and the line that the second begins in."""
    if kind == "blanks":
        return next(iter(lines), "").split(), 2
    reader = csv.reader(lines, delimiter=separator)
    row = [re.sub(r"\s*[\r\n]\s*", " ", name.strip()) for name in next(reader, [])]
    return row, reader.line_num + 1


def _parquet_names(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as parquet; copy the file again") from error
