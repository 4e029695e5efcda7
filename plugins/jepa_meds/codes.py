"""The codes of a data set: which are shown, as what, and under which name."""

from __future__ import annotations

import difflib
import heapq
import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa

from jepa_core.data.trajectories import Channel
from jepa_core.errors import DataError
from jepa_meds.config import EpisodeConfig, MedsConfig
from jepa_meds.layout import BIRTH, DEATH, is_special

HIDDEN, STATE, ACTION = 0, 1, 2
AGE = Channel(BIRTH, "years", "static", "Age")
"""The first channel of every store: age at the start of the trajectory, in place of the date of birth."""

_SIGNS = re.compile(r"\\[A-Za-z]|[\\^$.*+?{}\[\]()|]")
_CANDIDATES = 50


class Codes:
    """Codes by number, in the order in which they turned up, with what the recipe says of each.

    role: HIDDEN, STATE or ACTION. starts, ends: whether it begins or ends an episode. birth: whether it is MEDS_BIRTH.
    All are arrays with an entry a code; `number` makes them longer.
    """

    def __init__(self, config: MedsConfig) -> None:
        self._config = config
        self._episode = config.trajectory if isinstance(config.trajectory, EpisodeConfig) else None
        self._numbers: dict[str, int] = {}
        self.role = np.zeros(0, dtype=np.int8)
        self.starts, self.ends, self.birth = (np.zeros(0, dtype=bool) for _ in range(3))

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def number(self, column: pa.DictionaryArray) -> np.ndarray:
        """Number of the code of every row."""
        names = column.dictionary.to_pylist()
        new = [name for name in names if name not in self._numbers]
        if new:
            self._add(new)
        numbers = np.array([self._numbers[name] for name in names], dtype=np.int64)
        return numbers[column.indices.to_numpy()]

    def _add(self, names: list[str]) -> None:
        for name in names:
            self._numbers[name] = len(self._numbers)
        self.role = np.append(self.role, [self._role_of(name) for name in names]).astype(np.int8)
        self.birth = np.append(self.birth, [is_special(name, BIRTH) for name in names])
        starts, ends = ("", "") if self._episode is None else (self._episode.start, self._episode.end)
        self.starts = np.append(self.starts, [matches((starts,), name) for name in names])
        self.ends = np.append(self.ends, [matches((ends,), name) for name in names])

    def _role_of(self, name: str) -> int:
        if is_special(name, BIRTH) or is_special(name, DEATH) or matches(self._config.exclude, name):
            return HIDDEN
        return ACTION if matches(self._config.actions, name) else STATE

    def channels(self, descriptions: Mapping[str, str]) -> tuple[list[Channel], np.ndarray]:
        """The channels of the store (age, then every shown code in alphabetical order), and each code's channel (-1 for
        hidden ones)."""
        shown = sorted(name for name, number in self._numbers.items() if self.role[number] != HIDDEN)
        channel = np.full(len(self), -1, dtype=np.int32)
        channel[[self._numbers[name] for name in shown]] = np.arange(1, len(shown) + 1)
        named = [Channel(name, self._unit(name), name.split("//")[0], descriptions.get(name) or name) for name in shown]
        return [AGE, *named], channel

    def _unit(self, name: str) -> str:
        units = (re.fullmatch(pattern, name) for pattern in self._config.units)
        return next((match.group(1) or "" for match in units if match), "")

    def check_expressions(self, listed: Iterable[str]) -> None:
        """Refuse an expression that matches no code, here or among those that the metadata list.

        Raises DataError naming the expression and the nearest codes.
        """
        known = sorted({*self._numbers, *listed})
        config, empty = self._config, set(self._config.allow_empty)
        given = [(key, pattern) for key in ("actions", "exclude", "units") for pattern in getattr(config, key)]
        if self._episode:
            given += [("trajectory.start", self._episode.start), ("trajectory.end", self._episode.end)]
        for key, pattern in given:
            if pattern not in empty and not any(matches((pattern,), name) for name in known):
                near = ", ".join(similar_codes(pattern, known)) or "none at all"
                raise DataError(
                    f"source.{key}: the expression {pattern} matches none of the {len(known)} codes of the data; the "
                    f"nearest are {near}. Correct it, or name it in source.allow_empty"
                    + (" (which is not possible for start and end)" if key.startswith("trajectory") else "")
                )


def matches(patterns: Iterable[str], code: str) -> bool:
    """Whether any of the expressions matches the whole code; the empty one matches none."""
    return any(pattern and re.fullmatch(pattern, code) for pattern in patterns)


def similar_codes(pattern: str, codes: list[str], count: int = 3) -> list[str]:
    """The codes that look most like what an expression is after."""
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(_SIGNS.sub("", pattern))

    def likeness(code: str, quick: bool) -> float:
        matcher.set_seq1(code)
        return matcher.quick_ratio() if quick else matcher.ratio()

    near = heapq.nlargest(_CANDIDATES, codes, key=lambda code: likeness(code, quick=True))
    return heapq.nlargest(count, near, key=lambda code: likeness(code, quick=False))
