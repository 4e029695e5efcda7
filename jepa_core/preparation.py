"""The data of a recipe: the store of its source and the rendering for its encoder.

Both are found by fingerprint and made where they are not there. Each is written beside its place and renamed when
whole, so what an interrupted process left is no store: it is thrown away, and that part is made again from the
beginning. A store that was finished before its rendering was stopped is kept.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jepa_core.config import EncoderConfig, Modality, SourceConfig
from jepa_core.contracts import Source
from jepa_core.dataset import Dataset
from jepa_core.errors import JepaError
from jepa_core.files import disk_errors
from jepa_core.recipe import Recipe
from jepa_core.rendering import Rendering, is_whole, open_rendering, rendering_folder
from jepa_core.run import locked
from jepa_core.store import Store, StoreWriter
from jepa_core.trajectories import ROLES, SPLITS

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
        return Dataset(self.store, self.rendering)

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
            **describe(self.store),
        }


def prepare_data(recipe: Recipe, folder: Path) -> Prepared:
    """The store and the rendering of a recipe in `folder`, each made if it is not there.

    Raises DataError if the data break their contract, RunError if another process is making them.
    """
    use = recipe.source
    source: Source = use.build()
    encoder = recipe.encoder.config
    assert isinstance(encoder, EncoderConfig) and isinstance(use.config, SourceConfig)
    inputs = {str(one.path): one.bytes for one in use.config.inputs()}
    about = {"options": use.config.model_dump(mode="json", by_alias=True), "inputs": inputs}
    store, why_built = _open_or_build(source, use.component.name, folder, about)
    with _held(store.path):
        place = rendering_folder(store, source, encoder.modality)
        why_rendered = "" if is_whole(place) else _why_render(store, encoder.modality)
        rendering = open_rendering(store, source, encoder.modality)
    return Prepared(store, rendering, why_built, why_rendered)


def open_dataset(store: Store, source: Source, modality: Modality) -> Dataset:
    """A store that is there, rendered for a modality; the rendering is made if it is not there.

    Raises RunError if another process is making it.
    """
    with _held(store.path):
        return Dataset.open(store, source, modality)


def open_store(source: Source, name: str, folder: Path) -> Store:
    """The store of a source in `folder`, built if it is not there."""
    return _open_or_build(source, name, folder, {})[0]


def store_path(folder: Path, name: str, fingerprint: str) -> Path:
    """Where the store of a source called `name` lies in `folder`."""
    return folder / f"{name}-{fingerprint[:12]}"


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


def describe(store: Store) -> dict[str, Any]:
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
    made = {
        name: f"made now: {why}" if (why := summary[f"why_{name}"]) else "was there" for name in ("built", "rendered")
    }
    lines = [
        f"store        {summary['store']}  ({made['built']})",
        f"rendering    {summary['rendering']}  ({made['rendered']})",
        f"fingerprint  {summary['fingerprint']}",
        f"content      {summary['content']}",
        f"counts       {summary['trajectories']:,} trajectories, {summary['subjects']:,} subjects, "
        f"{summary['steps']:,} steps, {summary['items']:,} distinct items",
        "events       " + ", ".join(f"{role} {count:,}" for role, count in summary["events"].items()),
    ]
    lines += [
        f"{'splits' if number == 0 else '':<11}  {one['split']}: {one['trajectories']:,} trajectories, "
        f"{one['subjects']:,} subjects, {one['steps']:,} steps"
        for number, one in enumerate(summary["splits"])
    ]
    return "\n".join(lines)


def _open_or_build(source: Source, name: str, folder: Path, about: Mapping[str, Any]) -> tuple[Store, str]:
    """A store, and why it was built; an empty reason if it was there."""
    fingerprint = source.fingerprint()
    path = store_path(folder, name, fingerprint)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _held(path):
            reason = "" if path.exists() else _why_build(path, name, about)
            if reason:
                log.info("building the store %s: %s", path, reason)
                _build(source, StoreWriter(path, name, fingerprint, about))
            return Store(path), reason


def _build(source: Source, writer: StoreWriter) -> None:
    """Build a store, with a scratch folder of a fixed name, so that what a killed process left there is removed."""
    scratch = writer.path.with_name(f".{writer.path.name}.scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    try:
        with writer:
            source.build(writer, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Hold a store for this process while it is built or rendered."""
    with locked(path.with_name(f".{path.name}.lock"), f"another jepa command is preparing {path}; wait for it"):
        yield


# --- why something is made --------------------------------------------------------------------------------------------


def _why_build(path: Path, name: str, about: Mapping[str, Any]) -> str:
    if path.with_name(path.name + ".partial").exists():
        return "an earlier attempt was stopped halfway, and this one starts from the beginning"
    stores = sorted(path.parent.glob(f"{name}-{'?' * 12}"), key=lambda one: one.stat().st_mtime, reverse=True)
    for other in stores:
        before = _attributes(other)
        if before is not None:
            return f"unlike in {other.name}, {_differences(before, about)}"
    return f"there is none of the source {name} in {path.parent} yet"


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
    sizes, found = before.get("inputs", {}), now.get("inputs", {})
    told += [f"the input {path} is new" for path in sorted(found.keys() - sizes.keys())]
    told += [f"the input {path} is gone" for path in sorted(sizes.keys() - found.keys())]
    told += [
        f"the input {path} had {sizes[path]} bytes and has {found[path]}"
        for path in sorted(sizes.keys() & found.keys())
        if sizes[path] != found[path]
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
    others = [one for one in store.path.parent.glob(f"{store.path.name}.{modality}-*") if one.is_dir()]
    if any(one.name.endswith(".partial") for one in others):
        return "an earlier attempt was stopped halfway, and this one starts from the beginning"
    if others:
        return "the source renders in another way, or with other options, than before"
    return f"there is none for the modality {modality} yet"
