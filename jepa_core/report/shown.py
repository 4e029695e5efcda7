"""Which columns of a table of findings are shown, and which of them share a cell."""

from __future__ import annotations

import itertools
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
    bounded = {
        index: low.name.removesuffix("_low")
        for index, (low, high) in enumerate(itertools.pairwise(columns))
        if low.name.endswith("_low") and high.name == f"{low.name.removesuffix('_low')}_high"
    }
    shown = []
    for index, column in enumerate(columns):
        if index in bounded and (not index or columns[index - 1].name != bounded[index]):
            alone = replace(column, name=f"{bounded[index]} interval")
            shown.append(ShownColumn(alone, None, index, index + 1))
        elif index not in bounded and index - 1 not in bounded:
            beside = bounded.get(index + 1) == column.name
            shown.append(ShownColumn(column, index, *((index + 1, index + 2) if beside else ())))
    return shown
