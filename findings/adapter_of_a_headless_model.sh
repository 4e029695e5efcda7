#!/usr/bin/env bash
# peft 0.21.2 with transformers 5.24.0: a LoRA adapter that was trained and saved on the model without a head (Qwen3Model)
# loads onto the model with a head (Qwen3ForCausalLM) with a warning about missing keys, not an error, and does nothing:
# the module names of the two differ by the prefix `model.`, no tensor of the file is taken, and the fresh adapter is zero.
# Seen: the logits with the "loaded" adapter are equal to those of the base to the bit; on Qwen3Model the same file works.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.3.5 transformers==5.24.0 peft==0.21.2
"$folder/env/bin/python" - "$folder/adapter" <<'PY'
import copy
import sys
import warnings

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import Qwen3Config, Qwen3ForCausalLM

torch.manual_seed(0)
config = Qwen3Config(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=16, intermediate_size=64,
    vocab_size=128,
)
with_head = Qwen3ForCausalLM(config).eval()
headless = copy.deepcopy(with_head.model)
adapted = get_peft_model(copy.deepcopy(headless), LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
with torch.no_grad():
    for name, value in adapted.named_parameters():
        if "lora_B" in name:
            value.normal_()  # as if it had been trained
adapted.save_pretrained(sys.argv[1])

ids = torch.arange(10)[None]
with torch.no_grad(), warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    before = with_head(ids).logits
    after = PeftModel.from_pretrained(copy.deepcopy(with_head), sys.argv[1]).eval()(ids).logits
    hidden = headless(ids).last_hidden_state
    moved = PeftModel.from_pretrained(copy.deepcopy(headless), sys.argv[1]).eval()(ids).last_hidden_state
missing = [one for one in told if "missing adapter keys" in str(one.message)]
print("warnings of missing keys:", len(missing), "| logits unchanged:", torch.equal(before, after))
print("on the headless model, largest change:", float((hidden - moved).abs().max()))
assert missing and torch.equal(before, after), "the behaviour has changed"
assert not torch.equal(hidden, moved)
PY
