"""What a recipe may say about the Qwen3 encoder. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from jepa_core.config import Config, EncoderConfig, ItemShape, LatentNorm, ModelSize, PathText
from jepa_text.architecture import PUBLISHED, Architecture
from jepa_text.folder import missing_files, read_architecture

RANDOM = "random"

# `activation_bytes` is asked before any text is seen; an hour of charted values is about this long.
TYPICAL_TOKENS = 128

Projection = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class RandomQwen3Config(Config):
    """Sizes of the small Qwen3 that is made when `weights` is `random`."""

    hidden_size: int = Field(128, gt=0, description="width of the model and size of a latent")
    layers: int = Field(2, gt=0, description="transformer layers")
    heads: int = Field(4, gt=0, description="query heads")
    kv_heads: int = Field(2, gt=0, description="key and value heads; divides `heads`")
    head_dim: int = Field(32, gt=0, multiple_of=2, description="size of a head")
    intermediate_size: int = Field(384, gt=0, description="width of the MLP")
    vocabulary: int = Field(2048, ge=257, description="entries of the tokenizer made from the training texts")
    numbers: Literal["magnitude", "independent"] = Field(
        "magnitude", description="token vectors of numbers: alike where the numbers are near, or drawn one by one"
    )
    least_subjects: int = Field(
        5, ge=1, le=1_000_000, description="subjects of train whose texts must share a token of that tokenizer"
    )

    @model_validator(mode="after")
    def _heads_divide(self) -> RandomQwen3Config:
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        return self


class LoraConfig(Config):
    """Low-rank adapters (LoRA, Hu et al., arXiv 2106.09685) on the linear maps of every layer, in fp32."""

    rank: int = Field(16, gt=0, description="rank of an adapter")
    alpha: float = Field(32.0, gt=0, description="scale of an adapter, times 1 / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout on an adapter's input while training")
    modules: tuple[Projection, ...] = Field(
        ("q_proj", "k_proj", "v_proj", "o_proj"), min_length=1, description="linear maps that are adapted"
    )

    @field_validator("modules")
    @classmethod
    def _distinct(cls, modules: tuple[Projection, ...]) -> tuple[Projection, ...]:
        if len(set(modules)) != len(modules):
            raise ValueError("a linear map is named twice")
        return modules


class Qwen3Config(EncoderConfig):
    """Qwen3 text encoder: pretrained weights from a local folder, adapted by LoRA, or a small random model.

    A latent is the backbone's last hidden state at the last token of the text; texts never see one another, and the
    language-model head runs in `next_token` training alone. Which parameters train follows from `weights`:

    * a folder: the pretrained weights stay frozen and the adapters of `lora` train; `lora: null` trains nothing.
    * `random`: every weight trains, in fp32; `lora` and `precision` do not apply, because there is nothing to preserve.
    """

    modality: ClassVar[Literal["text", "channels"]] = "text"
    offers: ClassVar[frozenset[str]] = frozenset({"next_token_loss"})

    weights: Annotated[str, PathText(other=RANDOM)] = Field(
        RANDOM, min_length=1, description="local folder of Qwen3 weights (safetensors), or `random`"
    )
    random: RandomQwen3Config = RandomQwen3Config()
    lora: LoraConfig | None = Field(LoraConfig(), description="adapters on pretrained weights; null trains nothing")
    max_tokens: int = Field(1024, gt=0, description="longer texts lose their end")
    tokens_per_pass: int = Field(4096, gt=0, description="tokens computed at once; changes memory and speed only")
    precision: Literal["bf16", "fp32"] = Field("bf16", description="type of the frozen pretrained weights")
    gradient_checkpointing: bool = Field(
        False, description="compute every pass twice instead of keeping its activations: the memory of one pass"
    )
    latent_norm: LatentNorm = "layer"

    @property
    def folder(self) -> Path | None:
        """Folder of pretrained weights; None if the model is random."""
        return None if self.weights == RANDOM else Path(self.weights).expanduser()

    @property
    def architecture(self) -> Architecture:
        """Sizes of the backbone; of a folder that is not there yet, those of the published model of that name.

        Raises DataError or UnsafeArtefactError if the folder's config.json is missing or refused.
        """
        if self.folder is None:
            return Architecture(**self.random.model_dump(exclude={"numbers", "least_subjects"}))
        if not self.folder.exists() and self.folder.name in PUBLISHED:
            return PUBLISHED[self.folder.name]
        return read_architecture(self.folder)

    @property
    def latent_dim(self) -> int:
        return self.architecture.hidden_size

    def missing(self) -> list[str]:
        if self.folder is None:
            return []
        absent = missing_files(self.folder)
        return absent if self.folder.is_dir() else [f"{file}, or set weights: random" for file in absent]

    def size(self, shape: ItemShape | None = None) -> ModelSize:
        architecture = self.architecture
        base = architecture.parameters()
        if self.folder is None:
            return ModelSize(parameters=base, trainable=base)
        adapters = architecture.lora_parameters(self.lora.rank, self.lora.modules) if self.lora else 0
        maps = sum(inputs * outputs for inputs, outputs in architecture.projections().values())
        return ModelSize(base + adapters, adapters, self._value_bytes, divisible=architecture.layers * maps)

    def activation_bytes(self, items: int, training: bool, shape: ItemShape | None = None) -> int:
        """Estimated peak bytes of activations, for texts of 128 tokens.

        Without a gradient, or with gradient checkpointing, one pass is held at a time (without a gradient, one layer of
        it); otherwise every layer of every text is.
        """
        tokens = items * min(TYPICAL_TOKENS, self.max_tokens)
        if not training or self.gradient_checkpointing:
            tokens = min(tokens, self.tokens_per_pass)
        values = self.architecture.saved_values(tokens)
        return values * self._value_bytes // (1 if training else self.architecture.layers)

    def flops(self, items: int, training: bool, shape: ItemShape | None = None) -> int:
        """Twice the multiply-adds of the backbone, for latents of texts of 128 tokens.

        The backward pass costs as much again for the gradients of what each layer reads, and as much a third time for
        those of weights, where they train. Attention and adapters always cost both. Gradient checkpointing adds a
        forward pass.
        """
        length, architecture = min(TYPICAL_TOKENS, self.max_tokens), self.architecture
        weights, others = architecture.weight_multiply_adds(length), architecture.attention_multiply_adds(length)
        if self.folder is None:
            frozen, trained = 0, weights + others
        else:
            adapters = architecture.lora_multiply_adds(length, self.lora.rank, self.lora.modules) if self.lora else 0
            frozen, trained = weights, others + adapters
        passes = 1 + self.gradient_checkpointing
        factors = (passes + 1, passes + 2) if training else (1, 1)
        return 2 * items * (factors[0] * frozen + factors[1] * trained)

    @property
    def _value_bytes(self) -> int:
        return 2 if self.folder is not None and self.precision == "bf16" else 4
