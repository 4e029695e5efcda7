"""The loop over phases, written once.

It asks a phase what it trains and what its loss is, and never looks at its name. Progress bars, logs and checkpoints
are listeners' work. Nothing in it moves a tensor to the host; whoever listens decides when to read one.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from jepa_core.config import PhaseConfig, ScheduleConfig
from jepa_core.contracts import Batch, Listener, Objective, Phase
from jepa_core.data.windows import WindowOrder, Windows
from jepa_core.errors import RunError
from jepa_core.training.learner import Learner
from jepa_core.training.memory import memory_errors


@dataclass
class Stage:
    """A phase as the curriculum runs it: its name in the recipe, the phase, and the objectives added to its loss, by
    their names."""

    name: str
    phase: Phase
    objectives: Mapping[str, Objective] = field(default_factory=dict)

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
    restore: Callable[[Progress], object] = lambda progress: None,
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
    optimizer = progress.optimizer
    progress.first_bad_step = torch.tensor(-1, device=learner.device)
    for listener in listeners:
        listener.phase_started(progress)
    order = WindowOrder(len(windows), config.batch_size, seed, stage.name)
    while progress.step < config.steps:
        assert optimizer is not None and progress.first_bad_step is not None
        batch = learner.dataset.batch(windows, order.batch(progress.step))
        generator = _seed_step(seed, stage.name, progress.step)
        _set_rates(optimizer, schedule_factor(config.schedule, progress.step, config.steps))
        with learner.precision():
            terms = stage.phase.loss(learner, batch, generator) | _objectives(progress, batch)
            loss = torch.stack([term.float() for term in terms.values()]).sum()
        loss.backward()
        _clip(learner, stage)
        optimizer.step()
        optimizer.zero_grad()
        stage.phase.after_step(learner)
        progress.first_bad_step = _first_bad(progress.first_bad_step, loss.detach(), progress.step)
        progress.terms = {name: term.detach() for name, term in terms.items()}
        progress.step += 1
        for listener in listeners:
            listener.step_ended(progress)
    stage.phase.finish(learner)
    _put_away_modules(progress)
    for listener in listeners:
        listener.phase_ended(progress)


def begin_stage(progress: Progress) -> None:
    """Set what trains in the stage, and build its phase's own module, those of its objectives, and its optimizer."""
    stage, learner = progress.stage, progress.learner
    objectives = stage.objectives if stage.config.steps else {}
    build_modules(progress.stages, learner, progress.seed, objectives)
    learner.begin(stage.config.trains, objectives)
    if not stage.config.steps:
        return
    for name, objective in objectives.items():
        objective.module = learner.modules.get(name)
    _seed_step(progress.seed, f"{stage.name}.module", 0)  # no phase can be called that: names have no dot
    module = stage.phase.build_module(learner.encoder.latent_dim)
    stage.phase.module = None if module is None else module.to(learner.device)
    progress.optimizer = make_optimizer(learner, stage)


def build_modules(stages: Sequence[Stage], learner: Learner, seed: int, names: Collection[str]) -> None:
    """Build the modules of objectives that the learner has not yet; each is that of the first stage which names it.

    Raises KeyError for a name that no stage has.
    """
    first = {name: one for stage in reversed(stages) for name, one in stage.objectives.items()}
    for name in names:
        if name not in learner.modules:
            _seed_step(seed, f"objective.{name}", 0)
            module = first[name].build_module(learner.shape)
            if module is not None:
                learner.modules[name] = module.to(learner.device)


def _put_away_modules(progress: Progress) -> None:
    """Drop the phase's own module, and those of objectives that no later stage takes and that are not kept."""
    stage, learner = progress.stage, progress.learner
    stage.phase.module = None
    later = {name for one in progress.stages[progress.index + 1 :] if one.config.steps for name in one.objectives}
    for name, objective in stage.objectives.items():
        objective.module = None
        if name not in later and not objective.config.keep:
            learner.modules.pop(name, None)


def _objectives(progress: Progress, batch: Batch) -> dict[str, Tensor]:
    """Terms of the stage's objectives, weighted, each under the name of its objective."""
    found: dict[str, Tensor] = {}
    for name, objective in progress.stage.objectives.items():
        generator = _seed_step(progress.seed, f"{progress.stage.name}.{name}", progress.step)
        terms = objective.terms(progress.learner, batch, generator)
        found |= {f"{name}.{term}": objective.config.weight * value for term, value in terms.items()}
    return found


def _seed_step(seed: int, phase: str, step: int) -> torch.Generator:
    """Seed torch (dropout) and the phase's generator from the step alone."""
    torch_seed, phase_seed = np.random.SeedSequence([seed, zlib.crc32(phase.encode()), step]).generate_state(2)
    torch.manual_seed(int(torch_seed))
    return torch.Generator().manual_seed(int(phase_seed))


def _first_bad(first_bad: Tensor, loss: Tensor, step: int) -> Tensor:
    return torch.where((first_bad < 0) & ~torch.isfinite(loss), step, first_bad)


def _clip(learner: Learner, stage: Stage) -> None:
    config = stage.config.optimizer
    nn.utils.clip_grad_norm_(learner.encoder_parameters().values(), config.encoder_clip)
    nn.utils.clip_grad_norm_(learner.predictor.parameters(), config.predictor_clip)
    for module in _own_modules(stage):
        nn.utils.clip_grad_norm_(module.parameters(), config.predictor_clip)


def _own_modules(stage: Stage) -> list[nn.Module]:
    """The module of the phase and those of its objectives."""
    modules = [stage.phase.module, *(objective.module for objective in stage.objectives.values())]
    return [module for module in modules if module is not None]


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


def matrices(module: nn.Module) -> Iterator[nn.Parameter]:
    """Parameters that map one vector onto another, which weight decay is for: of two dimensions or more, those of
    recurrent cells with those of linear and convolution layers. Biases, norms, and tables that are looked up (of tokens
    or positions) have none."""
    for layer in module.modules():
        if not isinstance(layer, _NOT_MATRICES):
            own = layer.named_parameters(recurse=False)
            yield from (one for name, one in own if one.dim() >= 2 and not name.startswith("bias"))


_NOT_MATRICES = (
    nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase
)  # fmt: skip


def make_optimizer(learner: Learner, stage: Stage) -> torch.optim.Optimizer:
    """AdamW over the modules that the phase trains, its own and those of its objectives with them; weight decay falls
    on matrices alone."""
    config = stage.config
    settings = config.optimizer
    modules: list[tuple[nn.Module, list[nn.Parameter], float]] = []
    if "encoder" in config.trains:
        modules.append((learner.encoder, list(learner.encoder_parameters().values()), settings.encoder_lr))
    if "predictor" in config.trains:
        modules.append((learner.predictor, list(learner.predictor.parameters()), settings.predictor_lr))
    modules += [(own, list(own.parameters()), settings.predictor_lr) for own in _own_modules(stage)]
    groups = []
    for module, parameters, rate in modules:
        decayed = {id(matrix) for matrix in matrices(module)}
        for decays in (True, False):
            chosen = [parameter for parameter in parameters if (id(parameter) in decayed) is decays]
            if chosen:
                groups.append(
                    {"params": chosen, "peak_lr": rate, "weight_decay": settings.weight_decay if decays else 0.0}
                )
    return torch.optim.AdamW(groups, lr=0.0, betas=settings.betas)
