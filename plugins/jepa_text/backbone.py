"""Makes a Qwen3 backbone, without the language-model head, and the adapters of any backbone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from transformers import Qwen3Config as BackboneConfig
from transformers import Qwen3Model
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging

from jepa_core.errors import DataError, UnsafeArtefactError
from jepa_core.io.files import write_atomically
from jepa_core.libraries import library
from jepa_text.architecture import Architecture
from jepa_text.config import LoraConfig
from jepa_text.folder import ARCHITECTURE_KEYS, CONFIG, COPY_AGAIN, SAFE_LOADING, read_config, shard_paths
from jepa_text.text_config import BackboneLoraConfig

HEAD = "lm_head.weight"
ADAPTER = "default"
WITH_HEAD = "with_head"
"""Folder of the adapter for the model with a head, within that of the backbone's."""

_ADAPTER_NOTE = """\
# Adapter

Two forms of the same adapter. Which of them does anything depends on the class that it is put on; the other loads with
no more than a warning, and changes nothing.

| folder | for |
|---|---|
| this one | `{backbone}`, the model without a head, which is what the encoder is |
| `{with_head}` | the model that has a `{backbone}` under a head, such as that for causal language modelling |

```python
from peft import PeftModel
from transformers import AutoModel, AutoModelForCausalLM
encoder = PeftModel.from_pretrained(AutoModel.from_pretrained(WEIGHTS), "encoder")
language_model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(WEIGHTS), "encoder/{with_head}")
```
"""


def random_backbone(architecture: Architecture) -> nn.Module:
    """A backbone with random fp32 weights, all trainable."""
    sizes = {key: getattr(architecture, name) for name, key in ARCHITECTURE_KEYS.items()}
    return Qwen3Model(BackboneConfig(**sizes, use_cache=False)).float()


def load_backbone(folder: Path, dtype: torch.dtype) -> nn.Module:
    """The folder's backbone, frozen, its weights in `dtype`.

    Raises DataError if files or weights are missing, UnsafeArtefactError if the folder is refused.
    """
    for path in shard_paths(folder):
        check_shard(path)
    config = _parse_config(folder)
    with quiet():
        loaded: Any = Qwen3Model.from_pretrained(folder, config=config, dtype=dtype, **SAFE_LOADING)
    backbone, report = loaded  # SAFE_LOADING asks for what was missing, too
    check_loaded(folder, report, lambda name: name == HEAD)
    return backbone.requires_grad_(False)


def load_head(folder: Path, dtype: torch.dtype) -> Tensor | None:
    """The folder's language-model head (V, D), frozen; None where the model scores tokens with its token table.

    Raises DataError if the head is missing, UnsafeArtefactError if the folder is refused.
    """
    if read_config(folder).get("tie_word_embeddings", False):
        return None
    for path in shard_paths(folder):
        with safe_open(path, framework="pt") as shard:
            if HEAD in shard.keys():  # noqa: SIM118 - not a mapping
                return shard.get_tensor(HEAD).to(dtype)
    raise DataError(f"{folder}: {HEAD} is in none of the weights, and the model is no tied one; {COPY_AGAIN}")


def adapt(backbone: nn.Module, lora: LoraConfig | BackboneLoraConfig | None, modules: Iterable[str]) -> nn.Module:
    """The backbone with one fp32 adapter on the linear maps of these names; without `lora`, the backbone as it is."""
    if lora is None:
        return backbone
    # peft takes seconds to import, and a random model has no use for it.
    with library("peft"):
        from peft import LoraConfig as AdapterConfig
        from peft import inject_adapter_in_model

    adapter = AdapterConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type] # declared int, and used as a number
        lora_dropout=lora.dropout,
        target_modules=list(modules),
        bias="none",
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in backbone.modules()),
    )
    adapted: Any = inject_adapter_in_model(adapter, backbone)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    adapted.peft_config = {ADAPTER: adapter}
    return adapted


def export_adapter(backbone: nn.Module, folder: Path) -> None:
    """Write the adapter of an adapted backbone into a folder, so that `PeftModel.from_pretrained` reads it.

    peft finds a tensor by the names of the modules around it, which differ between the backbone alone and a model that
    has it under a head, and an adapter of the one loads onto the other without an error and does nothing (peft 0.21.2).
    So it is written twice, with a note which is whose.
    """
    with library("peft"):
        from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(backbone, adapter_name=ADAPTER)
    _write_adapter(backbone, folder, {f"base_model.model.{name}": value for name, value in state.items()})
    inner = f"base_model.model.{backbone.base_model_prefix}"
    _write_adapter(backbone, folder / WITH_HEAD, {f"{inner}.{name}": value for name, value in state.items()})
    note = _ADAPTER_NOTE.format(backbone=type(backbone).__name__, with_head=WITH_HEAD)
    write_atomically(folder / "README.md", note.encode())


def _write_adapter(backbone: nn.Module, folder: Path, state: Mapping[str, Tensor]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.cpu().contiguous() for name, value in state.items()}
    write_atomically(folder / "adapter_model.safetensors", save(tensors, {"format": "pt"}))
    configs: Any = backbone.peft_config
    configs[ADAPTER].save_pretrained(folder)


def _parse_config(folder: Path) -> BackboneConfig:
    values = read_config(folder)
    try:
        return BackboneConfig.from_dict({**values, "use_cache": False})
    except Exception as error:  # the library checks types and values with exceptions of many kinds
        raise DataError(f"{folder / CONFIG} is no valid config ({type(error).__name__}); {COPY_AGAIN}") from None


def check_shard(path: Path) -> None:
    """Raises UnsafeArtefactError if a file is no whole safetensors file."""
    try:
        with safe_open(path, framework="pt"):
            pass
    except (SafetensorError, OSError) as error:
        raise UnsafeArtefactError(
            f"{path} is not a whole safetensors file ({type(error).__name__}); {COPY_AGAIN}"
        ) from None


def check_loaded(folder: Path, report: dict[str, Any], left_out: Callable[[str], bool]) -> None:
    """Raises DataError if weights are missing, of another shape or unknown, those left out aside.

    The library only logs weights that are missing and then draws them at random.
    """
    missing, unexpected = (
        sum(not left_out(name) for name in report[key]) for key in ("missing_keys", "unexpected_keys")
    )
    mismatched = len(report["mismatched_keys"])
    if missing or mismatched or unexpected:
        raise DataError(
            f"{folder}: the weights do not fit config.json ({missing} missing, {mismatched} of another shape, "
            f"{unexpected} unknown); copy the model again"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Without the library's report that the language-model head was left out, and without its bar."""
    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
