"""What a phase reads: batches of windows, and beside them those of its further streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from jepa_core.config import Split, StreamConfig
from jepa_core.contracts import Batch
from jepa_core.data.dataset import Dataset
from jepa_core.data.windows import WindowOrder, Windows

if TYPE_CHECKING:
    from jepa_core.training.curriculum import BuiltPhase

Cut: TypeAlias = Callable[[Split, StreamConfig], Windows]
"""The windows of a split, as long and as far apart as a stream says, or else the recipe. Raises DataError if there are
none."""


class Streams:
    """The further streams of a phase on one split: each in an order of its own, a function of the seed, the phase's
    name and the stream's alone."""

    def __init__(
        self, built: BuiltPhase, dataset: Dataset, split: Split, cut: Cut, seed: int, purpose: str = ""
    ) -> None:
        """purpose: what the batches are for, empty for steps of training."""
        self._dataset = dataset
        self._windows: dict[str, Windows] = {}
        self._orders: dict[str, WindowOrder] = {}
        for name, stream in (built.config.streams() if built.config.steps else {}).items():
            windows = cut(split, stream)
            key = f"{built.name}.stream.{name}{purpose}"
            self._windows[name], self._orders[name] = windows, WindowOrder(len(windows), stream.batch_size, seed, key)

    def batches(self, number: int) -> Mapping[str, Batch]:
        """The batch of each stream that goes with the batch of a number, counted from 0."""
        return {
            name: self._dataset.batch(self._windows[name], order.batch(number)) for name, order in self._orders.items()
        }
