"""Places observations in time: cells (stay, hour, second) chosen from the hourly grid of a chunk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .course import Course
from .physiology import Array, Traits
from .population import HOUR, Calendar, Structure


@dataclass(frozen=True)
class Chunk:
    """Everything known about a chunk of stays once it has been simulated."""

    structure: Structure
    traits: Traits
    course: Course
    calendar: Calendar
    unobserved: Array

    def clock(self) -> Array:
        """Hour of the day at which each cell of the grid is charted, `(T, n)`."""
        hours = np.arange(len(self.course.present))
        return (self.structure.start_hour[None, :] + hours[:, None] + 1) % 24

    def owner(self, stay: Array) -> dict[str, Array]:
        """The identifier columns of rows that belong to the given stays."""
        structure = self.structure
        return {
            "subject_id": structure.subject_id[structure.stay_subject[stay]],
            "hadm_id": structure.hadm_id[structure.stay_admission[stay]],
            "stay_id": structure.stay_id[stay],
        }


@dataclass(frozen=True)
class Cells:
    """Chosen moments: local stay, hour index into the series, and seconds since 1970; each `(N,)`."""

    stay: Array
    hour: Array
    time: Array

    def __len__(self) -> int:
        return len(self.stay)

    def of(self, series: Array) -> Array:
        """Values of a `(T, n)` array at the cells, as float64."""
        return series[self.hour, self.stay].astype(np.float64)

    def where(self, chosen: Array) -> Cells:
        return Cells(self.stay[chosen], self.hour[chosen], self.time[chosen])


def draw_cells(rng: np.random.Generator, chunk: Chunk, probability: Array, on_the_hour: float) -> Cells:
    """Draws cells with the given `(T, n)` probability; a share lies on the full hour, the rest anywhere in it."""
    chosen = (rng.random(probability.shape) < probability) & chunk.course.present
    stay, hour = np.nonzero(chosen.T)
    start = chunk.calendar.intime[stay] + hour * HOUR
    offset = np.where(
        rng.random(len(stay)) < on_the_hour, (HOUR - start % HOUR) % HOUR, rng.integers(0, 60, len(stay)) * 60
    )
    time = start + offset
    time -= time % 60
    inside = (time >= chunk.calendar.intime[stay]) & (time < chunk.calendar.outtime[stay])
    return Cells(stay, hour, time).where(inside)
