"""Where the files of a table lie, which format they have, and what their columns are called."""

from __future__ import annotations

import csv
import glob
import gzip
import importlib.util
import io
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Literal

from jepa_core.errors import DataError

Format = Literal["csv", "blanks", "parquet", "ts"]

PACKAGE = "package:"
"""What a place begins with that lies in an installed package, as in package:NAME/FOLDER/FILE."""

_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "blanks",
    ".dat": "blanks",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".ts": "ts",
}
TS_COLUMNS = ("series", "sample")
"""The columns that the format `ts` begins with: number of the series and of the sample in it, both from 0."""


def find(places: Sequence[str]) -> list[Path]:
    """The files that places name, in the order of the places and, where one has wildcards, of the names."""
    found: list[Path] = []
    for place in places:
        path = Path(_in_package(place)).expanduser() if place.startswith(PACKAGE) else Path(place).expanduser()
        found += [path] if path.is_file() else sorted(map(Path, glob.glob(str(path), recursive=True)))
    return [path for path in found if path.is_file()]


def not_found(places: Sequence[str]) -> list[str]:
    """A sentence for every place where no file is."""
    said = []
    for place in places:
        package = place.removeprefix(PACKAGE).split("/")[0]
        if place.startswith(PACKAGE) and importlib.util.find_spec(package) is None:
            said.append(f"the package {package} is not installed; install it with: pip install {package}")
        elif not find([place]):
            said.append(f"no file is at {place}; set `files` to the files that hold the readings")
    return said


def _in_package(place: str) -> str:
    """The path of a file in an installed package, which is not imported."""
    package, _, inside = place.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    return str(Path(folders[0]) / inside) if folders else place


def is_table(path: Path) -> bool:
    """Whether a file's name says that it holds a table."""
    return path.is_file() and _ending(path) in _FORMATS


def format_of(path: Path) -> Format:
    """The format that a file's name tells; CSV for an ending that nobody knows."""
    return _FORMATS.get(_ending(path), "csv")


def separator_of(path: Path) -> str:
    """The separator that the name of a CSV file tells."""
    return "\t" if _ending(path) == ".tsv" else ","


def _ending(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def open_bytes(path: Path) -> IO[bytes]:
    """A file's content, unpacked if it is packed."""
    return gzip.open(path) if path.name.endswith(".gz") else path.open("rb")


UNREADABLE = (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error)
"""What reading a damaged file raises."""


def header(path: Path, kind: Format, separator: str, columns: Sequence[str]) -> list[str]:
    """Names of a file's columns: those given, else those that its first line or its schema tells.

    Raises DataError if the file is empty or cannot be read.
    """
    try:
        if kind == "parquet":
            return _parquet_names(path)
        if columns:
            return list(columns)
        with open_bytes(path) as file:
            lines = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
            names = _ts_names(lines) if kind == "ts" else _first_row(lines, kind, separator)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text; save it as UTF-8") from error
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read ({type(error).__name__}); copy the file again") from error
    if not names:
        raise DataError(f"{path} is empty; there is not even a header in its first line")
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise DataError(f"{path}, line 1: the column {min(repeated)} stands there twice; rename one of them")
    return names


def _first_row(lines: Iterable[str], kind: Format, separator: str) -> list[str]:
    first = next(iter(lines), "")
    row = first.split() if kind == "blanks" else next(csv.reader([first], delimiter=separator), [])
    return [name.strip() for name in row]


def _ts_names(lines: Iterable[str]) -> list[str]:
    for line in lines:
        words = line.split()
        if words and words[0].lower() == "@dimensions":
            return [*TS_COLUMNS, *(f"dim_{number}" for number in range(int(words[1]))), "class"]
    return [*TS_COLUMNS, "dim_0", "class"]


def _parquet_names(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as parquet; copy the file again") from error
