"""Keeping the trained model in the run's folder, so that the folder alone is enough to use it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from safetensors.torch import save

from jepa_core.config import EncoderConfig
from jepa_core.data.rarity import fewest_of, shared_channels
from jepa_core.data.rendering import rendering_digest
from jepa_core.data.source import Source
from jepa_core.data.store import Store
from jepa_core.data.trajectories import Channel
from jepa_core.io.files import write_atomically
from jepa_core.io.tensor_files import savable
from jepa_core.model.folder import RECORD, WEIGHTS, write_record
from jepa_core.model.seen import keep_seen
from jepa_core.recipe import Use
from jepa_core.runs.run import Run, versions
from jepa_core.training.learner import Learner

log = logging.getLogger("jepa")


def save_model(run: Run, learner: Learner) -> None:
    """Write the trained weights (encoder, target, predictor, modules that objectives keep) as `model.safetensors`, what
    loading them takes as `model.json`, and the encoder's own form of its weights into `encoder/`."""
    write_atomically(run.folder / WEIGHTS, save(savable(learner.weights())))
    keep_record(run, learner)
    learner.encoder.export(run.folder / "encoder")


def keep_record(run: Run, learner: Learner) -> None:
    """Write `model.json` beside the weights, and what the model was trained on as digests."""
    recipe, store = run.recipe, learner.dataset.store
    keep_seen(run.folder, store)
    source: Source = recipe.source.build()
    shape, encoder = recipe.item_shape(), recipe.encoder.config
    assert isinstance(encoder, EncoderConfig)
    uses = {"source": recipe.source, "encoder": recipe.encoder, "predictor": recipe.predictor}
    fewest = _least_subjects(learner)
    shared = shared_channels(store, fewest)
    observations = list(learner.observer.names) if learner.observer and learner.decoders() else []
    named = named_channels(store, shared, observations, fewest)
    write_record(run.folder, {
        "name": recipe.name,
        "description": recipe.description,
        "seed": recipe.seed,
        "components": {kind: component_record(run, use) for kind, use in uses.items()},
        "decoders": _decoder_records(run, learner),
        "observations": observations,
        "item_shape": None if shape is None else asdict(shape),
        "window_length": recipe.windows.length,
        "precision": recipe.runtime.precision,
        "threads": recipe.runtime.threads,
        "rendering": rendering_digest(source, encoder.modality),
        "source_fitted": source.fitted(store, shared),
        "least_subjects": fewest,
        "channels": [asdict(channel) for channel in named],
        "channels_left_out": len(store.channels) - len(named),
        "data": store.content,
        "versions": versions(),
    })  # fmt: skip


def _least_subjects(learner: Learner) -> int:
    """How many subjects of train share what the model keeps of them: as many as share what its encoder fitted."""
    store, told = learner.dataset.store, learner.encoder.fitted().get("least_subjects")
    return fewest_of(store.subject[store.split == 0]) if told is None else int(told)


def named_channels(store: Store, shared: Sequence[Channel], observations: Sequence[str], fewest: int) -> list[Channel]:
    """The channels that the model names: those that enough subjects have, and of those that decoders read, which the
    source knows without data, name and unit. What the model computes reads none of it."""
    read = [Channel(channel.name, channel.unit) for channel in store.channels if channel.name in set(observations)]
    named = {channel.name: channel for channel in (*read, *shared)}
    kept = [named[channel.name] for channel in store.channels if channel.name in named]
    if len(kept) < len(store.channels):
        log.info(
            "%d of %d channels are those of fewer than %d subjects of train: the model does not name them",
            len(store.channels) - len(kept), len(store.channels), fewest,
        )  # fmt: skip
    return kept


def _decoder_records(run: Run, learner: Learner) -> dict[str, dict[str, Any]]:
    """The objectives whose modules read beliefs, by name."""
    uses = {use.name: use for _, use in run.recipe.objectives()}
    shape = {"shape": asdict(learner.shape)}
    return {name: component_record(run, uses[name]) | shape for name in learner.decoders()}


def has_record(run: Run) -> bool:
    """Whether the folder has a `model.json`; runs of earlier versions have none."""
    return (run.folder / RECORD).is_file()


def component_record(run: Run, use: Use) -> dict[str, Any]:
    """A component with its package and every key of its config."""
    owner = run.registry.owner(use.component)
    config = use.config.model_dump(mode="json", by_alias=True, round_trip=True)
    return {"use": use.component.name, "package": owner.package, "version": owner.version, "config": config}
