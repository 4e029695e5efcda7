"""The data of a recipe: the store of its source and the rendering for its encoder.

Both are found by fingerprint and made where they are not there. Each is written beside its place and renamed when
whole, so what an interrupted process left is no store: it is thrown away, and that part is made again from the
beginning. A store that was finished before its rendering was stopped is kept, and so are the finished partitions of a
source that builds in partitions.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jepa_core.config import EncoderConfig, Modality, SourceConfig
from jepa_core.data.partitions import (
    Each,
    finished_partitions,
    join_partitions,
    make_partitions,
    partitions_folder,
)
from jepa_core.data.places import store_path
from jepa_core.data.rendering import Rendering, check_rendered_alike, is_whole, open_rendering, rendering_folder
from jepa_core.data.source import PartitionedSource, Source
from jepa_core.data.store import Store, StoreWriter
from jepa_core.data.trajectories import ROLES, SPLITS
from jepa_core.errors import DataError, JepaError
from jepa_core.io.files import disk_errors
from jepa_core.io.locks import locked, locked_in_turn

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset
    from jepa_core.recipe import Recipe

_DIFFERENCES = 5
"""Differences that are told at most."""

log = logging.getLogger("jepa")


@dataclass(frozen=True)
class Prepared:
    """A store and its rendering. why_built, why_rendered: why each was made just now; empty for what was there."""

    store: Store
    rendering: Rendering
    why_built: str
    why_rendered: str

    def dataset(self) -> Dataset:
        """What phases and evaluators read."""
        return _dataset(self.store, self.rendering)

    def summary(self) -> dict[str, Any]:
        """Everything that `jepa prepare` prints. No identifier."""
        return {
            "store": str(self.store.path),
            "why_built": self.why_built,
            "rendering": str(self.rendering.folder),
            "why_rendered": self.why_rendered,
            "items": self.rendering.count,
            **facts(self.store),
            "events": {role: self.store.event_count(role) for role in ROLES},
            **describe_store(self.store),
        }


def prepare_data(recipe: Recipe, folder: Path, each: Each = map) -> Prepared:
    """The store and the rendering of a recipe in `folder`, each made if it is not there. each: who makes partitions.

    Raises DataError if the data break their contract, Busy if another process is building the store.
    """
    use = recipe.source
    source: Source = use.build()
    encoder = recipe.encoder.config
    assert isinstance(encoder, EncoderConfig) and isinstance(use.config, SourceConfig)
    inputs = {str(file.path): file.bytes for file in use.config.inputs()}
    about = {"options": use.config.model_dump(mode="json", by_alias=True), "inputs": inputs}
    store, why_built = _open_or_build(source, use.component.name, folder, about, each)
    rendering, why_rendered = _open_or_render(store, source, encoder.modality)
    return Prepared(store, rendering, why_built, why_rendered)


def open_dataset(store: Store, source: Source, modality: Modality) -> Dataset:
    """A store that is there, rendered for a modality; the rendering is made if it is not there, or waited for while
    another process makes it."""
    return _dataset(store, _open_or_render(store, source, modality)[0])


def _dataset(store: Store, rendering: Rendering) -> Dataset:
    from jepa_core.data.dataset import Dataset  # not above: it imports torch, and preparing data needs none

    return Dataset(store, rendering)


def open_store(source: Source, name: str, folder: Path, each: Each = map) -> Store:
    """The store of a source in `folder`, built if it is not there. each: who makes partitions."""
    return _open_or_build(source, name, folder, {}, each)[0]


def build_store(source: Source, name: str, folder: Path) -> Store:
    """The store of a source in an empty folder of its own, which nothing else will look into."""
    path = folder / name
    _build(source, name, path, source.fingerprint(), {}, map)
    return Store(path)


def recorded_data(recipe: Recipe, folder: Path, recorded: Mapping[str, Any]) -> Dataset:
    """The data that a run was on, by the facts that it wrote down of them. The raw data are read only if their store is
    no longer in `folder`.

    Raises DataError if they are no longer what they were, or are rendered in another way now.
    """
    source: Source = recipe.source.build()
    path = store_path(folder, recipe.source.component.name, recorded["fingerprint"])
    if not path.exists() and source.fingerprint() != recorded["fingerprint"]:
        raise DataError(f"the store {path} is gone, and the raw data have changed since; bring either back")
    store = Store(path) if path.exists() else prepare_data(recipe, folder).store
    if store.content != recorded["content"]:
        raise DataError(f"{store.path} does not hold the data that the run was on; bring the store back, or run again")
    encoder = recipe.encoder.config
    assert isinstance(encoder, EncoderConfig)
    check_rendered_alike(source, encoder.modality, recorded.get("rendering"), "the model")
    return open_dataset(store, source, encoder.modality)


def facts(store: Store) -> dict[str, Any]:
    """Which data these are."""
    return {
        "source": store.attributes["source"],
        "fingerprint": store.fingerprint,
        "content": store.content,
        "trajectories": len(store),
        "subjects": len(np.unique(store.subject)),
        "steps": int(store.steps.sum()),
    }


def describe_store(store: Store) -> dict[str, Any]:
    """Counts of a store: attrition, splits, channels. No identifier."""
    splits = []
    for number, name in enumerate(SPLITS):
        chosen = store.split == number
        subjects = len(np.unique(store.subject[chosen]))
        counts = {"trajectories": int(chosen.sum()), "subjects": subjects, "steps": int(store.steps[chosen].sum())}
        splits.append({"split": name} | counts)
    return {"attrition": store.record("attrition"), "splits": splits, "channels": len(store.channels)}


def summary_text(summary: dict[str, Any]) -> str:
    """A summary for people."""
    record = {
        name: f"made now: {why}" if (why := summary[f"why_{name}"]) else "was there" for name in ("built", "rendered")
    }
    lines = [
        f"store        {summary['store']}  ({record['built']})",
        f"rendering    {summary['rendering']}  ({record['rendered']})",
        f"fingerprint  {summary['fingerprint']}",
        f"content      {summary['content']}",
        f"counts       {summary['trajectories']:,} trajectories, {summary['subjects']:,} subjects, "
        f"{summary['steps']:,} steps, {summary['items']:,} distinct items",
        "events       " + ", ".join(f"{role} {count:,}" for role, count in summary["events"].items()),
    ]
    lines += [
        f"{'splits' if number == 0 else '':<11}  {split['split']}: {split['trajectories']:,} trajectories, "
        f"{split['subjects']:,} subjects, {split['steps']:,} steps"
        for number, split in enumerate(summary["splits"])
    ]
    return "\n".join(lines)


def _open_or_build(source: Source, name: str, folder: Path, about: Mapping[str, Any], each: Each) -> tuple[Store, str]:
    """A store, and why it was built; an empty reason if it was there."""
    fingerprint = source.fingerprint()
    path = store_path(folder, name, fingerprint)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists():  # whole, as it is renamed when it is; runs beside one another need not wait to open it
            return _open_own(path, fingerprint), ""
        with _held(path):
            if path.exists():  # another process finished it a moment ago
                return _open_own(path, fingerprint), ""
            reason = _why_build(path, name, about)
            log.info("building the store %s: %s", path, reason)
            _tell_leftovers(path, name)
            _build(source, name, path, fingerprint, about, each)
            return Store(path), reason


def _open_own(path: Path, fingerprint: str) -> Store:
    """The store that lies there. Raises DataError if it is a copy of one that was built from other data or options."""
    store = Store(path)
    if store.fingerprint != fingerprint:
        raise DataError(
            f"{path} holds the store of other data or options, under the name of this one; delete it and run again, "
            "which builds it anew"
        )
    return store


def _build(source: Source, name: str, path: Path, fingerprint: str, about: Mapping[str, Any], each: Each) -> None:
    with _material(source, path, each) as write, StoreWriter(path, name, fingerprint, about) as writer:
        write(writer)


def _open_or_render(store: Store, source: Source, modality: Modality) -> tuple[Rendering, str]:
    """A rendering, and why it was made; an empty reason if it was there.

    Runs beside one another find at the same moment that their objectives or evaluators want one: it is made once.
    """
    folder = rendering_folder(store, source, modality)
    if is_whole(folder):
        return open_rendering(store, source, modality), ""
    with locked_in_turn(_lock(store.path), f"waiting for another jepa command, which prepares {store.path}"):
        reason = "" if is_whole(folder) else _why_render(store, modality)
        return open_rendering(store, source, modality), reason


@contextmanager
def _material(source: Source, path: Path, each: Each) -> Iterator[Callable[[StoreWriter], None]]:
    """What writes the trajectories to a store that is to lie at `path`, and what it is made of until it is whole."""
    if isinstance(source, PartitionedSource):
        folder = partitions_folder(path)
        make_partitions(source, folder, each)
        yield partial(join_partitions, source, folder)
        shutil.rmtree(folder)
        return
    # A fixed name, so that what a killed process left there is removed.
    scratch = path.with_name(f".{path.name}.scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    try:
        yield partial(source.build, scratch=scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Hold a store for this process while it is built."""
    with locked(_lock(path), f"another jepa command is preparing {path}; wait for it"):
        yield


def _lock(path: Path) -> Path:
    """The lock of a store, which is held while it is built or rendered."""
    return path.with_name(f".{path.name}.lock")


# --- why something is made --------------------------------------------------------------------------------------------


def _why_build(path: Path, name: str, about: Mapping[str, Any]) -> str:
    finished, of = finished_partitions(partitions_folder(path))
    if of:
        return f"an earlier attempt was stopped, and this one goes on from its {finished} finished partitions of {of}"
    if path.with_name(path.name + ".partial").exists() or partitions_folder(path).exists():
        return "an earlier attempt was stopped halfway, and this one starts from the beginning"
    stores = sorted(path.parent.glob(f"{name}-{'?' * 12}"), key=lambda store: store.stat().st_mtime, reverse=True)
    for other in stores:
        before = _attributes(other)
        if before is not None:
            return f"unlike in {other.name}, {_differences(before, about)}"
    return f"there is none of the source {name} in {path.parent} yet"


def _tell_leftovers(path: Path, name: str) -> None:
    """Say which partitions of other inputs or options lie about. They may be hours of work, so they are left there."""
    for other in sorted(path.parent.glob(f".{name}-*.partitions")):
        if other != partitions_folder(path):
            log.info("%s is left of another preparation that was stopped; remove it if nobody goes on with it", other)


def _attributes(path: Path) -> dict[str, Any] | None:
    """Attributes of another store; None if it cannot be opened, which is no reason to stop."""
    try:
        return Store(path).attributes
    except JepaError:
        return None


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs between what a store was built from and what one is to be built from, in words."""
    old, new = _flat(before.get("options", {})), _flat(now.get("options", {}))
    told = [
        f"source.{key} was {old.get(key, 'not set')} and is {new.get(key, 'not set')}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    sizes, sizes_now = before.get("inputs", {}), now.get("inputs", {})
    told += [f"the input {path} is new" for path in sorted(sizes_now.keys() - sizes.keys())]
    told += [f"the input {path} is gone" for path in sorted(sizes.keys() - sizes_now.keys())]
    told += [
        f"the input {path} had {sizes[path]} bytes and has {sizes_now[path]}"
        for path in sorted(sizes.keys() & sizes_now.keys())
        if sizes[path] != sizes_now[path]
    ]
    if not told:
        return "the content of an input has changed, or the way in which the source reads it"
    more = len(told) - _DIFFERENCES
    return "; ".join(told[:_DIFFERENCES]) + (f"; and {more} more differences" if more > 0 else "")


def _flat(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Options by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in options.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _why_render(store: Store, modality: str) -> str:
    others = [path for path in store.path.parent.glob(f"{store.path.name}.{modality}-*") if path.is_dir()]
    if any(other.name.endswith(".partial") for other in others):
        return "an earlier attempt was stopped halfway, and this one starts from the beginning"
    if others:
        return "the source renders in another way, or with other options, than before"
    return f"there is none for the modality {modality} yet"
