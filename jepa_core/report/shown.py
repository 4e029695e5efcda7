"""Which columns of a table of findings are shown, and which of them share a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jepa_core.results.findings import Cell, Column, Table


@dataclass(frozen=True)
class ShownColumn:
    """A column as it is shown. low, high: positions of the bounds that stand in the same cell, if it has any."""

    column: Column
    place: int
    low: int | None = None
    high: int | None = None

    def is_numeric(self, table: Table) -> bool:
        return all(not isinstance(row[self.place], str) for row in table.rows)

    def bounds(self, row: Sequence[Cell]) -> tuple[float, float] | None:
        """The interval of a row's value; None if it has none."""
        if self.low is None or self.high is None:
            return None
        low, high = row[self.low], row[self.high]
        return None if isinstance(low, str | None) or isinstance(high, str | None) else (low, high)


def shown_columns(table: Table) -> list[ShownColumn]:
    """Columns as they are shown, the bounds `x_low` and `x_high` beside their value `x`."""
    places = {column.name: index for index, column in enumerate(table.columns)}
    bounds = {f"{name}{end}" for name in places for end in ("_low", "_high")}
    return [
        ShownColumn(column, index, places.get(f"{column.name}_low"), places.get(f"{column.name}_high"))
        for index, column in enumerate(table.columns)
        if column.name not in bounds
    ]
