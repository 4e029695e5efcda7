"""The second pass: the rows of every trajectory, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jepa_core.data.trajectories import Events, Trajectories
from jepa_meds.codes import ACTION, HIDDEN, STATE, Codes
from jepa_meds.config import MedsConfig
from jepa_meds.labels import StepLabels, place_labels, reach, read_labels, refuse_one_sided
from jepa_meds.reading import NO_TIME, Shard, ShardRows
from jepa_meds.survey import Episodes

HOUR = 3_600_000_000
"""Microseconds."""
_YEAR = 365.25 * 24 * HOUR


class EpisodeAssembly:
    """Makes trajectories of episodes. split: (N,) of each episode. channel: channel of each code. labels: by name."""

    def __init__(
        self, config: MedsConfig, codes: Codes, channel: np.ndarray, episodes: Episodes, split: np.ndarray
    ) -> None:
        self._config = config
        self._codes = codes
        self._channel = channel
        self._episodes = episodes
        self._split = split
        self.labels: dict[str, StepLabels] = {}
        self._step = round(config.step_hours * HOUR)
        length = episodes.end - episodes.start
        self._steps = np.minimum(-(-length // self._step), config.max_steps)

    def take_labels(self, paths: Mapping[str, Path]) -> None:
        """Read the labels of each task, and put each at its step.

        A trajectory that ends with its subject's last shown event would end earlier for who dies than for who lives, as
        a death is shown to nobody; so it goes on, without events, to the last of its labels.
        Raises DataError if a file is wrong, or if one class of a task lost every row.
        """
        due = {name: read_labels(path) for name, path in paths.items()}
        if self._config.trajectory == "subject":
            for part in due.values():
                wanted = np.minimum(reach(part, self._episodes, self._step), self._config.max_steps)
                self._steps = np.maximum(self._steps, wanted)
        self.labels = {
            name: place_labels(labels, self._episodes, self._steps, self._step) for name, labels in due.items()
        }
        for name, placed in self.labels.items():
            refuse_one_sided(name, placed)

    def blocks(self, shards: Sequence[Shard]) -> Iterator[Trajectories]:
        """All trajectories, those of a few subjects at a time."""
        for number, shard in enumerate(shards):
            own = np.flatnonzero(self._episodes.shard == number)
            runs = 0
            for rows in shard.rows(self._config.text_columns):
                low, high = np.searchsorted(self._episodes.run[own], [runs, runs + len(rows.starts)])
                if high > low:
                    yield self._block(rows, own[low:high], runs)
                runs += len(rows.starts)

    def _block(self, rows: ShardRows, chosen: np.ndarray, runs: int) -> Trajectories:
        steps = self._steps[chosen]
        code = self._codes.number(rows.code)
        dynamic = self._dynamic(rows, code, chosen, runs)
        static = self._static(rows, code, chosen, runs)
        order = np.concatenate([part[0] for part in (static, *dynamic)])
        text, texts = _texts(rows, order)
        events, taken = [], 0
        for (row, owner, time), owners in zip((static, *dynamic), (len(chosen), *[int(steps.sum())] * 2), strict=True):
            own = text[taken : taken + len(row)]
            events.append(_events(self._channel[code[row]], rows.value[row], own, time, owner, owners))
            taken += len(row)
        return Trajectories(
            identifier=chosen.astype(np.int64),
            subject=self._episodes.subject[chosen],
            split=self._split[chosen],
            steps=steps.astype(np.int32),
            static=self._with_age(events[0], chosen),
            state=events[1],
            action=events[2],
            texts=texts,
            labels={name: labels.of(chosen, steps) for name, labels in self.labels.items()},
        )

    def _dynamic(
        self, rows: ShardRows, code: np.ndarray, chosen: np.ndarray, runs: int
    ) -> list[tuple[np.ndarray, ...]]:
        """Row, step (over all trajectories of the block) and hour of the events of states, and of those of actions."""
        starts, ends = self._episodes.start[chosen], self._episodes.end[chosen]
        horizon = np.minimum(ends, starts + self._steps[chosen] * self._step)
        parts = []
        for run, start, stop in zip((self._episodes.run[chosen] - runs).tolist(), starts, horizon, strict=True):
            begin, end = rows.starts[run], rows.ends[run]
            parts.append(begin + np.searchsorted(rows.time[begin:end], [start, stop]))
        spans = np.array(parts)
        counts = spans[:, 1] - spans[:, 0]
        row = np.repeat(spans[:, 1] - np.cumsum(counts), counts) + np.arange(counts.sum())
        since = rows.time[row] - np.repeat(starts, counts)
        first = np.cumsum(self._steps[chosen]) - self._steps[chosen]
        owner = np.repeat(first, counts) + since // self._step
        role = self._codes.role[code[row]]
        return [(row[role == kind], owner[role == kind], since[role == kind] / HOUR) for kind in (STATE, ACTION)]

    def _static(self, rows: ShardRows, code: np.ndarray, chosen: np.ndarray, runs: int) -> tuple[np.ndarray, ...]:
        """Row and trajectory (in the block) of the events without a time, which stand first among a subject's."""
        run = self._episodes.run[chosen] - runs
        shown = (rows.time == NO_TIME) & (self._codes.role[code] != HIDDEN)
        parts = [
            np.flatnonzero(shown[rows.starts[number] : rows.ends[number]]) + rows.starts[number]
            for number in run.tolist()
        ]
        row = np.concatenate(parts)
        return row, np.repeat(np.arange(len(chosen)), [len(part) for part in parts]), np.full(len(row), np.nan)

    def _with_age(self, static: Events, chosen: np.ndarray) -> Events:
        """The static facts with the age at the start in front, where the birth is known."""
        start, birth = self._episodes.start[chosen], self._episodes.birth[chosen]
        known = birth != NO_TIME
        before = static.offsets[:-1][known]
        age = (start[known] - birth[known]) / _YEAR
        added = np.concatenate([[0], np.cumsum(known)])
        return Events(
            offsets=static.offsets + added,
            channel=np.insert(static.channel, before, 0),
            value=np.insert(static.value, before, age.astype(np.float32)),
            text=np.insert(static.text, before, -1),
            time=np.insert(static.time, before, np.nan),
        )


def _events(
    channel: np.ndarray, value: np.ndarray, text: np.ndarray, time: np.ndarray, owner: np.ndarray, owners: int
) -> Events:
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=owners))]).astype(np.int64)
    return Events(offsets, channel, value.astype(np.float32), text, time.astype(np.float32))


def _texts(rows: ShardRows, rows_at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of the words of each of the rows at `place` (-1 for none), and the distinct words."""
    taken = [column.take(pa.array(rows_at)).fill_null("") for column in rows.texts]
    if not taken:
        return np.full(len(rows_at), -1, dtype=np.int32), np.array([], dtype=object)
    joined = pc.binary_join_element_wise(*taken, pa.scalar(" ", pa.large_string()))
    tidy = pc.utf8_trim_whitespace(pc.replace_substring_regex(joined, r"\s+", " "))
    encoded = pc.if_else(pc.equal(tidy, ""), pa.scalar(None, pa.large_string()), tidy).dictionary_encode()
    return encoded.indices.fill_null(-1).to_numpy().astype(np.int32), np.array(
        encoded.dictionary.to_pylist(), dtype=object
    )
