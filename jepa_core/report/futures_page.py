"""Two futures as one HTML page: what was done in each, figures with bands, the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jepa_core.io.files import disk_errors, write_atomically
from jepa_core.report.document import document, judgement
from jepa_core.report.html import Markup, element, join
from jepa_core.report.plots import draw_figure, legend, styles, y_limits
from jepa_core.report.tables import findings_table, pairs
from jepa_core.results.findings import Figure, Table
from jepa_core.results.text import counted


@dataclass(frozen=True)
class FuturesPage:
    """What stands in the page. model: name of the recipe. given, against: what is done in each future, in words. at,
    horizon: steps seen and imagined. trajectories: how many. caution: what the figures do not say."""

    model: str
    given: str
    against: str
    at: int
    horizon: int
    trajectories: int
    caution: str
    figures: Sequence[Figure]
    table: Table

    def write(self, path: Path) -> None:
        """Write the page, atomically. Raises RunError if the disk is full or read-only."""
        with disk_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, self.html().encode())

    def html(self) -> str:
        """The whole page."""
        sections = [("futures", "Futures", self._figures()), ("table", "Table", findings_table(self.table, "futures"))]
        return document(f"{self.model}: two futures", self._first_screen(), sections)

    def _first_screen(self) -> Iterator[Markup]:
        facts = [counted(self.trajectories, "trajectory"), f"{counted(self.at, 'step')} seen"]
        facts.append(f"{counted(self.horizon, 'step')} imagined")
        yield element("p", "What if", class_="kicker")
        yield element("h1", self.model)
        yield element("p", " · ".join(facts), class_="facts")
        yield element("ul", judgement("warning", self.caution), class_="verdicts")
        yield pairs({"under_the_acts": self.given, "against": self.against})

    def _figures(self) -> Markup:
        """Every channel in a panel, under one legend."""
        labels = [
            (series.label, series.control) for series in max(self.figures, key=lambda figure: len(figure.series)).series
        ]
        panels = [_panel(figure) for figure in self.figures]
        bands = [
            element("p", band, class_="note") for band in dict.fromkeys(figure.note for figure in self.figures) if band
        ]
        samples = legend([label for label, _ in labels], styles(labels))
        return element("div", samples, element("div", *panels, class_="panels"), join(bands), class_="group")


def _panel(figure: Figure) -> Markup:
    drawn = draw_figure(figure, figure.name, y_limits([figure]))
    return element("figure", element("figcaption", figure.title), drawn, class_="panel")
