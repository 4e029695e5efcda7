"""Qwen3 texts to latents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from jepa_core.contracts import LanguageEncoder
from jepa_core.errors import DataError, RunError
from jepa_core.training.latent_norm import normalise_latents
from jepa_core.training.totals import total
from jepa_text.backbone import adapt, export_adapter, load_backbone, load_head, random_backbone
from jepa_text.config import Qwen3Config
from jepa_text.in_step import in_passes
from jepa_text.layers import end_states, token_states
from jepa_text.numbers import by_magnitude
from jepa_text.packing import pack, split_into_passes
from jepa_text.tokenizer import (
    TokenIds,
    fit_tokenizer,
    parse_tokenizer,
    plain_tokenizer,
    read_tokenizer,
    without_rare_tokens,
)

IGNORED = -100
# Scores are as many as the vocabulary for every token: at 151,936 entries these tokens' take 600 MB in fp32.
SCORED_AT_ONCE = 1024


class Qwen3Encoder(LanguageEncoder):
    """The latent of a text: the last hidden state of a Qwen3 backbone at the text's last token.

    Texts are sorted by length and packed, so that no token of padding is computed; attention stays within a text.
    Random weights and adapters are drawn from torch's global random state. With gradient checkpointing a pass is
    computed again during the backward pass, from the module's own parameters: parameters substituted by
    `torch.func.functional_call` then get a wrong gradient (the EMA target, which needs none, is not affected).

    Raises DataError if the folder of weights is incomplete or no Qwen3, UnsafeArtefactError if it is refused.
    """

    def __init__(self, config: Qwen3Config, shape: None = None) -> None:
        super().__init__()
        self.config = config
        self.latent_dim = config.latent_dim
        self.tokens: TokenIds | None = None
        self._untied_head: Tensor | None = None
        self._least_subjects = 1
        self.backbone: Any = self._random() if config.folder is None else self._pretrained()
        self._drawn: Tensor | None = self._token_table.clone() if config.folder is None else None

    def fit(self, items: Iterable[Sequence[str]]) -> None:
        """Make the tokenizer of a random model from the training texts; pretrained weights bring their own."""
        if self.config.folder is None:
            texts = chain.from_iterable(items)
            self._take_made(fit_tokenizer(texts, self.config.random.vocabulary))

    def forget_rare(self, owned: Iterable[tuple[int, Sequence[str]]]) -> None:
        """Take tokens that too few subjects share out of the tokenizer of a random model."""
        if self.config.folder is None and self.tokens is not None:
            fewest = self.config.random.least_subjects
            untruncated = parse_tokenizer(plain_tokenizer(self.tokens.tokenizer) | {"truncation": None})
            self._take_made(without_rare_tokens(untruncated, owned, fewest))
            self._least_subjects = fewest

    def fitted(self) -> dict[str, Any]:
        """`tokenizer`: the tokenizer made by `fit`; nothing for pretrained weights. `least_subjects`: how many share
        each of its tokens at the least."""
        if self.config.folder is not None or self.tokens is None:
            return {}
        return {"tokenizer": plain_tokenizer(self.tokens.tokenizer), "least_subjects": self._least_subjects}

    def load_fitted(self, fitted: dict[str, Any]) -> None:
        """Take up a fitted tokenizer.

        Raises DataError if there is none or it does not fit the model.
        """
        if self.config.folder is None:
            if "tokenizer" not in fitted:
                raise DataError("the random encoder 'qwen3' needs a fitted tokenizer, and there is none to load")
            self._take_made(parse_tokenizer(fitted["tokenizer"]))
            self._least_subjects = int(fitted.get("least_subjects", 1))

    def forward(self, items: Sequence[str]) -> Tensor:
        """Latents of texts, in their order: (N, D) float32.

        Raises RunError if there is no tokenizer yet.
        """
        ids = self._token_ids(items)
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        encoded = self._in_passes(self._encode_pass, [ids[index] for index in order])
        if not encoded:
            return torch.zeros(0, self.latent_dim, device=self._device)
        return torch.cat(encoded)[torch.tensor(order, device=self._device).argsort()]

    def next_token_loss(self, items: Sequence[str]) -> Tensor:
        """Mean cross-entropy of every token but the first of a text, given those before it.

        No end-of-text token is appended: the latent is read at a text's last token, and learning to tell there that the
        text ends would draw all latents together. Tokens are scored by the token table, or by the head of an untied
        folder (as at 8 B; read at the first call and kept, never trained). The scores of 1024 tokens exist at a time.

        Raises RunError if there is no tokenizer yet, DataError if an untied folder lacks its head.
        """
        texts = sorted((text for text in self._token_ids(items) if len(text) > 1), key=len)
        losses = self._in_passes(self._surprise_pass, texts)
        nothing = torch.zeros((), device=self._device)
        predicted = torch.tensor(sum(len(text) - 1 for text in texts), device=self._device)
        return total(torch.stack(losses).sum() if losses else nothing) / total(predicted).clamp(min=1)

    def export(self, folder: Path) -> None:
        """Write the adapter as peft reads it; a random model has none."""
        if self.config.folder is not None and self.config.lora is not None:
            export_adapter(self.backbone, folder)

    def _token_ids(self, items: Sequence[str]) -> list[list[int]]:
        if self.tokens is None:
            raise RunError("the encoder 'qwen3' has no tokenizer yet; call fit or load_fitted before encoding")
        return self.tokens(items)

    @property
    def _token_table(self) -> Tensor:
        return self.backbone.embed_tokens.weight.detach()

    @property
    def _device(self) -> torch.device:
        return self.backbone.embed_tokens.weight.device

    def _in_passes(self, compute: Callable[[list[list[int]]], Tensor], texts: list[list[int]]) -> list[Tensor]:
        """What is computed of each pass over texts; with as many passes as other processes make, if they divide the
        weights."""
        passes = list(split_into_passes(texts, self.config.tokens_per_pass))
        return in_passes(self, lambda texts_of_pass: self._pass(compute, texts_of_pass), passes, [[0, 0]])

    def _pass(self, compute: Callable[[list[list[int]]], Tensor], texts: list[list[int]]) -> Tensor:
        if self.config.gradient_checkpointing and torch.is_grad_enabled():
            return checkpoint(compute, texts, use_reentrant=False)
        return compute(texts)

    def _encode_pass(self, texts: list[list[int]]) -> Tensor:
        """Latents of the texts of one pass: (texts, D) float32."""
        return normalise_latents(end_states(self.backbone, pack(texts, self._device)), self.config.latent_norm)

    def _surprise_pass(self, texts: list[list[int]]) -> Tensor:
        """Cross-entropy of the texts of one pass, summed over the tokens that are predicted."""
        hidden, head = token_states(self.backbone, pack(texts, self._device)), self._head()
        parts = zip(hidden.split(SCORED_AT_ONCE), _following(texts).to(self._device).split(SCORED_AT_ONCE), strict=True)
        # Scores are made again for the gradient, not kept.
        return sum(checkpoint(_surprise, tokens, head, following, use_reentrant=False) for tokens, following in parts)

    def _head(self) -> Tensor:
        """What scores a hidden state against every token: (V, D)."""
        if self.config.folder is not None and self._untied_head is None:
            self._untied_head = load_head(self.config.folder, self._dtype)
        if self._untied_head is None:
            return self.backbone.embed_tokens.weight
        self._untied_head = self._untied_head.to(self._device)
        return self._untied_head

    @property
    def _dtype(self) -> torch.dtype:
        """Type of pretrained weights."""
        return torch.bfloat16 if self.config.precision == "bf16" else torch.float32

    def _take(self, tokenizer: Any) -> None:
        self.tokens = TokenIds(tokenizer, self.config.max_tokens, self.config.architecture.vocabulary)

    def _take_made(self, tokenizer: Any) -> None:
        """Take a tokenizer of the training texts, and give its numbers their place in the token table as drawn."""
        self._take(tokenizer)
        if self.config.random.numbers == "magnitude":
            assert self._drawn is not None
            self._token_table.copy_(by_magnitude(self._drawn, tokenizer.get_vocab()))

    def _random(self) -> nn.Module:
        return random_backbone(self.config.architecture)

    def _pretrained(self) -> nn.Module:
        folder = self.config.folder
        assert folder is not None
        backbone = load_backbone(folder, self._dtype)
        self._take(read_tokenizer(folder))
        return adapt(backbone, self.config.lora, self.config.lora.modules if self.config.lora else ())


def _following(texts: list[list[int]]) -> Tensor:
    """For every token of a pack the one that follows it in its text; at the end of a text, what cross-entropy
    ignores."""
    return torch.tensor([token for text in texts for token in (*text[1:], IGNORED)])


def _surprise(hidden: Tensor, head: Tensor, following: Tensor) -> Tensor:
    return F.cross_entropy(
        F.linear(hidden.to(head.dtype), head).float(), following, ignore_index=IGNORED, reduction="sum"
    )
