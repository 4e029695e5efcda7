"""Every component that is installed keeps its contract: the checks that authors of plugins run, on our own."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jepa_core.plugin import Component, shared_registry
from jepa_core.testing import Check, checks_of
from jepa_core.testing.bench import scratch

COMPONENTS = [component for plugin in shared_registry().bringing for component in plugin.components]


@cache
def _meds() -> str:
    """A small data set in the form that the source `meds` reads, with nothing real in it."""
    folder = scratch() / "meds"
    start = datetime(2150, 3, 1)
    rows = [
        (77_000_001 + subject, start + timedelta(hours=hour), f"LAB//{hour % 3}", float(hour))
        for subject in range(8)
        for hour in range(4 + subject)
    ]
    columns = dict(zip(("subject_id", "time", "code", "numeric_value"), zip(*rows, strict=True), strict=True))
    types = {"time": pa.timestamp("us"), "numeric_value": pa.float32()}
    for place in ("data", "metadata"):
        (folder / place).mkdir(parents=True)
    data = pa.table({name: pa.array(values, types.get(name)) for name, values in columns.items()})
    pq.write_table(data, folder / "data" / "0.parquet")
    pq.write_table(pa.table({"code": [f"LAB//{one}" for one in range(3)]}), folder / "metadata" / "codes.parquet")
    (folder / "metadata" / "dataset.json").write_text('{"dataset_name": "made up", "meds_version": "0.4.0"}')
    return str(folder)


@cache
def _backbone() -> str:
    """A folder with a tiny BERT of random weights, and a tokenizer of single bytes."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel

    folder = scratch() / "backbone"
    folder.mkdir()
    alphabet = ["[UNK]", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE({one: number for number, one in enumerate(alphabet)}, [], unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(alphabet), max_position_embeddings=128, **sizes)).save_pretrained(folder)
    return str(folder)


def _keys(component: Component) -> dict[str, Any]:
    """Keys of the components that need files to be checked on."""
    if component.name == "text_backbone":
        return {"weights": _backbone(), "precision": "fp32"}
    if component.name == "meds":
        return {"path": _meds(), "split": {"from": "seed"}}
    return {}


CHECKS = [check for component in COMPONENTS for check in checks_of(component, _keys(component))]


def test_no_plugin_is_broken() -> None:
    assert [plugin.name for plugin in shared_registry().plugins if plugin.error] == []


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_conformance(check: Check) -> None:
    check()
