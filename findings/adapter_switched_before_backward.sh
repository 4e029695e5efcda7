#!/usr/bin/env bash
# peft 0.21.2 with transformers 5.24.0: a forward pass under adapter `online`, then set_adapter("target") for a pass without
# gradient, then backward. set_adapter switches requires_grad of the adapters that are not active to False, and autograd
# then drops the gradients of the graph that was built before: no parameter of `online` has a gradient, there is no error,
# and an optimizer goes on with nothing.
# Seen: parameters with a gradient: online 0 of 8; with the two passes in the other order, online 8 of 8.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.3.5 transformers==5.24.0 peft==0.21.2
"$folder/env/bin/python" - <<'PY'
import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen3Config, Qwen3Model

config = Qwen3Config(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=16, intermediate_size=64,
    vocab_size=128,
)
ids = torch.arange(10)[None]


def trained(online_first: bool) -> tuple[int, int]:
    torch.manual_seed(0)
    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"])
    model = get_peft_model(Qwen3Model(config), lora, adapter_name="online")
    model.add_adapter("target", lora)
    states = {}
    for name in ("online", "target") if online_first else ("target", "online"):
        model.set_adapter(name)
        with torch.set_grad_enabled(name == "online"):
            states[name] = model(input_ids=ids).last_hidden_state
    loss = (states["online"] * torch.linspace(-1, 1, 32) - states["target"]).pow(2).sum()
    loss.backward()
    own = [value for name, value in model.named_parameters() if ".online." in name]
    return sum(value.grad is not None for value in own), len(own)


lost, kept = trained(online_first=True), trained(online_first=False)
print("online first: gradients", lost, "| target first: gradients", kept)
assert lost[0] == 0 and kept[0] == kept[1] > 0, "the behaviour has changed"
PY
