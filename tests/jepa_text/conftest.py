"""Texts, a small random encoder, and a folder of small `pretrained` weights as one would be downloaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import Qwen3Config as BackboneConfig
from transformers import Qwen3ForCausalLM

from jepa_text.config import Qwen3Config, RandomQwen3Config
from jepa_text.encoder import Qwen3Encoder
from jepa_text.tokenizer import fit_tokenizer

SMALL = RandomQwen3Config(
    hidden_size=32, layers=2, heads=4, kv_heads=2, head_dim=16, intermediate_size=48, vocabulary=300
)


def make_texts() -> list[str]:
    """Texts of 1 to about 200 tokens, in no order of length, some equally long."""
    lengths = [7, 90, 1, 33, 7, 160, 12, 33, 2, 60, 7, 25]
    return [" ".join(f"v{(5 * row + word) % 23}" for word in range(length)) for row, length in enumerate(lengths)]


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return make_texts()


def make_random(**options: object) -> Qwen3Encoder:
    torch.manual_seed(3)
    encoder = Qwen3Encoder(Qwen3Config(**{"random": SMALL, "tokens_per_pass": 128} | options))
    encoder.fit([make_texts()])
    return encoder.eval()


@pytest.fixture
def random_encoder() -> Qwen3Encoder:
    return make_random()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal language model in bf16, in several shards, with its head and its tokenizer."""
    folder = tmp_path_factory.mktemp("qwen3_small")
    torch.manual_seed(5)
    sizes = {
        "vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 48, "initializer_range": 0.2,
    }  # fmt: skip
    model = Qwen3ForCausalLM(BackboneConfig(**sizes)).to(torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="30KB")
    fit_tokenizer(make_texts(), 300).save(str(folder / "tokenizer.json"))
    return folder


def write_config(folder: Path, **changes: object) -> Path:
    """A folder with nothing but a config.json: Qwen3-0.6B's, with changes."""
    config = {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "attention_bias": False, "head_dim": 128,
        "hidden_act": "silu", "hidden_size": 1024, "intermediate_size": 3072, "num_attention_heads": 16,
        "num_hidden_layers": 28, "num_key_value_heads": 8, "rope_theta": 1000000, "sliding_window": None,
        "tie_word_embeddings": True, "torch_dtype": "bfloat16", "use_sliding_window": False, "vocab_size": 151936,
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config | changes))
    return folder
