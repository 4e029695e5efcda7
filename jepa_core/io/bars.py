"""Bars on a terminal, which leave room for the ^C that it shows."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task
from rich.table import Table

ECHO = 2
"""Columns that are left free behind bars: enough for ^C."""


class Bars(Progress):
    """Bars that end before the last columns of a terminal.

    It shows ^C where the cursor stands, which is behind the last bar. In the last column that would begin a new line,
    of which nobody who draws knows: the next words would be written between two pictures of one bar.
    """

    def __init__(self, *columns: ProgressColumn, console: Console, refresh_per_second: float = 10) -> None:
        self._screen = console  # tables are made before the console of the class above is there
        super().__init__(*columns, console=console, refresh_per_second=refresh_per_second, expand=True)

    def make_tasks_table(self, tasks: Iterable[Task]) -> Table:
        table = super().make_tasks_table(tasks)
        table.width = max(1, self._screen.width - ECHO)
        return table
