"""What is said at the end of a run: its answers and headline figures, as a table."""

from __future__ import annotations

from rich.table import Table

from jepa_core.results.in_short import in_short
from jepa_core.results.record import RunRecord
from jepa_core.results.text import sentence_case
from jepa_core.results.wording import in_words_of


def ending(record: RunRecord) -> Table:
    """The table; what too few positives stand behind is dim."""
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("found", overflow="fold", ratio=3)
    table.add_column("value (95 % interval)", overflow="fold", ratio=3)
    table.add_column("gain over others", overflow="fold", ratio=4)
    for name, findings in record.in_order():
        table.add_row(sentence_case(name), style="bold")
        for asked, value, gains, thin in in_short(in_words_of(findings, record.noun)):
            table.add_row(f"  {asked}", value, gains, style="dim" if thin else "")
    return table
