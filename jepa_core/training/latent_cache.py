"""Latents of a frozen encoder, computed once.

Items are encoded in fixed blocks of consecutive ids, and a block as a whole, the first time one of its items is asked
for. So a latent depends on the weights and the item alone, not on which batches came before: a resumed run fills the
cache with the very bits that the uninterrupted one had, and runs can share blocks (jepa_core.runs.sharing).
Consecutive ids lie in the same trajectory, so hardly anything is encoded that will not be read.

Where several processes work together, each block is encoded by one of them. Those of a machine keep latents in one file
that all of them map, so that a machine holds them once; between machines, and between GPUs whose own memory holds them,
blocks are handed on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from mmap import mmap
from pathlib import Path
from weakref import finalize

import numpy as np
import torch
from torch import Tensor

from jepa_core.errors import LastingRunError
from jepa_core.io.files import take_space
from jepa_core.io.tensor_files import TensorFolder, same_layout
from jepa_core.io.ticker import Ticker
from jepa_core.training.precision import full
from jepa_core.training.processes import ALONE, Peers

TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""How latents may be kept, as recipes call it."""

BLOCK = 256
"""Items of a block: enough to fill an encoder's passes, few enough that a window's neighbours are not much extra
work."""


class LatentCache:
    """Latents by item id: in memory on the encoder's device, or in a file of `folder` if they would take more than
    `memory_bytes`, or if several processes fill it on processors.

    encode: ids (n,) -> latents (n, D). shared: where blocks are looked for before they are encoded, and kept. kept_as:
    the type they are kept in; they are rounded to it once, and given as float32. processes: that have the same cache,
    and the same `folder`.
    """

    def __init__(
        self,
        items: int,
        latent_dim: int,
        encode: Callable[[Tensor], Tensor],
        device: torch.device,
        memory_bytes: int,
        folder: Path,
        shared: TensorFolder | None = None,
        kept_as: torch.dtype = torch.float32,
        processes: Peers = ALONE,
    ) -> None:
        self._items = items
        self._processes = processes
        self._encode = encode
        self._device = device
        self._shared = shared
        self._filled = np.zeros(-(-items // BLOCK), dtype=bool)
        self._common = np.zeros_like(self._filled)
        """Blocks that every process has; the same on each of them, whatever one of them has besides."""
        self._ticker = Ticker("latents of the frozen encoder", items)
        small = items * latent_dim * kept_as.itemsize <= memory_bytes
        self._mapped = not small or (processes.count > 1 and device.type == "cpu")
        if self._mapped:
            self._file = folder / f"latents-{processes.machine}"
            self._mapping = _Mapping(self._file, items * latent_dim * kept_as.itemsize)
            self._latents = self._mapping.tensor.view(kept_as).view(items, latent_dim)
            if processes.count == 1:
                self._file.unlink()  # the mapping keeps the space; nothing is left behind, whatever happens
        else:
            self._latents = torch.empty(items, latent_dim, device=device, dtype=kept_as)

    @torch.no_grad()
    def take(self, ids: Tensor) -> Tensor:
        """Latents (n, D) float32 of the items `ids` (n,), which are ascending.

        Raises RunError if a latent is beyond what their type holds.
        """
        for block in _blocks_of(ids):
            if not self._filled[block]:
                self._fill(block)
        return full(self._latents[ids.to(self._latents.device)].to(self._device))

    def missing(self, ids: Tensor) -> list[int]:
        """Numbers of the blocks of some items that not every process has."""
        return [block for block in _blocks_of(ids) if not self._common[block]]

    @torch.no_grad()
    def fill(self, blocks: Sequence[int]) -> None:
        """Have blocks on all processes, each encoded by one of them; called by all, with the same blocks."""
        processes = self._processes
        givers = [number % processes.count for number in range(len(blocks))]
        if processes.in_lockstep:
            self._fill_in_lockstep(blocks)
        else:
            for block in blocks[processes.number :: processes.count]:
                if not self._filled[block]:
                    self._fill(block)
        if processes.machines > 1 or not self._mapped:
            for block, giver in zip(blocks, givers, strict=True):
                self._hand_on(block, giver)
        processes.wait()
        if self._mapped:
            with suppress(FileNotFoundError):
                self._file.unlink()  # all have it now
        self._filled[blocks] = self._common[blocks] = True

    def _fill_in_lockstep(self, blocks: Sequence[int]) -> None:
        """Fill this process's share of blocks; one that has none left encodes with the others all the same."""
        processes = self._processes
        for begin in range(0, len(blocks), processes.count):
            if begin + processes.number < len(blocks):
                self._fill(blocks[begin + processes.number])
            else:
                self._encode(torch.zeros(1, dtype=torch.int64))

    def _hand_on(self, block: int, giver: int) -> None:
        """Give a block to the others. Of the processes that map one file, the first of them writes it."""
        processes, rows = self._processes, self._rows(block)
        values = rows if giver == processes.number or not self._mapped else torch.empty_like(rows)
        processes.give(values, giver)
        if values is not rows and processes.local_number == 0:
            self._to_be_written(block).copy_(values)

    def _rows(self, block: int) -> Tensor:
        return self._latents[block * BLOCK : min((block + 1) * BLOCK, self._items)]

    def _to_be_written(self, block: int) -> Tensor:
        """The rows of a block. Raises OSError where the disk has no room for them."""
        rows = self._rows(block)
        if self._mapped:
            begin = block * BLOCK * self._latents.shape[1] * self._latents.element_size()
            self._mapping.take_space(begin, rows.nbytes)
        return rows

    def _fill(self, block: int) -> None:
        self._ticker.go_on()
        into, name = self._to_be_written(block), f"latents-{block:08d}"
        start, stop = block * BLOCK, block * BLOCK + len(into)
        shared = self._shared.read(name) if self._shared else None
        if shared is not None and same_layout(shared, {"latents": into}):
            into.copy_(shared["latents"])
        else:
            into.copy_(self._encode(torch.arange(start, stop)))
            if into.dtype == torch.float16 and into.isinf().any():
                raise LastingRunError(
                    "a latent is beyond 65,504, the most that fp16 holds; set runtime.latent_cache_type to bf16 or fp32"
                )
            if self._shared:
                self._shared.write(name, {"latents": into})
        self._filled[block] = True
        self._ticker.add(items=stop - start)


def _blocks_of(ids: Tensor) -> list[int]:
    return np.unique(ids.cpu().numpy() // BLOCK).tolist()


class _Mapping:
    """A file in memory, which is made if it is not there. Pages that nothing is written to take no space.

    tensor: its bytes.
    """

    def __init__(self, path: Path, length: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        finalize(self, os.close, self._file)
        os.ftruncate(self._file, length)
        self.tensor = torch.frombuffer(mmap(self._file, length), dtype=torch.uint8)

    def take_space(self, begin: int, length: int) -> None:
        """For what is going to be written there. Raises OSError where there is none."""
        take_space(self._file, begin, length)
