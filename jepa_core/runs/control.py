"""The untrained control of a run: the encoder as it was drawn, and a predictor trained on it as the run's own was."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial

from torch import Tensor

from jepa_core.config import LearnerShape, ObjectiveConfig
from jepa_core.contracts import Listener
from jepa_core.io.tensor_files import TensorFolder, read_tensors, same_layout, write_tensors
from jepa_core.io.ticker import Ticker
from jepa_core.recipe import PhaseUse, Use
from jepa_core.runs.learners import built_phase, new_learner, shared_by, windows_of
from jepa_core.runs.run import Run
from jepa_core.runs.sharing import control_name
from jepa_core.training.curriculum import Progress, build_modules, run_curriculum
from jepa_core.training.learner import Learner
from jepa_core.training.target import EncoderUnder

log = logging.getLogger("jepa")


def control_maker(run: Run, learner: Learner, untrained: EncoderUnder) -> Callable[[], Learner] | None:
    """How to make the untrained control, or None where no phase trains the predictor alone.

    Its predictor is trained by the last such phase. The modules of that phase's objectives that are kept learn to read
    its beliefs, and change none of them: so what they read of the control is what anybody could.
    """
    chosen = [use for use in run.recipe.curriculum if use.config.trains == {"predictor"} and use.config.steps]
    if not chosen:
        return None
    steps = sum(use.config.steps for use in run.recipe.curriculum if "predictor" in use.config.trains)
    kept = tuple(objective for objective in chosen[-1].objectives if objective.config.keep and _has_module(objective))
    use = replace(chosen[-1], config=chosen[-1].config.model_copy(update={"steps": steps}), objectives=kept)

    @cache
    def make() -> Learner:
        control = _control(run, learner, untrained)
        _take_up_or_train(run, control, use, shared_by(run, learner, untrained))
        control.freeze()
        return control

    return make


def _control(run: Run, learner: Learner, untrained: EncoderUnder) -> Learner:
    """The untrained control before its predictor trains."""
    control = new_learner(
        run, untrained, learner.dataset, learner.device, run.scratch / "control", learner.observer,
        belief_gradient=False,
    )  # fmt: skip
    control.processes = learner.processes
    control.share(shared_by(run, learner, untrained))
    control.freeze()
    return control


def _has_module(use: Use) -> bool:
    config = use.config
    assert isinstance(config, ObjectiveConfig)
    return config.module_size(LearnerShape(1, 1, 1)) is not None


class _ControlSteps(Listener):
    """Says how far the training of the control has come."""

    def __init__(self, steps: int) -> None:
        self._ticker = Ticker("untrained control", steps)

    def step_ended(self, progress: Progress) -> None:
        self._ticker.add(steps=1)


def _take_up_or_train(run: Run, control: Learner, use: PhaseUse, shared: TensorFolder | None) -> None:
    """Give the control what this run trained for it before, or else another run, or else train it."""
    built = replace(built_phase(use), name="untrained_control")
    build_modules([built], control, run.recipe.seed, built.objectives)
    processes, drawn = control.processes, dict(control.weights())
    own, name = run.folder / "control.safetensors", control_name(run, use, control.processes.count)
    if _taken_up(control, read_tensors(own), drawn):
        return
    if _taken_up(control, shared.read(name) if shared else None, drawn):
        log.info("control: taking the predictor that another run trained on the same untrained encoder")
    else:
        log.info("control: training a predictor on the untrained encoder, %d steps", use.config.steps)
        cut = partial(windows_of, run, control.dataset)
        run_curriculum([built], control, cut("train"), run.recipe.seed, [_ControlSteps(use.config.steps)], cut=cut)
        if shared and processes.first:
            shared.write(name, dict(control.weights()))
    if processes.first:
        write_tensors(own, dict(control.weights()))


def _taken_up(control: Learner, kept: Mapping[str, Tensor] | None, drawn: Mapping[str, Tensor]) -> bool:
    """Give the control weights that were kept, if every process finds them whole."""
    fits = kept is not None and same_layout(kept, drawn)
    if control.processes.any(not fits):
        return False
    assert kept is not None
    control.load_weights(dict(kept))
    return True
