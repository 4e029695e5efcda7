"""No step knows anything of what comes after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jepa_meds.assembly import EpisodeAssembly

from .conftest import ICU, Built, Folder, Row, build

HOURS = 20
CODES = ("LAB//1//bpm", "LAB//2//mg", "INFUSION_START//3", "MEDICATION//A", "DIAGNOSIS//B", "MEDS_DEATH")
OPTIONS = {"actions": ["INFUSION_START//.*", "MEDICATION//.*"], "exclude": ["DIAGNOSIS//.*"]}


def events(random: np.random.Generator, number: int, since: float, until: float, count: int) -> list[Row]:
    hours = np.sort(random.uniform(since, until, count)).round(3).tolist()
    return [(number, hour, str(random.choice(CODES)), float(random.integers(99)), None) for hour in hours]


def record(past: list[Row], future: list[Row], number: int, end: float) -> list[Row]:
    """One stay with its events sorted, and what else the data set says of the subject."""
    borders = [(number, 0.0, "ICU_ADMISSION//X", None, None), (number, end, "ICU_DISCHARGE//X", None, None)]
    before = [(number, None, "GENDER//M", None, None), (number, -500_000.0, "MEDS_BIRTH", None, None)]
    return [*before, *sorted([*past, *future, *borders], key=lambda row: row[1])]


def two_futures(folder: Path, cutoff: int, trajectory: object) -> list[Built]:
    """Three records, alike up to an hour and different from then on."""
    random = np.random.default_rng(cutoff)
    pasts = [events(random, number, 0.001, cutoff - 0.001, 60) for number in range(3)]
    built = []
    for name in ("one", "two"):
        rows: list[Row] = []
        for number, past in enumerate(pasts):
            future = events(random, number, cutoff, HOURS + 5, int(random.integers(1, 40)))
            rows += record(past, future, number, cutoff + float(random.uniform(0.5, HOURS - cutoff)))
        data = Folder(folder / name).write({"0.parquet": rows}).describe().split(3)
        built.append(build(data.path, folder / "stores", trajectory=trajectory, **OPTIONS))
    return built


def pasts_agree(built: list[Built], cutoff: int) -> bool:
    return all(
        (one[0], one[1][:cutoff], one[2][:cutoff]) == (other[0], other[1][:cutoff], other[2][:cutoff])
        for one, other in zip(built[0].texts, built[1].texts, strict=True)
    )


@pytest.mark.parametrize("trajectory", [ICU, "subject"], ids=["episodes", "records"])
@pytest.mark.parametrize("cutoff", [4, 11])
def test_noise_in_the_future_changes_no_step_of_the_past(tmp_path: Path, trajectory: object, cutoff: int) -> None:
    built = two_futures(tmp_path, cutoff, trajectory)
    assert pasts_agree(built, cutoff)
    assert all(one[1][cutoff:] != other[1][cutoff:] for one, other in zip(built[0].texts, built[1].texts, strict=True))


def test_an_hour_that_shows_the_next_one_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = EpisodeAssembly._dynamic

    def leaking(*arguments: Any) -> list[tuple[np.ndarray, ...]]:
        return [(row, np.maximum(owner - 1, 0), hour) for row, owner, hour in honest(*arguments)]

    monkeypatch.setattr(EpisodeAssembly, "_dynamic", leaking)
    assert not pasts_agree(two_futures(tmp_path, 11, ICU), 11)
