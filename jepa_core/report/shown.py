"""Which columns of a table of findings are shown, and which of them share a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jepa_core.results.findings import Cell, Column, Table
from jepa_core.results.text import MISSING, estimate, interval


@dataclass(frozen=True)
class ShownColumn:
    """A column as it is shown. place: position of its value, None where bounds stand alone. low, high: positions of the
    bounds that stand in the same cell, if it has any."""

    column: Column
    place: int | None
    low: int | None = None
    high: int | None = None

    def is_numeric(self, table: Table) -> bool:
        return self.place is None or all(not isinstance(row[self.place], str) for row in table.rows)

    def told(self, row: Sequence[Cell]) -> tuple[str, str]:
        """A row's value as it is read, and its interval; the second is empty where there is none, or where bounds stand
        alone and are the first."""
        low, high = self._bounds(row)
        if self.place is None:
            return interval(low, high, self.column.digits) or MISSING, ""
        value = row[self.place]
        return (value, "") if isinstance(value, str) else estimate(value, low, high, self.column.digits)

    def _bounds(self, row: Sequence[Cell]) -> tuple[float | None, float | None]:
        if self.low is None or self.high is None:
            return None, None
        low, high = row[self.low], row[self.high]
        return (None, None) if isinstance(low, str | None) or isinstance(high, str | None) else (low, high)


def shown_columns(table: Table) -> list[ShownColumn]:
    """Columns as they are shown. Bounds `x_low` and `x_high` stand in the cell of the value `x` that comes just before
    them, else in a column of their own: a column `x` elsewhere is another quantity, such as a count."""
    columns = table.columns
    pairs = {
        place: columns[place].name.removesuffix("_low")
        for place in range(len(columns) - 1)
        if columns[place].name.endswith("_low")
        and columns[place + 1].name == f"{columns[place].name.removesuffix('_low')}_high"
    }
    shown = []
    for place, column in enumerate(columns):
        if place in pairs and (not place or columns[place - 1].name != pairs[place]):
            alone = replace(column, name=f"{pairs[place]} interval")
            shown.append(ShownColumn(alone, None, place, place + 1))
        elif place not in pairs and place - 1 not in pairs:
            beside = pairs.get(place + 1) == column.name
            shown.append(ShownColumn(column, place, *((place + 1, place + 2) if beside else ())))
    return shown
