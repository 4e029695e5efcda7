"""What cells of text look like: numbers, numbers in another spelling, times, or words. Looks are counted, not told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jepa_sensors.reading import Block
from jepa_sensors.stamps import read_stamps
from jepa_sensors.time_formats import ISO, pattern_of

Look = Literal["number", "comma", "time", "thousands", "limit", "unit", "word"]

_NUMBER = r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_PATTERNS: dict[Look, str] = {
    "number": rf"^([+-]?{_NUMBER}|[+-]?(nan|inf|infinity|NaN|Inf))$",
    "comma": r"^[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?$",
    "time": rf"^{ISO}$",
    "thousands": r"^[+-]?\d{1,3}([., '’ ]\d{3})+([.,]\d+)?$",
    "limit": rf"^[<>≤≥~]=? ?[+-]?{_NUMBER}$",
    "unit": rf"^[+-]?{_NUMBER} ?[^\d\s.,+-][^\d\s]*$",
}
_FIRST = 100
"""Cells by which most spellings of times are ruled out."""
SAID: dict[Look, str] = {
    "number": "numbers",
    "comma": "numbers with a decimal comma",
    "time": "times",
    "thousands": "numbers with signs between the thousands",
    "limit": "limits, such as < and a number",
    "unit": "numbers with a unit",
    "word": "words",
}

_FORMATS = (
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%b-%Y", "%d %b %Y",
    "%b %d %Y", "%d-%b-%y", "%Y.%m.%d",
)  # fmt: skip
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_WHOLE = ("%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y%m%dT%H%M%S")
FORMATS = (*(day + clock for day in _FORMATS for clock in _CLOCKS), _WHOLE[-1])
"""Spellings of times that are tried, the likelier first."""
DIGITS = _WHOLE[:-1]
"""Spellings of times that are numbers, too."""


@dataclass
class Looks:
    """What the cells of a column look like. counts: cells by look. places: where the first of each look stands.
    formats: cells by the spelling of times that they have, beside ISO 8601."""

    counts: Counter[Look] = field(default_factory=Counter)
    places: dict[Look, str] = field(default_factory=dict)
    formats: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FORMATS, 0))

    def add(self, block: Block, column: pa.Array) -> None:
        """Take up a block of text cells."""
        encoded = column.dictionary_encode()
        distinct = encoded.dictionary
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        look = np.full(len(distinct), len(_PATTERNS))
        for number, pattern in reversed(list(enumerate(_PATTERNS.values()))):
            look[pc.match_substring_regex(distinct, pattern).to_numpy(zero_copy_only=False)] = number
        known = codes >= 0
        of_row = np.where(known, look[codes], -1) if len(look) else np.full(len(codes), -1)
        for number, name in enumerate(SAID_ORDER):
            rows = np.flatnonzero(of_row == number)
            if len(rows):
                self.counts[name] += len(rows)
                self.places.setdefault(name, block.file.place(int(block.rows[rows[0]])))
        cells = np.bincount(codes[known], minlength=len(distinct))
        fitting = {form: before + _fitting(distinct, cells, form) for form, before in self.formats.items()}
        self.formats = {form: count for form, count in fitting.items() if count}

    @property
    def total(self) -> int:
        """Cells that hold something."""
        return self.counts.total()

    @property
    def spelling(self) -> str:
        """The spelling of times that most cells have, beside ISO 8601; empty if none has."""
        return max(self.formats, key=self.formats.__getitem__, default="") if any(self.formats.values()) else ""

    def misfits(self, fitting: tuple[Look, ...]) -> Iterator[tuple[Look, int, str]]:
        """Looks of cells that are none of the fitting ones, the most frequent first: how many, and the first place."""
        for look, count in self.counts.most_common():
            if look not in fitting:
                yield look, count, self.places[look]


SAID_ORDER: tuple[Look, ...] = (*_PATTERNS, "word")


_MISSING = re.compile(
    r"n\.?/?a\.?|n\.?d\.?|nan|null|none|nil|missing|unknown|unk|undefined|invalid|bad|error|err|fail|-+|\.+|\*+|_+|"
    r"#n/a|#value!|#ref!|#div/0!|\(null\)|<na>|bad input|no data|i/o timeout|pt created",
    re.I,
)


def missing_words(words: Iterable[str], looks: Looks) -> list[str]:
    """Words that stand for a missing number in a column of numbers, if all its words do."""
    others = [word for word in words if not re.fullmatch(_PATTERNS["number"].strip("^$"), word)]
    return others if looks.counts["number"] and all(map(_MISSING.fullmatch, others)) else []


def digits_format(numbers: Sequence[int]) -> str:
    """The spelling of times that whole numbers have, all of them days of 1900 to 2100; empty if they have none."""
    written = pa.array(map(str, numbers), pa.string())
    for form in DIGITS:
        stamps = read_stamps(written, pattern_of(form))
        if not stamps.wrong.any() and len(stamps.micros) and _of_our_time(stamps.micros):
            return form
    return ""


def _of_our_time(micros: np.ndarray) -> bool:
    years = micros.astype("datetime64[us]").astype("datetime64[Y]").astype(np.int64) + 1970
    return bool(years.min() >= 1900 and years.max() <= 2100)


def _fitting(distinct: pa.Array, cells: np.ndarray, form: str) -> int:
    """How many cells have a spelling and name a day that there is. cells: of each distinct one."""
    pattern = pattern_of(form)
    if np.all(read_stamps(distinct[:_FIRST], pattern).wrong == 1):
        return 0
    return int(cells[read_stamps(distinct, pattern).wrong == 0].sum())
