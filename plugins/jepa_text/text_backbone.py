"""Texts to latents by any text backbone of a local folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES

from jepa_core.contracts import Encoder
from jepa_core.errors import DataError
from jepa_core.training.latent_norm import normalise_latents
from jepa_text.backbone import adapt, check_loaded, check_shard, export_adapter, quiet
from jepa_text.folder import CONFIG, COPY_AGAIN, SAFE_LOADING, read_plain_config, shard_paths
from jepa_text.headers import is_head
from jepa_text.in_step import in_passes
from jepa_text.text_config import Pooling, TextBackboneConfig
from jepa_text.tokenizer import read_tokenizer


class TextBackbone(Encoder):
    """The pooled last hidden state of a pretrained backbone over the tokens of a text.

    Special tokens are those that the folder's tokenizer adds. Texts are computed longest with longest, padded on the
    right and masked, so that neither padding nor neighbours change a latent by more than rounding. Gradient
    checkpointing has the limit that `Qwen3Encoder` states.

    Raises DataError if the folder is incomplete or holds no text backbone, UnsafeArtefactError if it is refused.
    """

    def __init__(self, config: TextBackboneConfig, shape: None = None) -> None:
        super().__init__()
        self.config = config
        self.latent_dim = config.latent_dim
        self.pooling = config.chosen_pooling
        loaded = _load(config.folder, torch.bfloat16 if config.precision == "bf16" else torch.float32)
        self.padding = loaded.config.pad_token_id or 0
        embeddings: Any = loaded.get_input_embeddings()
        self.tokenizer = _tokenizer(config, embeddings.num_embeddings)
        self.backbone = adapt(loaded, config.lora, config.modules)

    def forward(self, items: Sequence[str]) -> Tensor:
        """Latents of texts, in their order: (N, D) float32."""
        device = next(self.backbone.parameters()).device
        ids = [encoding.ids or [self.padding] for encoding in self.tokenizer.encode_batch_fast(list(items))]
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        passes = [[ids[index] for index in rows] for rows in _passes(order, ids, self.config)]
        encoded = in_passes(self, lambda texts: self._encode(texts, device), passes, [[self.padding]])
        if not encoded:
            return torch.zeros(0, self.latent_dim, device=device)
        return torch.cat(encoded)[torch.tensor(order, device=device).argsort()]

    def export(self, folder: Path) -> None:
        """Write the adapter as peft reads it."""
        if self.config.lora is not None:
            export_adapter(self.backbone, folder)

    def _encode(self, texts: list[list[int]], device: torch.device) -> Tensor:
        if self.config.gradient_checkpointing and torch.is_grad_enabled():
            return checkpoint(self._encode_pass, texts, device, use_reentrant=False)
        return self._encode_pass(texts, device)

    def _encode_pass(self, texts: list[list[int]], device: torch.device) -> Tensor:
        """Latents of the texts of one pass: (texts, D) float32."""
        lengths = torch.tensor([len(text) for text in texts])
        longest = int(lengths.max())
        ids = torch.tensor([text + [self.padding] * (longest - len(text)) for text in texts])
        mask = torch.arange(longest) < lengths[:, None]
        hidden = self.backbone(input_ids=ids.to(device), attention_mask=mask.long().to(device)).last_hidden_state
        return normalise_latents(_pooled(hidden, mask.to(device), self.pooling), self.config.latent_norm)


def _pooled(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """Pool hidden states (N, L, D) over the tokens of the mask (N, L), which lie at the left: (N, D) float32."""
    hidden = hidden.float()
    if pooling == "cls":
        return hidden[:, 0]
    lengths = mask.sum(1)
    if pooling == "last":
        return hidden[torch.arange(len(hidden), device=hidden.device), lengths - 1]
    return (hidden * mask[..., None]).sum(1) / lengths[:, None]


def _passes(order: list[int], ids: list[list[int]], config: TextBackboneConfig) -> list[list[int]]:
    """Rows, in ascending order of length, in groups that hold at most a pass's tokens after padding."""
    groups: list[list[int]] = []
    for row in order:
        if groups and (len(groups[-1]) + 1) * len(ids[row]) <= config.tokens_per_pass:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _tokenizer(config: TextBackboneConfig, vocabulary: int) -> Tokenizer:
    tokenizer = read_tokenizer(config.folder)
    if max(tokenizer.get_vocab().values()) >= vocabulary:
        raise DataError(f"{config.folder}: the tokenizer has ids beyond the {vocabulary} rows of the token table")
    tokenizer.no_padding()
    tokenizer.enable_truncation(config.token_limit)
    return tokenizer


def _load(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    """The folder's backbone, frozen, without what lies on top of it."""
    for path in shard_paths(folder):
        check_shard(path)
    config = _parse_config(folder)
    try:
        with quiet():
            backbone, report = AutoModel.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                **SAFE_LOADING,
            )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise _no_config(folder, error) from None
    check_loaded(folder, report, is_head)
    if getattr(backbone, "pooler", None) is not None:
        backbone.pooler = None
    return backbone.requires_grad_(False).eval()


def _parse_config(folder: Path) -> PreTrainedConfig:
    values: dict[str, Any] = read_plain_config(folder)
    kind = str(values.get("model_type"))
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        raise DataError(f"{folder / CONFIG}: model_type is no text model that transformers has; give another folder")
    try:
        config = AutoConfig.for_model(kind, **{key: value for key, value in values.items() if key != "model_type"})
        config.use_cache = False
    except Exception as error:  # the library checks types and values with exceptions of many kinds
        raise _no_config(folder, error) from None
    return config


def _no_config(folder: Path, error: Exception) -> DataError:
    return DataError(f"{folder / CONFIG} is no valid config ({type(error).__name__}); {COPY_AGAIN}")
