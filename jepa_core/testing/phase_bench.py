"""What the checks of phases share: a phase in the curriculum's own loop, on tiny data, and a look at its loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, cast

import torch
from pydantic import ValidationError
from torch import Tensor

from jepa_core.config import PhaseConfig, Split, StreamConfig
from jepa_core.contracts import Batch, Listener, Phase
from jepa_core.data.dataset import Dataset
from jepa_core.data.windows import Windows
from jepa_core.testing import bench as base
from jepa_core.testing.bench import NotApplicable, oscillators, tiny_learner
from jepa_core.testing.oscillators import TinyChannelsConfig, TinyTextConfig
from jepa_core.testing.tiny_runs import STEPS
from jepa_core.training.curriculum import BuiltPhase, Progress, run_curriculum
from jepa_core.training.learner import Learner

Terms = dict[str, Tensor]
Look = Callable[[Callable[[Batch], Terms], Batch], Terms]
"""What a check does in place of a loss: (compute, batch) -> terms. `compute` gives the phase's loss of a batch, always
from the random state of that step."""


class PhaseBench(base.Bench):
    """A phase of 4 steps of 8 windows, or one without steps if its config allows no other."""

    @cached_property
    def config(self) -> PhaseConfig:
        config = cast(PhaseConfig, super().config)
        keys = self.keys | {"batch_size": 8}
        try:
            return type(config).model_validate(keys | {"steps": STEPS})
        except ValidationError:
            return self.validated(keys | {"steps": 0})

    @cached_property
    def dataset(self) -> Dataset:
        """Oscillators in the modality of a tiny encoder that offers what the phase needs.

        Raises NotApplicable if none does.
        """
        for encoder in (TinyChannelsConfig, TinyTextConfig):
            if self.config.needs <= encoder.offers:
                return oscillators(encoder.modality)
        raise NotApplicable(f"no tiny encoder offers {', '.join(sorted(self.config.needs))}")

    @cached_property
    def windows(self) -> Windows:
        """Windows of the train split, whole ones and padded ones."""
        return self.cut("train")

    def needs_steps(self) -> None:
        if not self.config.steps:
            raise NotApplicable("the phase takes no step; it acts only at its end")

    def learner(self, seed: int = 0, autocast: bool = False) -> Learner:
        """A learner whose target is not where its encoder is, so that a phase that moves one of them shows."""
        learner = tiny_learner(self.dataset, seed, autocast)
        with torch.no_grad():
            for copy in learner.target.copies:
                copy.mul_(1.1)
        return learner

    def run(
        self,
        learner: Learner,
        windows: Windows | None = None,
        look: Look | None = None,
        listeners: Sequence[Listener] = (),
        restore: Callable[[Progress], object] = lambda progress: None,
    ) -> Phase:
        """Run the phase on a learner, and return it."""
        phase: Phase = self.component.load()(self.config)
        if look is not None:
            _watch(phase, look)
        windows = self.windows if windows is None else windows
        run_curriculum([BuiltPhase("checked", phase)], learner, windows, 0, listeners, restore, self.cut)
        return phase

    def altered(self, **keys: Any) -> PhaseBench:
        """The same phase with other keys."""
        other = PhaseBench(self.component, self.keys)
        other.config = self.config.model_copy(update=keys)
        return other

    def cut(self, split: Split, stream: StreamConfig = StreamConfig()) -> Windows:  # noqa: B008 - it cannot change
        """Windows of a split, whole ones and padded ones."""
        return self.dataset.windows(split, stream.length or base.WINDOW, stream.stride or 4, 3)


def _watch(phase: Phase, look: Look) -> None:
    """Put `look` in the place of the phase's loss."""
    original = phase.loss

    def loss(learner: Learner, batch: Batch, generator: torch.Generator) -> Terms:
        torch_state, own_state = torch.get_rng_state(), generator.get_state()

        def compute(given: Batch) -> Terms:
            torch.set_rng_state(torch_state)
            generator.set_state(own_state)
            return original(learner, given, generator)

        return look(compute, batch)

    phase.loss = loss  # type: ignore[method-assign]
