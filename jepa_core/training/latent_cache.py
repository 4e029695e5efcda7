"""Latents of a frozen encoder, computed once.

Items are encoded in fixed blocks of consecutive ids, and a block as a whole, the first time one of its items is asked
for. So a latent depends on the weights and the item alone, not on which batches came before: a resumed run fills the
cache with the very bits that the uninterrupted one had, and runs can share blocks (jepa_core.runs.sharing).
Consecutive ids lie in the same trajectory, so hardly anything is encoded that will not be read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jepa_core.errors import RunError
from jepa_core.io.tensor_files import TensorFolder, same_layout
from jepa_core.io.ticker import Ticker
from jepa_core.training.precision import full

TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""How latents may be kept, as recipes call it."""

BLOCK = 256
"""Items of a block: enough to fill an encoder's passes, few enough that a window's neighbours are not much extra
work."""


class LatentCache:
    """Latents by item id: in memory on the encoder's device, or in a file of `folder` if they would take more than
    `memory_bytes`.

    encode: ids (n,) -> latents (n, D). shared: where blocks are looked for before they are encoded, and kept. kept_as:
    the type they are kept in; they are rounded to it once, and given as float32.
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
    ) -> None:
        self._items = items
        self._encode = encode
        self._device = device
        self._shared = shared
        self._filled = np.zeros(-(-items // BLOCK), dtype=bool)
        self._ticker: Ticker | None = None
        self._latents = _allocate(items, latent_dim, kept_as, device, memory_bytes, folder)

    @torch.no_grad()
    def take(self, ids: Tensor) -> Tensor:
        """Latents (n, D) float32 of the items `ids` (n,), which are ascending.

        Raises RunError if a latent is beyond what their type holds.
        """
        numbers = ids.cpu().numpy()
        for block in np.unique(numbers // BLOCK):
            if not self._filled[block]:
                self._fill(int(block))
        return full(self._latents[ids.to(self._latents.device)].to(self._device))

    def _fill(self, block: int) -> None:
        start, stop = block * BLOCK, min((block + 1) * BLOCK, self._items)
        into, name = self._latents[start:stop], f"latents-{block:08d}"
        shared = self._shared.read(name) if self._shared else None
        if shared is not None and same_layout(shared, {"latents": into}):
            into.copy_(shared["latents"])
        else:
            into.copy_(self._encode(torch.arange(start, stop)))
            if into.dtype == torch.float16 and into.isinf().any():
                raise RunError(
                    "a latent is beyond 65,504, the most that fp16 holds; set runtime.latent_cache_type to bf16 or fp32"
                )
            if self._shared:
                self._shared.write(name, {"latents": into})
        self._filled[block] = True
        self._ticker = self._ticker or Ticker("latents of the frozen encoder", self._items)
        self._ticker.add(items=stop - start)


def _allocate(
    items: int, latent_dim: int, kept_as: torch.dtype, device: torch.device, memory_bytes: int, folder: Path
) -> Tensor:
    if items * latent_dim * kept_as.itemsize <= memory_bytes:
        return torch.empty(items, latent_dim, device=device, dtype=kept_as)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "latents"
    file.unlink(missing_ok=True)
    mapped = torch.from_file(str(file), shared=True, size=items * latent_dim, dtype=kept_as)
    file.unlink()  # the mapping keeps the space; nothing is left behind, whatever happens to the process
    return mapped.view(items, latent_dim)
