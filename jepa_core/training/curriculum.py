"""The loop over phases, written once.

It asks a phase what it trains and what its loss is, and never looks at its name. Progress bars, logs and checkpoints
are listeners' work. Nothing in it moves a tensor to the host; whoever listens decides when to read one.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from jepa_core.config import PhaseConfig, ScheduleConfig
from jepa_core.contracts import Batch, Listener, Objective, Phase
from jepa_core.data.windows import WindowOrder, Windows
from jepa_core.ensemble import members_of
from jepa_core.errors import RunError
from jepa_core.training.division import Division
from jepa_core.training.learner import Learner
from jepa_core.training.memory import memory_errors


@dataclass
class BuiltPhase:
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

    seed: of every draw. index: number of the phase. step: optimizer steps done in it. terms: loss terms of the last
    step, tensors on the device. optimizer: of the phase. first_bad_step: scalar tensor, the first step of the phase
    whose loss was not finite, -1 while there is none.
    """

    phases: Sequence[BuiltPhase]
    learner: Learner
    seed: int = 0
    index: int = 0
    step: int = 0
    terms: dict[str, Tensor] = field(default_factory=dict)
    optimizer: torch.optim.Optimizer | None = None
    first_bad_step: Tensor | None = None

    @property
    def current(self) -> BuiltPhase:
        return self.phases[self.index]

    @property
    def total_step(self) -> int:
        """Optimizer steps done since the curriculum began."""
        return sum(built.config.steps for built in self.phases[: self.index]) + self.step

    def check_finite(self) -> None:
        """Wait for the device and stop if any loss so far was not finite.

        Raises RunError naming the phase, the step and the terms.
        """
        if self.first_bad_step is not None and int(self.first_bad_step) >= 0:
            values = ", ".join(f"{name} = {float(value):.4g}" for name, value in self.terms.items())
            raise RunError(
                f"the loss of phase '{self.current.name}' was not finite at step {int(self.first_bad_step) + 1} "
                f"(now {values}); lower its learning rates, or go on from the last checkpoint with another recipe"
            )


def run_curriculum(
    phases: Sequence[BuiltPhase],
    learner: Learner,
    windows: Windows,
    seed: int,
    listeners: Sequence[Listener] = (),
    restore: Callable[[Progress], object] = lambda progress: None,
) -> None:
    """Run the phases in order. `restore` may set the progress to where an earlier run stopped, its optimizer
    included."""
    progress = Progress(phases, learner, seed)
    restore(progress)
    for index in range(progress.index, len(phases)):
        if index != progress.index:
            progress.index, progress.step, progress.optimizer = index, 0, None
        with memory_errors(f"phase '{progress.current.name}'"):
            _run_phase(progress, windows, listeners)


def _run_phase(progress: Progress, windows: Windows, listeners: Sequence[Listener]) -> None:
    built, learner, seed = progress.current, progress.learner, progress.seed
    config = built.config
    if progress.optimizer is None:
        begin_phase(progress)
    optimizer = progress.optimizer
    progress.first_bad_step = torch.tensor(-1, device=learner.device)
    for listener in listeners:
        listener.phase_started(progress)
    order = WindowOrder(len(windows), config.batch_size, seed, built.name)
    division = Division(learner.processes, config.accumulate)
    while progress.step < config.steps:
        assert optimizer is not None and progress.first_bad_step is not None
        batch = learner.dataset.batch(windows, order.batch(progress.step))
        _set_rates(optimizer, schedule_factor(config.schedule, progress.step, config.steps))
        terms = division.backward(partial(_terms, progress), batch)
        division.add_gradients(_trained(optimizer))
        _clip(learner, built)
        optimizer.step()
        optimizer.zero_grad()
        built.phase.after_step(learner)
        progress.first_bad_step = _first_bad(progress.first_bad_step, terms, progress.step)
        progress.terms = terms
        progress.step += 1
        for listener in listeners:
            listener.step_ended(progress)
    built.phase.finish(learner)
    _put_away_modules(progress)
    for listener in listeners:
        listener.phase_ended(progress)


def begin_phase(progress: Progress) -> None:
    """Set what trains in the phase, and build its phase's own module, those of its objectives, and its optimizer."""
    built, learner = progress.current, progress.learner
    objectives = built.objectives if built.config.steps else {}
    build_modules(progress.phases, learner, progress.seed, objectives)
    learner.begin(built.config.trains, objectives)
    if not built.config.steps:
        return
    for name, objective in objectives.items():
        objective.module = learner.modules.get(name)
    _seed_step(progress.seed, f"{built.name}.module", 0)  # no phase can be called that: names have no dot
    module = built.phase.build_module(learner.encoder.latent_dim)
    built.phase.module = None if module is None else module.to(learner.device)
    progress.optimizer = make_optimizer(learner, built)


def build_modules(phases: Sequence[BuiltPhase], learner: Learner, seed: int, names: Collection[str]) -> None:
    """Build the modules of objectives that the learner has not yet; each is that of the first phase which names it.

    Raises KeyError for a name that no phase has.
    """
    first = {name: one for built in reversed(phases) for name, one in built.objectives.items()}
    for name in names:
        if name not in learner.modules:
            _seed_step(seed, f"objective.{name}", 0)
            module = first[name].build_module(learner.shape)
            if module is not None:
                learner.modules[name] = module.to(learner.device)


def _put_away_modules(progress: Progress) -> None:
    """Drop the phase's own module, and those of objectives that no later phase takes and that are not kept."""
    built, learner = progress.current, progress.learner
    built.phase.module = None
    later = {name for one in progress.phases[progress.index + 1 :] if one.config.steps for name in one.objectives}
    for name, objective in built.objectives.items():
        objective.module = None
        if name not in later and not objective.config.keep:
            learner.modules.pop(name, None)


def _terms(progress: Progress, batch: Batch) -> dict[str, Tensor]:
    """Terms of the loss of a step; of an ensemble that trains, their means over the members, each with its own draws
    beside the same latents. Computed again, they are the same."""
    built, made = progress.current, []
    with progress.learner.precision():
        for member in progress.learner.each_member():
            name = f"{built.name}.member_{member}" if member else built.name
            generator = _seed_step(progress.seed, name, progress.step)
            terms = built.phase.loss(progress.learner, batch, generator) | _objectives(progress, batch)
            made.append(terms | _predictors(progress))
    if len(made) == 1:
        return made[0]
    return {name: torch.stack([one[name] for one in made]).mean(dim=0) for name in made[0]}


def _objectives(progress: Progress, batch: Batch) -> dict[str, Tensor]:
    """Terms of the phase's objectives, weighted, each under the name of its objective."""
    found: dict[str, Tensor] = {}
    for name, objective in progress.current.objectives.items():
        generator = _seed_step(progress.seed, f"{progress.current.name}.{name}", progress.step)
        terms = objective.terms(progress.learner, batch, generator)
        found |= {f"{name}.{term}": objective.config.weight * value for term, value in terms.items()}
    return found


def _predictors(progress: Progress) -> dict[str, Tensor]:
    """Terms of the predictor's own, where it trains and the phase or an objective asked for its prediction."""
    if "predictor" not in progress.current.config.trains:
        return {}
    return {f"predictor.{name}": term for name, term in progress.learner.prediction_terms().items()}


def _seed_step(seed: int, phase: str, step: int) -> torch.Generator:
    """Seed torch (dropout) and the phase's generator from the step alone."""
    torch_seed, phase_seed = np.random.SeedSequence([seed, zlib.crc32(phase.encode()), step]).generate_state(2)
    torch.manual_seed(int(torch_seed))
    return torch.Generator().manual_seed(int(phase_seed))


def _first_bad(first_bad: Tensor, terms: Mapping[str, Tensor], step: int) -> Tensor:
    loss = torch.stack([term.float() for term in terms.values()]).sum()
    return torch.where((first_bad < 0) & ~torch.isfinite(loss), step, first_bad)


def _clip(learner: Learner, built: BuiltPhase) -> None:
    config = built.config.optimizer
    nn.utils.clip_grad_norm_(learner.encoder_parameters().values(), config.encoder_clip)
    members = members_of(learner.predictor)
    for member in members:  # the loss is their mean, so each is clipped as it would be alone
        nn.utils.clip_grad_norm_(member.parameters(), config.predictor_clip / len(members))
    for module in _own_modules(built):
        nn.utils.clip_grad_norm_(module.parameters(), config.predictor_clip)


def _own_modules(built: BuiltPhase) -> list[nn.Module]:
    """The module of the phase and those of its objectives."""
    modules = [built.phase.module, *(objective.module for objective in built.objectives.values())]
    return [module for module in modules if module is not None]


def _trained(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


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


def make_optimizer(learner: Learner, built: BuiltPhase) -> torch.optim.Optimizer:
    """AdamW over the modules that the phase trains, its own and those of its objectives with them; weight decay falls
    on matrices alone."""
    config = built.config
    settings = config.optimizer
    modules: list[tuple[nn.Module, list[nn.Parameter], float]] = []
    if "encoder" in config.trains:
        modules.append((learner.encoder, list(learner.encoder_parameters().values()), settings.encoder_lr))
    if "predictor" in config.trains:
        modules.append((learner.predictor, list(learner.predictor.parameters()), settings.predictor_lr))
    modules += [(own, list(own.parameters()), settings.predictor_lr) for own in _own_modules(built)]
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
