"""Two futures of the same trajectories beside one another: what differs, as a table, as figures, as rows of a file.

Symbols: n trajectories, H horizon, C channels.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from jepa_core.errors import RecipeError
from jepa_core.results.findings import Cell, Column, Figure, Series, Table
from jepa_core.results.statistics import bootstrap_subjects, percentile_interval

if TYPE_CHECKING:
    import xarray

GIVEN, AGAINST, RECORDED = "under the acts", "against", "as recorded"
DRAWS = 1000
"""Draws of subjects behind an interval."""
SHOWN = 6
"""Channels that are shown where none are named."""
INTERVALS = (
    "95 %, percentiles over redrawn trajectories, those of a subject together: how alike what is imagined of them is, "
    "not how near it is to what would happen"
)


@dataclass(frozen=True)
class Futures:
    """Two answers of `Model.imagine` about the same trajectories from the same step; `futures_of` makes them so.

    Raises RecipeError if they are not, or if the run keeps nothing that reads values off what is imagined.
    """

    given: xarray.Dataset
    against: xarray.Dataset

    def __post_init__(self) -> None:
        same = ("trajectory", "horizon", "time")
        if any(not np.array_equal(self.given[name].values, self.against[name].values) for name in same):
            raise RecipeError("the two futures are of other trajectories or other steps; imagine both from the same")
        if "decoded" not in self.given:
            raise RecipeError(
                "the run keeps nothing that reads values off what is imagined: it needs an objective with a decoder, "
                "such as grounding, or the evaluator decoded_forecast"
            )

    @property
    def channels(self) -> list[str]:
        """(C,) names of what is decoded."""
        return [str(name) for name in self.given["channel"].values]

    @property
    def units(self) -> list[str]:
        """(C,) their units."""
        return [str(unit) for unit in self.given["unit"].values]

    @cached_property
    def values(self) -> tuple[np.ndarray, np.ndarray]:
        """(n, H, C) of each future."""
        return self.given["decoded"].values, self.against["decoded"].values

    def places(self, names: Sequence[str] = ()) -> list[int]:
        """Places of the named channels; of those that differ most, beside how far trajectories differ, where none is
        named. Raises RecipeError for a name that is not decoded."""
        for name in names:
            if name not in self.channels:
                near = difflib.get_close_matches(name, self.channels, n=3, cutoff=0.4)
                told = f"; did you mean {' or '.join(near)}?" if near else ""
                raise RecipeError(f"the run decodes no channel '{name}'{told}")
        if names:
            return [self.channels.index(name) for name in names]
        given, against = self.values
        spread = np.sqrt(np.mean((against - against.mean(axis=(0, 1))) ** 2, axis=(0, 1)))
        size = np.abs((given - against).mean(axis=0)).max(axis=0)
        ratio = np.where(np.isfinite(size) & (spread > 0), size / np.where(spread > 0, spread, 1.0), -1.0)
        return np.argsort(-ratio, kind="stable")[:SHOWN].tolist()

    def table(self, places: Sequence[int], horizons: Sequence[int] | None = None) -> Table:
        """Means over the trajectories of both futures and of their difference, with its interval. horizons: those
        shown, all if None."""
        difference = self.values[0] - self.values[1]
        shown = self.given["horizon"].values.tolist() if horizons is None else list(horizons)
        rows: list[list[Cell]] = []
        for number in places:
            bounds = self._bounds(difference[:, :, number])
            for h in shown:
                means = [float(values[:, h - 1, number].mean()) for values in self.values]
                low, high = (None, None) if bounds is None else (float(end[h - 1]) for end in bounds)
                told: list[Cell] = [self.channels[number], self.units[number], h, *means, means[0] - means[1]]
                rows.append([*told, low, high])
        names = ["channel", "unit", "horizon", "given", "against", "difference", "difference_low", "difference_high"]
        count = len(difference)
        note = f"Means over {count} {'trajectory' if count == 1 else 'trajectories'}. Intervals: {INTERVALS}."
        title = "Both futures, and the first less the second"
        return Table("futures", title, [Column(name) for name in names], [_plain(row) for row in rows], note)

    def rows(self) -> dict[str, np.ndarray]:
        """Every trajectory, horizon and channel as a row, column by column: (n * H * C,) each. step: counted from 0, at
        whose end the value stands; the bounds are NaN where no interval was fitted."""
        count, horizon, channels = self.values[0].shape
        trajectory, ahead, channel = (grid.ravel() for grid in np.indices((count, horizon, channels)))
        columns = {
            "subject_id": self.given["subject"].values[trajectory],
            "trajectory": self.given["trajectory"].values[trajectory],
            "step": self.given.attrs["at"] + ahead,
            "horizon": ahead + 1,
            "channel": np.array(self.channels, dtype=object)[channel],
            "unit": np.array(self.units, dtype=object)[channel],
        }
        for name, future in (("given", self.given), ("against", self.against)):
            unknown = np.full(self.values[0].shape, np.nan)
            for end in ("", "_low", "_high"):
                columns[name + end] = (future[f"decoded{end}"].values if f"decoded{end}" in future else unknown).ravel()
        return columns

    def _bounds(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Interval of the mean over trajectories of values (n, H); None where there is but one subject."""
        subjects = self.given["subject"].values
        if len(np.unique(subjects)) < 2 or not np.isfinite(values).all():
            return None
        return percentile_interval(bootstrap_subjects(values, subjects, DRAWS, 0))

    def figures(self, places: Sequence[int], recorded: xarray.DataArray | None = None) -> list[Figure]:
        """A figure a channel. Of several trajectories, means with intervals over subjects; of one, its values with the
        intervals that the run fitted. recorded: (step, channel) values of that one trajectory, to stand behind them."""
        return [self._figure(number, recorded) for number in places]

    def _figure(self, number: int, recorded: xarray.DataArray | None) -> Figure:
        alone = len(self.given["trajectory"]) == 1
        steps = (self.given.attrs["at"] + self.given["horizon"].values - 1).astype(float).tolist()
        series = [
            self._alone(name, future, number, steps) if alone else self._mean(name, future, number, steps)
            for name, future in ((GIVEN, self.given), (AGAINST, self.against))
        ]
        name = self.channels[number]
        if recorded is not None and name in recorded["channel"].values:
            known = recorded.sel(channel=name).dropna("step")
            series.append(Series(RECORDED, known["step"].values.tolist(), known.values.tolist(), control=True))
        level = self.given.attrs.get("interval")
        band = (
            ""
            if alone and level is None
            else f"Bands: {level:.0%} intervals, fitted under recorded actions"
            if alone
            else f"Bands: {INTERVALS}"
        )
        return Figure(f"future-{number}", name, "step", self.units[number] or "value", series, note=band)

    def _alone(self, name: str, future: xarray.Dataset, number: int, steps: list[float]) -> Series:
        ends = [_known(future[end].values[0, :, number]) for end in ("decoded_low", "decoded_high") if end in future]
        low, high = ends if len(ends) == 2 and None not in ends[0] + ends[1] else ([], [])
        return Series(name, steps, _known(future["decoded"].values[0, :, number]), low, high)

    def _mean(self, name: str, future: xarray.Dataset, number: int, steps: list[float]) -> Series:
        values = future["decoded"].values[:, :, number]
        bounds = self._bounds(values)
        low, high = ([], []) if bounds is None else (_known(bounds[0]), _known(bounds[1]))
        return Series(name, steps, _known(values.mean(axis=0)), low, high)


def _known(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def futures_of(given: xarray.Dataset, against: xarray.Dataset) -> Futures:
    """Two answers beside one another, of the trajectories that both are about: acts leave out who cannot take them.

    Raises RecipeError as `Futures` does."""
    both = np.intersect1d(given["trajectory"].values, against["trajectory"].values)
    return Futures(given.sel(trajectory=both), against.sel(trajectory=both))


def _plain(row: list[Cell]) -> list[Cell]:
    """A row without NaN."""
    return [None if isinstance(cell, float) and not np.isfinite(cell) else cell for cell in row]
