"""What runs that lie side by side do once: the latents of an encoder as its seed draws it, and the untrained control.

They share through the folder `shared` beside them, if there is one; a study makes it, and removes it with its last run.
What lies there is found by a digest of all that its bits depend on, so a run ends in the same bits with the folder or
without. Latents of an encoder that has trained are not put there: no other run can have its weights.

    shared/<encoder>/latents-00000042.safetensors     one block of `jepa_core.training.latent_cache`
    shared/<encoder>/control-<control>.safetensors    the predictor of an untrained control
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from jepa_core.contracts import Encoder
from jepa_core.data.dataset import Dataset
from jepa_core.io.tensor_files import TensorFolder, tensors_digest
from jepa_core.recipe import PhaseUse, Use
from jepa_core.runs.run import Run, plugin_versions, versions

SAMPLED = 1024
"""Values that are read of a frozen tensor: a retrained one differs in nearly all of them."""


def shared_folder(
    run: Run, encoder: Encoder, drawn: Mapping[str, Tensor], dataset: Dataset, device: torch.device
) -> TensorFolder | None:
    """What a run may share with others that have the same encoder and data; None if it shares nothing.

    drawn: trainable parameters by name, as the seed drew them. They are digested whole; frozen ones (which the config
    names, and which may be billions) by a sample of each tensor.
    """
    if run.shared is None:
        return None
    use = run.recipe.encoder
    return TensorFolder(run.shared / _digest({
        "data": [dataset.store.content, dataset.rendering.folder.name],
        "encoder": _named(use),
        "fitted": encoder.fitted(),
        "drawn": tensors_digest(drawn),
        "frozen": tensors_digest({
            name: _sample(value) for name, value in _tensors(encoder).items() if name not in drawn
        }),
        "precision": [run.recipe.runtime.precision, run.recipe.runtime.latent_cache_type],
        "software": [versions(), plugin_versions(run.registry, [use.component])],
        "machine": _machine(device),
    }))  # fmt: skip


def control_name(run: Run, phase: PhaseUse, processes: int) -> str:
    """Under which name a shared folder of the run's encoder keeps the predictor of its control. phase: what it is
    trained by. processes: that train it, on whose number its bits depend by rounding."""
    recipe = run.recipe
    methods = [phase.optimizer, phase.schedule]
    used = [use.component for use in [recipe.predictor, phase, *methods, *phase.objectives]]
    return "control-" + _digest({
        "seed": recipe.seed,
        "processes": processes,
        "predictor": _named(recipe.predictor),
        "phase": [_named(use) for use in [phase, *methods]],
        "objectives": [[objective.name, *_named(objective)] for objective in phase.objectives],
        "windows": recipe.windows.model_dump(mode="json"),
        "plugins": plugin_versions(run.registry, used),
    })  # fmt: skip


def _named(use: Use) -> list[Any]:
    return [use.component.name, use.component.implementation, use.config.model_dump(mode="json", by_alias=True)]


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _sample(tensor: Tensor) -> Tensor:
    """At most `SAMPLED` values of a tensor, spread over it evenly."""
    values = tensor.detach().reshape(-1)
    places = torch.arange(SAMPLED, device=values.device) * (len(values) - 1) // (SAMPLED - 1)
    return values[places] if len(values) > SAMPLED else values


def _machine(device: torch.device) -> list[Any]:
    """What decides how sums are rounded: the type of a GPU; of processors, whose code differs by type, the very
    machine."""
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.node()
    return [device.type, kind, torch.get_num_threads()]


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
