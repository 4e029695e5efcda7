#!/usr/bin/env bash
# torch 2.13.0: a gradient through torch.func.functional_call is wrong, without a word, where the called module recomputes
# activations (torch.utils.checkpoint, use_reentrant=False). The forward pass sees the given weights; the recomputation in
# the backward pass runs after functional_call has put the module's own weights back, and sees those. The gradients of
# layers inside the recomputed part are off, those outside are right; checkpoint's own check (shapes and types of what
# was saved) does not notice, for both sets of weights have the same shapes.
# Seen with the given weights 1.5 times the module's own:
#   output equal: True
#   gradient of the layer inside the checkpoint, largest error over largest value: above 0.1
#   gradient of the layer outside: 0.0
# Who trains through functional_call (meta-learning, a target network with a gradient) has to put the checkpoint around
# the whole functional_call instead.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.3.5
"$folder/env/bin/python" - <<'PY'
import torch
from torch import nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint


class Network(nn.Module):
    def __init__(self, recompute: bool) -> None:
        super().__init__()
        self.inside, self.outside, self.recompute = nn.Linear(8, 8), nn.Linear(8, 1), recompute

    def hidden(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.inside(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = checkpoint(self.hidden, x, use_reentrant=False) if self.recompute else self.hidden(x)
        return self.outside(hidden).sum()


def gradients(network: Network, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    given = {name: (value.detach() * 1.5).requires_grad_() for name, value in network.named_parameters()}
    output = functional_call(network, given, (x,))
    output.backward()
    return output.detach(), {name: value.grad for name, value in given.items()}


torch.manual_seed(0)
plain, recomputing = Network(False), Network(True)
recomputing.load_state_dict(plain.state_dict())
x = torch.randn(4, 8)
(output, right), (output_again, found) = gradients(plain, x), gradients(recomputing, x)
errors = {name: float((found[name] - right[name]).abs().max() / right[name].abs().max()) for name in right}
print("torch", torch.__version__, "output equal:", torch.equal(output, output_again), errors)
assert torch.equal(output, output_again)
assert errors["inside.weight"] > 0.1 and errors["outside.weight"] == 0.0, "the behaviour has changed"
PY
