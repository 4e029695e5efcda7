"""Latents, gradients and adapters, held against the library's own model run on one text at a time."""

from __future__ import annotations

import copy
import json
import logging
import socket
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from transformers import Qwen3Config as BackboneConfig
from transformers import Qwen3ForCausalLM, Qwen3Model

from jepa_core.errors import DataError, RunError
from jepa_text.backbone import WITH_HEAD
from jepa_text.config import LoraConfig, Qwen3Config
from jepa_text.encoder import Qwen3Encoder
from jepa_text.functions import Turns

from .conftest import SMALL, make_random, make_texts


def reference(encoder: Qwen3Encoder) -> nn.Module:
    """The library's own model with the encoder's weights and the library's own attention."""
    values = encoder.backbone.config.to_dict()
    model = Qwen3Model(BackboneConfig(**{key: value for key, value in values.items() if not key.startswith("_")}))
    model.config._attn_implementation = "eager"
    model.load_state_dict(encoder.backbone.state_dict())
    return model.eval()


def one_by_one(model: nn.Module, encoder: Qwen3Encoder, texts: Sequence[str]) -> Tensor:
    """Latents of texts that go through the model alone."""
    rows = [model(input_ids=torch.tensor([ids])).last_hidden_state[0, -1] for ids in encoder.tokens(texts)]
    return F.layer_norm(torch.stack(rows), (encoder.latent_dim,))


def right_padded(model: nn.Module, encoder: Qwen3Encoder, texts: Sequence[str]) -> Tensor:
    """Latents of texts that go through the model as one padded batch."""
    ids = encoder.tokens(texts)
    longest = max(map(len, ids))
    padded = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
    hidden = model(input_ids=padded, attention_mask=mask).last_hidden_state
    return F.layer_norm(hidden[torch.arange(len(ids)), mask.sum(1) - 1], (encoder.latent_dim,))


def make_pretrained(folder: Path, **options: object) -> Qwen3Encoder:
    torch.manual_seed(7)
    return Qwen3Encoder(Qwen3Config(**{"weights": str(folder), "precision": "fp32"} | options)).eval()


def move_trainables(encoder: nn.Module, seed: int = 11) -> dict[str, Tensor]:
    """Other values for the trainable parameters, by name."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: parameter.detach() + 0.1 * torch.randn(parameter.shape, generator=generator)
        for name, parameter in encoder.named_parameters()
        if parameter.requires_grad
    }


def gradients(encoder: nn.Module, latents: Tensor) -> dict[str, Tensor]:
    weights = torch.randn(latents.shape, generator=torch.Generator().manual_seed(13))
    trainable = {name: p for name, p in encoder.named_parameters() if p.requires_grad}
    return dict(zip(trainable, torch.autograd.grad((latents * weights).sum(), list(trainable.values())), strict=True))


@pytest.mark.parametrize("budget", [1, 64, 128, 100_000])
@torch.no_grad()
def test_packing_equals_the_model_on_one_text_at_a_time(texts: list[str], budget: int) -> None:
    encoder = make_random(tokens_per_pass=budget)
    expected = one_by_one(reference(encoder), encoder, texts)
    latents = encoder(texts)
    assert latents.shape == (len(texts), 32) and latents.dtype == torch.float32
    torch.testing.assert_close(latents, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(latents, right_padded(reference(encoder), encoder, texts), atol=1e-5, rtol=0)


def test_gradients_equal_those_of_one_text_at_a_time(random_encoder: Qwen3Encoder, texts: list[str]) -> None:
    model = reference(random_encoder)
    expected = gradients(model, one_by_one(model, random_encoder, texts))
    for name, gradient in gradients(random_encoder, random_encoder(texts)).items():
        alone = expected[name.removeprefix("backbone.")]
        torch.testing.assert_close(gradient, alone, atol=1e-5 * alone.abs().max().item(), rtol=1e-3)


@torch.no_grad()
def test_every_text_begins_at_position_zero(texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, positions, at = make_random(tokens_per_pass=100_000), [], Turns.at
    monkeypatch.setattr(Turns, "at", lambda turns, places: positions.append(places.tolist()) or at(turns, places))
    encoder(texts)
    assert positions[0] == [
        position for length in sorted(map(len, encoder.tokens(texts))) for position in range(length)
    ]


@torch.no_grad()
def test_no_text_sees_another(random_encoder: Qwen3Encoder, texts: list[str]) -> None:
    before = random_encoder(texts)
    for changed in range(len(texts)):
        others = [row for row in range(len(texts)) if row != changed]
        after = random_encoder([*texts[:changed], "v1 v1 " * 17, *texts[changed + 1 :]])
        torch.testing.assert_close(after[others], before[others], atol=1e-5, rtol=0)
        assert (after[changed] - before[changed]).abs().max() > 1e-2


@torch.no_grad()
def test_latents_come_back_in_the_order_of_the_texts(random_encoder: Qwen3Encoder, texts: list[str]) -> None:
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(0))
    shuffled = random_encoder([texts[row] for row in order])
    torch.testing.assert_close(shuffled, random_encoder(texts)[order], atol=1e-5, rtol=0)


@torch.no_grad()
def test_encoding_twice_gives_the_same_bits(random_encoder: Qwen3Encoder, texts: list[str]) -> None:
    assert torch.equal(random_encoder(texts), random_encoder(texts))


def test_no_text_gives_no_latent(random_encoder: Qwen3Encoder) -> None:
    assert random_encoder([]).shape == (0, 32)


@torch.no_grad()
def test_an_empty_text_has_a_latent_of_its_own(random_encoder: Qwen3Encoder) -> None:
    empty, end = random_encoder(["", "<|endoftext|>"])
    torch.testing.assert_close(empty, end, atol=1e-5, rtol=0)
    assert (empty - random_encoder(["v"])[0]).abs().max() > 1e-2


@torch.no_grad()
def test_a_long_text_loses_its_end() -> None:
    encoder = make_random(max_tokens=8)
    long, same_start, same_end = encoder(["v1 v2 v3 v4 v5 v6 v7 v8", "v1 v2 v3 v4 v5 v6 v9", "v0 v2 v3 v4 v5 v6 v7 v8"])
    assert len(encoder.tokens(["v1 v2 v3 v4 v5 v6 v7 v8"])[0]) == 8
    torch.testing.assert_close(long, same_start, atol=1e-5, rtol=0)
    assert (long - same_end).abs().max() > 1e-3


@torch.no_grad()
def test_the_latent_norm_fixes_the_scale_of_a_latent(texts: list[str]) -> None:
    normed, plain = make_random(), make_random(latent_norm="none")
    latents = normed(texts)
    torch.testing.assert_close(latents.mean(1), torch.zeros(len(texts)), atol=1e-5, rtol=0)
    torch.testing.assert_close(latents.var(1, correction=0), torch.ones(len(texts)), atol=1e-3, rtol=0)
    for encoder in (normed, plain):
        encoder.backbone.norm.weight.mul_(0.5)
    torch.testing.assert_close(normed(texts), latents, atol=1e-3, rtol=0)
    torch.testing.assert_close(F.layer_norm(plain(texts), (32,)), normed(texts))
    assert plain(texts).var(1).max() < 0.5


def test_gradient_checkpointing_changes_no_latent_and_no_gradient(texts: list[str]) -> None:
    plain, checkpointed = make_random(), make_random(gradient_checkpointing=True).train()
    latents = checkpointed(texts)
    assert torch.equal(latents, plain(texts))
    expected = gradients(plain, plain(texts))
    assert all(torch.equal(gradient, expected[name]) for name, gradient in gradients(checkpointed, latents).items())


def test_gradient_checkpointing_keeps_less_for_the_backward_pass(texts: list[str]) -> None:
    def kept(encoder: Qwen3Encoder) -> int:
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            encoder(texts)
        return sum(sizes)

    assert 20 * kept(make_random(gradient_checkpointing=True)) < kept(make_random())


def test_encoding_before_fitting_is_one_clear_error() -> None:
    with pytest.raises(RunError, match="fit"):
        Qwen3Encoder(Qwen3Config(random=SMALL))(["v1"])


@torch.no_grad()
def test_what_was_fitted_comes_back_through_json_with_the_same_latents(texts: list[str]) -> None:
    encoder = make_random()
    again = Qwen3Encoder(encoder.config).eval()
    again.load_fitted(json.loads(json.dumps(encoder.fitted(), sort_keys=True)))
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again(texts), encoder(texts))
    assert again.fitted() == encoder.fitted()


def test_fitting_depends_on_the_set_of_texts_alone(texts: list[str]) -> None:
    first, second = (Qwen3Encoder(Qwen3Config(random=SMALL)) for _ in range(2))
    first.fit([texts])
    second.fit(iter([texts[5:][::-1], texts[:5]]))
    assert first.fitted() == second.fitted()
    second.fit([["something else entirely"] * 9])
    assert first.fitted() != second.fitted()


def test_more_texts_than_the_sample_holds_are_sampled_whatever_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jepa_text.tokenizer.TEXTS_TO_FIT", 5)
    first, second, everything = (Qwen3Encoder(Qwen3Config(random=SMALL)) for _ in range(3))
    many = [f"{chr(97 + row % 26) * 3}{chr(97 + row // 26)} " * 20 for row in range(40)]
    first.fit([many])
    second.fit([many[::-1]])
    monkeypatch.undo()
    everything.fit([many])
    assert first.fitted() == second.fitted() != everything.fitted()


@pytest.mark.parametrize("fitted", [{}, {"tokenizer": {}}, {"tokenizer": "x"}])
def test_a_damaged_tokenizer_is_refused(fitted: dict[str, object]) -> None:
    with pytest.raises(DataError, match="tokenizer"):
        Qwen3Encoder(Qwen3Config(random=SMALL)).load_fitted(fitted)


def test_a_tokenizer_with_more_entries_than_the_model_is_refused() -> None:
    larger, smaller = (
        Qwen3Encoder(Qwen3Config(random=SMALL.model_copy(update={"vocabulary": count}))) for count in (300, 260)
    )
    larger.fit([["the heart rate is high", "the blood pressure is low"]])
    with pytest.raises(DataError, match="260"):
        smaller.load_fitted(larger.fitted())


def test_unseen_characters_are_encoded(random_encoder: Qwen3Encoder) -> None:
    assert torch.isfinite(random_encoder(["37.2 °C, 体温\x00\U0001f321"])).all()


@torch.no_grad()
def test_a_folder_gives_the_latents_of_the_model_in_it(folder: Path, texts: list[str]) -> None:
    encoder = make_pretrained(folder)
    model = Qwen3Model.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    torch.testing.assert_close(encoder(texts), one_by_one(model, encoder, texts), atol=1e-5, rtol=0)
    assert encoder.fitted() == {}


def test_only_the_adapters_train_on_the_named_maps_and_in_fp32(folder: Path) -> None:
    encoder = make_pretrained(folder, precision="bf16")
    trainable = {name: p for name, p in encoder.named_parameters() if p.requires_grad}
    assert len(trainable) == 3 * 4 * 2
    assert all("lora_" in name for name in trainable)
    maps = {name.split(".self_attn.")[1].split(".")[0] for name in trainable}
    assert maps == {"q_proj", "k_proj", "v_proj", "o_proj"}
    assert {p.dtype for p in trainable.values()} == {torch.float32}
    assert {p.dtype for p in encoder.parameters() if not p.requires_grad} == {torch.bfloat16}


def test_without_lora_nothing_of_a_pretrained_model_trains(folder: Path) -> None:
    assert not any(p.requires_grad for p in make_pretrained(folder, lora=None).parameters())


def test_a_step_moves_the_adapters_and_leaves_the_base(folder: Path, texts: list[str]) -> None:
    encoder = make_pretrained(folder).train()
    base = {name: p.clone() for name, p in encoder.named_parameters() if not p.requires_grad}
    before = encoder(texts).detach()
    optimizer = torch.optim.SGD([p for p in encoder.parameters() if p.requires_grad], lr=1.0)
    for _ in range(2):  # an adapter's second factor starts at zero, so the first factor moves from the second step on
        optimizer.zero_grad()
        encoder(texts).square().mul(torch.arange(32.0)).mean().backward()
        optimizer.step()
    assert all(torch.equal(p, base[name]) for name, p in encoder.named_parameters() if not p.requires_grad)
    assert all(p.grad.abs().sum() > 0 for p in encoder.parameters() if p.requires_grad)
    assert (encoder(texts) - before).abs().max() > 1e-3


def test_adapter_gradients_equal_those_of_one_text_at_a_time(folder: Path, texts: list[str]) -> None:
    encoder = make_pretrained(folder)
    encoder.load_state_dict(move_trainables(encoder), strict=False)
    expected = gradients(encoder, torch.cat([encoder([text]) for text in texts]))
    for name, gradient in gradients(encoder, encoder(texts)).items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-5 * expected[name].abs().max().item(), rtol=1e-3)


def test_the_adapter_adds_its_scaled_product_to_the_map(folder: Path, texts: list[str]) -> None:
    encoder = make_pretrained(folder, lora=LoraConfig(rank=4, alpha=12, modules=("q_proj",)))
    encoder.load_state_dict(move_trainables(encoder), strict=False)
    merged = make_pretrained(folder, lora=None)
    with torch.no_grad():
        for adapted, plain in zip(encoder.backbone.layers, merged.backbone.layers, strict=True):
            lora = adapted.self_attn.q_proj
            plain.self_attn.q_proj.weight += 3 * lora.lora_B["default"].weight @ lora.lora_A["default"].weight
        torch.testing.assert_close(encoder(texts), merged(texts), atol=1e-5, rtol=0)


@pytest.mark.parametrize("pretrained", [True, False])
@torch.no_grad()
def test_other_trainable_parameters_can_be_put_in_for_one_call(
    folder: Path, texts: list[str], pretrained: bool
) -> None:
    encoder = make_pretrained(folder) if pretrained else make_random()
    before, weights = encoder(texts), copy.deepcopy(encoder.state_dict())
    other = move_trainables(encoder)
    substituted = functional_call(encoder, other, (texts,))
    assert (substituted - before).abs().max() > 1e-2
    assert torch.equal(encoder(texts), before)
    assert all(torch.equal(value, weights[name]) for name, value in encoder.state_dict().items())
    encoder.load_state_dict(other, strict=False)
    assert torch.equal(encoder(texts), substituted)


@pytest.mark.parametrize("autocast", [True, False])
def test_bf16_weights_with_fp32_adapters_run_and_train(folder: Path, texts: list[str], autocast: bool) -> None:
    encoder, exact = make_pretrained(folder, precision="bf16"), make_pretrained(folder)
    moved = move_trainables(encoder)
    encoder.load_state_dict(moved, strict=False)
    exact.load_state_dict(moved, strict=False)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        latents = encoder(texts)
    assert latents.dtype == torch.float32
    assert F.cosine_similarity(latents, exact(texts)).min() > 0.98
    assert all(g.dtype == torch.float32 and g.abs().sum() > 0 for g in gradients(encoder, latents).values())


def test_a_random_model_runs_under_autocast(random_encoder: Qwen3Encoder, texts: list[str]) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        latents = random_encoder(texts)
    assert latents.dtype == torch.float32
    assert F.cosine_similarity(latents, random_encoder(texts)).min() > 0.98


def test_dropout_acts_in_training_only(folder: Path, texts: list[str]) -> None:
    encoder = make_pretrained(folder, lora=LoraConfig(dropout=0.5))
    encoder.load_state_dict(move_trainables(encoder), strict=False)
    assert torch.equal(encoder(texts), encoder(texts))
    encoder.train()
    assert not torch.equal(encoder(texts), encoder(texts))


def test_loading_opens_no_socket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert make_pretrained(folder)(make_texts()).isfinite().all()


def test_loading_prints_and_logs_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    class Records(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    records: list[logging.LogRecord] = []
    library, handler = logging.getLogger("transformers"), Records()
    level = library.level
    library.addHandler(handler)
    make_pretrained(folder)
    library.removeHandler(handler)
    assert not records and capfd.readouterr() == ("", "")
    assert library.level == level


def test_exported_adapters_are_read_by_peft_bit_for_bit(folder: Path, texts: list[str], tmp_path: Path) -> None:
    encoder = make_pretrained(folder)
    encoder.load_state_dict(move_trainables(encoder), strict=False)
    encoder.export(tmp_path / "adapter")
    other = make_pretrained(folder, lora=None)
    other.backbone = PeftModel.from_pretrained(other.backbone, str(tmp_path / "adapter")).eval().base_model.model
    assert torch.equal(other(texts), encoder(texts))
    assert not torch.equal(make_pretrained(folder)(texts), encoder(texts))


def test_an_exported_adapter_changes_what_a_model_with_a_head_says(folder: Path, tmp_path: Path) -> None:
    encoder = make_pretrained(folder)
    encoder.load_state_dict(move_trainables(encoder), strict=False)
    encoder.export(tmp_path / "adapter")
    ids = torch.arange(20)[None]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("error", message="Found missing adapter keys")
        model = Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        before = model(ids).logits
        adapted = PeftModel.from_pretrained(model, str(tmp_path / "adapter" / WITH_HEAD)).eval()
        assert (adapted(ids).logits - before).abs().max() > 1e-3
        alone = PeftModel.from_pretrained(
            Qwen3Model.from_pretrained(folder, dtype=torch.float32), str(tmp_path / "adapter")
        ).eval()
        assert torch.equal(alone(ids).last_hidden_state, adapted.base_model.model.model(ids).last_hidden_state)
    assert WITH_HEAD in (tmp_path / "adapter" / "README.md").read_text()


def test_a_random_model_exports_nothing(random_encoder: Qwen3Encoder, tmp_path: Path) -> None:
    random_encoder.export(tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()
