"""What is in a store, or in a file of raw data.

A store is counted in passes over its columns: memory holds one span of events at a time. A file is described by
whichever installed plugin reads its kind.

No identifier, no text and no time of a record is part of it, and quartiles of fewer than ten values are withheld, since
they would be the values of a few.
"""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jepa_core.data.places import store_path, stores_folder
from jepa_core.data.preparation import describe_store, facts
from jepa_core.data.rendering import sized_rendering
from jepa_core.data.store import Store
from jepa_core.data.trajectories import ROLES, SPLITS, Role
from jepa_core.errors import DataError, RecipeError, RunError
from jepa_core.io.records import Shape, read_sealed_or_older
from jepa_core.plugin import FileDescription, Registry

SPAN = 1 << 20
"""Events that one read brings."""
VALUES_IN_MEMORY = 1 << 24
"""Values sorted at once for quartiles, unless a single channel has more."""
FEWEST = 10
"""Values below which quartiles are withheld."""
SHOWN = 40
"""Channels of a role that the text shows."""
SHARES = ("missing", "irregular")
"""Columns of a page that hold shares: plain numbers as data, per cent for people."""

_QUARTILES = (0.25, 0.5, 0.75)


class _DatasetShape(Shape):
    source: str
    fingerprint: str


class _ManifestShape(Shape):
    """What a run's manifest says of its data, as far as it leads to them."""

    dataset: _DatasetShape | None = None


def find_store(path: Path) -> Store:
    """The store in a folder, or of the run in a folder.

    Raises RecipeError if the folder holds neither, DataError if the run's store is gone.
    """
    return Store(find_store_folder(path))


def find_store_folder(path: Path) -> Path:
    """Where `find_store` finds it; it is not opened. Raises what that raises."""
    manifest = path / "manifest.json"
    if not manifest.is_file():
        if not path.is_dir():
            raise RecipeError(f"there is no folder {path}; give the folder of a store or of a run")
        return path
    dataset = read_sealed_or_older(manifest, _ManifestShape, "copy the run again", RunError).get("dataset")
    if dataset is None:
        raise RecipeError(f"the run {path} has no store yet; it was stopped before. Go on with: jepa resume {path}")
    store_folder = store_path(stores_folder(path.parent), dataset["source"], dataset["fingerprint"])
    if not store_folder.is_dir():
        raise DataError(
            f"the store of this run is not at {store_folder} any more; build it again with: "
            f"jepa prepare {path / 'recipe.resolved.yaml'} --runs {path.parent}"
        )
    return store_folder


def find_store_if_there(path: Path) -> Store | None:
    """The store of the run in a folder; None if it is gone, or the folder holds a model alone.

    Raises DataError if the store is damaged, UnsafeArtefactError if something in it is no regular file.
    """
    try:
        store_folder = find_store_folder(path)
    except DataError:
        return None
    return None if store_folder == path else Store(store_folder)


def is_store(path: Path) -> bool:
    """Whether a path is the folder of a store or of a run."""
    return path.is_dir() and any((path / name).is_file() for name in ("manifest.json", "zarr.json"))


def _files_within(folder: Path) -> Path | None:
    """Wildcards for the files of the most usual ending, one or two folders below; None if there are none."""
    for below in ("*", "*/*"):
        endings = Counter(path.suffix for path in folder.glob(f"{below}/*") if path.is_file() and path.suffix)
        if endings:
            return folder / below / f"*{endings.most_common(1)[0][0]}"
    return None


def describe_files(paths: Sequence[Path], registry: Registry) -> FileDescription:
    """What a plugin finds in files of raw data. Raises RecipeError if nothing is there, or none reads their kind."""
    for path in paths:
        if not path.exists() and not glob.glob(str(path), recursive=True):
            raise RecipeError(f"nothing is at {path}; give files of raw data, a folder of them, a store or a run")
    described = registry.manager.hook.jepa_describe_files(paths=tuple(paths))
    if described is None and len(paths) == 1 and paths[0].is_dir():
        within = _files_within(paths[0])
        advice = f"; it holds folders: name the files in them, as in '{within}'" if within else ""
        raise DataError(
            f"{paths[0]} is neither a store nor a run, and no installed plugin describes what is in it{advice}"
        )
    if described is None:
        name = paths[0].name or str(paths[0])
        raise RecipeError(f"no installed plugin describes files such as {name}; `jepa plugins` lists them")
    return described


def inspect_store(store: Store) -> dict[str, Any]:
    """Everything that `jepa inspect` prints."""
    files = [path for path in store.path.rglob("*") if path.is_file()]
    return {
        "store": str(store.path),
        **facts(store),
        "format_version": store.attributes["format_version"],
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
        "renderings": _renderings(store),
        **describe_store(store),
        "events": {role: store.event_count(role) for role in ROLES},
        "lengths": _lengths(store),
        "channels": [row for role in ROLES for row in _channels(store, role)],
        "targets": list(_targets(store)),
    }


def _renderings(store: Store) -> list[dict[str, Any]]:
    renderings = []
    for path in sorted(store.path.parent.glob(f"{store.path.name}.*/rendering.json")):
        renderings.append({"rendering": path.parent.name, **sized_rendering(path.parent)})
    return renderings


def _lengths(store: Store) -> list[dict[str, Any]]:
    """Distribution of the number of steps, over all and by split."""
    parts = {"all": store.steps} | {name: store.steps[store.split == number] for number, name in enumerate(SPLITS)}
    rows = []
    for name, steps in parts.items():
        if len(steps):
            low, *quartiles, high = np.quantile(steps, [0, *_QUARTILES, 1]).tolist()
            row = {"min": low, **_named(quartiles), "max": high, "mean": round(float(steps.mean()), 3)}
            rows.append({"split": name, "trajectories": len(steps), **row})
    return rows


def _named(quartiles: Sequence[float | None]) -> dict[str, float | None]:
    return dict(zip(("q25", "median", "q75"), quartiles, strict=True))


# --- channels ---------------------------------------------------------------------------------------------------------


def _channels(store: Store, role: Role) -> Iterator[dict[str, Any]]:
    """A row for each channel with events of a role. missing: share of the owners (steps; trajectories for static
    facts) without an event of it."""
    channels = store.channels
    events, values, owners = _counts(store, role, len(channels))
    quartiles = _quartiles(store, role, values)
    total = len(store.event_offsets(role)) - 1
    for number in np.flatnonzero(events).tolist():
        row: dict[str, Any] = {"role": role, "channel": channels[number].name, "unit": channels[number].unit}
        row |= {"events": int(events[number]), "values": int(values[number])}
        row |= {"missing": round(1 - float(owners[number]) / total, 6)}
        yield row | _named(quartiles.get(number, [None] * 3))


def _counts(store: Store, role: Role, channels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Events, events with a value, and owners with an event, of each channel: three (channels,) int64."""
    offsets = store.event_offsets(role)
    events, values, owners = (np.zeros(channels, dtype=np.int64) for _ in range(3))
    for first, last in _owner_spans(offsets):
        part = slice(int(offsets[first]), int(offsets[last]))
        channel = store.event_column(role, "channel", part).astype(np.int64)
        valued = ~np.isnan(store.event_column(role, "value", part))
        owner = np.repeat(np.arange(last - first), np.diff(offsets[first : last + 1]))
        events += np.bincount(channel, minlength=channels)
        values += np.bincount(channel[valued], minlength=channels)
        owners += np.bincount(np.unique(owner * channels + channel) % channels, minlength=channels)
    return events, values, owners


def _owner_spans(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """Runs of owners with about SPAN events together."""
    first, count = 0, len(offsets) - 1
    while first < count:
        last = int(np.searchsorted(offsets, offsets[first] + SPAN, side="right")) - 1
        last = min(max(last, first + 1), count)
        yield first, last
        first = last


def _quartiles(store: Store, role: Role, values: np.ndarray) -> dict[int, list[float]]:
    """Exact quartiles of the values of every channel that has enough, a group of channels in each pass."""
    quantiles: dict[int, list[float]] = {}
    for group in _groups(values):
        chosen = np.zeros(len(values), dtype=bool)
        chosen[group] = True
        channel, value = _values(store, role, chosen)
        order = np.argsort(channel, kind="stable")
        ends = np.cumsum(values[group])
        for number, end in zip(group.tolist(), ends.tolist(), strict=True):
            own = value[order[end - int(values[number]) : end]]
            quantiles[number] = [float(f"{quantile:.6g}") for quantile in np.quantile(own, _QUARTILES)]
    return quantiles


def _groups(values: np.ndarray) -> Iterator[np.ndarray]:
    """Channels with enough values, in ascending groups that fit into memory."""
    channels = np.flatnonzero(values >= FEWEST)
    first, held = 0, 0
    for number, count in enumerate(values[channels].tolist()):
        if held and held + count > VALUES_IN_MEMORY:
            yield channels[first:number]
            first, held = number, 0
        held += count
    if held:
        yield channels[first:]


def _values(store: Store, role: Role, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Channel and value of every event with a value on one of the chosen channels."""
    parts = []
    for start in range(0, store.event_count(role), SPAN):
        part = slice(start, min(start + SPAN, store.event_count(role)))
        channel, value = store.event_column(role, "channel", part), store.event_column(role, "value", part)
        kept = chosen[channel] & ~np.isnan(value)
        parts.append((channel[kept], value[kept]))
    return np.concatenate([block for block, _ in parts]), np.concatenate([block for _, block in parts])


# --- labels and outcomes ----------------------------------------------------------------------------------------------


def _targets(store: Store) -> Iterator[dict[str, Any]]:
    """Known and unknown values of every label (one a step) and outcome (one a trajectory), by split, and their mean:
    the prevalence where the values are only ever 0 or 1 (`positive` counts them there)."""
    for name in store.label_names:
        yield from _target("label", name, store.label(name), np.repeat(store.split, store.steps))
    for name in store.outcome_names:
        yield from _target("outcome", name, store.outcome(name), store.split)


def _target(kind: str, name: str, values: np.ndarray, splits: np.ndarray) -> Iterator[dict[str, Any]]:
    known = ~np.isnan(values)
    binary = bool(np.isin(values[known], (0, 1)).all())
    for number, split in enumerate(SPLITS):
        own = splits == number
        chosen = values[own & known].astype(np.float64)
        yield {
            "kind": kind,
            "name": name,
            "split": split,
            "known": len(chosen),
            "unknown": int(own.sum()) - len(chosen),
            "positive": int(chosen.sum()) if binary else None,
            "mean": round(float(chosen.mean()), 6) if len(chosen) else None,
        }


# --- text -------------------------------------------------------------------------------------------------------------


def inspection_text(page: dict[str, Any]) -> str:
    """An inspection for people."""
    lines = [
        f"store        {page['store']}",
        f"source       {page['source']}, format version {page['format_version']}",
        f"fingerprint  {page['fingerprint']}",
        f"content      {page['content']}",
        f"size         {page['files']:,} files, {page['bytes']:,} bytes",
        f"counts       {page['trajectories']:,} trajectories, {page['subjects']:,} subjects, {page['steps']:,} steps",
        "events       " + ", ".join(f"{role} {count:,}" for role, count in page["events"].items()),
    ]
    lines += [
        f"rendering    {rendering['rendering']}: {rendering['items']:,} items, {rendering['bytes']:,} bytes"
        for rendering in page["renderings"]
    ]
    for title, key in (("attrition", "attrition"), ("splits", "splits"), ("steps of a trajectory", "lengths")):
        lines += ["", title, *_table(page[key])]
    if page["targets"]:
        lines += ["", "labels and outcomes", *_table(page["targets"])]
    for role in ROLES:
        lines += _channel_lines(role, [row for row in page["channels"] if row["role"] == role])
    return "\n".join(lines)


def description_text(page: Mapping[str, Any]) -> str:
    """The description of a file for people: what is one value first, then the tables."""
    single = {key: value for key, value in page.items() if not isinstance(value, list)}
    width = max(map(len, single), default=0)
    lines = [f"{key.ljust(width)}  {_cell(value)}" for key, value in single.items()]
    for key, value in page.items():
        if isinstance(value, list) and value:
            lines += ["", key, *_table(value)]
    return "\n".join(lines)


def _channel_lines(role: Role, rows: list[dict[str, Any]]) -> list[str]:
    """The channels of a role that have the most events."""
    often = sorted(rows, key=lambda row: -row["events"])
    lines = ["", f"{role} channels: {len(rows):,} with events"]
    lines += _table([{key: value for key, value in row.items() if key != "role"} for row in often[:SHOWN]])
    return lines + ([f"  and {len(rows) - SHOWN:,} more; --json names all"] if len(rows) > SHOWN else [])


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """Rows under their keys: words to the left, numbers to the right."""
    if not rows:
        return ["  none"]
    cells = [[*rows[0]], *([_share(v) if key in SHARES else _cell(v) for key, v in row.items()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    left = [isinstance(value, str) for value in rows[0].values()]
    return [
        "  " + "  ".join(
            cell.ljust(width) if words else cell.rjust(width)
            for cell, width, words in zip(line, widths, left, strict=True)
        ).rstrip()
        for line in cells
    ]  # fmt: skip


def _share(share: float) -> str:
    """A share in per cent, to one digit; what is not quite none or all is not called so."""
    if 0 < share < 0.001 or 0.999 < share < 1:
        return "<0.1 %" if share < 0.5 else ">99.9 %"
    return f"{100 * share:.1f} %" if share % 1 else f"{100 * share:.0f} %"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
