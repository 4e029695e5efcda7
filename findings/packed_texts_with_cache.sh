#!/usr/bin/env bash
# transformers 5.24.0: several texts packed into one row are kept apart by position_ids that start again at 0 only if
# attention_mask is None AND use_cache is False. use_cache is True by default, also for encoding without generation, and
# then the second text attends to the first, without a warning; an attention_mask of ones does the same.
# Seen (Qwen3Model, random, 2 layers; second text's hidden states against the text alone, largest difference):
#   default 2.2 | use_cache=False 4e-7 | use_cache=False with a mask of ones 2.2
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.3.5 transformers==5.24.0
"$folder/env/bin/python" - <<'PY'
import torch
from transformers import Qwen3Config, Qwen3Model

torch.manual_seed(0)
config = Qwen3Config(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=16, intermediate_size=64,
    vocab_size=128,
)
model = Qwen3Model(config).eval()
first, second = torch.randint(0, 128, (1, 7)), torch.randint(0, 128, (1, 5))
packed = torch.cat([first, second], dim=1)
positions = torch.cat([torch.arange(7), torch.arange(5)])[None]
with torch.no_grad():
    alone = model(second).last_hidden_state

    def difference(**settings) -> float:
        together = model(packed, position_ids=positions, **settings).last_hidden_state[:, 7:]
        return float((together - alone).abs().max())

    default = difference()
    without_cache = difference(use_cache=False)
    with_mask = difference(use_cache=False, attention_mask=torch.ones_like(packed))
print("default", default, "| use_cache=False", without_cache, "| and a mask of ones", with_mask)
assert default > 0.1 and with_mask > 0.1 and without_cache < 1e-5, "the behaviour has changed"
PY
