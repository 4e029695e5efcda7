"""Times in the spellings of people, programs and files: what each is read as, and what is refused by its name."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jepa_core.errors import DataError
from jepa_sensors.stamps import WRONG, read_stamps
from jepa_sensors.time_formats import ISO, pattern_of

from .conftest import Built
from .test_violations import KEYS, changed, good, lines, refused

Build = Callable[..., Built]
Write = Callable[..., Path]


def instants(spelling: str, pattern: str = ISO) -> tuple[str, bool, str]:
    """What one cell is read as: an instant to the microsecond, whether it has a zone, and what is wrong with it."""
    found = read_stamps(pa.array([spelling]), pattern)
    return str(np.datetime64(int(found.micros[0]), "us")), bool(found.zoned[0]), WRONG[found.wrong[0]]


@pytest.mark.parametrize(
    ("spelling", "instant", "zoned"),
    [
        ("2024-02-29", "2024-02-29T00:00:00.000000", False),
        ("2024-1-5 3:04", "2024-01-05T03:04:00.000000", False),
        ("2024/01/05 03", "2024-01-05T03:00:00.000000", False),
        ("2024-01-05T03:04:05,5", "2024-01-05T03:04:05.500000", False),
        ("2024-01-05T03:04:05.1234567Z", "2024-01-05T03:04:05.123456", True),  # .NET, format "o"
        ("2024-01-05T03:04:05.123456789+02:00", "2024-01-05T01:04:05.123456", True),  # Go, RFC3339Nano; java.time
        ("2024-01-05 03:04:05.123456789 +0000 UTC", "2024-01-05T03:04:05.123456", True),  # Go, Time.String
        ("2024-01-05 03:04:05-0930", "2024-01-05T12:34:05.000000", True),
        ("2024-12-31T24:00:00", "2025-01-01T00:00:00.000000", False),
    ],
)
def test_iso_8601_is_read_as_programs_and_people_write_it(spelling: str, instant: str, zoned: bool) -> None:
    assert instants(spelling) == (instant, zoned, "")


@pytest.mark.parametrize(
    ("form", "spelling", "instant"),
    [
        ("%d.%m.%Y %H:%M", "5.1.2024 3:04", "2024-01-05T03:04:00.000000"),
        ("%Y%m%d", "20240105", "2024-01-05T00:00:00.000000"),
        ("%Y%m%dT%H%M%S.%f", "20240105T030405.1234567", "2024-01-05T03:04:05.123456"),
        ("%b %d %y, %I:%M %p", "Jan 5 24, 12:04 AM", "2024-01-05T00:04:00.000000"),
        ("%A %d %B %y %T", "Friday 5 january 70 12:00:59", "1970-01-05T12:00:59.000000"),
        ("%Y-%j", "2024-366", "2024-12-31T00:00:00.000000"),
        ("%Y-%m", "2024-07", "2024-07-01T00:00:00.000000"),
        ("%F %R %z", "2024-01-05 03:04 -02:00", "2024-01-05T05:04:00.000000"),
        ("100%% %Y/%e/%m", "100% 2024/5/1", "2024-01-05T00:00:00.000000"),
    ],
)
def test_a_time_format_reads_every_directive_that_it_takes(form: str, spelling: str, instant: str) -> None:
    assert instants(spelling, pattern_of(form))[::2] == (instant, "")


@pytest.mark.parametrize(
    ("spelling", "rule"),
    [
        ("2023-02-29", "names a day that its month does not have"),
        ("2024-13-01", "names a day that its month does not have"),
        ("2024-01-00", "names a day that its month does not have"),
        ("2024-01-05 24:00:01", "is a time that no day has"),
        ("2024-01-05 03:60", "is a time that no day has"),
        ("2024-01-05 03:00+19:00", "is a time that no day has"),
        ("2016-12-31T23:59:60Z", "is a leap second"),
        ("5 January 2024", "is of another spelling"),
        ("2024-01-05 03:04:05.1234567890", "is of another spelling"),
    ],
)
def test_what_no_calendar_and_no_clock_has_is_refused_by_name(spelling: str, rule: str) -> None:
    assert instants(spelling)[2].startswith(rule)


@pytest.mark.parametrize("form", ["%Y-%j", "%m/%d/%y", "%d.%m.%Y", "%b %d %Y"])
def test_every_day_of_four_years_comes_back_from_a_format(form: str) -> None:
    days = [datetime.date(2022, 12, 30) + datetime.timedelta(days=day) for day in range(4 * 366)]
    found = read_stamps(pa.array([day.strftime(form) for day in days]), pattern_of(form))
    assert np.array_equal(
        found.micros.astype("datetime64[us]").astype("datetime64[D]"), np.array(days, "datetime64[D]")
    )
    assert not found.wrong.any()


@pytest.mark.parametrize(
    ("form", "rule"),
    [
        ("%Y-%m-%d %U", "%U is not read; there are %Y"),
        ("%s", "%s is not read"),
        ("%H:%M", "one year"),
        ("%d.%Y", "one year"),
        ("%Y-%j %d", "one year"),
        ("%Y-%m-%d %d", "%d stands there twice"),
        ("%Y-%m-%d %I:%M", "%I is the hour of half a day"),
        ("%Y-%m-%d %", "% is not read"),
    ],
)
def test_a_format_that_cannot_be_honoured_is_refused_before_anything_is_read(form: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        pattern_of(form)


def test_an_impossible_day_in_a_file_is_told_by_its_line(build: Build, tmp_path: Path) -> None:
    rows = [[row[0], f"{28 + place % 3:02d}.02.2031", *row[2:]] for place, row in enumerate(good())]
    (tmp_path / "data.csv").write_text(lines(rows))
    assert "line 3: column at names a day that its month does not have" in refused(build, time_format="%d.%m.%Y")


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.string(), pa.decimal128(19, 0)])
def test_a_time_format_goes_for_digits_of_any_type(build: Build, tmp_path: Path, kind: pa.DataType) -> None:
    days = pa.array([20240130 + day if day < 2 else 20240199 + day for day in range(4)]).cast(kind)
    table = pa.table({"machine": [0] * 4 + [1] * 4 + [2] * 4, "day": pa.concat_arrays([days] * 3), "heat": range(12)})
    pq.write_table(table, tmp_path / "data.parquet")
    built = build(
        files=str(tmp_path / "data.parquet"), id="machine", time="day", time_format="%Y%m%d", step={"seconds": 86_400}
    )
    assert built.store.steps.tolist() == [4, 4, 4]


def test_a_format_with_a_zone_gives_instants(build: Build, write: Write) -> None:
    times = ("05.01.2024 00:30 +0100", "05.01.2024 03:30 +0200")
    write("machine,at,heat", [(m, time, heat) for m in range(3) for heat, time in enumerate(times)])
    built = build(
        id="machine", time="at", time_format="%d.%m.%Y %H:%M %z", states="heat", step={"seconds": 3600},
    )  # fmt: skip
    assert built.store.steps.tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    ("column", "unit", "steps"),
    [
        (pa.array([0, 3_600_000_000, 7_200_000_000], pa.duration("us")), "s", 3),
        (pa.array([0, 60, 120], pa.duration("s")), "min", 1),
        (pa.array([1_704_412_800_000_000_001 + 3_600_000_000_000 * hour for hour in range(3)]), "ns", 3),
        (pa.array([str(1_704_412_800_000 + 3_600_000 * hour) for hour in range(3)]), "ms", 3),
    ],
)
def test_durations_and_counts_since_1970_are_times(
    build: Build, tmp_path: Path, column: pa.Array, unit: str, steps: int
) -> None:
    table = pa.table({"machine": np.repeat([0, 1, 2], 3), "at": pa.concat_arrays([column] * 3), "heat": range(9)})
    pq.write_table(table, tmp_path / "data.parquet")
    built = build(
        files=str(tmp_path / "data.parquet"), id="machine", time="at", time_unit=unit, step={"seconds": 3600},
        labels={"left": {"remaining": True}},
    )  # fmt: skip
    assert built.store.steps.tolist() == [steps] * 3


def test_nanoseconds_that_float64_cannot_tell_apart_are_two_times(build: Build, tmp_path: Path) -> None:
    base = 1_704_412_800_000_000_000
    ticks = [base, base + 100, base + 250] * 3
    pq.write_table(
        pa.table({"machine": np.repeat([0, 1, 2], 3), "at": ticks, "heat": range(9)}), tmp_path / "d.parquet"
    )
    keys: dict[str, Any] = {"files": str(tmp_path / "d.parquet"), "id": "machine", "time": "at"}
    built = build(**keys, time_unit="ns", labels={"left": {"remaining": True}})
    assert built.store.label("left")[:3].tolist() == [250, 150, 0]


@pytest.mark.parametrize(
    ("column", "rule"),
    [
        (pa.array([1, 2, 3], pa.time64("us")), "column at is a time of day without a day"),
        (pa.array([[1], [2], [3]]), "column at is list"),
    ],
)
def test_a_type_that_tells_no_time_is_refused(build: Build, tmp_path: Path, column: pa.Array, rule: str) -> None:
    pq.write_table(pa.table({"machine": [0, 1, 2], "at": column, "heat": [1, 2, 3]}), tmp_path / "data.parquet")
    with pytest.raises(DataError, match=rule):
        build(files=str(tmp_path / "data.parquet"), id="machine", time="at", states="heat")


def test_the_spelling_that_is_wanted_is_named(build: Build, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(lines(changed(5, 1, "05/03/2031")))
    assert "line 7: column at is not a timestamp without a time zone there; write it as YYYY-MM-DD" in refused(build)
    assert "line 2: column at is not of the spelling %d/%m/%Y there" in refused(build, time_format="%d/%m/%Y")
    assert KEYS["time"] == "at"
