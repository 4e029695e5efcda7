#!/usr/bin/env bash
# timm 1.0.31 (torch 2.13.0, transformers 5.24.0): in ModelEmaV2 and ModelEmaV3 a weight that two layers share is averaged twice in each
# update, so that its decay is the square of the one that was asked for. Both go through state_dict(), which lists a shared weight
# under each of its names; the update is in place, so the second name moves what the first has just moved. The embeddings of a
# language model with tied input and output, as Qwen3-0.6B, GPT-2 and BERT with its head are, so follow the student about twice as
# fast as the layers above them: at 0.996 with a half life of 86 steps instead of 173. The average is off, and no number looks odd.
# exclude_buffers=True goes through parameters(), which lists each once, and is right: an option about buffers changes the weights.
# What helps: that option, or torch's AveragedModel. Upstream: no thread was found.
# Seen, source 1 and average 0 after one update at 0.9 (0.1 is right), tied embedding and another layer: ModelEmaV2 0.19, 0.1;
# ModelEmaV3 0.19, 0.1, also with foreach=False; with exclude_buffers=True 0.1, 0.1. AveragedModel 0.1, 0.1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 torchvision==0.28.0 numpy==2.3.5 transformers==5.24.0 timm==1.0.31
"$folder/env/bin/python" - 2> /dev/null <<'PY'
import torch

try:
    import torchvision  # noqa: F401
except RuntimeError:  # the index has it for CUDA alone; with a CPU build of torch two operators lack their names. None is called here.
    for operator in ("nms", "qnms"):
        torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from timm.utils import ModelEmaV2, ModelEmaV3
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import Qwen3Config, Qwen3ForCausalLM

SIZES = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
source = Qwen3ForCausalLM(Qwen3Config(**SIZES, num_key_value_heads=2, head_dim=8, tie_word_embeddings=True))
assert source.lm_head.weight is source.model.embed_tokens.weight


@torch.no_grad()
def fill(value: float) -> None:
    for weight in source.parameters():
        weight.fill_(value)


def moved(make, update) -> tuple[float, float]:
    """Where a tied weight and another one of an average that began at 0 are after one update towards 1."""
    fill(0.0)
    average = make()
    fill(1.0)
    update(average)
    held = average.module.model
    where = held.embed_tokens.weight, held.layers[0].self_attn.q_proj.weight
    return tuple(round(float(weight.mean()), 4) for weight in where)


def by_torch(average: AveragedModel) -> None:
    average.n_averaged += 1  # the very first update copies
    average.update_parameters(source)


seen = {
    "V2": moved(lambda: ModelEmaV2(source, decay=0.9), lambda average: average.update(source)),
    "V3": moved(lambda: ModelEmaV3(source, decay=0.9), lambda average: average.update(source)),
    "V3, foreach=False": moved(lambda: ModelEmaV3(source, decay=0.9, foreach=False), lambda average: average.update(source)),
    "V3, exclude_buffers": moved(lambda: ModelEmaV3(source, decay=0.9, exclude_buffers=True), lambda average: average.update(source)),
    "torch": moved(lambda: AveragedModel(source, multi_avg_fn=get_ema_multi_avg_fn(0.9)), by_torch),
}
print("tied and other weight:", seen)
assert seen["V3, exclude_buffers"] == seen["torch"] == (0.1, 0.1)
assert seen["V2"] == seen["V3"] == seen["V3, foreach=False"] == (0.19, 0.1), "the behaviour has changed"
PY
