"""The first pass: which codes there are, and when each trajectory begins and ends. Checks every row on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jepa_core.errors import DataError
from jepa_core.io.ticker import Ticker
from jepa_meds.codes import HIDDEN, Codes
from jepa_meds.reading import NO_TIME, Shard, ShardRows

_LATEST = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Episodes:
    """N trajectories in the order of the shards and of the rows in them.

    shard: (N,) number of the shard. run: (N,) number of the subject among those of its shard. subject: (N,) int64.
    start, end: (N,) int64 microseconds; what happened at `end` is not part of it. birth: (N,) int64, NO_TIME if not
    known.
    """

    shard: np.ndarray
    run: np.ndarray
    subject: np.ndarray
    start: np.ndarray
    end: np.ndarray
    birth: np.ndarray

    def __len__(self) -> int:
        return len(self.subject)


class Survey:
    """What the first pass found. attrition: rows with the keys step, trajectories, subjects. rounded: for each code
    that has them, how many values are whole numbers that single precision, which a store has, rounds to others."""

    def __init__(self, shards: Sequence[Shard], codes: Codes, by_subject: bool) -> None:
        self.events = 0
        self.rounded: Counter[int] = Counter()
        self._codes = codes
        self._by_subject = by_subject
        self._begun = self._beginners = 0
        self._found: list[np.ndarray] = []
        self._runs: list[np.ndarray] = []
        ticker = Ticker("reading the data set")
        for number, shard in enumerate(shards):
            runs = 0
            for rows in shard.rows(()):
                self._add(rows, number, runs)
                runs += len(rows.starts)
                ticker.add(subjects=len(rows.starts), events=len(rows.subject))
        self._refuse_scattered(shards)
        joined = np.concatenate(self._found) if self._found else np.zeros((0, 6), dtype=np.int64)
        self.episodes = Episodes(*joined.T)

    @property
    def subjects(self) -> int:
        return sum(map(len, self._runs))

    def attrition(self) -> list[dict[str, str | int | float]]:
        """How the trajectories came about."""
        rows = [("subjects of the data set", self.subjects, self.subjects)]
        if not self._by_subject:
            rows.append(("episodes begun", self._begun, self._beginners))
        last = "with an event to show" if self._by_subject else "longer than nothing and not inside another"
        rows.append((last, len(self.episodes), len(np.unique(self.episodes.subject))))
        return [{"step": step, "trajectories": count, "subjects": subjects} for step, count, subjects in rows]

    def _add(self, rows: ShardRows, shard: int, runs: int) -> None:
        self.events += len(rows.subject)
        code = self._codes.number(rows.code)
        self.rounded.update(code[_is_rounded(rows.value)].tolist())
        timed = rows.time != NO_TIME
        shown = timed & (self._codes.role[code] != HIDDEN)
        first = np.minimum.reduceat(np.where(shown, rows.time, _LATEST), rows.starts)
        last = np.maximum.reduceat(np.where(shown, rows.time, NO_TIME), rows.starts)
        birth = np.minimum.reduceat(np.where(timed & self._codes.birth[code], rows.time, _LATEST), rows.starts)
        birth[birth == _LATEST] = NO_TIME
        if self._by_subject:
            run = np.flatnonzero(first <= last)
            start, end = first[run], last[run] + 1
        else:
            run, start, end = self._cut(rows, code, timed, last)
        subject = rows.subject[rows.starts]
        columns = (np.full(len(run), shard), run + runs, subject[run], start, end, birth[run])
        self._found.append(np.stack(columns, axis=1))
        self._runs.append(np.stack([subject, np.full(len(subject), shard), rows.starts + rows.row], axis=1))

    def _cut(self, rows: ShardRows, code: np.ndarray, timed: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, ...]:
        """Run, start and end of every episode."""
        starts, ends = timed & self._codes.starts[code], timed & self._codes.ends[code]
        marked = np.flatnonzero(starts | ends)
        run = np.searchsorted(rows.starts, marked, side="right") - 1
        spans: list[tuple[int, int, int]] = []
        for number in np.unique(run[starts[marked]]).tolist():
            own = marked[run == number]
            begun, ended = rows.time[own[starts[own]]].tolist(), rows.time[own[ends[own]]].tolist()
            self._begun += len(begun)
            self._beginners += 1
            spans += [(number, *episode) for episode in cut_episodes(begun, ended, int(last[number]))]
        return tuple(np.array(spans, dtype=np.int64).reshape(-1, 3).T)

    def _refuse_scattered(self, shards: Sequence[Shard]) -> None:
        """Refuse a subject whose rows stand in two places."""
        if not self._runs:
            return
        subject, shard, row = np.concatenate(self._runs).T
        order = np.argsort(subject, kind="stable")
        again = np.flatnonzero(subject[order][1:] == subject[order][:-1])
        if len(again) == 0:
            return
        before, after = order[again[0]], order[again[0] + 1]
        if shard[before] == shard[after]:
            rule = f"the rows of this subject began at row {row[before]} and were broken off; they must stand together"
            raise shards[shard[after]].error(int(row[after]), f"{rule}. Sort the shard by subject_id and time")
        raise DataError(
            f"{shards[shard[after]].path}, row {row[after]} (counted from 0): the subject stands in "
            f"{shards[shard[before]].path} too, at row {row[before]}; a subject must lie in one shard. {len(again)} "
            "subjects do not: shard the data set again"
        )


def _is_rounded(value: np.ndarray) -> np.ndarray:
    """(R,) whether each is a whole number that float32 does not hold."""
    whole = (np.abs(value) > 1 << 24) & (np.mod(value, 1) == 0)
    return whole & (value.astype(np.float32) != value)


def cut_episodes(begun: list[int], ended: list[int], last: int) -> list[tuple[int, int]]:
    """Start and end of the episodes of one subject, from the times of the codes that begin and end them.

    An episode runs to the next end after its start; what begins inside another is part of it. At one moment, what is
    open ends before something new begins, and what begins and ends there is nothing. An episode without an end runs to
    the subject's last event (`last`), that one included.
    """
    begins, ends = Counter(begun), Counter(ended)
    episodes: list[tuple[int, int]] = []
    opened: int | None = None
    for time in sorted(begins.keys() | ends.keys()):
        closing = ends[time]
        if opened is not None and closing:
            episodes.append((opened, time))
            opened = None
            closing -= 1
        if opened is None and begins[time] > closing:
            opened = time
    if opened is not None and last >= opened:
        episodes.append((opened, last + 1))
    return episodes
