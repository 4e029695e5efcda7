"""The learner: online encoder, EMA target and predictor, and what phases and objectives ask of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from jepa_core.config import LearnerShape, Module
from jepa_core.contracts import Batch, Decoder, Encoder, LanguageEncoder, Latents, Observations, Prediction, Predictor
from jepa_core.data.dataset import Dataset
from jepa_core.data.observations import Observer
from jepa_core.ensemble import decoder_for, members_of
from jepa_core.errors import LastingRunError, RunError
from jepa_core.io.tensor_files import TensorFolder
from jepa_core.training.draws import of_items
from jepa_core.training.latent_cache import LatentCache
from jepa_core.training.parts import counted_items
from jepa_core.training.precision import full
from jepa_core.training.processes import ALONE
from jepa_core.training.target import EncoderUnder


@dataclass
class _Made:
    """What was made of a batch; None for what nobody asked for."""

    batch: Batch
    latents: Latents | None = None
    prediction: Prediction | None = None
    observations: Observations | None = None
    target_states: Tensor | None = None


class Learner:
    """Online encoder, EMA target, predictor, and the modules that objectives train.

    encoder: an Encoder, or an EncoderUnder other weights. predictor: a Predictor. cache_bytes: memory for the latents
    of a frozen encoder, beyond which they go into a file of `scratch`. cached_as: the type in which these are kept.
    autocast: compute in bf16. observer: reads states as numbers; None where the source renders none. belief_gradient:
    whether what is done with a belief may train the predictor; without it objectives learn to read beliefs and change
    none.

    modules: those of objectives, by the objective's name: of the phase that runs, and those that are kept. processes:
    that train this learner together, or evaluate it.
    """

    def __init__(
        self,
        encoder: Encoder,
        predictor: Predictor,
        dataset: Dataset,
        device: torch.device,
        scratch: Path,
        cache_bytes: int = 4 << 30,
        autocast: bool = False,
        observer: Observer | None = None,
        belief_gradient: bool = True,
        cached_as: torch.dtype = torch.float32,
    ) -> None:
        self.encoder = encoder.to(device)
        self.predictor = predictor.to(device)
        self.dataset = dataset
        self.device = device
        self.trainable = [name for name, parameter in encoder.named_parameters() if parameter.requires_grad]
        self.target = EncoderUnder(encoder, self.trainable)
        self.modules: dict[str, nn.Module] = {}
        self.observer = observer
        self.processes = ALONE
        self._in_step = False
        """Whether all processes ask for the latents of the same batches, one after another: unless something trains."""
        self._belief_gradient = belief_gradient
        self._scratch = scratch
        self._cache_bytes = cache_bytes
        self._autocast = autocast
        self._cached_as = cached_as
        self._cache: LatentCache | None = None
        self._shared: TensorFolder | None = None
        self._encoder_trains = self._predictor_trains = False
        self._latest: _Made | None = None
        self._logged: dict[str, Tensor] = {}

    def share(self, folder: TensorFolder | None) -> None:
        """Take latents from a folder, and add to it, for as long as the encoder has the weights that it has now."""
        self._shared = folder

    def begin(self, trains: frozenset[Module], objectives: Collection[str] = (), only: Sequence[str] = ("*",)) -> None:
        """Set what trains from here on, the modules of these objectives with it: gradients, dropout, and whether the
        encoder's latents may be kept. only: patterns of the names of parameters that train (see `chosen`)."""
        chosen = self.chosen(trains, only)
        self._encoder_trains = any(name.startswith("encoder.") for name in chosen)
        self._predictor_trains = any(name.startswith("predictor.") for name in chosen)
        for name, parameter in self.encoder_parameters().items():
            parameter.requires_grad_(f"encoder.{name}" in chosen)
        for name, parameter in self.predictor.named_parameters():
            parameter.requires_grad_(f"predictor.{name}" in chosen)
        self.encoder.train(self._encoder_trains)
        self.predictor.train(self._predictor_trains)
        for name, module in self.modules.items():
            module.requires_grad_(name in objectives).train(name in objectives)
        self._latest = None
        self._in_step = False
        if self._encoder_trains:
            self._cache = self._shared = None

    def chosen(self, trains: Collection[Module], only: Sequence[str]) -> dict[str, nn.Parameter]:
        """Parameters of the modules that train whose names match a pattern: `encoder.<name>`, `predictor.<name>`."""
        modules = {"encoder": self.encoder_parameters(), "predictor": dict(self.predictor.named_parameters())}
        named = {
            f"{module}.{name}": parameter for module in sorted(trains) for name, parameter in modules[module].items()
        }
        return {name: parameter for name, parameter in named.items() if name_matches(name, only)}

    def freeze(self) -> None:
        """Nothing trains: for evaluation, where all processes do the same, but for what they share out."""
        self.begin(frozenset())
        self._in_step = True

    @contextmanager
    def looking(self, own: nn.Module | None = None) -> Iterator[None]:
        """Compute without gradients and without dropout for as long as the block runs, in the midst of training.

        own: a module of the phase's own. What was made of the batch before is there again afterwards.
        """
        modules = [self.encoder, self.predictor, *self.modules.values(), *([] if own is None else [own])]
        training, latest = [module.training for module in modules], self._latest
        try:
            self._latest = None
            for module in modules:
                module.eval()
            with torch.no_grad():
                yield
        finally:
            self._latest = latest
            for module, was in zip(modules, training, strict=True):
                module.train(was)

    def each_member(self) -> Iterator[int]:
        """Number the members of an ensemble that trains, each in the predictor's place for its turn: what is asked for
        then is the member's own, on the same latents. A predictor that is none, or does not train, has one turn."""
        whole = self.predictor
        members = members_of(whole) if self._predictor_trains else [whole]
        try:
            for number, member in enumerate(members):
                self._take_turn(member)
                yield number
        finally:
            if len(members) > 1:
                self._take_turn(whole)

    def _take_turn(self, predictor: Predictor) -> None:
        if predictor is not self.predictor and self._latest is not None:
            self._latest.prediction = None
        self.predictor = predictor

    def latents(self, batch: Batch) -> Latents:
        """Encode a batch; asked again for the same batch, the same latents are returned.

        While the encoder is frozen the latents come from the cache and carry no gradient.
        """
        memo = self._made_of(batch)
        if memo.latents is None:
            encoded = self._encode(batch.items) if self._encoder_trains else self._cached(batch.items)
            memo.latents = self._place(encoded, batch)
        return memo.latents

    def prediction(self, batch: Batch) -> Prediction:
        """What the predictor makes of a batch's latents; asked again for the same batch, the same is returned. So
        objectives read the beliefs of the very pass that a phase predicts with."""
        memo = self._made_of(batch)
        if memo.prediction is None:
            prediction = self.predictor(self.latents(batch))
            if not self._belief_gradient:
                prediction = replace(prediction, belief=prediction.belief.detach())
            memo.prediction = prediction
        return memo.prediction

    def prediction_terms(self) -> Mapping[str, Tensor]:
        """Loss terms of the predictor's own, of the batch asked for last; none if nobody asked for its prediction."""
        memo = self._latest
        return {} if memo is None or memo.prediction is None else memo.prediction.terms

    def observations(self, batch: Batch) -> Observations:
        """What the states of a batch show in numbers, whatever the encoder reads.

        Raises RunError if the source renders no numbers.
        """
        if self.observer is None:
            raise LastingRunError("the source does not render its steps as numbers, which an objective asks for")
        memo = self._made_of(batch)
        if memo.observations is None:
            observed = self.observer.of(batch.steps)
            memo.observations = Observations(observed.values.to(self.device), observed.observed.to(self.device))
        return memo.observations

    def log(self, name: str, value: Tensor | float) -> None:
        """Have a number recorded and shown beside the loss terms of the step. It is part of no loss, and carries no
        gradient; reading it is left to whoever listens.

        value: one number. Raises RunError for a tensor of more.
        """
        number = torch.as_tensor(value, device=self.device).detach().float()
        if number.numel() != 1:
            raise RunError(f"learner.log('{name}', ...) takes one number, not a tensor of shape {tuple(number.shape)}")
        self._logged[name] = number.reshape(())

    def take_logged(self) -> dict[str, Tensor]:
        """What was logged since this was called last, by name."""
        logged, self._logged = self._logged, {}
        return logged

    @property
    def shape(self) -> LearnerShape:
        """Sizes of what objectives read; a belief is that of one member."""
        channels = len(self.observer.names) if self.observer else 0
        return LearnerShape(self.encoder.latent_dim, members_of(self.predictor)[0].belief_dim, channels)

    def decoders(self) -> dict[str, Decoder]:
        """What reads the predictor's beliefs, by the name of the objective that trained it."""
        kept = {name: module for name, module in self.modules.items() if isinstance(module, Decoder)}
        return {name: decoder_for(self.predictor, module) for name, module in kept.items()}

    def latest_latents(self) -> Latents | None:
        """Latents of the batch asked for last, for whoever watches."""
        return self._latest.latents if self._latest else None

    def _made_of(self, batch: Batch) -> _Made:
        if self._latest is None or self._latest.batch is not batch:
            self._latest = _Made(batch)
        return self._latest

    def target_states(self, batch: Batch) -> Tensor:
        """States of a batch as the EMA target encodes them: (B, T, D) fp32, no gradient. Only the states are
        encoded, and once for a batch."""
        memo = self._made_of(batch)
        if memo.target_states is None:
            used = torch.unique(batch.states)
            places = torch.searchsorted(used, batch.states)
            memo.target_states = self._encode_target(batch.items[used])[places.to(self.device)]
        return memo.target_states

    def target_latents(self, batch: Batch) -> Latents:
        """A batch as the EMA target encodes it, in fp32, without gradient."""
        return self._place(self._encode_target(batch.items), batch)

    def next_token_loss(self, batch: Batch) -> Tensor:
        """Next-token loss of the distinct texts of a batch, a scalar; of a LanguageEncoder alone."""
        texts = cast(Sequence[str], self.dataset.items(counted_items(batch)))
        with of_items():
            return cast(LanguageEncoder, self.encoder).next_token_loss(texts)

    def update_target(self, tau: float) -> None:
        """target <- tau * target + (1 - tau) * online."""
        self.target.move(tau)
        self._forget_targets()

    def sync_target(self) -> None:
        """target <- online."""
        self.target.sync()
        self._forget_targets()

    def _forget_targets(self) -> None:
        if self._latest is not None:
            self._latest.target_states = None

    def encoder_parameters(self) -> dict[str, nn.Parameter]:
        """The encoder's trainable parameters by name."""
        parameters = dict(self.encoder.named_parameters())
        return {name: parameters[name] for name in self.trainable}

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Everything that training changes: encoder, target, predictor and the modules of objectives, by name."""
        yield from ((f"encoder.{name}", value) for name, value in self.encoder_parameters().items())
        yield from ((f"target.{name}", value) for name, value in self.target.weights().items())
        yield from ((f"predictor.{name}", value) for name, value in self.predictor.state_dict().items())
        for objective, module in self.modules.items():
            yield from ((f"objective.{objective}.{name}", value) for name, value in module.state_dict().items())

    @torch.no_grad()
    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Take up what `weights` gave; the modules of objectives must be there. Raises KeyError if one is missing."""
        if any(
            not torch.equal(value, weights[f"encoder.{name}"].to(value))
            for name, value in self.encoder_parameters().items()
        ):
            self._cache = self._shared = None
        for name, value in self.weights():
            value.copy_(weights[name])
        self._latest = None

    def _encode(self, ids: Tensor) -> Tensor:
        with self.precision(), of_items():
            return full(self.encoder(self.dataset.items(ids)))

    def _encode_target(self, ids: Tensor) -> Tensor:
        with self.precision():
            return full(self.target(self.dataset.items(ids)))

    def encode_together(self, ids: Tensor) -> None:
        """Have the latents of items in the cache, if the encoder is frozen, each process encoding its share; called by
        all processes with the same items."""
        if self.processes.count > 1 and not self._encoder_trains:
            kept = self._kept_latents()
            if missing := kept.missing(ids):
                kept.fill(missing)

    def _cached(self, ids: Tensor) -> Tensor:
        if self._in_step and not self.processes.apart:
            self.encode_together(ids)
        return self._kept_latents().take(ids)

    def _kept_latents(self) -> LatentCache:
        if self._cache is None:
            size, dim = self.dataset.rendering.count, self.encoder.latent_dim
            self._cache = LatentCache(
                size, dim, self._encode, self.device, self._cache_bytes, self._scratch, self._shared, self._cached_as,
                self.processes,
            )  # fmt: skip
        return self._cache

    def _place(self, encoded: Tensor, batch: Batch) -> Latents:
        static, states, actions, mask = (
            index.to(self.device) for index in (batch.static, batch.states, batch.actions, batch.mask)
        )
        return Latents(encoded[static], encoded[states], encoded[actions], mask)

    def precision(self) -> AbstractContextManager[object]:
        """Context in which everything is computed: bf16 where the recipe asks for it."""
        return torch.autocast(self.device.type, torch.bfloat16) if self._autocast else nullcontext()


def name_matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a parameter's name matches one of some patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
