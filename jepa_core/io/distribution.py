"""Tables as somebody distributes them: where they lie in a folder, and which of their columns are read.

Imports no database, so that planning needs none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jepa_core.errors import DataError


@dataclass(frozen=True)
class Distribution:
    """Tables that are distributed together, as CSV or Parquet files of one folder.

    name: what they are called. holds: what their folder holds, in words that complete `the folder that holds`. columns:
    of each table those that are read, in lower case, with the DuckDB type that each must have; every other column is
    skipped. A table is called by its path in the folder, without a suffix. suffixes: formats of a table, the fastest to
    read first: where a table stands in several, the first is read.
    """

    name: str
    holds: str
    columns: Mapping[str, Mapping[str, str]]
    suffixes: tuple[str, ...] = (".csv", ".csv.gz")

    def find(self, folder: Path, table: str) -> Path | None:
        """The file of a table, in whichever case its name is written; None if there is none."""
        stem = folder / table
        if not stem.parent.is_dir():
            return None
        files = {path.name.lower(): path for path in sorted(stem.parent.iterdir(), reverse=True) if path.is_file()}
        return next((files[name] for name in self._file_names(stem) if name in files), None)

    def files(self, folder: Path) -> dict[str, Path]:
        """The file of every table. Raises DataError naming the folder, or every table, that is not there."""
        self.require(folder)
        paths = {table: self.find(folder, table) for table in self.columns}
        missing = [table for table, path in paths.items() if path is None]
        if missing:
            raise DataError(
                f"{folder} lacks {', '.join(missing)} (looked for {', '.join(self.suffixes)}); "
                "the tables must lie there as they are distributed"
            )
        return {table: path for table, path in paths.items() if path is not None}

    def require(self, folder: Path) -> None:
        """Raises DataError if there is no such folder."""
        if not folder.is_dir():
            raise DataError(f"the folder {folder} is not there; set `tables` to the folder that holds {self.holds}")

    def missing(self, folder: Path) -> list[str]:
        """One sentence for each table that is not there, or one for the folder."""
        try:
            self.require(folder)
        except DataError as error:
            return [str(error)]
        looked = f"(looked for {', '.join(self.suffixes)})"
        return [f"table {name} is not in {folder} {looked}" for name in self.columns if self.find(folder, name) is None]

    def _file_names(self, stem: Path) -> list[str]:
        return [f"{stem.name}{suffix}".lower() for suffix in self.suffixes]
