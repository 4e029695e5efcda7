"""From a run's folder to its model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from jepa_core.config import EncoderConfig, ItemShape, LearnerShape, PredictorConfig, SourceConfig
from jepa_core.contracts import Decoder, Encoder, Predictor
from jepa_core.data.trajectories import Channel
from jepa_core.ensemble import decoder_for, ensemble_of
from jepa_core.errors import DataError, RecipeError, RunError
from jepa_core.model.folder import FITTED, WEIGHTS, read_part, read_record
from jepa_core.model.forecasting import Reach
from jepa_core.model.frozen import Frozen, computing_in
from jepa_core.model.model import Model
from jepa_core.model.recorded import Recorded, recorded_component
from jepa_core.plugin import Kind, Registry, shared_registry


def load(folder: str | Path, device: str = "auto", registry: Registry | None = None) -> Model:
    """The trained model of a finished run, from its folder alone: no store, no training data, no network.

    device: `auto` takes a GPU if there is one, else `cpu` or `cuda`. registry: the plugins; those installed if None.

    Raises RunError if the folder holds no model, or one of another version, DataError if a file is missing or damaged,
    PluginError if a component's plugin is not there.
    """
    folder = Path(folder)
    record = read_record(folder)
    registry = registry or shared_registry()
    parts = _parts(folder, record, registry)
    chosen = _device(device)
    frozen = _frozen(folder, record, parts, registry, chosen)
    source = parts["source"]
    return Model(
        folder=folder,
        frozen=frozen,
        source=source.component,
        source_config=cast(SourceConfig, source.config),
        modality=cast(EncoderConfig, parts["encoder"].config).modality,
        reach=Reach(record["window_length"], cast(PredictorConfig, parts["predictor"].config).longest_window),
        record=record,
        registry=registry,
        channels=[Channel(**channel) for channel in record["channels"]],
    )


def _parts(folder: Path, record: Mapping[str, Any], registry: Registry) -> dict[str, Recorded]:
    """Source, encoder and predictor."""
    parts = {
        kind: recorded_component(folder, cast(Kind, kind), told, registry)
        for kind, told in record["components"].items()
    }
    missing = [sentence for kind in ("encoder", "predictor") for sentence in parts[kind].config.missing()]
    if missing:
        raise DataError(f"{folder}: {missing[0]}")
    return parts


def _frozen(
    folder: Path, record: Mapping[str, Any], parts: Mapping[str, Recorded], registry: Registry, device: torch.device
) -> Frozen:
    """Encoder, predictor and decoders with their trained weights, in evaluation mode."""
    shape = record["item_shape"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(record["seed"])  # what is frozen and random is drawn as it was in the run
        encoder: Encoder = parts["encoder"].component.load()(
            parts["encoder"].config, None if shape is None else ItemShape(**shape)
        )
        predictor = _predictor(parts["predictor"], encoder.latent_dim)
    encoder.load_fitted(read_part(folder / FITTED))
    _take_weights(folder / WEIGHTS, encoder, predictor)
    decoders = _decoders(folder, record, registry)
    decoders = {name: decoder_for(predictor, decoder) for name, decoder in decoders.items()}
    for module in (encoder, predictor, *decoders.values()):
        module.requires_grad_(False).eval().to(device)
    return Frozen(encoder, predictor, device, partial(computing_in, record["precision"], device), decoders)


def _predictor(part: Recorded, latent_dim: int) -> Predictor:
    config = cast(PredictorConfig, part.config)
    return ensemble_of(lambda: part.component.load()(config, latent_dim), config.members)


def _decoders(folder: Path, record: Mapping[str, Any], registry: Registry) -> dict[str, Decoder]:
    """The modules of objectives that read beliefs, with their trained weights."""
    modules = {}
    for name, told in record.get("decoders", {}).items():
        part = recorded_component(folder, "objective", told, registry)
        module = part.component.load()(part.config).build_module(LearnerShape(**told["shape"]))
        assert isinstance(module, Decoder)
        with _weights(folder / WEIGHTS) as weights:
            module.load_state_dict(_below(f"objective.{name}.", weights))
        modules[name] = module
    return modules


@torch.no_grad()
def _take_weights(path: Path, encoder: Encoder, predictor: Predictor) -> None:
    """Set the trained parameters. Raises DataError if the file is damaged, or another model's."""
    with _weights(path) as weights:
        for name, parameter in encoder.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(weights[f"encoder.{name}"])
        predictor.load_state_dict(_below("predictor.", weights))


@contextmanager
def _weights(path: Path) -> Iterator[dict[str, Tensor]]:
    """What the file holds, to be taken in the block. Raises DataError if it is damaged, or another model's."""
    try:
        yield load_file(path)
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise DataError(f"{path} is damaged or is another model's ({error}); copy the run again") from error


def _below(prefix: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def _device(name: str) -> torch.device:
    if name not in ("auto", "cpu", "cuda"):
        raise RecipeError(f"a model is loaded on auto, cpu or cuda, not on {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise RunError("there is no GPU here; load the model with device='cpu'")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
