"""An encoder under other weights: the EMA target, and the untrained control.

Only the encoder's trainable parameters are copied, in fp32 (in bf16 an average with tau = 0.996 stands still), and they
are put in the encoder's place for the length of a call. With LoRA on a base of 8 billion parameters the copy costs
megabytes; it works for any encoder.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from jepa_core.contracts import Encoder, Items
from jepa_core.training.precision import full


class EncoderUnder(Encoder[Any]):
    """The encoder with its own copy of the trainable parameters, as they are when this is built. Never trained by
    gradient."""

    def __init__(self, encoder: Encoder, names: list[str]) -> None:
        super().__init__()
        parameters = dict(encoder.named_parameters())
        self._encoder = [encoder]  # in a list, so that the encoder's parameters are not counted as this module's
        self.names = names
        self.online = [parameters[name] for name in names]
        self.copies = [full(parameter.detach()).clone() for parameter in self.online]
        self.latent_dim = encoder.latent_dim

    @torch.no_grad()
    def forward(self, items: Items) -> Tensor:
        """Encode items under the copied parameters, without dropout: (N, D)."""
        encoder = self._encoder[0]
        given = {
            name: copy.to(parameter.dtype)
            for name, copy, parameter in zip(self.names, self.copies, self.online, strict=True)
        }
        training = encoder.training
        encoder.eval()
        try:
            return functional_call(encoder, given, (items,))
        finally:
            encoder.train(training)

    @torch.no_grad()
    def move(self, tau: float) -> None:
        """copy <- tau * copy + (1 - tau) * online."""
        if self.copies:
            torch._foreach_lerp_(self.copies, [full(parameter) for parameter in self.online], 1.0 - tau)

    @torch.no_grad()
    def sync(self) -> None:
        """copy <- online."""
        for copy, parameter in zip(self.copies, self.online, strict=True):
            copy.copy_(parameter)

    def weights(self) -> dict[str, Tensor]:
        """The copies by parameter name (the tensors themselves, not copies of them)."""
        return dict(zip(self.names, self.copies, strict=True))
