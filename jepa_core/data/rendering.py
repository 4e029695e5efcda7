"""A store's steps in the form an encoder wants: each distinct item once, on disk, read through memory maps.

The store is made for keeping; training wants a few hundred random steps at a time. So a store is rendered once for a
modality, into flat files beside it that random reads cost next to nothing from. Another template or modality renders
again and extracts nothing.

Items are numbered trajectory by trajectory in order of first appearance: the static facts, then the states, then the
actions. Equal texts are one item, wherever they stand.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from jepa_core.config import Modality
from jepa_core.data.distinct import Distinct
from jepa_core.data.source import Source
from jepa_core.data.store import Store
from jepa_core.data.trajectories import Rendered, Trajectories
from jepa_core.errors import LastingDataError
from jepa_core.io.files import remove_folder, require_regular_files, sync_folder
from jepa_core.io.records import Shape, read_sealed, write_sealed
from jepa_core.io.seals import check_seal, check_sizes, seal_of
from jepa_core.io.ticker import Ticker

if TYPE_CHECKING:
    from jepa_core.contracts import Channels, Items

RENDERING_VERSION = 4
RECORD = "rendering.json"
_AGAIN = "delete the folder and run again, which renders anew"

log = logging.getLogger("jepa")


class _RecordShape(Shape):
    items: int
    modality: str
    files: dict[str, str]


class Rendering(ABC):
    """Items of a store. static: (N,), state: (S,), action: (S,) int64 item ids; count: number of distinct items."""

    modality: ClassVar[Modality]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.static = np.load(folder / "static.npy")
        self.state = np.load(folder / "state.npy", mmap_mode="r")
        self.action = np.load(folder / "action.npy", mmap_mode="r")
        self.count: int = read_rendering_record(folder)["items"]

    @abstractmethod
    def take(self, ids: np.ndarray) -> Items:
        """The items of the given ids."""

    def sizes(self, ids: np.ndarray) -> np.ndarray:
        """What encoding each of the items (N,) costs, beside one another: (N,) int64. Equal here."""
        return np.ones(len(ids), dtype=np.int64)


class TextRendering(Rendering):
    """Texts in one file, with their offsets beside."""

    modality = "text"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._offsets = np.load(folder / "offsets.npy", mmap_mode="r")
        # Slices of a view take a tenth of the time of those of an array.
        self._bytes = np.memmap(folder / "texts.utf8", dtype=np.uint8, mode="r").data

    def take(self, ids: np.ndarray) -> list[str]:
        starts, ends = self._offsets[ids].tolist(), self._offsets[ids + 1].tolist()
        return [str(self._bytes[start:end], "utf-8") for start, end in zip(starts, ends, strict=True)]

    def sizes(self, ids: np.ndarray) -> np.ndarray:
        return self._offsets[ids + 1] - self._offsets[ids]


class ChannelRendering(Rendering):
    """Channel values, (items, C, P) float32 with NaN for what was not observed."""

    modality = "channels"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._values = np.load(folder / "values.npy", mmap_mode="r")

    def take(self, ids: np.ndarray) -> Channels:
        import torch  # not above: preparing data needs none

        from jepa_core.contracts import Channels

        values = torch.from_numpy(np.array(self._values[ids]))
        return Channels(torch.nan_to_num(values, nan=0.0), ~torch.isnan(values))


RENDERINGS: dict[str, type[Rendering]] = {"text": TextRendering, "channels": ChannelRendering}


def open_rendering(store: Store, source: Source, modality: str) -> Rendering:
    """The rendering of a store for a modality; made first if it is not there, or was made from other data or
    options."""
    folder = rendering_folder(store, source, modality)
    if not is_whole(folder):
        _write(store, source, modality, folder)
    _check(folder)
    return RENDERINGS[modality](folder)


def _check(folder: Path) -> None:
    """Raises DataError if the rendering is not as it was written."""
    require_regular_files(folder)
    check_seal(folder, RECORD, read_rendering_record(folder)["files"], _AGAIN)


def sized_rendering(folder: Path) -> dict[str, Any]:
    """`items`, `modality` and `bytes` of a rendering whose files have the sizes that they were written with.

    Nothing is read of their contents. Raises DataError naming the file that is missing, too many or of another size.
    """
    require_regular_files(folder)
    record = read_rendering_record(folder)
    stats = check_sizes(folder, RECORD, record["files"], _AGAIN)
    size = sum(stat.st_size for stat in stats.values()) + (folder / RECORD).stat().st_size
    return {"items": record["items"], "modality": record["modality"], "bytes": size}


def read_rendering_record(folder: Path) -> dict[str, Any]:
    """What a rendering says of itself. Raises DataError if it is not as it was written."""
    return read_sealed(folder / RECORD, _RecordShape, _AGAIN)


def rendering_folder(store: Store, source: Source, modality: str) -> Path:
    """Where that rendering lies, made or not."""
    key = f"{RENDERING_VERSION} {store.content} {modality} {source.rendering_fingerprint(modality)}"
    return store.path.with_name(f"{store.path.name}.{modality}-{hashlib.sha256(key.encode()).hexdigest()[:12]}")


def rendering_digest(source: Source, modality: str) -> str:
    """Of the way in which a source renders, whatever the data: what a model was trained to read."""
    return hashlib.sha256(
        f"{RENDERING_VERSION} {modality} {source.rendering_fingerprint(modality)}".encode()
    ).hexdigest()


def check_rendered_alike(source: Source, modality: str, recorded: str | None, owner: str) -> None:
    """Refuse what a model was not trained to read. recorded: digest of how its items were rendered; None of a version
    that kept none.

    Raises DataError.
    """
    if recorded is not None and recorded != rendering_digest(source, modality):
        raise LastingDataError(
            f"{owner} was trained on items that the source rendered in another way than it does in this version, and "
            "would read what it never saw; use the version that trained it, or run its recipe again"
        )


def is_whole(folder: Path) -> bool:
    """Whether a rendering lies there, and not what somebody left of one."""
    return (folder / RECORD).is_file()


def _write(store: Store, source: Source, modality: str, folder: Path) -> None:
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    blocks = _rendered(store, source, modality)
    count = {"text": _write_texts, "channels": _write_channels}[modality](blocks, partial)
    files = seal_of(partial, without=RECORD)
    write_sealed(partial / RECORD, {"items": count, "modality": modality, "files": files})
    sync_folder(partial)
    remove_folder(folder)  # one that was torn
    partial.rename(folder)


def _rendered(store: Store, source: Source, modality: str) -> Iterator[tuple[Trajectories, Rendered]]:
    """Every block of the store with its items."""
    log.info("rendering %d trajectories for the modality %s", len(store), modality)
    ticker = Ticker("rendered")
    for block in store.blocks():
        yield block, source.render(block, store.channels, modality)
        ticker.add(trajectories=len(block.steps), steps=int(block.steps.sum()))


class _Numbers:
    """Item ids of every owner, gathered block by block."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = {"static": [], "state": [], "action": []}

    def append(self, ids: np.ndarray, steps: np.ndarray) -> None:
        """ids: of a block's owners in item order (static, states, actions of each trajectory in turn)."""
        starts = np.cumsum(2 * steps + 1) - (2 * steps + 1)
        within = np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps)
        states = np.repeat(starts + 1, steps) + within
        self._parts["static"].append(ids[starts])
        self._parts["state"].append(ids[states])
        self._parts["action"].append(ids[states + np.repeat(steps, steps)])

    def save(self, folder: Path) -> None:
        for role, parts in self._parts.items():
            np.save(folder / f"{role}.npy", np.concatenate(parts).astype(np.int64))


def _in_item_order(steps: np.ndarray) -> Iterator[tuple[str, slice]]:
    """Slices of (role, owners) in the order in which items are numbered."""
    first = 0
    for trajectory, count in enumerate(steps.tolist()):
        yield "static", slice(trajectory, trajectory + 1)
        yield "state", slice(first, first + count)
        yield "action", slice(first, first + count)
        first += count


def _write_texts(blocks: Iterator[tuple[Trajectories, Rendered]], folder: Path) -> int:
    numbers, distinct = _Numbers(), Distinct()
    lengths = [np.zeros(1, np.int64)]
    with (folder / "texts.utf8").open("wb") as file:
        for block, rendered in blocks:
            texts = [
                text.encode() for role, part in _in_item_order(block.steps) for text in getattr(rendered, role)[part]
            ]
            # Texts are known by their digests: memory does not grow with what they say.
            ids, new = distinct.number([hashlib.blake2b(text, digest_size=16).digest() for text in texts])
            file.write(b"".join(texts[number] for number in new))
            lengths.append(np.array([len(texts[number]) for number in new], np.int64))
            numbers.append(ids, block.steps.astype(np.int64))
    numbers.save(folder)
    np.save(folder / "offsets.npy", np.cumsum(np.concatenate(lengths)))
    return distinct.count


def _write_channels(blocks: Iterator[tuple[Trajectories, Rendered]], folder: Path) -> int:
    numbers = _Numbers()
    count = 0
    shape: tuple[int, ...] = ()
    with (folder / "values.raw").open("wb") as file:
        for block, rendered in blocks:
            for role, part in _in_item_order(block.steps):
                file.write(np.ascontiguousarray(getattr(rendered, role)[part], dtype=np.float32).tobytes())
            owners = len(block.steps) + 2 * int(block.steps.sum())
            numbers.append(count + np.arange(owners), block.steps.astype(np.int64))
            count, shape = count + owners, np.shape(rendered.static)[1:]
    numbers.save(folder)
    _raw_to_npy(folder / "values.raw", folder / "values.npy", (count, *shape))
    return count


def _raw_to_npy(raw: Path, npy: Path, shape: tuple[int, ...]) -> None:
    """Put the header of an .npy file, whose shape is known only now, before the values, without holding them in
    memory."""
    with npy.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        with raw.open("rb") as values:
            shutil.copyfileobj(values, file, 1 << 20)
    raw.unlink()
