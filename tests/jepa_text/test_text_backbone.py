"""Text backbones of several architectures, held against the library's own model run on one text at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from peft import PeftModel
from tokenizers import Tokenizer, processors
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModel

from jepa_core.errors import DataError, UnsafeArtefactError
from jepa_text.config import Qwen3Config
from jepa_text.encoder import Qwen3Encoder
from jepa_text.text_backbone import TextBackbone
from jepa_text.text_config import TextBackboneConfig
from jepa_text.tokenizer import fit_tokenizer

from .conftest import make_texts

VOCABULARY = 320
COMMON = {"vocab_size": VOCABULARY, "initializer_range": 0.2, "pad_token_id": 1}
SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
DISTIL = {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48}
GPT2 = {"n_embd": 32, "n_layer": 3, "n_head": 4, "bos_token_id": 0, "eos_token_id": 0}
MODELS: dict[str, tuple[str, str, dict[str, object]]] = {
    "bert": ("BertModel", "BertConfig", SIZES),
    "bert_with_head": ("BertForMaskedLM", "BertConfig", SIZES),
    "roberta": ("RobertaForMaskedLM", "RobertaConfig", SIZES | {"max_position_embeddings": 130}),
    "distilbert": ("DistilBertForMaskedLM", "DistilBertConfig", DISTIL),
    "llama": ("LlamaForCausalLM", "LlamaConfig", SIZES | {"num_key_value_heads": 2}),
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", GPT2),
}
CAUSAL = ("llama", "gpt2")


@pytest.fixture(scope="session")
def save(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folders of small random models, as one would download them, made once each."""
    made: dict[str, Path] = {}

    def folder_of(name: str) -> Path:
        if name not in made:
            model, config, sizes = MODELS[name]
            made[name] = tmp_path_factory.mktemp(name)
            torch.manual_seed(5)
            getattr(transformers, model)(getattr(transformers, config)(**COMMON | sizes)).save_pretrained(made[name])
            make_tokenizer(name).save(str(made[name] / "tokenizer.json"))
        return made[name]

    return folder_of


def make_tokenizer(name: str) -> Tokenizer:
    tokenizer = fit_tokenizer(make_texts(), 300)
    if name not in CAUSAL:
        tokenizer.add_special_tokens(["<s>", "</s>"])
        ids = [(mark, tokenizer.token_to_id(mark)) for mark in ("<s>", "</s>")]
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ids)
    return tokenizer


def make(folder: Path, **options: object) -> TextBackbone:
    torch.manual_seed(2)
    return TextBackbone(TextBackboneConfig(weights=str(folder), **{"precision": "fp32"} | options)).eval()


def expected(folder: Path, texts: list[str], pooling: str, limit: int) -> Tensor:
    """Latents without LayerNorm: every text alone through the library's own model, in its own way."""
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(limit)
    pooled = []
    for text in texts:
        with torch.no_grad():
            hidden = model(torch.tensor([tokenizer.encode(text).ids])).last_hidden_state[0]
        pooled.append({"last": hidden[-1], "mean": hidden.mean(0), "cls": hidden[0]}[pooling])
    return torch.stack(pooled)


def counted(model: nn.Module) -> tuple[int, int]:
    parameters = list(model.parameters())
    return sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad)


every_model = pytest.mark.parametrize("name", MODELS)


@every_model
def test_latents_are_those_of_the_librarys_own_model(save: Callable[[str], Path], name: str, texts: list[str]) -> None:
    encoder = make(save(name), latent_norm="none", lora=None, tokens_per_pass=300)
    pooling = "last" if name in CAUSAL else "mean"
    assert encoder.pooling == pooling
    reference = expected(save(name), texts, pooling, encoder.config.token_limit)
    assert torch.allclose(encoder(texts), reference, atol=2e-5)
    assert encoder([]).shape == (0, 32) and encoder([""]).isfinite().all()


@every_model
def test_a_latent_does_not_depend_on_the_texts_beside_it(
    save: Callable[[str], Path], name: str, texts: list[str]
) -> None:
    encoder = make(save(name))
    together, backwards = encoder(texts), encoder(texts[::-1]).flip(0)
    alone = torch.cat([encoder([text]) for text in texts])
    assert torch.allclose(together, backwards, atol=1e-5) and torch.allclose(together, alone, atol=5e-5)
    assert torch.allclose(together.std(1, unbiased=False), torch.ones(len(texts)), atol=1e-3)


@every_model
@pytest.mark.parametrize("lora", [{"rank": 3}, None])
def test_the_headers_tell_the_parameters_that_the_model_has(
    save: Callable[[str], Path], name: str, lora: dict[str, int] | None
) -> None:
    encoder = make(save(name), lora=lora, precision="bf16")
    size = encoder.config.size()
    assert counted(encoder) == (size.parameters, size.trainable)
    assert (size.trainable > 0) == (lora is not None)
    held = sum(parameter.numel() * parameter.element_size() for parameter in encoder.parameters())
    assert held == size.weight_bytes


@every_model
@pytest.mark.parametrize("training", [False, True])
def test_operations_are_about_as_many_as_torch_counts(save: Callable[[str], Path], name: str, training: bool) -> None:
    """Within 5 %: what lies below the first adapter needs no gradient, and is counted."""
    encoder = make(save(name), max_tokens=100, lora={"rank": 2})
    texts = [" ".join(["v7 v0 v12"] * 60)] * 3
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        latents = encoder(texts)
        if training:
            (latents * torch.arange(32)).sum().backward()
    assert encoder.config.flops(3, training) == pytest.approx(counter.get_total_flops(), rel=0.05)


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_the_estimate_of_training_memory_is_near_what_autograd_keeps(save: Callable[[str], Path], name: str) -> None:
    encoder = make(save(name), max_tokens=128)
    kept: dict[int, int] = {}
    alive = []

    def keep(tensor: Tensor) -> Tensor:
        alive.append(tensor)
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        encoder([" ".join(["v7 v0 v12"] * 60)] * 8)
    weights = {parameter.untyped_storage().data_ptr() for parameter in encoder.parameters()}
    measured = sum(size for place, size in kept.items() if place not in weights)
    assert 0.6 < encoder.config.activation_bytes(8, training=True) / measured < 1.6


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_only_adapters_train_and_checkpointing_changes_no_gradient(
    save: Callable[[str], Path], name: str, texts: list[str]
) -> None:
    gradients = []
    for checkpointing in (False, True):
        encoder = make(save(name), gradient_checkpointing=checkpointing).train()
        encoder(texts).square().mean(0)[:5].sum().backward()
        gradients.append({n: p.grad for n, p in encoder.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys() and all("lora_" in name for name in gradients[0])
    assert any(gradient.abs().max() > 0 for gradient in gradients[0].values())
    assert all(torch.allclose(gradients[0][one], gradients[1][one], atol=1e-5) for one in gradients[0])


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_exported_adapters_are_read_by_peft_bit_for_bit(
    save: Callable[[str], Path], name: str, texts: list[str], tmp_path: Path
) -> None:
    encoder = make(save(name), lora={"rank": 3})
    untrained = encoder(texts)
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05)
    trained = encoder(texts)
    encoder.export(tmp_path / "adapter")
    other = make(save(name), lora=None)
    other.backbone = PeftModel.from_pretrained(other.backbone, str(tmp_path / "adapter")).eval()
    assert torch.equal(other(texts), trained) and not torch.allclose(trained, untrained, atol=1e-2)
    assert str(tmp_path.parent) not in (tmp_path / "adapter" / "adapter_config.json").read_text()


def test_a_qwen3_has_the_same_latents_as_by_its_own_encoder(folder: Path, texts: list[str]) -> None:
    own = Qwen3Encoder(Qwen3Config(weights=str(folder), lora=None, precision="fp32", max_tokens=200)).eval()
    assert torch.allclose(make(folder, lora=None, max_tokens=200)(texts), own(texts), atol=5e-5)


@pytest.mark.parametrize(
    ("key", "pooling"),
    [("pooling_mode_cls_token", "cls"), ("pooling_mode_lasttoken", "last"), ("pooling_mode_mean_tokens", "mean")],
)
def test_a_folder_that_says_how_to_pool_is_obeyed(
    save: Callable[[str], Path], tmp_path: Path, texts: list[str], key: str, pooling: str
) -> None:
    copy = Path(shutil.copytree(save("bert"), tmp_path / "copy"))
    (copy / "1_Pooling").mkdir()
    (copy / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, key: True}))
    encoder = make(copy, latent_norm="none", lora=None)
    assert torch.allclose(encoder(texts), expected(copy, texts, pooling, 256), atol=2e-5)
    assert make(copy, pooling="mean").pooling == "mean"


def test_a_pooling_that_is_not_known_is_refused_unless_the_recipe_names_one(
    save: Callable[[str], Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(save("bert"), tmp_path / "copy"))
    (copy / "1_Pooling").mkdir()
    (copy / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(DataError, match="pooling_mode_max_tokens"):
        make(copy)
    assert make(copy, pooling="cls").pooling == "cls"


def test_adapters_lie_on_the_maps_that_are_named(save: Callable[[str], Path]) -> None:
    encoder = make(save("llama"), lora={"modules": ["q_proj", "v_proj"]})
    adapted = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert len(adapted) == 3 * 2 * 2 and all("q_proj" in name or "v_proj" in name for name in adapted)
    with pytest.raises(DataError, match="query.*may name .*q_proj"):
        make(save("llama"), lora={"modules": ["query"]})


def test_texts_are_cut_at_the_positions_that_the_model_has(save: Callable[[str], Path]) -> None:
    encoder = make(save("roberta"), max_tokens=500)
    assert encoder.config.token_limit == 128
    assert encoder([" ".join(["v1"] * 900)]).isfinite().all()


@pytest.mark.parametrize("changes", [{"auto_map": {"AutoModel": "x.Y"}}, {"_attn_implementation_internal": "a/b"}])
def test_a_config_that_can_run_code_is_refused(
    save: Callable[[str], Path], tmp_path: Path, changes: dict[str, object]
) -> None:
    copy = Path(shutil.copytree(save("bert"), tmp_path / "copy"))
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | changes))
    for use in (lambda: TextBackboneConfig(weights=str(copy)).size(), lambda: make(copy)):
        with pytest.raises(UnsafeArtefactError, match=r"config\.json"):
            use()


@pytest.mark.parametrize(
    "changes",
    [{"model_type": "vit"}, {"model_type": "t5", "is_encoder_decoder": True}, {"model_type": None},
     {"hidden_size": "32"}, {"num_hidden_layers": 4}, {"intermediate_size": 64}, {"hidden_act": "no_such"}],
)  # fmt: skip
def test_a_folder_that_is_no_text_backbone_is_a_data_error(
    save: Callable[[str], Path], tmp_path: Path, changes: dict[str, object]
) -> None:
    copy = Path(shutil.copytree(save("bert"), tmp_path / "copy"))
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(DataError):
        make(copy)


@pytest.mark.parametrize("content", [b"", b"\x00" * 8, b"\xff" * 64, b"\x02\x00\x00\x00\x00\x00\x00\x00[]"])
def test_a_weight_file_that_is_none_is_refused(save: Callable[[str], Path], tmp_path: Path, content: bytes) -> None:
    copy = Path(shutil.copytree(save("bert"), tmp_path / "copy"))
    (copy / "model.safetensors").write_bytes(content)
    for use in (lambda: TextBackboneConfig(weights=str(copy)).size(), lambda: make(copy)):
        with pytest.raises(UnsafeArtefactError, match=r"model\.safetensors"):
            use()


def test_a_folder_that_is_not_whole_says_what_is_missing(save: Callable[[str], Path], tmp_path: Path) -> None:
    (sentence,) = TextBackboneConfig(weights=str(tmp_path / "nowhere")).missing()
    assert str(tmp_path / "nowhere") in sentence and "weights: random" not in sentence
    copy = Path(shutil.copytree(save("bert"), tmp_path / "copy"))
    (copy / "config.json").unlink()
    with pytest.raises(DataError, match=r"config\.json"):
        TextBackboneConfig(weights=str(copy)).size()
    (copy / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    (copy / "model.safetensors").unlink()
    with pytest.raises(UnsafeArtefactError, match=r"pytorch_model\.bin"):
        TextBackboneConfig(weights=str(copy)).missing()
