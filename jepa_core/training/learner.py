"""The learner: online encoder, EMA target and predictor, and what phases ask of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from jepa_core.config import Module
from jepa_core.contracts import Batch, Latents
from jepa_core.data.dataset import Dataset
from jepa_core.io.tensor_files import TensorFolder
from jepa_core.training.latent_cache import LatentCache
from jepa_core.training.target import EncoderUnder


class Learner:
    """Online encoder, EMA target, predictor.

    encoder: an Encoder, or an EncoderUnder other weights. predictor: a Predictor. cache_bytes: memory for the latents
    of a frozen encoder, beyond which they go into a file of `scratch`. cached_as: the type in which these are kept.
    autocast: compute in bf16.
    """

    def __init__(
        self,
        encoder: nn.Module,
        predictor: nn.Module,
        dataset: Dataset,
        device: torch.device,
        scratch: Path,
        cache_bytes: int = 4 << 30,
        autocast: bool = False,
        cached_as: torch.dtype = torch.float32,
    ) -> None:
        self.encoder = encoder.to(device)
        self.predictor = predictor.to(device)
        self.dataset = dataset
        self.device = device
        self.trainable = [name for name, parameter in encoder.named_parameters() if parameter.requires_grad]
        self.target = EncoderUnder(encoder, self.trainable)
        self._scratch = scratch
        self._cache_bytes = cache_bytes
        self._autocast = autocast
        self._cached_as = cached_as
        self._cache: LatentCache | None = None
        self._shared: TensorFolder | None = None
        self._encoder_trains = False
        self._latest: tuple[Batch, Latents] | None = None

    def share(self, folder: TensorFolder | None) -> None:
        """Take latents from a folder, and add to it, for as long as the encoder has the weights that it has now."""
        self._shared = folder

    def begin(self, trains: frozenset[Module]) -> None:
        """Set what trains from here on: gradients, dropout, and whether the encoder's latents may be kept."""
        self._encoder_trains = "encoder" in trains and bool(self.trainable)
        for parameter in self.encoder_parameters().values():
            parameter.requires_grad_(self._encoder_trains)
        for parameter in self.predictor.parameters():
            parameter.requires_grad_("predictor" in trains)
        self.encoder.train(self._encoder_trains)
        self.predictor.train("predictor" in trains)
        self._latest = None
        if self._encoder_trains:
            self._cache = self._shared = None

    def freeze(self) -> None:
        """Nothing trains: for evaluation."""
        self.begin(frozenset())

    def latents(self, batch: Batch) -> Latents:
        """Encode a batch; asked again for the same batch, the same latents are returned.

        While the encoder is frozen the latents come from the cache and carry no gradient.
        """
        if self._latest is None or self._latest[0] is not batch:
            encoded = self._encode(batch.items) if self._encoder_trains else self._cached(batch.items)
            self._latest = (batch, self._place(encoded, batch))
        return self._latest[1]

    def latest_latents(self) -> Latents | None:
        """Latents of the batch asked for last, for whoever watches."""
        return self._latest[1] if self._latest else None

    def target_states(self, batch: Batch) -> Tensor:
        """States of a batch as the EMA target encodes them: (B, T, D) fp32, no gradient. Only the states are
        encoded."""
        used = torch.unique(batch.states)
        places = torch.searchsorted(used, batch.states)
        return self._encode_target(batch.items[used])[places.to(self.device)]

    def target_latents(self, batch: Batch) -> Latents:
        """A batch as the EMA target encodes it, in fp32, without gradient."""
        return self._place(self._encode_target(batch.items), batch)

    def next_token_loss(self, batch: Batch) -> Tensor:
        """Next-token loss of the distinct texts of a batch, a scalar; of a LanguageEncoder alone."""
        return self.encoder.next_token_loss(self.dataset.items(batch.items))

    def update_target(self, tau: float) -> None:
        """target <- tau * target + (1 - tau) * online."""
        self.target.move(tau)

    def sync_target(self) -> None:
        """target <- online."""
        self.target.sync()

    def encoder_parameters(self) -> dict[str, nn.Parameter]:
        """The encoder's trainable parameters by name."""
        parameters = dict(self.encoder.named_parameters())
        return {name: parameters[name] for name in self.trainable}

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Everything that training changes: encoder, target and predictor, by name."""
        yield from ((f"encoder.{name}", value) for name, value in self.encoder_parameters().items())
        yield from ((f"target.{name}", value) for name, value in self.target.weights().items())
        yield from ((f"predictor.{name}", value) for name, value in self.predictor.state_dict().items())

    @torch.no_grad()
    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Take up what `weights` gave. Raises KeyError if one is missing."""
        if any(
            not torch.equal(value, weights[f"encoder.{name}"].to(value))
            for name, value in self.encoder_parameters().items()
        ):
            self._shared = None
        for name, value in self.weights():
            value.copy_(weights[name])
        self._cache = self._latest = None

    def _encode(self, ids: Tensor) -> Tensor:
        with self.precision():
            return self.encoder(self.dataset.items(ids)).float()

    def _encode_target(self, ids: Tensor) -> Tensor:
        with self.precision():
            return self.target(self.dataset.items(ids)).float()

    def _cached(self, ids: Tensor) -> Tensor:
        if self._cache is None:
            size, dim = self.dataset.rendering.count, self.encoder.latent_dim
            self._cache = LatentCache(
                size, dim, self._encode, self.device, self._cache_bytes, self._scratch, self._shared, self._cached_as
            )
        return self._cache.take(ids)

    def _place(self, encoded: Tensor, batch: Batch) -> Latents:
        static, states, actions, mask = (
            index.to(self.device) for index in (batch.static, batch.states, batch.actions, batch.mask)
        )
        return Latents(encoded[static], encoded[states], encoded[actions], mask)

    def precision(self) -> AbstractContextManager[object]:
        """Context in which everything is computed: bf16 where the recipe asks for it."""
        return torch.autocast(self.device.type, torch.bfloat16) if self._autocast else nullcontext()
