"""Checks of encoders, on the items of oscillators: texts, or channel values of one sample and of several."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, cast

import torch

from jepa_core.config import EncoderConfig, ItemShape
from jepa_core.contracts import Channels, Encoder, Items
from jepa_core.data.dataset import Dataset
from jepa_core.errors import JepaError
from jepa_core.testing import bench as base
from jepa_core.testing.bench import (
    NotApplicable,
    close,
    differing,
    oscillators,
    quietly,
    require,
    require_no_global_draws,
    require_silent,
)
from jepa_core.training.target import EncoderUnder

ITEMS = 24
MARK = 1000.0
"""Beyond every value of the oscillators."""
PATCH = 8
"""Samples of a step in the check of patches."""


class EncoderBench(base.Bench):
    """An encoder that was fitted on the train split of oscillators, in evaluation mode."""

    @cached_property
    def encoder_config(self) -> EncoderConfig:
        return cast(EncoderConfig, self.config)

    @cached_property
    def dataset(self) -> Dataset:
        return oscillators(self.encoder_config.modality)

    @cached_property
    def shape(self) -> ItemShape | None:
        return ItemShape(channels=4) if self.encoder_config.modality == "channels" else None

    @cached_property
    def items(self) -> Items:
        """Items of one trajectory: its static facts, states and actions."""
        return self.dataset.items(torch.arange(ITEMS))

    def fitted(self, dataset: Dataset | None = None, shape: ItemShape | None = None) -> Encoder:
        """A new encoder, fitted."""
        encoder = self.make(shape or self.shape)
        with quietly():
            fitted_on = dataset or self.dataset
            encoder.fit(fitted_on.training_items())
            encoder.forget_rare(fitted_on.owned_items())
        return encoder.eval()

    @cached_property
    def encoder(self) -> Encoder:
        return self.fitted()


def _pick(items: Items, index: Sequence[int]) -> Items:
    if isinstance(items, Channels):
        return Channels(items.values[list(index)], items.observed[list(index)])
    return [items[number] for number in index]


@torch.no_grad()
def check_shape_and_dtype(bench: EncoderBench) -> None:
    """N items give latents (N, D) in float32, all finite, with D the `latent_dim` of both encoder and config; one item
    alone does too."""
    dim = bench.encoder_config.latent_dim
    require(bench.encoder.latent_dim == dim, f"set self.latent_dim to the config's, {dim}")
    for count in (ITEMS, 1):
        latents = bench.encoder(_pick(bench.items, range(count)))
        require(
            latents.shape == (count, dim) and latents.dtype == torch.float32,
            f"{count} items gave {tuple(latents.shape)} in {latents.dtype}; return ({count}, {dim}) in float32",
        )
        require(torch.isfinite(latents).all(), "a latent is not finite; look for a division by what may be 0")


@torch.no_grad()
def check_patches_of_samples(bench: EncoderBench) -> None:
    """Items with several samples a channel are encoded too, or refused in one sentence: sources of other data have
    them."""
    if bench.shape is None:
        raise NotApplicable("texts have no samples")
    dataset = oscillators(samples=PATCH)
    try:
        encoder = bench.fitted(dataset, ItemShape(channels=4, samples=PATCH))
    except JepaError as refusal:
        raise NotApplicable(f"it refuses {PATCH} samples a step: {refusal}") from None
    latents = encoder(dataset.items(torch.arange(ITEMS)))
    require(
        latents.shape == (ITEMS, bench.encoder_config.latent_dim) and torch.isfinite(latents).all(),
        f"{PATCH} samples a channel gave latents {tuple(latents.shape)}; read both sizes of the ItemShape",
    )


@torch.no_grad()
def check_item_independent(bench: EncoderBench) -> None:
    """An item's latent does not depend, beyond rounding, on the items beside it or on their order: latents are kept
    and read again in other company."""
    whole = bench.encoder(bench.items)
    order = list(range(ITEMS - 1, -1, -2))
    alone = bench.encoder(_pick(bench.items, order))
    require(
        close(whole[order], alone),
        "latents change with the other items of a batch; use no batch statistics in evaluation, and let no item see "
        "another",
    )


@torch.no_grad()
def check_items_told_apart(bench: EncoderBench) -> None:
    """Different items give different latents: what is constant cannot be predicted wrongly."""
    latents = bench.encoder(bench.items)
    require(float(latents.std(0).max()) > 0, "all items gave one latent; let the encoder read what it is given")


@torch.no_grad()
def check_empty_items_finite(bench: EncoderBench) -> None:
    """An item with nothing observed in it, or no text, gives a finite latent: hours without a measurement exist."""
    items: Items = [""] * 2
    if isinstance(bench.items, Channels):
        items = Channels(torch.zeros_like(bench.items.values[:2]), torch.zeros_like(bench.items.observed[:2]))
    latents = bench.encoder(items)
    require(torch.isfinite(latents).all(), "an empty item gave a latent that is not finite; divide by max(count, 1)")


def check_rare_values_are_forgotten(bench: EncoderBench) -> None:
    """What `fit` and `forget_rare` leave holds no value of one subject: what is fitted goes wherever the model goes."""
    if bench.shape is None:
        raise NotApplicable("texts have no values; their words are told by `jepa audit RUN`")
    encoder, train = bench.make(bench.shape), [*_numbered(bench.dataset)]
    rare = [(subject, _marked(items) if subject == train[0][0] else items) for subject, items in train]
    marks = {float(mark) for _, items in rare for mark in items.values[items.values > MARK].tolist()}
    with quietly():
        encoder.fit(items for _, items in rare)
        encoder.forget_rare(rare)
    require(
        not marks & set(_numbers_in(encoder.fitted())),
        "what was fitted holds a value that one subject has; put the mean of several subjects' in its place in "
        "`forget_rare`",
    )


def _numbered(dataset: Dataset) -> Iterator[tuple[int, Channels]]:
    for subject, items in dataset.owned_items():
        assert isinstance(items, Channels)
        yield subject, items


def _marked(items: Channels) -> Channels:
    """The items with every observed value beyond all that others have."""
    marks = 2 * MARK + torch.arange(items.values.numel()).view(items.values.shape) / 8
    return Channels(torch.where(items.observed, marks, items.values), items.observed)


def _numbers_in(content: Any) -> Iterator[float]:
    if isinstance(content, dict | list):
        for value in content.values() if isinstance(content, dict) else content:
            yield from _numbers_in(value)
    elif isinstance(content, float):
        yield content


@torch.no_grad()
def check_fit_roundtrip_bitwise(bench: EncoderBench) -> None:
    """What `fit` found goes through JSON into another instance, which then gives the same bits: a resumed run takes it
    up in place of fitting."""
    try:
        stored = json.loads(json.dumps(bench.encoder.fitted(), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"fitted() must give plain values that JSON holds: {error}") from None
    other = bench.make(bench.shape).eval()
    other.load_fitted(stored)
    require(
        torch.equal(bench.encoder(bench.items), other(bench.items)),
        "an encoder that took up `fitted` gives other latents; return all that `fit` found, in full precision",
    )


def check_size_reported(bench: EncoderBench) -> None:
    """The config tells the number of parameters, all and trainable, without building anything: `jepa plan` and fair
    comparisons rely on it."""
    size = bench.encoder_config.size(bench.shape)
    parameters = list(bench.encoder.parameters())
    real = (
        sum(parameter.numel() for parameter in parameters),
        sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
    )
    require(
        (size.parameters, size.trainable) == real,
        f"size() says {size.parameters:,} parameters, {size.trainable:,} of them trainable, and there are {real[0]:,} "
        f"and {real[1]:,}; correct size()",
    )
    for training in (False, True):
        require(
            bench.encoder_config.activation_bytes(ITEMS, training, bench.shape) > 0,
            "activation_bytes() must estimate some bytes",
        )


def check_offers_are_methods(bench: EncoderBench) -> None:
    """What the config `offers`, the encoder has as methods: phases that need it are let through by the config alone."""
    lacking = [name for name in sorted(bench.encoder_config.offers) if not callable(getattr(bench.encoder, name, None))]
    require(not lacking, f"the config offers {', '.join(lacking)}, and the encoder has no such method; define it")


def check_trainable_params_get_gradients(bench: EncoderBench) -> None:
    """Every parameter that requires a gradient after construction gets one: these are optimized, averaged into the
    target and checkpointed."""
    encoder = bench.fitted().train()
    trainable = {name: parameter for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    if not trainable:
        raise NotApplicable("nothing in the encoder is trainable with these keys")
    latents = encoder(bench.items)
    require(latents.requires_grad, "latents carry no gradient; do not detach them, nor encode under no_grad")
    (latents * torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    idle = [name for name, parameter in trainable.items() if parameter.grad is None]
    require(not idle, f"no gradient reaches {', '.join(idle[:3])}; call requires_grad_(False) on what does not train")


@torch.no_grad()
def check_target_weights_are_used(bench: EncoderBench) -> None:
    """Under other weights put in place of its own the encoder gives other latents: the EMA target is the encoder with
    a copy of its trainable parameters."""
    names = [name for name, parameter in bench.encoder.named_parameters() if parameter.requires_grad]
    if not names:
        raise NotApplicable("nothing in the encoder is trainable with these keys")
    target = EncoderUnder(bench.encoder, names)
    require(close(target(bench.items), bench.encoder(bench.items)), "equal weights in its place gave other latents")
    for copy in target.copies:
        copy.add_(torch.randn(copy.shape, generator=torch.Generator().manual_seed(0)))
    require(
        not torch.equal(target(bench.items), bench.encoder(bench.items)),
        "other weights in its place gave the same latents; read parameters where they are used, and keep no copies",
    )


@torch.no_grad()
def check_deterministic_in_evaluation(bench: EncoderBench) -> None:
    """In evaluation mode the same items give the same bits, and no random state is touched: latents of a frozen encoder
    are computed once and kept."""
    first = bench.encoder(bench.items)
    again: dict[str, Any] = {}

    def encode() -> None:
        state = torch.get_rng_state()
        again["latents"] = bench.encoder(bench.items)
        require(torch.equal(state, torch.get_rng_state()), "it drew from torch's random state in evaluation mode")

    require_no_global_draws(encode)
    require(
        not differing({"latents": first}, again), "encoding twice in evaluation mode gave two results; draw only where "
        "self.training is true",
    )  # fmt: skip


@torch.no_grad()
def check_bf16(bench: EncoderBench) -> None:
    """Under bf16 autocast latents are finite: a recipe may ask for it."""
    with torch.autocast("cpu", torch.bfloat16):
        latents = bench.encoder(bench.items)
    require(torch.isfinite(latents).all(), "a latent is not finite in bf16; compute sums and norms in float32")


def check_no_prints(bench: EncoderBench) -> None:
    """The encoder prints nothing: stdout is the result of a command, and stderr its log."""
    require_silent(lambda: bench.fitted()(bench.items))
