"""What a recipe may say about a text backbone of any architecture. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from jepa_core.config import Config, EncoderConfig, ItemShape, LatentNorm, Modality, ModelSize, PathText
from jepa_core.errors import DataError
from jepa_text.config import TYPICAL_TOKENS
from jepa_text.folder import CONFIG, COPY_AGAIN, missing_files, read_described, read_plain_config
from jepa_text.headers import ALL_LINEAR, Tensors, read_headers

Pooling = Literal["last", "mean", "cls"]

POOLING_CONFIG = Path("1_Pooling") / "config.json"
POOLING_KEYS: dict[str, Pooling] = {
    "pooling_mode_lasttoken": "last",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
}
CAUSAL = ("ForCausalLM", "LMHeadModel")

# What each architecture calls the same size.
_WIDTH = ("hidden_size", "n_embd", "dim", "d_model")
_DEPTH = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_POSITIONS = ("max_position_embeddings", "n_positions")

# RoBERTa and its kin begin to count positions behind the row of their padding token.
_POSITIONS_BEFORE_THE_FIRST = 2


class BackboneLoraConfig(Config):
    """Low-rank adapters (LoRA, Hu et al., arXiv 2106.09685) on linear maps of the backbone, in fp32."""

    rank: int = Field(16, gt=0, description="rank of an adapter")
    alpha: float = Field(32.0, gt=0, description="scale of an adapter, times 1 / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout on an adapter's input while training")
    modules: Literal["all-linear"] | Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        ALL_LINEAR, description="linear maps that are adapted, by the last part of their name, or `all-linear`"
    )


class TextBackboneConfig(EncoderConfig):
    """Any text backbone from a local folder of Hugging Face weights, causal or bidirectional, adapted by LoRA.

    A latent pools the backbone's last hidden states over the tokens of a text, as the folder itself says
    (`1_Pooling/config.json` of sentence-transformers); else it is the state at the last token of a causal language
    model, and the mean of a bidirectional one. The weights stay frozen; `lora: null` trains nothing. Sizes are read
    from the headers of the weights, so they hold for every architecture.
    """

    modality: ClassVar[Modality] = "text"

    weights: Annotated[str, PathText()] = Field(
        min_length=1, description="local folder of config.json, tokenizer.json and safetensors files"
    )
    lora: BackboneLoraConfig | None = Field(BackboneLoraConfig(), description="adapters; null trains nothing")
    pooling: Literal["auto"] | Pooling = Field("auto", description="`auto` does as the folder says")
    max_tokens: int = Field(256, gt=0, description="longer texts lose their end; never beyond the model's positions")
    tokens_per_pass: int = Field(8192, gt=0, description="tokens computed at once; changes memory and speed only")
    precision: Literal["bf16", "fp32"] = Field("bf16", description="type of the frozen weights")
    gradient_checkpointing: bool = Field(
        False, description="compute every pass twice instead of keeping its activations: the memory of one pass"
    )
    latent_norm: LatentNorm = "layer"

    @property
    def folder(self) -> Path:
        """Folder of the weights."""
        return Path(self.weights).expanduser()

    @property
    def backbone(self) -> Backbone:
        """What the folder says of its model.

        Raises DataError or UnsafeArtefactError if it is incomplete or refused.
        """
        config = self.folder / CONFIG
        return _read_backbone(self.folder, config.stat().st_mtime_ns if config.is_file() else 0)

    @property
    def latent_dim(self) -> int:
        return self.backbone.width

    @property
    def chosen_pooling(self) -> Pooling:
        """How tokens are pooled, `auto` resolved. Raises DataError if the folder pools in another way."""
        return _pooling(self.folder, self.backbone.causal) if self.pooling == "auto" else self.pooling

    @property
    def token_limit(self) -> int:
        """Most tokens of a text."""
        return min(self.max_tokens, self.backbone.positions or self.max_tokens)

    @property
    def modules(self) -> list[str]:
        """Last parts of the names of the adapted linear maps.

        Raises DataError if one that is named is not there.
        """
        if self.lora is None:
            return []
        modules = self.backbone.tensors.modules(self.lora.modules)
        absent = (
            [] if self.lora.modules == ALL_LINEAR else [module for module in self.lora.modules if module not in modules]
        )
        if absent or not modules:
            there = ", ".join(self.backbone.tensors.modules(ALL_LINEAR))
            raise DataError(
                f"{self.folder} has no linear map called {', '.join(absent)}; lora.modules may name {there}"
            )
        return modules

    def missing(self) -> list[str]:
        return missing_files(self.folder)

    def size(self, shape: ItemShape | None = None) -> ModelSize:
        tensors = self.backbone.tensors
        adapters = tensors.lora_parameters(self.lora.rank, self.modules) if self.lora else 0
        maps = sum(inputs * outputs for inputs, outputs in tensors.linear_maps.values())
        return ModelSize(tensors.parameters + adapters, adapters, self._value_bytes, divisible=maps)

    def activation_bytes(self, items: int, training: bool, shape: ItemShape | None = None) -> int:
        """Estimated peak bytes of activations, for texts of 128 tokens: what the linear maps read and give, and six
        values of the width around them in each layer. Held for one pass where nothing is kept for later."""
        backbone = self.backbone
        tokens = items * min(TYPICAL_TOKENS, self.token_limit)
        if not training or self.gradient_checkpointing:
            tokens = min(tokens, self.tokens_per_pass)
        values = (
            sum(sum(sides) for sides in backbone.tensors.linear_maps.values()) + 6 * backbone.depth * backbone.width
        )
        return tokens * values * self._value_bytes // (1 if training else backbone.depth)

    def flops(self, items: int, training: bool, shape: ItemShape | None = None) -> int:
        """Twice the multiply-adds of the linear maps and of attention, for texts of 128 tokens; in training as for
        Qwen3: the frozen maps twice, attention and adapters three times, checkpointing one pass more."""
        backbone, length = self.backbone, min(TYPICAL_TOKENS, self.token_limit)
        maps = length * sum(inputs * outputs for inputs, outputs in backbone.tensors.linear_maps.values())
        others = 2 * backbone.depth * length**2 * backbone.width + length * self.size().trainable
        passes = 1 + self.gradient_checkpointing
        factors = (passes + 1, passes + 2) if training else (1, 1)
        return 2 * items * (factors[0] * maps + factors[1] * others)

    @property
    def _value_bytes(self) -> int:
        return 2 if self.precision == "bf16" else 4


@dataclass(frozen=True)
class Backbone:
    """What a folder says of its model. positions: most tokens of a text; None if there is no limit."""

    causal: bool
    width: int
    depth: int
    positions: int | None
    tensors: Tensors


@cache
def _read_backbone(folder: Path, changed: int) -> Backbone:
    """changed: when the folder's config was, so that an answer is not kept beyond it."""
    config = read_plain_config(folder)
    if config.get("is_encoder_decoder"):
        raise DataError(
            f"{folder / CONFIG}: an encoder with a decoder is not supported; give a model that is one stack"
        )
    positions = _size(config, _POSITIONS)
    return Backbone(
        causal=any(str(name).endswith(CAUSAL) for name in config.get("architectures") or ()),
        width=_needed(folder, config, _WIDTH),
        depth=_needed(folder, config, _DEPTH),
        positions=positions - _POSITIONS_BEFORE_THE_FIRST if positions else None,
        tensors=read_headers(folder),
    )


def _needed(folder: Path, config: dict[str, Any], names: tuple[str, ...]) -> int:
    size_of = _size(config, names)
    if size_of is None:
        raise DataError(f"{folder / CONFIG}: none of {', '.join(names)} is a positive integer; {COPY_AGAIN}")
    return size_of


def _size(config: dict[str, Any], names: tuple[str, ...]) -> int | None:
    return next((config[name] for name in names if type(config.get(name)) is int and config[name] > 0), None)


def _pooling(folder: Path, causal: bool) -> Pooling:
    path = folder / POOLING_CONFIG
    if not path.is_file():
        return "last" if causal else "mean"
    chosen = sorted(
        key for key, value in read_described(path).items() if key.startswith("pooling_mode_") and value is True
    )
    if len(chosen) != 1 or chosen[0] not in POOLING_KEYS:
        raise DataError(
            f"{path} pools by {' and '.join(chosen) or 'nothing known'}; set `pooling` to last, mean or cls yourself"
        )
    return POOLING_KEYS[chosen[0]]
