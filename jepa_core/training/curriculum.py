"""The loop over phases, written once.

It asks a phase what it trains and what its loss is, and never looks at its name. Progress bars, logs and checkpoints
are listeners' work. Nothing in it moves a tensor to the host; whoever listens decides when to read one.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from jepa_core.config import PhaseConfig, ScheduleConfig
from jepa_core.contracts import Listener, Phase, Regularizer
from jepa_core.data.windows import WindowOrder, Windows
from jepa_core.errors import RunError
from jepa_core.training.learner import Learner
from jepa_core.training.memory import memory_errors


@dataclass
class Stage:
    """A phase as the curriculum runs it: its name in the recipe, the phase, and the regularizers added to it with their
    weights."""

    name: str
    phase: Phase
    regularizers: Sequence[tuple[Regularizer, float]] = ()

    @property
    def config(self) -> PhaseConfig:
        return self.phase.config


@dataclass
class Progress:
    """Where the curriculum is.

    seed: of every draw. index: number of the stage. step: optimizer steps done in it. terms: loss terms of the last
    step, tensors on the device. optimizer: of the stage. first_bad_step: scalar tensor, the first step of the stage
    whose loss was not finite, -1 while there is none.
    """

    stages: Sequence[Stage]
    learner: Learner
    seed: int = 0
    index: int = 0
    step: int = 0
    terms: dict[str, Tensor] = field(default_factory=dict)
    optimizer: torch.optim.Optimizer | None = None
    first_bad_step: Tensor | None = None

    @property
    def stage(self) -> Stage:
        return self.stages[self.index]

    @property
    def total_step(self) -> int:
        """Optimizer steps done since the curriculum began."""
        return sum(stage.config.steps for stage in self.stages[: self.index]) + self.step

    def check_finite(self) -> None:
        """Wait for the device and stop if any loss so far was not finite.

        Raises RunError naming the phase, the step and the terms.
        """
        if self.first_bad_step is not None and int(self.first_bad_step) >= 0:
            values = ", ".join(f"{name} = {float(value):.4g}" for name, value in self.terms.items())
            raise RunError(
                f"the loss of phase '{self.stage.name}' was not finite at step {int(self.first_bad_step) + 1} "
                f"(now {values}); lower its learning rates, or go on from the last checkpoint with another recipe"
            )


def run_curriculum(
    stages: Sequence[Stage],
    learner: Learner,
    windows: Windows,
    seed: int,
    listeners: Sequence[Listener] = (),
    restore: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Run the stages in order. `restore` may set the progress to where an earlier run stopped, its optimizer
    included."""
    progress = Progress(stages, learner, seed)
    restore(progress)
    for index in range(progress.index, len(stages)):
        if index != progress.index:
            progress.index, progress.step, progress.optimizer = index, 0, None
        with memory_errors(f"phase '{progress.stage.name}'"):
            _run_stage(progress, windows, listeners)


def _run_stage(progress: Progress, windows: Windows, listeners: Sequence[Listener]) -> None:
    stage, learner, seed = progress.stage, progress.learner, progress.seed
    config = stage.config
    if progress.optimizer is None:
        begin_stage(progress)
    progress.first_bad_step = torch.tensor(-1, device=learner.device)
    for listener in listeners:
        listener.phase_started(progress)
    order = WindowOrder(len(windows), config.batch_size, seed, stage.name)
    while progress.step < config.steps:
        batch = learner.dataset.batch(windows, order.batch(progress.step))
        generator = _seed_step(seed, stage.name, progress.step)
        _set_rates(progress.optimizer, schedule_factor(config.schedule, progress.step, config.steps))
        with learner.precision():
            terms = stage.phase.loss(learner, batch, generator) | _regularization(stage, learner, batch)
            loss = torch.stack([term.float() for term in terms.values()]).sum()
        loss.backward()
        _clip(learner, stage)
        progress.optimizer.step()
        progress.optimizer.zero_grad()
        stage.phase.after_step(learner)
        progress.first_bad_step = _first_bad(progress.first_bad_step, loss.detach(), progress.step)
        progress.terms = {name: term.detach() for name, term in terms.items()}
        progress.step += 1
        for listener in listeners:
            listener.step_ended(progress)
    stage.phase.finish(learner)
    stage.phase.module = None
    for listener in listeners:
        listener.phase_ended(progress)


def begin_stage(progress: Progress) -> None:
    """Set what trains in the stage, and build its phase's own module and its optimizer."""
    stage, learner = progress.stage, progress.learner
    learner.begin(stage.config.trains)
    if not stage.config.steps:
        return
    _seed_step(progress.seed, f"{stage.name}.module", 0)  # no phase can be called that: names have no dot
    module = stage.phase.build_module(learner.encoder.latent_dim)
    stage.phase.module = None if module is None else module.to(learner.device)
    progress.optimizer = make_optimizer(learner, stage)


def _regularization(stage: Stage, learner: Learner, batch: object) -> dict[str, Tensor]:
    latents = learner.latents(batch) if stage.regularizers else None
    return {
        name: weight * term
        for regularizer, weight in stage.regularizers
        for name, term in regularizer.terms(latents).items()
    }


def _seed_step(seed: int, phase: str, step: int) -> torch.Generator:
    """Seed torch (dropout) and the phase's generator from the step alone."""
    torch_seed, phase_seed = np.random.SeedSequence([seed, zlib.crc32(phase.encode()), step]).generate_state(2)
    torch.manual_seed(int(torch_seed))
    return torch.Generator().manual_seed(int(phase_seed))


def _first_bad(first_bad: Tensor, loss: Tensor, step: int) -> Tensor:
    return torch.where((first_bad < 0) & ~torch.isfinite(loss), step, first_bad)


def _clip(learner: Learner, stage: Stage) -> None:
    config, module = stage.config.optimizer, stage.phase.module
    nn.utils.clip_grad_norm_(learner.encoder_parameters().values(), config.encoder_clip)
    nn.utils.clip_grad_norm_(learner.predictor.parameters(), config.predictor_clip)
    if module is not None:
        nn.utils.clip_grad_norm_(module.parameters(), config.predictor_clip)


def _set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor


def schedule_factor(config: ScheduleConfig, step: int, steps: int) -> float:
    """Learning-rate factor of step `step` of `steps`, counted from 0: linear warm-up that never starts at 0, then a
    cosine."""
    warm = math.ceil(config.warmup * steps)
    if step < warm:
        return (step + 1) / warm
    share = (step - warm) / max(1, steps - warm)
    return config.final + (1.0 - config.final) * 0.5 * (1.0 + math.cos(math.pi * share))


def make_optimizer(learner: Learner, stage: Stage) -> torch.optim.Optimizer:
    """AdamW over the modules that the phase trains, its own with them; weight decay falls on the weights of linear and
    convolution layers alone."""
    config, own = stage.config, stage.phase.module
    settings = config.optimizer
    modules: list[tuple[nn.Module, list[nn.Parameter], float]] = []
    if "encoder" in config.trains:
        modules.append((learner.encoder, list(learner.encoder_parameters().values()), settings.encoder_lr))
    if "predictor" in config.trains:
        modules.append((learner.predictor, list(learner.predictor.parameters()), settings.predictor_lr))
    if own is not None:
        modules.append((own, list(own.parameters()), settings.predictor_lr))
    groups = []
    for module, parameters, rate in modules:
        decayed = {id(layer.weight) for layer in module.modules() if isinstance(layer, (nn.Linear, nn.Conv1d))}
        for decays in (True, False):
            chosen = [parameter for parameter in parameters if (id(parameter) in decayed) is decays]
            if chosen:
                groups.append(
                    {"params": chosen, "peak_lr": rate, "weight_decay": settings.weight_decay if decays else 0.0}
                )
    return torch.optim.AdamW(groups, lr=0.0, betas=settings.betas)
