"""The pass that computes only what a latent needs, held against the pass that computes every token of every layer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jepa_text.config import LoraConfig, Qwen3Config
from jepa_text.encoder import Qwen3Encoder
from jepa_text.functions import Turns, rms_norm, rotate
from jepa_text.layers import end_states, token_states
from jepa_text.packing import Pack, pack

from .conftest import SMALL, make_random

TOLERANCE = 1e-6


def packed(encoder: Qwen3Encoder, texts: list[str]) -> Pack:
    return pack(encoder.tokens(texts), torch.device("cpu"))


def adapted(folder: Path, **options: object) -> Qwen3Encoder:
    """An encoder whose adapters are no longer zero, on every linear map."""
    modules = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    lora = LoraConfig(rank=4, modules=modules)
    encoder = Qwen3Encoder(Qwen3Config(**{"weights": str(folder), "precision": "fp32", "lora": lora} | options)).eval()
    torch.manual_seed(1)
    for parameter in encoder.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.1)
    return encoder


def of_layers(count: int) -> Qwen3Encoder:
    return make_random(random=SMALL.model_copy(update={"layers": count}))


def norm_of_gradients(encoder: nn.Module, states: Tensor) -> float:
    """Norm of the gradient of all trainable parameters together."""
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(2))
    trainable = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad((states * weights).sum(), trainable, materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in gradients]).double().norm().item()


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_last_tokens_are_as_in_the_pass_over_every_token(texts: list[str], layers: int) -> None:
    encoder = of_layers(layers)
    whole_pack = packed(encoder, texts)
    pruned, whole = (
        end_states(encoder.backbone, whole_pack),
        token_states(encoder.backbone, whole_pack)[whole_pack.ends],
    )
    assert pruned.shape == (len(texts), 32)
    torch.testing.assert_close(pruned, whole, atol=TOLERANCE, rtol=TOLERANCE)
    assert norm_of_gradients(encoder, pruned) == pytest.approx(norm_of_gradients(encoder, whole), rel=TOLERANCE)


def test_with_adapters_the_last_tokens_are_as_in_the_pass_over_every_token(folder: Path, texts: list[str]) -> None:
    encoder = adapted(folder)
    whole_pack = packed(encoder, texts)
    pruned, whole = (
        end_states(encoder.backbone, whole_pack),
        token_states(encoder.backbone, whole_pack)[whole_pack.ends],
    )
    torch.testing.assert_close(pruned, whole, atol=1e-5, rtol=TOLERANCE)
    assert norm_of_gradients(encoder, pruned) == pytest.approx(norm_of_gradients(encoder, whole), rel=TOLERANCE)


def test_with_adapters_gradient_checkpointing_changes_no_gradient(folder: Path, texts: list[str]) -> None:
    plain, checkpointed = adapted(folder), adapted(folder, gradient_checkpointing=True).train()
    assert torch.equal(plain(texts), checkpointed(texts))
    assert norm_of_gradients(plain, plain(texts)) == norm_of_gradients(checkpointed, checkpointed(texts))


def test_the_last_layer_asks_for_the_end_of_each_text_alone(texts: list[str]) -> None:
    encoder, seen = make_random(), dict[str, list[int]]()
    last = encoder.backbone.layers[-1]
    watched = {"q_proj": last.self_attn.q_proj, "k_proj": last.self_attn.k_proj, "mlp": last.mlp}
    for name, module in watched.items():
        module.register_forward_pre_hook(lambda _, given, name=name: seen.setdefault(name, []).append(len(given[0])))
    encoder(texts)
    assert sum(seen["q_proj"]) == sum(seen["mlp"]) == len(texts)
    assert sum(seen["k_proj"]) == sum(map(len, encoder.tokens(texts)))


def test_the_first_layer_projects_each_distinct_token_of_a_pass_once() -> None:
    encoder, seen = make_random(tokens_per_pass=100_000), list[int]()
    encoder.backbone.layers[0].self_attn.q_proj.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    texts = ["v1 v2 v3", "v3 v2 v1 v1", "v2"]
    encoder(texts)
    assert seen == [len({token for text in encoder.tokens(texts) for token in text})]


def composed_norm(hidden: Tensor, weight: Tensor) -> Tensor:
    return hidden * torch.rsqrt(hidden.square().mean(-1, keepdim=True) + 1e-6) * weight


def composed_rotation(heads: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    first, second = heads.chunk(2, dim=-1)
    return heads * cosines + torch.cat((-second, first), dim=-1) * sines


def angles(tokens: int, size: int) -> tuple[Tensor, Tensor]:
    half = torch.rand(tokens, 1, size // 2, dtype=torch.float64)
    return torch.cat((half, half), -1).cos(), torch.cat((half, half), -1).sin()


def test_the_norm_and_its_gradient_are_those_of_the_formula() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(5, 3, 8, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(8, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(rms_norm(hidden, weight, 1e-6), composed_norm(hidden, weight))
    torch.testing.assert_close(rms_norm(hidden.float(), weight.float(), 1e-6), F.rms_norm(hidden, (8,), weight).float())
    assert torch.autograd.gradcheck(lambda *given: rms_norm(*given, 1e-6), (hidden, weight))


def test_the_norm_of_zeros_is_zero_with_a_finite_gradient() -> None:
    hidden, weight = torch.zeros(2, 4, requires_grad=True), torch.ones(4)
    normed = rms_norm(hidden, weight, 1e-6)
    normed.sum().backward()
    assert torch.equal(normed, torch.zeros(2, 4)) and torch.isfinite(hidden.grad).all()


def test_the_rotation_and_its_gradient_are_those_of_the_formula() -> None:
    torch.manual_seed(0)
    heads, (cosines, sines) = torch.randn(4, 3, 6, dtype=torch.float64, requires_grad=True), angles(4, 6)
    turns = Turns.of(cosines[:, 0], sines[:, 0], heads=3)
    for some in (heads, heads[:, :2]):
        torch.testing.assert_close(rotate(some, turns), composed_rotation(some, cosines, sines))
    assert torch.autograd.gradcheck(lambda given: rotate(given, turns), (heads,))


@pytest.mark.parametrize(
    ("of_hidden", "of_weight"), [("float32", "float32"), ("bfloat16", "bfloat16"), ("bfloat16", "float32")]
)
def test_the_norm_computes_in_fp32_and_gives_the_type_of_both(of_hidden: str, of_weight: str) -> None:
    hidden = torch.randn(6, 16).to(getattr(torch, of_hidden)).requires_grad_()
    weight = torch.randn(16).to(getattr(torch, of_weight)).requires_grad_()
    normed = rms_norm(hidden, weight, 1e-6)
    assert normed.dtype == torch.promote_types(hidden.dtype, weight.dtype)
    exact = composed_norm(hidden.detach().float(), weight.detach().float())
    torch.testing.assert_close(normed, exact.to(normed.dtype))
    normed.float().sum().backward()
    assert hidden.grad.dtype == hidden.dtype and weight.grad.dtype == weight.dtype


def test_ids_of_a_text_that_was_seen_are_kept_and_are_the_same() -> None:
    encoder = make_random()
    first = encoder.tokens(["v1 v2", "", "v1 v2"])
    again = encoder.tokens(["", "v3", "v1 v2"])
    assert first[0] == first[2] == again[2] and first[1] == again[0]
    assert again[1] == encoder.tokens.tokenizer.encode("v3").ids


def test_ids_are_kept_up_to_a_number_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jepa_text.tokenizer.TOKENS_KEPT", 4)
    encoder = make_random()
    many = [f"v{number} v{number}" for number in range(20)]
    assert encoder.tokens(many) == encoder.tokens(many) == make_random().tokens(many)
    assert sum(map(len, encoder.tokens._kept.values())) <= 4
