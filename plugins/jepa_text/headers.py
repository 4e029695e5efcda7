"""What the headers of safetensors files tell of a model of any architecture: its sizes, without reading a weight.

Imports no torch. A header is JSON behind its length in 8 bytes (https://huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from jepa_core.errors import UnsafeArtefactError
from jepa_text.folder import COPY_AGAIN, shard_paths

LARGEST_HEADER = 100 * 1024 * 1024
ALL_LINEAR: Final = "all-linear"

# Parts that a checkpoint may hold on top of its backbone, none of which a latent is read from.
_HEAD = re.compile(
    r"(^|\.)(lm_head|cls|pooler|score|classifier|qa_outputs|vocab_transform|vocab_layer_norm|vocab_projector"
    r"|generator_predictions|generator_lm_head|discriminator_predictions)(\.|$)|^head\.|^decoder\.(bias|weight)$"
)
_EMBEDDING = re.compile(r"(^|\.)(wte|wpe|\w*embed\w*)\.(.*\.)?weight$|relative_attention_bias|rel_embeddings")
_FLOATS = frozenset({"F64", "F32", "F16", "BF16"})


def is_head(name: str) -> bool:
    """Whether a tensor of a checkpoint lies on top of the backbone."""
    return bool(_HEAD.search(name))


@dataclass(frozen=True)
class Tensors:
    """Shapes of the floating-point tensors of a backbone, by name."""

    shapes: dict[str, tuple[int, ...]]

    @property
    def parameters(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes.values())

    @cached_property
    def linear_maps(self) -> dict[str, tuple[int, int]]:
        """The two sides of each linear map, by the map's name; token and position tables are none."""
        return {
            name.removesuffix(".weight"): (shape[0], shape[1])
            for name, shape in self.shapes.items()
            if len(shape) == 2 and name.endswith(".weight") and not _EMBEDDING.search(name)
        }

    def modules(self, chosen: str | Collection[str]) -> list[str]:
        """Last parts of the names of the linear maps that are chosen: some, or `all-linear`."""
        there = sorted({name.rpartition(".")[2] for name in self.linear_maps})
        return there if chosen == ALL_LINEAR else [name for name in there if name in chosen]

    def lora_parameters(self, rank: int, modules: Collection[str]) -> int:
        """Parameters of low-rank adapters on the linear maps of these names: rank x (inputs + outputs) each."""
        chosen = [sides for name, sides in self.linear_maps.items() if name.rpartition(".")[2] in modules]
        return rank * sum(sum(sides) for sides in chosen)


def read_headers(folder: Path) -> Tensors:
    """The tensors of the backbone in a folder of weights.

    Raises DataError if a file is missing, UnsafeArtefactError if one is no whole safetensors file.
    """
    entries = (entry for path in shard_paths(folder) for entry in _entries(path))
    return Tensors({name: shape for name, shape in entries if not is_head(name)})


def _entries(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > LARGEST_HEADER:
                raise ValueError("the header is too long")
            header = json.loads(file.read(length))
        for name, entry in header.items():
            if name != "__metadata__" and entry["dtype"] in _FLOATS:
                yield name, tuple(int(side) for side in entry["shape"])
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnsafeArtefactError(
            f"{path} is not a whole safetensors file ({type(error).__name__}); {COPY_AGAIN}"
        ) from None
