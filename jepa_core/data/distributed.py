"""What a recipe says about any source that reads tables as they are distributed. Imports no database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field

from jepa_core.config import Input, PathText, SourceConfig
from jepa_core.errors import RecipeError
from jepa_core.io.distribution import Distribution
from jepa_core.io.files import real_path

SYNTHETIC = "synthetic"
"""What `tables` says where the source makes them itself."""

TablesFolder = Annotated[str, PathText(other=SYNTHETIC), Field(min_length=1)]
"""The folder of the tables, or the word `synthetic`."""
MemoryLimit = Annotated[str, Field(pattern=r"^\d+(\.\d+)?\s*(MB|MiB|GB|GiB)$")]
"""Memory of the database, in which it reads and sorts."""


class DistributedTablesConfig(SourceConfig):
    """Base of the configs of such sources. A source that can make its tables says how under a key of its own."""

    distribution: ClassVar[Distribution]
    """The tables, and where they lie."""

    tables: TablesFolder = SYNTHETIC

    @property
    def is_synthetic(self) -> bool:
        return self.tables == SYNTHETIC

    @property
    def folder(self) -> Path:
        """The folder of the distributed tables."""
        return Path(self.tables).expanduser()

    def at(self, paths: Sequence[Path]) -> Self:
        """The config for the tables in another folder, none of which is divided."""
        if len(paths) != 1 or not paths[0].is_dir():
            owner, holds = self.distribution.name, self.distribution.holds
            raise RecipeError(f"the tables of {owner} are read from one folder, which holds {holds}; give that")
        return self.model_copy(update={"tables": str(real_path(paths[0])), "split": None})

    def inputs(self) -> list[Input]:
        """The table files that building the store will read; none for synthetic tables, which are made on the way."""
        if self.is_synthetic:
            return []
        paths = (self.distribution.find(self.folder, table) for table in self.distribution.columns)
        return [Input(path, path.stat().st_size) for path in paths if path is not None]

    def missing(self) -> list[str]:
        """One sentence for each table that is not there, or one for the folder."""
        return [] if self.is_synthetic else self.distribution.missing(self.folder)
