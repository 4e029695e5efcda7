"""A local folder of weights: what must lie in it, and what is refused. Imports no torch.

Nothing in such a folder may execute. Only `config.json`, `tokenizer.json` and safetensors files are read; a config
that names code (`auto_map`) or sets private attributes of the library (as in CVE-2026-4372) is refused, not cleaned.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jepa_core.errors import DataError, UnsafeArtefactError
from jepa_text.architecture import Architecture

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")

SAFE_LOADING: dict[str, Any] = {
    "local_files_only": True,
    "use_safetensors": True,
    "trust_remote_code": False,
    "ignore_mismatched_sizes": True,
    "output_loading_info": True,
}
"""How every model is loaded: from here, without code; and with a report of what did not fit, which is judged after."""

COPY_AGAIN = "copy the file from the model's repository again"

# Written by transformers itself (the last one when it reads GGUF), and inert.
HARMLESS_PRIVATE_KEYS = frozenset(
    {"_name_or_path", "_attn_implementation_autoset", "_commit_hash", "_model_name_or_path"}
)

ARCHITECTURE_KEYS = {
    "hidden_size": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "intermediate_size": "intermediate_size",
    "vocabulary": "vocab_size",
}


def missing_files(folder: Path) -> list[str]:
    """What a folder lacks, one sentence each, with the path and what to do.

    Raises DataError or UnsafeArtefactError if the index of the shards cannot be trusted.
    """
    if not folder.is_dir():
        return [
            f"the folder {folder} of weights does not exist: put config.json, tokenizer.json and the safetensors files "
            f"of a model there (such as `hf download Qwen/Qwen3-8B --local-dir {folder}`)"
        ]
    wanted = [CONFIG, TOKENIZER, *_shard_names(folder)]
    absent = [folder / name for name in wanted if not (folder / name).is_file()]
    return [f"{path} does not exist: copy it from the model's repository into that folder" for path in absent]


def read_plain_config(folder: Path) -> dict[str, Any]:
    """The folder's config.json.

    Raises DataError if it is missing, unreadable or quantized, UnsafeArtefactError if it could make a loader run code.
    """
    path = folder / CONFIG
    config = read_described(path)
    _refuse_code(config, path)
    if "quantization_config" in config:
        raise DataError(f"{path}: quantized weights are not supported; give the bf16 weights of the model")
    if (folder / "adapter_config.json").exists():
        raise DataError(f"{folder} holds adapter_config.json; merge the adapter into the weights, or remove it")
    return config


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's config.json, which must be that of a plain Qwen3.

    Raises DataError and UnsafeArtefactError as `read_plain_config` does, and DataError for another architecture.
    """
    path = folder / CONFIG
    config = read_plain_config(folder)
    if config.get("model_type") != "qwen3":
        raise DataError(
            f"{path}: model_type is not 'qwen3'; give a folder of dense Qwen3 weights, or use text_backbone"
        )
    if config.get("use_sliding_window"):
        raise DataError(f"{path}: use_sliding_window is not supported; every layer must attend to the whole text")
    return config


def read_architecture(folder: Path) -> Architecture:
    """The sizes that the folder's config.json states.

    Raises DataError or UnsafeArtefactError as `read_config` does, and DataError if a size is no positive integer.
    """
    config = read_config(folder)
    sizes: dict[str, int] = {}
    for name, key in ARCHITECTURE_KEYS.items():
        size = config.get(key)
        if type(size) is not int or size < 1:
            raise DataError(f"{folder / CONFIG}: {key} must be a positive integer; {COPY_AGAIN}")
        sizes[name] = size
    return Architecture(**sizes, attention_bias=bool(config.get("attention_bias", False)))


def _shard_names(folder: Path) -> list[str]:
    if not (folder / INDEX).is_file():
        _refuse_pickles(folder)
        return [WEIGHTS]
    shards = read_described(folder / INDEX).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise DataError(f"{folder / INDEX}: no weight_map; {COPY_AGAIN}")
    names = sorted({str(name) for name in shards.values()})
    if any(Path(name).name != name or not name.endswith(".safetensors") for name in names):
        raise UnsafeArtefactError(f"{folder / INDEX} names other than safetensors files beside it; {COPY_AGAIN}")
    return names


def shard_paths(folder: Path) -> list[Path]:
    """The safetensors files that hold the weights.

    Raises DataError if one is missing, UnsafeArtefactError if the weights are pickled or the index points elsewhere.
    """
    absent = missing_files(folder)
    if absent:
        raise DataError("; ".join(absent))
    return [folder / name for name in _shard_names(folder)]


def _refuse_pickles(folder: Path) -> None:
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLED_SUFFIXES)
    if pickled and not (folder / WEIGHTS).exists():
        raise UnsafeArtefactError(
            f"{folder} holds its weights as {pickled[0]}, a format that can execute code; get them as safetensors, or "
            "convert them with save_pretrained in a place you trust"
        )


def _refuse_code(value: Any, path: Path) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "auto_map" or (key.startswith("_") and key not in HARMLESS_PRIVATE_KEYS):
                raise UnsafeArtefactError(f"{path} holds the key '{key}', which can run code; it was refused")
            _refuse_code(inner, path)
    if isinstance(value, list):
        for inner in value:
            _refuse_code(inner, path)


def read_described(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises DataError if there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; copy it from the model's repository into that folder") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON ({type(error).__name__}); {COPY_AGAIN}") from None
    if not isinstance(value, dict):
        raise DataError(f"{path} does not hold a JSON object; {COPY_AGAIN}")
    return value
