"""Keeping the trained model in the run's folder, so that the folder alone is enough to use it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from safetensors.torch import save

from jepa_core.config import EncoderConfig
from jepa_core.data.rendering import rendering_digest
from jepa_core.data.source import Source
from jepa_core.io.files import write_atomically
from jepa_core.io.tensor_files import savable
from jepa_core.model.folder import RECORD, WEIGHTS, write_record
from jepa_core.model.seen import keep_seen
from jepa_core.recipe import Use
from jepa_core.runs.run import Run, versions
from jepa_core.training.learner import Learner


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
    write_record(run.folder, {
        "name": recipe.name,
        "description": recipe.description,
        "seed": recipe.seed,
        "components": {kind: component_record(run, use) for kind, use in uses.items()},
        "decoders": _decoder_records(run, learner),
        "observations": list(learner.observer.names) if learner.observer and learner.decoders() else [],
        "item_shape": None if shape is None else asdict(shape),
        "window_length": recipe.windows.length,
        "precision": recipe.runtime.precision,
        "threads": recipe.runtime.threads,
        "rendering": rendering_digest(source, encoder.modality),
        "source_fitted": source.fitted(store),
        "channels": [asdict(channel) for channel in store.channels],
        "data": store.content,
        "versions": versions(),
    })  # fmt: skip


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
