"""What the components of a model hand one another: items, batches, latents, predictions, rollouts.

Symbols in shapes: B windows, T steps of a window, N distinct items, D latent size, W belief size, M rollout origins,
H horizon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from torch import Tensor


@dataclass(frozen=True)
class Channels:
    """Items of the modality `channels`.

    values: (N, C, P) float32, 0 where nothing was observed. observed: (N, C, P) bool. C counts the channels of states,
    actions and static facts together, so an item needs no mark of its role. P counts the samples of a channel in one
    step, in their order: 1 unless a step is a patch of samples.
    """

    values: Tensor
    observed: Tensor


Items: TypeAlias = Sequence[str] | Channels
"""What an encoder encodes: texts (modality `text`) or channel values (modality `channels`). A state, an action and the
static facts of a trajectory are one item each."""

ItemsT = TypeVar("ItemsT", Sequence[str], Channels)
"""Which of the two an encoder reads: `class Mine(Encoder[Channels])`."""


@dataclass(frozen=True)
class Part:
    """Which windows of a step's batch a batch has, where that is divided; S windows in all, of M items.

    rows: (B,) int64, their places among all. mask: (S, T) bool, of all. items: (M,) int64, ascending ids of the items
    of all. first: (N,) bool, the batch's own items that no earlier part has.
    """

    rows: Tensor
    mask: Tensor
    items: Tensor
    first: Tensor


@dataclass(frozen=True)
class Batch:
    """B windows of up to T steps. Each distinct item stands once; index arrays place it in the windows.

    items: (N,) int64, ascending ids of the distinct items in the dataset. static: (B,), states: (B, T), actions: (B,
    T), int64 positions in `items`. steps: (B, T) int64, number of each step among all of the store. mask: (B, T) bool,
    true where the window has a step (beyond its end its first step is repeated, and never read). part: which windows of
    the step these are; None for all of them.
    """

    items: Tensor
    static: Tensor
    states: Tensor
    actions: Tensor
    steps: Tensor
    mask: Tensor
    part: Part | None = None

    @property
    def whole_mask(self) -> Tensor:
        """The mask of all S windows of the step: (S, T). A phase draws for these and keeps its `own`, so that the draws
        of a window do not depend on how the step is divided."""
        return self.mask if self.part is None else self.part.mask

    def own(self, values: Tensor) -> Tensor:
        """Of values for all windows of the step (S, ...), those of this batch: (B, ...)."""
        return values if self.part is None else values[self.part.rows.to(values.device)]


@dataclass(frozen=True)
class Latents:
    """What an encoder made of a batch. static: (B, D), states: (B, T, D), actions: (B, T, D), mask: (B, T) bool."""

    static: Tensor
    states: Tensor
    actions: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Observations:
    """What the states of a batch show in numbers, whatever the encoder reads.

    values: (B, T, C) float32, normal scores of each channel among the observed values of the train split, 0 where
    nothing was observed. observed: (B, T, C) bool. C counts the channels that the source's config names in
    `observations`.
    """

    values: Tensor
    observed: Tensor


@dataclass(frozen=True)
class Prediction:
    """What a predictor made of latents.

    next_states: (B, T, D); position t holds the prediction of the state at t + 1, from static, states <= t and actions
    <= t. belief: (B, T, W); what the predictor knows at t, of the same: its hidden state, which that prediction is read
    from. memory: whatever the predictor keeps of the real steps so that a rollout computes none of them again (keys and
    values, say). terms: of a predictor that has a loss of its own (a divergence, say), each a scalar, weighted; the
    loop adds them to the loss of a phase that trains the predictor.
    """

    next_states: Tensor
    belief: Tensor
    memory: Any
    terms: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Rollout:
    """What a predictor imagined from M origins a window.

    states: (B, M, H, D); entry h - 1 is the state at origin + h. belief: (B, M, H, W); entry h - 1 is the belief which
    that state was read from, at origin + h - 1: the first is that of the last real step.
    """

    states: Tensor
    belief: Tensor
