"""What a recipe will do, answered from its configs alone: nothing is read, built or imported that is slow.

Operations are those of one optimizer step: of encoding each item of the batch once, where the encoder trains (2 T + 1
items a window at most, for equal ones are encoded once), and of one teacher-forced pass of the predictor. Left out are
what a phase adds on its own (rollouts, the target's forward pass) and the latents of a frozen encoder, which are made
once for each item of the dataset, not once a step.

Memory is that of each process where there are several: all hold what trains, and divide the windows of a step, and the
frozen weights where the recipe says so.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from jepa_core.config import EncoderConfig, ModelSize, Module, PredictorConfig, SourceConfig
from jepa_core.errors import DataError
from jepa_core.io.cores import too_many_threads
from jepa_core.recipe import PhaseUse, Recipe, Use, item_shape
from jepa_core.recipe.threads import threads_asked
from jepa_core.results.text import memory

GRADIENT_BYTES = 4
CHECKPOINTS = 3
"""On disk at once: two that are kept, and one that is being written."""
MODULES: tuple[Module, ...] = get_args(Module)
ALL = ("*",)
WAYS_OUT = (
    "choose a smaller model or a device with more memory, or have several processes divide what is frozen "
    "(runtime.divide_weights)"
)
"""Patterns that every parameter matches."""
OWN_MODULE = "a module of its own"
HEADS = "the modules of its objectives"


@dataclass(frozen=True)
class PhasePlan:
    """A phase in the plan. only: patterns of the parameters that train, where not all do. memory_bytes: estimated peak
    of weights, gradients, optimizer state and activations. flops: estimated operations of one optimizer step.
    sent_bytes: gradients that each process sends to others in a step, where each passes on what it has added up; the
    sums that objectives take over all windows come on top."""

    name: str
    use: str
    steps: int
    batch_size: int
    trains: list[str]
    only: list[str]
    updates: str
    trained_parameters: int | None
    objectives: list[str]
    optimizer: str
    schedule: str
    memory_bytes: int | None
    flops: int | None
    sent_bytes: int | None


@dataclass(frozen=True)
class InputPlan:
    """A file that will be read. bytes: its size; None if the run makes it."""

    path: str
    bytes: int | None


@dataclass(frozen=True)
class ModelPlan:
    """An encoder or a predictor in the plan. flops: estimated operations of training it on `step_windows` windows."""

    use: str
    parameters: int | None = None
    trainable: int | None = None
    flops: int | None = None


@dataclass(frozen=True)
class PartPlan:
    """A part of a run beside its phases. bytes: estimated peak of what it holds in each process, beside the weights."""

    name: str
    bytes: int


@dataclass(frozen=True)
class Plan:
    """Everything that `jepa plan` prints. None is what the files that are missing would tell. processes: that do it
    together; memory is of each."""

    recipe: str
    seed: int
    processes: int
    source: str
    inputs: list[InputPlan]
    encoder: ModelPlan
    matched: ModelPlan | None
    """The encoder that this one is sized to, if any."""
    predictor: ModelPlan
    matched_predictor: ModelPlan | None
    """The predictor that this one is sized to, if any."""
    step_windows: int
    """Windows of the largest batch that trains the encoder, or of the largest one where none does."""
    latent_dim: int | None
    window_steps: int
    phases: list[PhasePlan]
    evaluators: list[str]
    parts: list[PartPlan]
    """The latents of a frozen encoder, and evaluators that hold more than a batch."""
    weight_bytes: int | None
    """Weights of encoder, target and predictor: counted, not estimated."""
    memory_bytes: int | None
    memory_here_bytes: int | None
    disk_bytes: int | None
    """Of checkpoints and the trained model, at the most; data and findings come on top."""
    disk_free_bytes: int
    missing: list[str]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def make_plan(recipe: Recipe, processes: int = 1) -> Plan:
    """Plan a recipe, for so many processes.

    The memory is an estimate: what is counted exactly is weights, gradients and optimizer state; activations and the
    latents of a frozen encoder are bounded by the configs' own formulas.
    """
    source, encoder, predictor = recipe.source.config, recipe.encoder.config, recipe.predictor.config
    assert (
        isinstance(source, SourceConfig)
        and isinstance(encoder, EncoderConfig)
        and isinstance(predictor, PredictorConfig)
    )
    sizes = _sizes(recipe, processes)
    phases = [_phase(recipe, use, sizes, processes) for use in recipe.curriculum]
    parts = _parts(recipe) if sizes else []
    memory = [phase.memory_bytes for phase in phases if phase.memory_bytes is not None]
    return Plan(
        recipe=recipe.name,
        seed=recipe.seed,
        processes=processes,
        source=recipe.source.component.name,
        inputs=[InputPlan(str(file.path), file.bytes) for file in source.inputs()],
        encoder=_encoder(recipe, recipe.encoder),
        matched=_encoder(recipe, recipe.encoder.match.encoder) if recipe.encoder.match else None,
        predictor=_predictor(recipe, recipe.predictor, known=sizes is not None),
        matched_predictor=_matched_predictor(recipe, known=sizes is not None),
        step_windows=_step_windows(recipe),
        latent_dim=encoder.latent_dim if sizes else None,
        window_steps=recipe.windows.length,
        phases=phases,
        evaluators=[use.name for use in recipe.evaluators],
        parts=parts,
        weight_bytes=_weight_bytes(*sizes) if sizes else None,
        memory_bytes=max(memory) if memory else None,
        memory_here_bytes=free_memory(),
        disk_bytes=_disk(recipe, phases, _kept_bytes(*sizes)) if sizes else None,
        disk_free_bytes=shutil.disk_usage(Path.cwd()).free,
        missing=_missing(recipe),
    )


def _missing(recipe: Recipe) -> list[str]:
    methods = [method for use in recipe.curriculum for method in (use.optimizer, use.schedule)]
    uses = [
        recipe.source, recipe.encoder, recipe.predictor, *recipe.curriculum, *methods, *recipe.evaluators,
        *recipe.trackers,
    ]  # fmt: skip
    missing = [f"{use.component.kind} {use.name}: {sentence}" for use in uses for sentence in use.config.missing()]
    return missing + too_many_threads(threads_asked(recipe))


def _sizes(recipe: Recipe, processes: int) -> tuple[ModelSize, ModelSize] | None:
    """Sizes of encoder and predictor in each process; None while the files that tell them are not there."""
    encoder, predictor = recipe.encoder.config, recipe.predictor.config
    shares = processes if recipe.runtime.divide_weights else 1
    try:
        return encoder.size(recipe.item_shape()).divided(shares), predictor.ensemble_size(encoder.latent_dim)
    except DataError:
        return None


def _parts(recipe: Recipe) -> list[PartPlan]:
    """Peaks of what is not a phase, where it is more than a batch."""
    cache = PartPlan("latents of a frozen encoder, at the most", int(recipe.runtime.latent_cache_gib * 2**30))
    evaluators = [PartPlan(use.name, use.config.memory_bytes(recipe.learner_shape())) for use in recipe.evaluators]
    return [cache, *evaluators]


def refusal(plan: Plan, free: int | None, sharing: int) -> str | None:
    """Why a plan cannot be carried out where so many processes share so much free memory: not even their weights fit.
    None where they fit, or nobody knows."""
    if free is None or plan.weight_bytes is None or sharing * plan.weight_bytes <= free:
        return None
    each = f" in each of {sharing} processes" if sharing > 1 else ""
    return f"the weights take {memory(plan.weight_bytes)}{each}, and {memory(free)} are free"


def crowded(plan: Plan, free: int | None, sharing: int) -> dict[str, int]:
    """Phases and evaluators that may take more than is free where so many processes share it, and how much each of
    these may: estimates, upper bounds where data are small. Empty where nobody knows."""
    if free is None or plan.weight_bytes is None:
        return {}
    phases = {f"phase '{phase.name}'": phase.memory_bytes or 0 for phase in plan.phases}
    of_evaluators = [part for part in plan.parts if part.name in plan.evaluators]
    evaluators = {f"evaluator '{part.name}'": plan.weight_bytes + part.bytes for part in of_evaluators}
    return {name: most for name, most in (phases | evaluators).items() if sharing * most > free}


def _encoder(recipe: Recipe, use: Use) -> ModelPlan:
    config = use.config
    assert isinstance(config, EncoderConfig) and isinstance(recipe.source.config, SourceConfig)
    try:
        shape = item_shape(recipe.source.config, config)
        size = config.size(shape)
    except DataError:
        return ModelPlan(use.component.name)
    flops = config.flops(_items(recipe, _step_windows(recipe)), True, shape)
    return ModelPlan(use.component.name, size.parameters, size.trainable, flops)


def _predictor(recipe: Recipe, use: Use[PredictorConfig], known: bool) -> ModelPlan:
    """known: whether the files that tell sizes are there."""
    if not known:
        return ModelPlan(use.component.name)
    latent_dim = recipe.encoder.config.latent_dim
    size = use.config.ensemble_size(latent_dim)
    flops = _predictor_flops(recipe, use.config, _step_windows(recipe))
    return ModelPlan(use.component.name, size.parameters, size.trainable, flops)


def _matched_predictor(recipe: Recipe, known: bool) -> ModelPlan | None:
    match = recipe.predictor.match
    return None if match is None else _predictor(recipe, match.predictor, known)


def _predictor_flops(recipe: Recipe, config: PredictorConfig, windows: int) -> int | None:
    """Operations of a pass of all members; None if the predictor makes no estimate."""
    cost = config.flops(windows, recipe.windows.length, recipe.encoder.config.latent_dim, True)
    return None if cost is None else config.members * cost


def _step_windows(recipe: Recipe) -> int:
    phases = [use.config for use in recipe.curriculum if use.config.steps]
    training = [phase for phase in phases if "encoder" in phase.trains]
    return max((phase.batch_size for phase in training or phases), default=0)


def _items(recipe: Recipe, windows: int) -> int:
    """Items of a batch, if all of them differ: static facts, and a state and an action for each step."""
    return windows * (2 * recipe.windows.length + 1)


def _phase(recipe: Recipe, use: PhaseUse, sizes: tuple[ModelSize, ModelSize] | None, processes: int) -> PhasePlan:
    config = use.config
    trained = memory = flops = None
    more: dict[str, ModelSize] = {}
    if sizes:
        more = _more_modules(recipe, use)
        trained = _trained(recipe, use, sizes)
        if trained is not None:
            trained += sum(size.trainable for size in more.values())
            memory = _memory(recipe, use, *sizes, trained, processes)
            memory += sum(size.weight_bytes for size in more.values())
        flops = _flops(recipe, use, encoder_trains=bool(sizes[0].trainable) and "encoder" in config.trains)
    return PhasePlan(
        name=use.name,
        use=use.component.name,
        steps=config.steps,
        batch_size=config.batch_size,
        trains=[*sorted(config.trains), *more],
        only=[] if config.only == ALL else list(config.only),
        updates=config.updates,
        trained_parameters=trained,
        objectives=[objective.name for objective in use.objectives],
        optimizer=use.optimizer.component.name,
        schedule=use.schedule.component.name,
        memory_bytes=memory,
        flops=flops,
        sent_bytes=None if trained is None else _sent_bytes(trained if config.steps else 0, processes),
    )


def _sent_bytes(trained: int, processes: int) -> int:
    """Of gradients of so many parameters, as a ring adds them up: all but its own share, and all but one sum."""
    return 2 * (processes - 1) * GRADIENT_BYTES * trained // processes


def _trained(recipe: Recipe, use: PhaseUse, sizes: tuple[ModelSize, ModelSize]) -> int | None:
    """Parameters of encoder and predictor that a phase trains; None where patterns choose some and they cannot be
    counted without reading weights."""
    config = use.config
    if config.only == ALL:
        return sum(size.trainable for size, name in zip(sizes, MODULES, strict=True) if name in config.trains)
    from jepa_core.runs.parameter_count import count_matching  # it imports torch

    return count_matching(recipe, use)


def _more_modules(recipe: Recipe, use: PhaseUse) -> dict[str, ModelSize]:
    """What a phase trains beside encoder and predictor, in words, and its size."""
    own = use.config.module_size(recipe.encoder.config.latent_dim)
    heads = [objective.config.module_size(recipe.learner_shape()) for objective in use.objectives if use.config.steps]
    sizes = [size for size in heads if size is not None]
    total = ModelSize(sum(size.parameters for size in sizes), sum(size.trainable for size in sizes))
    return ({OWN_MODULE: own} if own else {}) | ({HEADS: total} if sizes else {})


def _flops(recipe: Recipe, use: PhaseUse, encoder_trains: bool) -> int | None:
    """Operations of one step; None if a model that takes part makes no estimate."""
    config, encoder = use.config, recipe.encoder.config
    if not config.steps:
        return 0
    parts = [_predictor_flops(recipe, recipe.predictor.config, config.batch_size)]
    if encoder_trains:
        parts.append(encoder.flops(_items(recipe, config.batch_size), True, recipe.item_shape()))
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _memory(
    recipe: Recipe, use: PhaseUse, encoder: ModelSize, predictor: ModelSize, trained: int, processes: int
) -> int:
    """Weights, target, gradients and what the optimizer keeps of what trains, and activations of the windows of a step
    that a process computes at once."""
    config, steps = use.config, recipe.windows.length
    activations = 0
    if config.steps:
        windows = -(-config.batch_size // (processes * config.accumulate))
        items = _items(recipe, windows)
        activations = recipe.encoder.config.activation_bytes(items, "encoder" in config.trains, recipe.item_shape())
        predicting = recipe.predictor.config
        latent_dim = recipe.encoder.config.latent_dim
        activations += predicting.members * predicting.activation_bytes(windows, steps, latent_dim)
    state = use.optimizer.config.state_bytes if config.steps else 0
    return _weight_bytes(encoder, predictor) + (GRADIENT_BYTES + state) * trained + activations


def _disk(recipe: Recipe, phases: list[PhasePlan], weights: int) -> int:
    """Checkpoints, the one that is being written included, with what the optimizer keeps; the model that is left.
    weights: bytes of what each holds of the model."""
    states = [
        use.optimizer.config.state_bytes * (phase.trained_parameters or 0)
        for use, phase in zip(recipe.curriculum, phases, strict=True)
        if use.config.steps
    ]
    return CHECKPOINTS * (weights + max(states, default=0)) + weights


def _kept_bytes(encoder: ModelSize, predictor: ModelSize) -> int:
    """Bytes of what training changes: of the encoder, its target, and the predictor. The rest is built from the
    config."""
    return 8 * encoder.trainable + predictor.weight_bytes


def _weight_bytes(encoder: ModelSize, predictor: ModelSize) -> int:
    """Bytes of both models and of the target, an fp32 copy of what trains of the encoder."""
    return encoder.weight_bytes + predictor.weight_bytes + 4 * encoder.trainable


def free_memory() -> int | None:
    """Bytes of memory of this machine that is free to use, where the system tells (Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
