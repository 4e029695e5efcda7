"""Encoders of channels: sizes, independence of items, missing values, and what is fitted."""

from __future__ import annotations

import json

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from jepa_channels import jepa_components
from jepa_channels.config import MlpConfig, PatchTransformerConfig, TemporalConvolutionConfig
from jepa_channels.temporal_convolution import TemporalConvolution
from jepa_core.config import ItemShape
from jepa_core.contracts import Channels, Encoder
from jepa_core.data.standardisation import Standardisation
from jepa_core.errors import DataError, RunError

COMPONENTS = {component.name: component for component in jepa_components()}
SMALL = {
    "mlp": MlpConfig(width=12, latent_size=10),
    "patch_transformer": PatchTransformerConfig(
        heads=2, head_dim=6, feedforward=20, latent_size=10, tokens_per_pass=64
    ),
    "temporal_convolution": TemporalConvolutionConfig(width=12, layers=3, latent_size=10),
}
SHAPES = [ItemShape(5, 1), ItemShape(7, 12)]
every_encoder = pytest.mark.parametrize("name", SMALL)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.channels}x{shape.samples}")


def make_items(shape: ItemShape, items: int = 40, share: float = 0.4) -> Channels:
    """Items of which a share of the values was observed; the first item has none."""
    draw = torch.Generator().manual_seed(4)
    size = (items, shape.channels, shape.samples)
    observed = torch.rand(size, generator=draw) < share
    observed[0] = False
    place = 50.0 * torch.arange(shape.channels)[:, None]
    return Channels((place + 3 * torch.randn(size, generator=draw)) * observed, observed)


def some(items: Channels, rows: object) -> Channels:
    return Channels(items.values[rows], items.observed[rows])


def make(name: str, shape: ItemShape, fit: bool = True) -> Encoder:
    torch.manual_seed(1)
    encoder = COMPONENTS[name].load()(SMALL[name], shape).eval()
    if fit:
        encoder.fit([make_items(shape)])
    return encoder


@every_encoder
@every_shape
def test_an_encoder_has_the_parameters_its_config_states(name: str, shape: ItemShape) -> None:
    for config in (SMALL[name], type(SMALL[name])()):
        encoder = COMPONENTS[name].load()(config, shape)
        counted = sum(parameter.numel() for parameter in encoder.parameters() if parameter.requires_grad)
        assert counted == config.size(shape).parameters == config.size(shape).trainable
        assert encoder.latent_dim == config.latent_dim


@every_encoder
@every_shape
def test_a_latent_does_not_depend_on_the_items_beside_it(name: str, shape: ItemShape) -> None:
    encoder, items = make(name, shape), make_items(shape)
    together = encoder(items)
    shuffled = torch.randperm(40, generator=torch.Generator().manual_seed(2))
    assert together.shape == (40, 10) and together.dtype == torch.float32
    assert torch.allclose(encoder(some(items, shuffled)), together[shuffled], atol=1e-5)
    alone = torch.cat([encoder(some(items, slice(row, row + 1))) for row in range(40)])
    assert torch.allclose(alone, together, atol=1e-5)
    assert encoder(some(items, slice(0, 0))).shape == (0, 10)


@every_encoder
@every_shape
def test_what_was_not_observed_has_no_value(name: str, shape: ItemShape) -> None:
    encoder, items = make(name, shape), make_items(shape)
    hidden_values = torch.where(items.observed, items.values, torch.full_like(items.values, 1e6))
    assert torch.equal(encoder(Channels(hidden_values, items.observed)), encoder(items))


@every_encoder
@every_shape
def test_every_observed_value_counts(name: str, shape: ItemShape) -> None:
    encoder, items = make(name, shape), make_items(shape)
    rows, channels, samples = items.observed.nonzero(as_tuple=True)
    repeated = some(items, rows)
    repeated.values[torch.arange(len(rows)), channels, samples] += 2
    moved = (encoder(repeated) - encoder(some(items, rows))).abs().amax(1)
    assert (moved > 1e-5).all()


@every_encoder
@every_shape
def test_an_observed_mean_is_not_the_same_as_nothing_observed(name: str, shape: ItemShape) -> None:
    encoder = make(name, shape)
    values = encoder.standardise.mean[:, None].expand(1, shape.channels, shape.samples)
    with_means = Channels(values, torch.ones_like(values, dtype=torch.bool))
    with_nothing = Channels(torch.zeros_like(values), torch.zeros_like(values, dtype=torch.bool))
    assert (encoder(with_means) - encoder(with_nothing)).abs().max() > 1e-3


@every_encoder
@every_shape
def test_constant_and_never_observed_channels_leave_everything_finite(name: str, shape: ItemShape) -> None:
    encoder, items = make(name, shape, fit=False), make_items(shape)
    items.values[:, 0] = 0.1 * items.observed[:, 0]
    items.values[:, 1], items.observed[:, 1] = 0, False
    encoder.fit([some(items, slice(0, 13)), some(items, slice(13, 40))])
    assert encoder.standardise.scale[:2].tolist() == [1, 1]
    nothing = Channels(torch.zeros_like(items.values), torch.zeros_like(items.observed))
    for given in (items, nothing):
        latents = encoder(given)
        encoder.zero_grad()
        latents.square().sum().backward()
        assert latents.isfinite().all()
        assert all(parameter.grad.isfinite().all() for parameter in encoder.parameters() if parameter.grad is not None)


@every_encoder
@every_shape
def test_another_instance_with_the_weights_and_what_was_fitted_is_bit_equal(name: str, shape: ItemShape) -> None:
    encoder, items = make(name, shape), make_items(shape)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.1)
    other = COMPONENTS[name].load()(SMALL[name], shape).eval()
    other.load_fitted(json.loads(json.dumps(encoder.fitted())))
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(other(items), encoder(items))


@every_encoder
def test_every_parameter_is_used(name: str) -> None:
    encoder = make(name, SHAPES[1])
    (encoder(make_items(SHAPES[1])) * torch.arange(10)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in encoder.parameters())


@every_encoder
def test_latents_have_the_scale_of_every_encoder(name: str) -> None:
    latents = make(name, SHAPES[0])(make_items(SHAPES[0]))
    assert torch.allclose(latents.mean(1), torch.zeros(40), atol=1e-5)
    assert torch.allclose(latents.std(1, unbiased=False), torch.ones(40), atol=1e-2)


@every_encoder
def test_an_encoder_that_was_not_fitted_or_sees_another_shape_says_so(name: str) -> None:
    with pytest.raises(RunError, match="fit"):
        make(name, SHAPES[0], fit=False)(make_items(SHAPES[0]))
    with pytest.raises(DataError, match="7 channels of 12 samples"):
        make(name, SHAPES[0])(make_items(SHAPES[1]))
    with pytest.raises(DataError, match="5 channels"):
        make(name, SHAPES[0]).load_fitted(make(name, SHAPES[1]).fitted())


@every_encoder
@every_shape
@pytest.mark.parametrize("training", [False, True])
def test_operations_are_as_many_as_torch_counts(name: str, shape: ItemShape, training: bool) -> None:
    encoder, items = make(name, shape), make_items(shape, share=2.0)
    items = some(items, slice(1, 33))
    # The other kernels of attention are not counted on every machine.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        latents = encoder(items)
        if training:
            latents.sum().backward()
    assert SMALL[name].flops(32, training, shape) == counter.get_total_flops()


def test_moments_are_those_of_the_observed_samples_however_they_are_grouped() -> None:
    shape = ItemShape(4, 3)
    items = make_items(shape)
    standardisation = Standardisation(4, clip=1.5)
    standardisation.fit([some(items, slice(0, 1)), some(items, slice(1, 9)), some(items, slice(9, 40))])
    for channel in range(4):
        seen = items.values[:, channel][items.observed[:, channel]]
        assert standardisation.mean[channel] == pytest.approx(float(seen.mean()), rel=1e-5, abs=1e-5)
        assert standardisation.scale[channel] == pytest.approx(float(seen.std(unbiased=False)), rel=1e-4)
    standardised = standardisation(items.values, items.observed)
    assert standardised.abs().max() == 1.5 and not standardised[~items.observed].any()


def test_an_infinite_value_is_refused_with_its_channel() -> None:
    items = make_items(SHAPES[0])
    items.values[3, 2] = float("inf")
    items.observed[3, 2] = True
    with pytest.raises(DataError, match="positions 2 of"):
        make("mlp", SHAPES[0], fit=False).fit([items])


def test_a_convolution_reads_no_later_sample() -> None:
    shape = SHAPES[1]
    encoder = make("temporal_convolution", shape)
    assert isinstance(encoder, TemporalConvolution)
    values, seen = torch.randn(2, 7, 12), torch.ones(2, 7, 12, dtype=torch.bool)
    later = values.clone()
    later[:, :, 8:] += 1
    before, after = encoder.samples(values, seen), encoder.samples(later, seen)
    assert torch.allclose(before[:, :8], after[:, :8], atol=1e-6)
    assert (before[:, 8] - after[:, 8]).abs().max() > 1e-3


def test_a_transformer_computes_only_what_was_observed() -> None:
    shape = ItemShape(200)
    encoder = COMPONENTS["patch_transformer"].load()(PatchTransformerConfig(), shape)
    items = make_items(shape, share=0.05)
    encoder.fit([items])
    with FlopCounterMode(display=False) as counter:
        encoder(items)
    assert counter.get_total_flops() < 0.15 * PatchTransformerConfig().flops(40, False, shape)


@every_encoder
def test_hours_of_charted_numbers_are_encoded(name: str) -> None:
    from jepa_mimic_iv.config import MimicIVConfig

    shape = MimicIVConfig().item_shape()
    assert shape.channels > 100
    assert make(name, shape)(make_items(shape, share=0.2)).isfinite().all()


@every_encoder
@every_shape
def test_the_estimate_of_training_memory_is_near_what_autograd_keeps(name: str, shape: ItemShape) -> None:
    encoder, items = make(name, shape), make_items(shape, items=64, share=2.0)
    items.observed[0] = True
    kept: dict[int, int] = {}
    alive = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        alive.append(tensor)
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        encoder(items)
    weights = {parameter.untyped_storage().data_ptr() for parameter in encoder.parameters()}
    measured = sum(size for place, size in kept.items() if place not in weights)
    assert 0.7 < SMALL[name].activation_bytes(64, True, shape) / measured < 1.4
