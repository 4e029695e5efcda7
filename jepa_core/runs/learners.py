"""The learner of a run, with the weights that its seed draws, and the phases and windows that it trains on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch

from jepa_core.config import SourceConfig, Split, StreamConfig
from jepa_core.contracts import Encoder
from jepa_core.data.dataset import Dataset, trained_on
from jepa_core.data.observations import Observer
from jepa_core.data.preparation import open_dataset
from jepa_core.data.rendering import ChannelRendering
from jepa_core.data.windows import Windows
from jepa_core.ensemble import ensemble_of
from jepa_core.errors import LastingDataError
from jepa_core.io.records import Shape, read_sealed, write_sealed
from jepa_core.io.tensor_files import TensorFolder
from jepa_core.model.folder import OBSERVATIONS
from jepa_core.recipe import PhaseUse
from jepa_core.runs.memory import check_disk, check_memory
from jepa_core.runs.plan import make_plan
from jepa_core.runs.process import device_of
from jepa_core.runs.run import Run
from jepa_core.runs.sharing import shared_folder
from jepa_core.training.curriculum import BuiltPhase
from jepa_core.training.latent_cache import TYPES
from jepa_core.training.learner import Learner
from jepa_core.training.memory import memory_errors
from jepa_core.training.processes import ALONE, Peers
from jepa_core.training.target import EncoderUnder

log = logging.getLogger("jepa")


def build_learner(run: Run, dataset: Dataset, processes: Peers = ALONE) -> tuple[Learner, EncoderUnder]:
    """The learner with its weights as the seed draws them, and the encoder as it is before training."""
    recipe = run.recipe
    device = device_of(recipe.runtime)
    plan = make_plan(recipe, processes.count)
    check_memory(plan, device, sharing=1 if device.type == "cuda" else processes.of_machine)
    check_disk(plan, run.folder)
    torch.manual_seed(recipe.seed)
    with memory_errors("building the models"):
        encoder = recipe.encoder.build(recipe.item_shape())
        _fit(encoder, dataset, run.folder / "fitted.json")
        if recipe.runtime.divide_weights and processes.count > 1:
            from jepa_core.training.divided_weights import divide_frozen  # torch's FSDP takes a second to import

            divided = divide_frozen(encoder, processes, device)
            log.info("the weights of %d frozen maps are divided among %d processes", len(divided), processes.count)
        learner = new_learner(run, encoder, dataset, device, run.scratch, _observer(run, dataset))
    learner.processes = processes
    untrained = EncoderUnder(encoder, learner.trainable)
    learner.share(shared_by(run, learner, untrained))
    if any(objective.config.observes for use in recipe.curriculum for objective in use.objectives):
        assert learner.observer is not None, "validation refuses such an objective without numbers"
        learner.observer.prepare()
    return learner, untrained


def shared_by(run: Run, learner: Learner, untrained: EncoderUnder) -> TensorFolder | None:
    if learner.processes.in_lockstep:  # of divided weights nobody has all, to tell what they are
        return None
    return shared_folder(run, learner.encoder, untrained.weights(), learner.dataset, learner.device)


def new_learner(
    run: Run,
    encoder: Encoder,
    dataset: Dataset,
    device: torch.device,
    scratch: Path,
    observer: Observer | None,
    belief_gradient: bool = True,
) -> Learner:
    """A learner of an encoder and a new predictor, whose weights depend on the seed alone."""
    torch.manual_seed(run.recipe.seed + 1)
    runtime = run.recipe.runtime
    use = run.recipe.predictor
    predictor = ensemble_of(lambda: use.build(encoder.latent_dim), use.config.members)
    cache_bytes = int(runtime.latent_cache_gib * 2**30)
    return Learner(
        encoder, predictor, dataset, device, scratch, cache_bytes,
        autocast=runtime.precision == "bf16", cached_as=TYPES[runtime.latent_cache_type],
        observer=observer, belief_gradient=belief_gradient,
    )  # fmt: skip


def _observer(run: Run, dataset: Dataset) -> Observer | None:
    """What reads states as numbers, or None where the source renders none."""
    opens, config = channels_opener(run, dataset), run.recipe.source.config
    assert isinstance(config, SourceConfig)
    return Observer(opens, config.observations(), run.folder / OBSERVATIONS) if opens else None


def channels_opener(run: Run, dataset: Dataset) -> Callable[[], Dataset] | None:
    """How to open the trajectories as numbers, or None where the source cannot render them."""
    config = run.recipe.source.config
    assert isinstance(config, SourceConfig)
    if "channels" not in config.modalities:
        return None
    if isinstance(dataset.rendering, ChannelRendering):
        return lambda: dataset
    return cache(lambda: open_dataset(dataset.store, run.recipe.source.build(), "channels"))


def _fit(encoder: Encoder, dataset: Dataset, path: Path) -> None:
    """Fit the encoder on the train split, or take up what it fitted when the run began."""
    if path.is_file():
        encoder.load_fitted(read_sealed(path, Shape, "delete it and resume: it is fitted again"))
        return
    encoder.fit(dataset.training_items())
    encoder.forget_rare(dataset.owned_items())
    write_sealed(path, encoder.fitted())


def built_phase(use: PhaseUse) -> BuiltPhase:
    """A phase of the recipe as the curriculum runs it, its objectives with it."""
    objectives = {objective.name: objective.build() for objective in use.objectives}
    return BuiltPhase(use.name, use.build(), objectives, use.optimizer.build(), use.schedule.build())


def windows_of(run: Run, dataset: Dataset, split: Split, stream: StreamConfig = StreamConfig()) -> Windows:  # noqa: B008
    """Windows of a split as a stream or the recipe cuts them; of train, those of the share of it that is trained on."""
    cut = run.recipe.windows
    trajectories = trained_on(dataset, cut.share) if split == "train" else dataset.trajectories(split)
    length, stride = stream.length or cut.length, stream.stride or cut.stride
    windows = dataset.windows_of(trajectories, length, stride, cut.min_length)
    if len(windows) == 0:
        raise LastingDataError(
            f"no trajectory of the {split} split has the {cut.min_length} steps of windows.min_length; lower it"
        )
    return windows
