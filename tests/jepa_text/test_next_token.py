"""The next-token loss, held against the library's own causal language model on one text at a time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import Qwen3Config as BackboneConfig
from transformers import Qwen3ForCausalLM

from jepa_core.contracts import LanguageEncoder
from jepa_core.errors import DataError
from jepa_text.config import Qwen3Config
from jepa_text.encoder import Qwen3Encoder

from .conftest import make_random


def one_by_one(model: nn.Module, encoder: Qwen3Encoder, texts: list[str]) -> Tensor:
    """The library's loss (a mean over the tokens of one text), averaged over all predicted tokens."""
    rows = [torch.tensor([ids]) for ids in encoder.tokens(texts) if len(ids) > 1]
    losses = [model(input_ids=row, labels=row).loss * (row.shape[1] - 1) for row in rows]
    return torch.stack(losses).sum() / sum(row.shape[1] - 1 for row in rows)


def tied_reference(encoder: Qwen3Encoder) -> nn.Module:
    values = {key: value for key, value in encoder.backbone.config.to_dict().items() if not key.startswith("_")}
    model = Qwen3ForCausalLM(BackboneConfig(**values | {"tie_word_embeddings": True}))
    model.model.load_state_dict(encoder.backbone.state_dict())
    model.tie_weights()
    return model.eval()


def untied_reference(folder: Path) -> nn.Module:
    return Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()


def pretrained(folder: Path, **options: object) -> Qwen3Encoder:
    return Qwen3Encoder(Qwen3Config(**{"weights": str(folder), "precision": "fp32"} | options)).eval()


@pytest.mark.parametrize(("budget", "scored"), [(16, 1024), (128, 7), (100_000, 50), (100_000, 1024)])
def test_a_random_model_scores_with_its_token_table_as_the_library_does(
    texts: list[str], budget: int, scored: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jepa_text.encoder.SCORED_AT_ONCE", scored)
    encoder = make_random(tokens_per_pass=budget)
    model = tied_reference(encoder)
    loss, expected = encoder.next_token_loss(texts), one_by_one(model, encoder, texts)
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=0)
    loss.backward()
    expected.backward()
    gradients = dict(encoder.backbone.named_parameters())
    for name, parameter in model.model.named_parameters():
        torch.testing.assert_close(gradients[name].grad, parameter.grad, atol=1e-5, rtol=1e-4)


def test_pretrained_weights_score_with_their_own_head_as_the_library_does(folder: Path, texts: list[str]) -> None:
    assert "lm_head.weight" in json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    encoder = pretrained(folder)
    loss = encoder.next_token_loss(texts)
    torch.testing.assert_close(loss, one_by_one(untied_reference(folder), encoder, texts), atol=1e-5, rtol=0)
    loss.backward()
    trained = {name for name, parameter in encoder.named_parameters() if parameter.grad is not None}
    assert trained and all("lora_" in name for name in trained)


def test_the_head_is_read_for_the_loss_alone_and_is_no_parameter(folder: Path, texts: list[str]) -> None:
    encoder = pretrained(folder)
    before = {name for name, _ in encoder.named_parameters()}
    encoder(texts)
    assert encoder._untied_head is None
    encoder.next_token_loss(texts)
    assert encoder._untied_head is not None
    assert {name for name, _ in encoder.named_parameters()} == before == set(encoder.state_dict())


def test_an_untied_folder_without_its_head_is_one_clear_error(folder: Path, tmp_path: Path, texts: list[str]) -> None:
    for path in folder.iterdir():
        if path.suffix != ".safetensors" and not path.name.endswith("index.json"):
            shutil.copy(path, tmp_path)
    tensors = {
        name: value for shard in folder.glob("*.safetensors") for name, value in load_file(shard).items()
        if name != "lm_head.weight"
    }  # fmt: skip
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    encoder = pretrained(tmp_path)
    encoder(texts)
    with pytest.raises(DataError, match="lm_head.weight"):
        encoder.next_token_loss(texts)


def test_the_scores_of_a_pass_are_not_kept_for_the_gradient(texts: list[str]) -> None:
    """Kept, they would be vocabulary x tokens values; what is kept is far less than that."""
    encoder, sizes = make_random(tokens_per_pass=100_000), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        encoder.next_token_loss(texts)
    tokens = sum(map(len, encoder.tokens(texts)))
    assert max(sizes) < 300 * tokens


def test_gradient_checkpointing_changes_no_gradient(texts: list[str]) -> None:
    plain, checkpointed = make_random(), make_random(gradient_checkpointing=True)
    for encoder in (plain, checkpointed):
        encoder.next_token_loss(texts).backward()
    grads = {name: parameter.grad for name, parameter in plain.named_parameters()}
    assert all(torch.equal(parameter.grad, grads[name]) for name, parameter in checkpointed.named_parameters())


def test_bf16_weights_train(folder: Path, texts: list[str]) -> None:
    encoder = pretrained(folder, precision="bf16")
    loss = encoder.next_token_loss(texts)
    loss.backward()
    assert loss.dtype == torch.float32
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in encoder.parameters())


def test_texts_of_one_token_have_nothing_to_predict(texts: list[str]) -> None:
    encoder = make_random()
    assert encoder.next_token_loss([""]) == 0 and encoder.next_token_loss([]) == 0
    assert torch.equal(encoder.next_token_loss([*texts, "", ""]), encoder.next_token_loss(texts))


def test_the_config_offers_what_the_encoder_does() -> None:
    assert issubclass(Qwen3Encoder, LanguageEncoder) and Qwen3Config.offers == {"next_token_loss"}
