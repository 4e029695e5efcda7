"""What the config answers without torch: sizes, memory, what is missing, what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from jepa_core.errors import DataError, UnsafeArtefactError
from jepa_text.config import LoraConfig, Qwen3Config, RandomQwen3Config
from jepa_text.encoder import Qwen3Encoder

from .conftest import SMALL, make_random, write_config

REPOSITORY = Path(__file__).parents[2]

QWEN3_8B = {
    "hidden_size": 4096, "intermediate_size": 12288, "num_attention_heads": 32, "num_hidden_layers": 36,
    "tie_word_embeddings": False,
}  # fmt: skip
QWEN3_8B_BACKBONE = 8_190_735_360 - 151_936 * 4096  # as published, less the head


def counted(encoder: Qwen3Encoder) -> tuple[int, int]:
    parameters = list(encoder.parameters())
    return sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad)


@pytest.mark.parametrize("sizes", [SMALL, RandomQwen3Config(), RandomQwen3Config(heads=6, kv_heads=3, layers=3)])
def test_a_random_model_has_the_parameters_its_config_states(sizes: RandomQwen3Config) -> None:
    config = Qwen3Config(random=sizes)
    encoder = Qwen3Encoder(config)
    assert counted(encoder) == (config.size().parameters, config.size().trainable)
    assert config.size().trainable == config.size().parameters
    assert config.latent_dim == encoder.latent_dim == sizes.hidden_size


@pytest.mark.parametrize("lora", [LoraConfig(), LoraConfig(rank=3, modules=("v_proj", "down_proj")), None])
def test_a_pretrained_model_has_the_parameters_its_config_states(folder: Path, lora: LoraConfig | None) -> None:
    config = Qwen3Config(weights=str(folder), lora=lora)
    encoder = Qwen3Encoder(config)
    size = config.size()
    assert counted(encoder) == (size.parameters, size.trainable)
    held = sum(parameter.numel() * parameter.element_size() for parameter in encoder.parameters())
    assert held == size.weight_bytes
    assert encoder.latent_dim == config.latent_dim == 32


def test_the_sizes_of_the_published_models_follow_from_their_config_alone(tmp_path: Path) -> None:
    small = Qwen3Config(weights=str(write_config(tmp_path / "small")))
    large = Qwen3Config(weights=str(write_config(tmp_path / "large", **QWEN3_8B)))
    assert (small.latent_dim, large.latent_dim) == (1024, 4096)
    assert small.size().parameters - small.size().trainable == 596_049_920
    assert large.size().parameters - large.size().trainable == QWEN3_8B_BACKBONE
    assert small.size().trainable == 4_587_520
    assert large.size().trainable == 15_335_424
    assert large.size().weight_bytes == 2 * QWEN3_8B_BACKBONE + 4 * 15_335_424


def test_attention_biases_are_counted(tmp_path: Path) -> None:
    without = Qwen3Config(weights=str(write_config(tmp_path / "a"))).size().parameters
    with_bias = Qwen3Config(weights=str(write_config(tmp_path / "b", attention_bias=True))).size().parameters
    assert with_bias - without == 28 * (16 * 128 + 2 * 8 * 128 + 1024)


def test_the_estimate_of_training_memory_is_near_what_autograd_keeps() -> None:
    encoder = make_random(random=RandomQwen3Config(vocabulary=300))
    texts = [" ".join(["v"] * 63)] * 40
    tokens = sum(map(len, encoder.tokens(texts)))
    kept: dict[int, int] = {}
    alive = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        alive.append(tensor)
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        encoder(texts)
    weights = {parameter.untyped_storage().data_ptr() for parameter in encoder.parameters()}
    measured = sum(size for place, size in kept.items() if place not in weights)
    estimated = encoder.config.activation_bytes(40, training=True) * tokens / (40 * 128)
    assert 0.8 < estimated / measured < 1.25


def test_gradient_checkpointing_and_evaluation_bound_the_estimate_by_one_pass() -> None:
    plain, checkpointed = Qwen3Config(), Qwen3Config(gradient_checkpointing=True)
    assert plain.activation_bytes(10_000, training=True) > 100 * checkpointed.activation_bytes(10_000, training=True)
    assert checkpointed.activation_bytes(10_000, True) == checkpointed.activation_bytes(20_000, True)
    assert plain.activation_bytes(10_000, False) == plain.activation_bytes(20_000, False)


def test_a_random_model_misses_nothing() -> None:
    assert Qwen3Config().missing() == []


def test_a_missing_folder_is_named_with_what_to_do(tmp_path: Path) -> None:
    config = Qwen3Config(weights=str(tmp_path / "nowhere"))
    (sentence,) = config.missing()
    assert str(tmp_path / "nowhere") in sentence and "weights: random" in sentence
    with pytest.raises(DataError, match="nowhere"):
        config.size()
    with pytest.raises(DataError, match="nowhere"):
        Qwen3Encoder(config)


def test_every_missing_file_is_named(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    shard = sorted(copy.glob("*.safetensors"))[1]
    shard.unlink()
    (copy / "tokenizer.json").unlink()
    config = Qwen3Config(weights=str(copy))
    assert [str(copy / "tokenizer.json") in s or str(shard) in s for s in config.missing()] == [True, True]
    with pytest.raises(DataError, match="tokenizer.json"):
        Qwen3Encoder(config)
    assert Qwen3Config(weights=str(folder)).missing() == []


@pytest.mark.parametrize(
    "changes",
    [{"auto_map": {"AutoModel": "x.Y"}}, {"_attn_implementation_internal": "a/b"}, {"rope_scaling": [{"_x": 1}]}],
)
def test_a_config_that_can_run_code_is_refused(folder: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    write_config(copy, **changes)
    with pytest.raises(UnsafeArtefactError, match="config.json"):
        Qwen3Config(weights=str(copy)).size()
    with pytest.raises(UnsafeArtefactError, match="config.json"):
        Qwen3Encoder(Qwen3Config(weights=str(copy)))


def test_private_keys_that_the_library_itself_wrote_are_accepted(tmp_path: Path) -> None:
    write_config(tmp_path, _name_or_path="a/b", _attn_implementation_autoset=True)
    assert Qwen3Config(weights=str(tmp_path)).latent_dim == 1024


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "llama"}, {"model_type": "qwen3_moe"}, {"quantization_config": {"bits": 4}},
        {"use_sliding_window": True}, {"hidden_size": "1024"}, {"num_hidden_layers": 0}, {"head_dim": None},
    ],
)  # fmt: skip
def test_a_folder_that_is_no_plain_qwen3_is_a_data_error(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(DataError, match=r"config\.json"):
        Qwen3Config(weights=str(write_config(tmp_path, **changes))).size()


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00", "[" * 100_000])
def test_an_unreadable_config_is_a_data_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(DataError, match=r"config\.json"):
        Qwen3Config(weights=str(tmp_path)).size()


def test_pickled_weights_are_refused_and_never_opened(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    with pytest.raises(UnsafeArtefactError, match=r"pytorch_model\.bin"):
        Qwen3Config(weights=str(tmp_path)).missing()
    with pytest.raises(UnsafeArtefactError, match=r"pytorch_model\.bin"):
        Qwen3Encoder(Qwen3Config(weights=str(tmp_path)))


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/model.safetensors", "pytorch_model.bin"])
def test_an_index_that_points_elsewhere_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"model.norm.weight": name}}))
    with pytest.raises(UnsafeArtefactError, match="index"):
        Qwen3Encoder(Qwen3Config(weights=str(copy)))


def test_a_truncated_weight_file_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    shard = sorted(copy.glob("*.safetensors"))[0]
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(UnsafeArtefactError, match=shard.name):
        Qwen3Encoder(Qwen3Config(weights=str(copy)))


@pytest.mark.parametrize(
    ("key", "value"), [("num_hidden_layers", 4), ("intermediate_size", 64), ("num_hidden_layers", 2)]
)
def test_weights_that_do_not_fit_the_config_are_not_filled_up_at_random(
    folder: Path, tmp_path: Path, key: str, value: int
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    config = json.loads((copy / "config.json").read_text())
    config.pop("layer_types", None)
    (copy / "config.json").write_text(json.dumps(config | {key: value}))
    with pytest.raises(DataError, match="do not fit"):
        Qwen3Encoder(Qwen3Config(weights=str(copy)))


def test_a_tokenizer_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    tokenizer = json.loads((copy / "tokenizer.json").read_text())
    tokenizer["added_tokens"][0]["content"] = "<end>"
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer).replace('"<|endoftext|>"', '"<end>"'))
    with pytest.raises(DataError, match="endoftext"):
        Qwen3Encoder(Qwen3Config(weights=str(copy)))
    (copy / "tokenizer.json").write_text("{}")
    with pytest.raises(DataError, match=r"tokenizer\.json"):
        Qwen3Encoder(Qwen3Config(weights=str(copy)))


@pytest.mark.parametrize(
    "options",
    [
        {"lora": {"modules": ["q_proj", "lm_head"]}}, {"lora": {"modules": []}},
        {"lora": {"modules": ["q_proj", "q_proj"]}}, {"lora": {"rank": 0}}, {"random": {"heads": 4, "kv_heads": 3}},
        {"random": {"vocabulary": 100}}, {"random": {"head_dim": 31}}, {"precision": "fp16"},
        {"latent_norm": "batch"}, {"weights": ""}, {"unknown": 1},
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Qwen3Config(**options)


def test_the_config_answers_without_importing_torch(folder: Path) -> None:
    script = (
        f"import sys; sys.path[:0] = [{str(REPOSITORY)!r}, {str(REPOSITORY / 'plugins')!r}]\n"
        "import jepa_text\n"
        "component, _ = jepa_text.jepa_components()\n"
        f"config = component.config(weights={str(folder)!r})\n"
        "config.size(), config.missing(), config.activation_bytes(100, True)\n"
        "print(component.kind, component.name, *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    kind, name, *modules = done.stdout.split()
    assert (kind, name) == ("encoder", "qwen3")
    assert not {"torch", "transformers", "tokenizers", "peft", "safetensors"} & set(modules)


def test_the_declared_implementation_exists() -> None:
    import jepa_text

    component, _ = jepa_text.jepa_components()
    assert component.load() is Qwen3Encoder


@pytest.mark.parametrize("options", [{}, {"gradient_checkpointing": True}, {"lora": {"rank": 2}}])
@pytest.mark.parametrize("training", [False, True])
def test_operations_are_about_as_many_as_torch_counts(folder: Path, options: dict[str, object], training: bool) -> None:
    """Within 5 %: what lies below the first adapter needs no gradient, and is counted."""
    weights = {"weights": str(folder), "precision": "fp32"} if "lora" in options else {"random": SMALL}
    config = Qwen3Config(max_tokens=100, **weights | options)
    encoder = Qwen3Encoder(config)
    encoder.fit([[" ".join(f"v{word}" for word in range(99))] * 3])
    texts = [" ".join(["v7 v0 v12"] * 60)] * 3
    assert {len(text) for text in encoder.tokens(texts)} == {100}
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        latents = encoder(texts)
        if training:
            (latents * torch.arange(32)).sum().backward()
    assert config.flops(3, training) == pytest.approx(counter.get_total_flops(), rel=0.05)
