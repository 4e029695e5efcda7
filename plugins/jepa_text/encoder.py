"""Qwen3 texts to latents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from jepa_core.contracts import Encoder
from jepa_core.errors import DataError, RunError
from jepa_text.attention import groups_of
from jepa_text.backbone import adapt, load_backbone, random_backbone
from jepa_text.config import Qwen3Config
from jepa_text.tokenizer import TokenIds, fit_tokenizer, parse_tokenizer, plain_tokenizer, read_tokenizer


class Qwen3Encoder(Encoder):
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
        self.backbone = self._random() if config.folder is None else self._pretrained()

    def fit(self, items: Iterable[Sequence[str]]) -> None:
        """Make the tokenizer of a random model from the training texts; pretrained weights bring their own."""
        if self.config.folder is None:
            texts = chain.from_iterable(items)
            self._take(fit_tokenizer(texts, self.config.random.vocabulary))

    def fitted(self) -> dict[str, Any]:
        """`tokenizer`: the tokenizer made by `fit`; nothing for pretrained weights."""
        if self.config.folder is not None or self.tokens is None:
            return {}
        return {"tokenizer": plain_tokenizer(self.tokens.tokenizer)}

    def load_fitted(self, fitted: dict[str, Any]) -> None:
        """Take up a fitted tokenizer.

        Raises DataError if there is none or it does not fit the model.
        """
        if self.config.folder is None:
            if "tokenizer" not in fitted:
                raise DataError("the random encoder 'qwen3' needs a fitted tokenizer, and there is none to load")
            self._take(parse_tokenizer(fitted["tokenizer"]))

    def forward(self, items: Sequence[str]) -> Tensor:
        """Latents of texts, in their order: (N, D) float32.

        Raises RunError if there is no tokenizer yet.
        """
        if self.tokens is None:
            raise RunError("the encoder 'qwen3' has no tokenizer yet; call fit or load_fitted before encoding")
        device = self.backbone.embed_tokens.weight.device
        ids = self.tokens(items)
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        passes = _passes([ids[index] for index in order], self.config.tokens_per_pass)
        encoded = [self._encode(texts, device) for texts in passes]
        if not encoded:
            return torch.zeros(0, self.latent_dim, device=device)
        return torch.cat(encoded)[torch.tensor(order, device=device).argsort()]

    def _encode(self, texts: list[list[int]], device: torch.device) -> Tensor:
        if self.config.gradient_checkpointing and torch.is_grad_enabled():
            return checkpoint(self._encode_pass, texts, device, use_reentrant=False)
        return self._encode_pass(texts, device)

    def _encode_pass(self, texts: list[list[int]], device: torch.device) -> Tensor:
        """Latents of the texts of one pass: (texts, D) float32."""
        lengths = [len(text) for text in texts]
        ends = torch.tensor(lengths).cumsum(0)
        positions = torch.cat([torch.arange(length) for length in lengths])
        hidden = self.backbone(
            input_ids=torch.tensor([list(chain.from_iterable(texts))], device=device),
            position_ids=positions.unsqueeze(0).to(device),
            # A ready mapping keeps the model from building a mask; the groups say all that a mask would.
            attention_mask={"full_attention": None},
            use_cache=False,
            groups=groups_of(lengths),
        ).last_hidden_state
        latents = hidden[0, (ends - 1).to(device)].float()
        if self.config.latent_norm == "layer":
            return F.layer_norm(latents, (self.latent_dim,))
        return latents

    def _take(self, tokenizer: Any) -> None:
        self.tokens = TokenIds(tokenizer, self.config.max_tokens, self.config.architecture.vocabulary)

    def _random(self) -> nn.Module:
        return random_backbone(self.config.architecture)

    def _pretrained(self) -> nn.Module:
        folder = self.config.folder
        dtype = torch.bfloat16 if self.config.precision == "bf16" else torch.float32
        backbone = load_backbone(folder, dtype)
        self._take(read_tokenizer(folder))
        return adapt(backbone, self.config.lora)


def _passes(texts: list[list[int]], budget: int) -> Iterator[list[list[int]]]:
    """Split texts into runs of at most `budget` tokens; a longer text is a run of its own."""
    run: list[list[int]] = []
    tokens = 0
    for text in texts:
        if run and tokens + len(text) > budget:
            yield run
            run, tokens = [], 0
        run.append(text)
        tokens += len(text)
    if run:
        yield run
