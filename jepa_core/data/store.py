"""The trajectory store: one Zarr v3 group, ragged, sharded, opened by xarray.

Layout (the contiguous ragged arrays of the CF conventions, section 9.3.3: counts that add up to offsets):

    dimension      arrays
    trajectory     identifier, subject (int64), split (int8), step_count, static_count (int32)
    step           state_count, action_count (int32)
    step           label_<name> (float32), NaN where not measured
    trajectory     outcome_<name> (float32), NaN where not defined
    <role>_event   <role>_channel (int32), <role>_value (float32), <role>_text (int32), <role>_time (float32)
    channel        channel_name, channel_unit, channel_group, channel_label (string), channel_order (int32)
    text           text_content (string): the vocabulary that <role>_text points into

Nothing is padded, and a cohort of any size is these few dozen arrays. `Store.to_xarray`
reads it all. A store is written beside its place and renamed when whole, so a half-written one is never taken for a
store.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import zarr

from jepa_core.data.store_arrays import LABEL_SHARD, GrowingArray, write_strings
from jepa_core.data.store_record import FORMAT, FORMAT_VERSION, METADATA, open_whole
from jepa_core.data.trajectories import ROLES, Channel, Events, Role, Trajectories
from jepa_core.errors import DataError, some_of
from jepa_core.io.files import digest_of_record, remove_folder, sync_folder
from jepa_core.io.seals import seal_of
from jepa_core.io.ticker import Ticker

if TYPE_CHECKING:
    import xarray

TOGETHER = 32
"""Neighbours of which those that are asked for one by one are read at once: a read of few rows is mostly overhead."""


class StoreWriter:
    """Writes a store in one pass, in memory that does not grow with the number of trajectories.

    Use as a context manager: the store appears at `path` when the block ends without an error, and not at all
    otherwise.
    """

    def __init__(self, path: Path, source: str, fingerprint: str, about: Mapping[str, Any] | None = None) -> None:
        """about: further attributes of the store, such as the options that it is built with."""
        self.path = path
        self._partial = path.with_name(path.name + ".partial")
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        self._group = zarr.open_group(self._partial, mode="w", zarr_format=3)
        self._attributes: dict[str, Any] = {
            **(about or {}),
            "source": source,
            "fingerprint": fingerprint,
            "records": {},
        }
        self._ticker = Ticker("written")
        self._columns = {
            name: GrowingArray(self._group, name, dtype, dimension) for name, dtype, dimension in _columns()
        }
        self._targets: dict[str, GrowingArray] | None = None
        self._texts: dict[str, int] = {}
        self._channels: list[Channel] = []

    def channels(self, channels: list[Channel]) -> None:
        """Declare the channels that the events' indices point into, once, at any time before the end."""
        if len({channel.name for channel in channels}) != len(channels):
            raise ValueError("channel names must be unique")
        self._channels = channels

    def append(self, trajectories: Trajectories) -> None:
        """Write a block of trajectories; its texts may be a vocabulary of its own. Every block has the labels and
        outcomes of the first."""
        _check(trajectories)
        self._ticker.add(trajectories=len(trajectories.steps), steps=int(trajectories.steps.sum()))
        self._append_targets(trajectories)
        put = self._columns
        put["identifier"].append(trajectories.identifier)
        put["subject"].append(trajectories.subject)
        put["split"].append(trajectories.split)
        put["step_count"].append(trajectories.steps)
        vocabulary = self._intern(trajectories.texts)
        for role in ROLES:
            events = trajectories.events(role)
            put[f"{role}_count"].append(np.diff(events.offsets))
            put[f"{role}_channel"].append(events.channel)
            put[f"{role}_value"].append(events.value)
            put[f"{role}_time"].append(events.time)
            put[f"{role}_text"].append(np.where(events.text < 0, -1, vocabulary[events.text]))

    def _append_targets(self, trajectories: Trajectories) -> None:
        targets = dict(_targets(trajectories))
        if self._targets is None:
            self._targets = {
                name: GrowingArray(self._group, name, "float32", _DIMENSION[name.split("_", 1)[0]], LABEL_SHARD)
                for name in sorted(targets)
            }
        if targets.keys() != self._targets.keys():
            raise ValueError("every block must have the same labels and outcomes")
        for name, values in targets.items():
            self._targets[name].append(values)

    def record(self, name: str, rows: list[dict[str, str | int | float]]) -> None:
        """Keep a small table about how the store was built, such as `attrition` with the keys step, trajectories,
        subjects."""
        self._attributes["records"][name] = rows

    def _intern(self, texts: np.ndarray) -> np.ndarray:
        """Number of each text in the store's vocabulary; the last entry serves the index -1."""
        return np.array([self._texts.setdefault(str(text), len(self._texts)) for text in texts] + [-1], dtype=np.int32)

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is not None:
            shutil.rmtree(self._partial, ignore_errors=True)
            return
        self._close()

    def _close(self) -> None:
        digest = hashlib.sha256()
        for column in self._columns.values():
            digest.update(column.close())
        for name, column in (self._targets or {}).items():
            digest.update(name.encode() + column.close())
        names = ("name", "unit", "group", "label")
        for field in names:
            write_strings(
                self._group, f"channel_{field}", [getattr(channel, field) for channel in self._channels], "channel"
            )
        orders = GrowingArray(self._group, "channel_order", "int32", "channel")
        orders.append(np.array([channel.order for channel in self._channels], dtype=np.int32))
        digest.update(orders.close())
        write_strings(self._group, "text_content", list(self._texts), "text")
        digest.update(json.dumps([vars(channel) for channel in self._channels]).encode())
        digest.update("\0".join(self._texts).encode())
        marks = {"format": FORMAT, "format_version": FORMAT_VERSION, "content": digest.hexdigest(), "complete": True}
        marks["files"] = seal_of(self._partial, without=METADATA)
        attributes = self._attributes | marks
        self._group.attrs.update(attributes | {"sha256": digest_of_record(attributes)})
        sync_folder(self._partial)
        remove_folder(self.path)
        self._partial.rename(self.path)
        sync_folder(self.path.parent)


_DIMENSION = {"label": "step", "outcome": "trajectory"}
"""Arrays whose names depend on the source begin with one of these words; and the dimension of each."""


def _targets(trajectories: Trajectories) -> Iterator[tuple[str, np.ndarray]]:
    yield from ((f"label_{name}", values) for name, values in trajectories.labels.items())
    yield from ((f"outcome_{name}", values) for name, values in trajectories.outcomes.items())


def _columns() -> Iterator[tuple[str, str, str]]:
    yield from (
        ("identifier", "int64", "trajectory"),
        ("subject", "int64", "trajectory"),
        ("split", "int8", "trajectory"),
    )
    yield from (("step_count", "int32", "trajectory"), ("static_count", "int32", "trajectory"))
    yield from (("state_count", "int32", "step"), ("action_count", "int32", "step"))
    for role in ROLES:
        for field, dtype in (("channel", "int32"), ("value", "float32"), ("text", "int32"), ("time", "float32")):
            yield f"{role}_{field}", dtype, f"{role}_event"


def _check(trajectories: Trajectories) -> None:
    count, steps = len(trajectories.identifier), int(trajectories.steps.sum())
    owners = {"static": count, "state": steps, "action": steps}
    for role in ROLES:
        events = trajectories.events(role)
        if len(events.offsets) != owners[role] + 1 or events.offsets[-1] != len(events.channel):
            raise ValueError(f"{role} offsets must have {owners[role] + 1} entries and end at the number of events")
        if not len(events.channel) == len(events.value) == len(events.text) == len(events.time):
            raise ValueError(f"the columns of {role} events must be equally long")
    for name, values in _targets(trajectories):
        owner = steps if name.startswith("label_") else count
        if np.shape(values) != (owner,):
            raise ValueError(f"{name} must have one value for each of the {owner} it belongs to")


class Store:
    """A store on disk, read block by block.

    subject, identifier: (N,) int64; split: (N,) int8 index into SPLITS; steps: (N,) int32; first_step: (N,) int64,
    number of a trajectory's first step among all S steps of the store.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._group = open_whole(path)
        self._arrays: dict[str, Any] = {}
        self.attributes: dict[str, Any] = dict(self._group.attrs)
        self.identifier = self._read("identifier")
        self.subject = self._read("subject")
        self.split = self._read("split")
        self.steps = self._read("step_count")
        self.first_step = np.cumsum(self.steps, dtype=np.int64) - self.steps
        self._offsets = {role: _offsets(self._read(f"{role}_count")) for role in ROLES}

    @property
    def fingerprint(self) -> str:
        """Of the inputs and options that the store was built from."""
        return self.attributes["fingerprint"]

    @property
    def content(self) -> str:
        """Digest of everything in the store."""
        return self.attributes["content"]

    @cached_property
    def channels(self) -> list[Channel]:
        columns = [self._read(f"channel_{field}").tolist() for field in ("name", "unit", "group", "label", "order")]
        return [Channel(*row) for row in zip(*columns, strict=True)]

    @cached_property
    def label_names(self) -> list[str]:
        """Names of the labels, in alphabetical order."""
        return self._target_names("label_")

    @cached_property
    def outcome_names(self) -> list[str]:
        """Names of the outcomes, in alphabetical order."""
        return self._target_names("outcome_")

    def label(self, name: str) -> np.ndarray:
        """(S,) float32: one value a step, NaN where not measured. Raises DataError if the store has no such label."""
        return self._target("label", name, self.label_names)

    def outcome(self, name: str) -> np.ndarray:
        """(N,) float32: one value a trajectory, NaN where not defined. Raises DataError if the store has no such
        outcome."""
        return self._target("outcome", name, self.outcome_names)

    def _target_names(self, prefix: str) -> list[str]:
        # As they lie there: Zarr would read the metadata of every array to tell their names.
        arrays = (metadata.parent.name for metadata in self.path.glob(f"{prefix}*/{METADATA}"))
        return sorted(name.removeprefix(prefix) for name in arrays)

    def _target(self, kind: str, name: str, known: list[str]) -> np.ndarray:
        if name not in known:
            raise DataError(f"{self.path} has no {kind} '{name}'; it has {some_of(known)}")
        return self._read(f"{kind}_{name}")

    def record(self, name: str) -> list[dict[str, Any]]:
        """A table that the source recorded while building, or an empty one."""
        return self.attributes["records"].get(name, [])

    def __len__(self) -> int:
        return len(self.steps)

    def event_count(self, role: Role) -> int:
        """Events of a role."""
        return int(self._offsets[role][-1])

    def event_offsets(self, role: Role) -> np.ndarray:
        """(owners + 1,) int64: the events of owner i (a trajectory for static facts, else a step) are
        offsets[i]:offsets[i + 1]."""
        return self._offsets[role]

    def event_column(self, role: Role, field: Literal["channel", "value", "text", "time"], part: slice) -> np.ndarray:
        """Part of one column of a role's events; see `Events`."""
        return self._rows(f"{role}_{field}", part)

    def texts(self) -> np.ndarray:
        """(vocabulary,) object: the texts that the column `text` of an event points into."""
        return self._read("text_content").astype(object)

    def blocks(self, size: int = 256) -> Iterator[Trajectories]:
        """All trajectories in order, `size` at a time."""
        texts = self.texts()
        for start in range(0, len(self), size):
            yield self._block(start, min(start + size, len(self)), texts)

    def each(self, chosen: np.ndarray) -> Iterator[tuple[int, Trajectories]]:
        """The trajectories at the positions `chosen`, each alone, with its position."""
        if not len(chosen):
            return
        texts = self.texts()
        for near in np.split(chosen, np.flatnonzero(np.diff(chosen // TOGETHER)) + 1):
            positions = near.tolist()
            start = min(positions)
            block = self._block(start, max(positions) + 1, texts)
            yield from ((position, block.alone(position - start)) for position in positions)

    def _block(self, start: int, stop: int, texts: np.ndarray) -> Trajectories:
        first = int(self.first_step[start])
        last = int(self.first_step[stop - 1] + self.steps[stop - 1])
        span = {"static": (start, stop), "state": (first, last), "action": (first, last)}
        events = {role: self._events(role, *span[role]) for role in ROLES}
        part = slice(start, stop)
        labels = {name: self._rows(f"label_{name}", slice(first, last)) for name in self.label_names}
        outcomes = {name: self._rows(f"outcome_{name}", part) for name in self.outcome_names}
        return Trajectories(
            self.identifier[part], self.subject[part], self.split[part], self.steps[part],
            texts=texts, labels=labels, outcomes=outcomes, **events,
        )  # fmt: skip

    def _events(self, role: Role, start: int, stop: int) -> Events:
        offsets = self._offsets[role][start : stop + 1]
        low, high = int(offsets[0]), int(offsets[-1])
        span = slice(low, high)
        columns = {field: self._rows(f"{role}_{field}", span) for field in ("channel", "value", "text", "time")}
        return Events(offsets=offsets - low, **columns)

    def _rows(self, name: str, part: slice) -> np.ndarray:
        """Part of an array of the store."""
        if name not in self._arrays:
            self._arrays[name] = self._group[name]
        return self._arrays[name][part]

    def _read(self, name: str) -> np.ndarray:
        try:
            return self._rows(name, slice(None))
        except (KeyError, ValueError, RuntimeError, OSError) as error:
            raise DataError(
                f"{self.path}: array '{name}' of the store cannot be read; delete the store and run again"
            ) from error

    def to_xarray(self) -> xarray.Dataset:
        """The store as an xarray Dataset; arrays are read when they are used."""
        import xarray  # brings pandas, which takes a second; nothing else here reads a store that way

        return xarray.open_zarr(self.path, consolidated=False, chunks=None)


def _offsets(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
