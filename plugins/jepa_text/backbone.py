"""Makes a Qwen3 backbone, without the language-model head: random, or from a folder, with adapters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import AttentionInterface, Qwen3Model
from transformers import Qwen3Config as BackboneConfig
from transformers.utils import logging

from jepa_core.errors import DataError, UnsafeArtefactError
from jepa_text import attention
from jepa_text.architecture import Architecture
from jepa_text.config import LoraConfig
from jepa_text.folder import ARCHITECTURE_KEYS, CONFIG, COPY_AGAIN, read_config, shard_paths

HEAD = "lm_head.weight"


def random_backbone(architecture: Architecture) -> nn.Module:
    """A backbone with random fp32 weights, all trainable."""
    sizes = {key: getattr(architecture, name) for name, key in ARCHITECTURE_KEYS.items()}
    return Qwen3Model(_with_packed_attention(BackboneConfig(**sizes, use_cache=False))).float()


def load_backbone(folder: Path, dtype: torch.dtype) -> nn.Module:
    """The folder's backbone, frozen, its weights in `dtype`.

    Raises DataError if files or weights are missing, UnsafeArtefactError if the folder is refused.
    """
    for path in shard_paths(folder):
        _check_shard(path)
    config = _with_packed_attention(_parse_config(folder))
    with _quiet():
        backbone, report = Qwen3Model.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    _check_loaded(folder, report)
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


def adapt(backbone: nn.Module, lora: LoraConfig | None) -> nn.Module:
    """The backbone with one fp32 adapter on the named linear maps; without `lora`, the backbone as it is."""
    if lora is None:
        return backbone
    # peft takes seconds to import, and a random model has no use for it.
    from peft import LoraConfig as AdapterConfig
    from peft import inject_adapter_in_model

    adapter = AdapterConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.modules),
        bias="none",
    )
    adapted = inject_adapter_in_model(adapter, backbone)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return adapted


def _parse_config(folder: Path) -> BackboneConfig:
    values = read_config(folder)
    try:
        return BackboneConfig.from_dict({**values, "use_cache": False})
    except Exception as error:  # the library checks types and values with exceptions of many kinds
        raise DataError(f"{folder / CONFIG} is no valid config ({type(error).__name__}); {COPY_AGAIN}") from None


def _with_packed_attention(config: BackboneConfig) -> BackboneConfig:
    AttentionInterface.register(attention.NAME, attention.packed_attention)
    config._attn_implementation = attention.NAME
    return config


def _check_shard(path: Path) -> None:
    try:
        with safe_open(path, framework="pt"):
            pass
    except (SafetensorError, OSError) as error:
        raise UnsafeArtefactError(
            f"{path} is not a whole safetensors file ({type(error).__name__}); {COPY_AGAIN}"
        ) from None


def _check_loaded(folder: Path, report: dict[str, Any]) -> None:
    """The library only logs weights that are missing and then draws them at random."""
    missing, mismatched = len(report["missing_keys"]), len(report["mismatched_keys"])
    unexpected = len(set(report["unexpected_keys"]) - {HEAD})
    if missing or mismatched or unexpected:
        raise DataError(
            f"{folder}: the weights do not fit config.json ({missing} missing, {mismatched} of another shape, "
            f"{unexpected} unknown); copy the model again"
        )


@contextmanager
def _quiet() -> Iterator[None]:
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
