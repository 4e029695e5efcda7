"""Times as people and programs write them, read into instants by one rule for every spelling.

The fields of a spelling are counted here, for strptime counts 30 February as 2 March, and reads no fraction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DAY = 86_400_000_000
"""Microseconds."""
_FARTHEST = 18 * 3_600_000_000
"""Microseconds that a zone can lie before or behind UTC."""

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


@dataclass(frozen=True)
class Stamps:
    """Instants that cells name. micros: (R,) int64 since 1970, in UTC where they have a zone. zoned: (R,) bool. wrong:
    (R,) int8, 0 or the place in WRONG of what keeps the cell from being an instant."""

    micros: np.ndarray
    zoned: np.ndarray
    wrong: np.ndarray


WRONG = (
    "",
    "is of another spelling",
    "names a day that its month does not have",
    "is a time that no day has",
    "is a leap second, which has no place in a count of seconds; write the second before it or leave the row out",
)


def read_stamps(column: pa.Array, pattern: str) -> Stamps:
    """Instants of cells that fit a pattern of named fields. column: (R,) text without nulls."""
    if not len(column):
        return Stamps(np.zeros(0, np.int64), np.zeros(0, bool), np.zeros(0, np.int8))
    parts = pc.extract_regex(column, f"^{pattern}$")
    fits = parts.is_valid().to_numpy(zero_copy_only=False)
    names = {parts.type.field(index).name: parts.field(index) for index in range(parts.type.num_fields)}
    part = _Parts(names, fits)
    year, day_of_year = part.year(), part.number("j")
    month, day = np.maximum(part.month(), 1), part.number("d", 1)
    hour, minute, second = part.hour(), part.number("M"), part.number("S")
    fraction = part.fraction()
    days = _days_before(year, month) + day - 1
    longest = _days_before(year + month // 12, month % 12 + 1) - _days_before(year, month)
    no_day = (part.month() > 12) | (part.month() < 1) & part.has("m") | (day < 1) | (day > longest)
    if part.has("j"):
        days = _days_before(year, np.ones_like(year)) + day_of_year - 1
        no_day = (day_of_year < 1) | (days >= _days_before(year + 1, np.ones_like(year)))
    zoned, offset = part.zone()
    midnight = (hour == 24) & (minute == 0) & (second == 0) & (fraction == 0)
    no_time = (hour > 23) & ~midnight | (minute > 59) | (second > 60)
    no_time |= np.abs(offset) > _FARTHEST
    wrong = np.select([~fits, no_day, no_time, second == 60], [1, 2, 3, 4], 0).astype(np.int8)
    micros = days * DAY + ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction
    return Stamps(micros - offset, zoned, wrong)


class _Parts:
    """The fields that a pattern found. fits: (R,) the cells in which it found them."""

    def __init__(self, fields: dict[str, pa.Array], fits: np.ndarray) -> None:
        self._fields = fields
        self._fits = fits

    def has(self, name: str) -> bool:
        """Whether the pattern has a field."""
        return name in self._fields

    def words(self, name: str) -> pa.Array:
        """(R,) text; empty where the field is not there."""
        if name not in self._fields:
            return pa.array([""] * len(self._fits), pa.string())
        return self._fields[name].fill_null("")

    def number(self, name: str, otherwise: int = 0) -> np.ndarray:
        """(R,) int64."""
        if name not in self._fields:
            return np.full(len(self._fits), otherwise, dtype=np.int64)
        words = self.words(name)
        return pc.if_else(pc.equal(words, ""), str(otherwise), words).cast(pa.int64()).to_numpy(zero_copy_only=False)

    def year(self) -> np.ndarray:
        """(R,) with the century that POSIX gives two digits: 69 to 99 are the last of 1900."""
        if self.has("y"):
            short = self.number("y")
            return short + np.where(short >= 69, 1900, 2000)
        return self.number("Y", 1970)

    def month(self) -> np.ndarray:
        """(R,) 1 to 12; another number where it is none."""
        if not self.has("b"):
            return self.number("m", 1)
        month = pc.index_in(pc.utf8_lower(self.words("b")), pa.array(_MONTHS))
        return month.fill_null(12).cast(pa.int64()).to_numpy(zero_copy_only=False) + 1

    def hour(self) -> np.ndarray:
        """(R,) 0 to 24; another number where it is none."""
        if not self.has("I"):
            return self.number("H")
        half = self.number("I")
        late = pc.equal(pc.utf8_lower(self.words("p")), "p").to_numpy(zero_copy_only=False)
        return np.where((half < 1) | (half > 12), 99, half % 12 + 12 * late)

    def fraction(self) -> np.ndarray:
        """(R,) microseconds; digits beyond them are cut off."""
        return pc.utf8_slice_codeunits(pc.utf8_rpad(self.words("f"), 6, "0"), 0, 6).cast(pa.int64()).to_numpy(
            zero_copy_only=False
        )  # fmt: skip

    def zone(self) -> tuple[np.ndarray, np.ndarray]:
        """(R,) whether there is one, and (R,) int64 how many microseconds it is before UTC."""
        words = self.words("zone")
        zoned = pc.not_equal(words, "").to_numpy(zero_copy_only=False)
        digits = pc.replace_substring_regex(words, r"[^0-9]", "")
        clock = pc.utf8_rpad(digits, 4, "0").cast(pa.int64()).to_numpy(zero_copy_only=False)
        west = pc.starts_with(words, "-").to_numpy(zero_copy_only=False)
        return zoned, np.where(west, -1, 1) * (clock // 100 * 60 + clock % 100) * 60_000_000


def _days_before(year: np.ndarray, month: np.ndarray) -> np.ndarray:
    """Days from the beginning of 1970 to that of a month of the Gregorian calendar."""
    months = (year - 1970) * 12 + np.clip(month, 1, 12) - 1
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
