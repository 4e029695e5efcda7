"""Whether what a phase or an objective computes of a batch in parts is what it computes of the whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from jepa_core.contracts import Listener
from jepa_core.errors import RunError
from jepa_core.testing.bench import close, require
from jepa_core.training.curriculum import Progress
from jepa_core.training.learner import Learner

ADVICE = (
    "make means of `jepa_core.training.totals.total`: total(error.sum()) / total(count); draw for all windows of the "
    "step and keep those of the batch: batch.own(torch.rand(len(batch.whole_mask), generator=generator))"
)


class TermsOfSteps(Listener):
    """Keeps the terms of every step."""

    def __init__(self) -> None:
        self.steps: list[Mapping[str, Tensor]] = []

    def step_ended(self, progress: Progress) -> None:
        self.steps.append(progress.terms)


def require_divided_alike(run: Callable[[int, TermsOfSteps], object]) -> None:
    """Require the same terms, step by step, whether batches are computed whole or in two parts; those of later steps
    tell of the gradients of the ones before.

    run: trains on batches in so many parts, with a listener.
    """
    whole, divided = TermsOfSteps(), TermsOfSteps()
    run(1, whole)
    try:
        run(2, divided)
    except RunError as error:
        raise AssertionError(f"{error}; {ADVICE}") from error
    for step, (wanted, got) in enumerate(zip(whole.steps, divided.steps, strict=True), 1):
        wrong = [name for name, value in wanted.items() if not close(value, got[name], 1e-3)]
        require(not wrong, f"the terms {', '.join(wrong)} of step {step} are others on a batch in parts; {ADVICE}")


def without_dropout(learner: Learner) -> Learner:
    """A learner whose encoder drops nothing out: dropout of items, which several windows share, cannot be divided."""
    for module in learner.encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return learner
