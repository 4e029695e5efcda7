#!/usr/bin/env bash
# diffusers 0.42.1 (torch 2.13.0): the moving average of a weight jumps onto the weight itself as soon as that is frozen. EMAModel.step averages
# what has requires_grad, and copies the rest, which saves work for layers that never train. In a curriculum that freezes an encoder for a
# phase, with the average kept going as it is in any other, the first step of that phase makes the target equal to the encoder:
# the history that the decay was chosen for is gone, what is predicted from one of the other is at once exact, and when the layer
# trains again its average begins at that moment. Nothing tells, as an average of what stands still would come there in the end. AveragedModel of
# torch and ModelEmaV3 of timm go on with their decay. What helps: no step of the average while something is frozen, or freezing by
# an optimizer without the weights in place of requires_grad. Upstream: no thread was found.
# Seen, source 1 and average 0 at 0.9, after one step and after two: 0.1, 0.19; frozen 1, 1, with foreach too; AveragedModel 0.1, 0.19
# either way.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.3.5 diffusers==0.42.1
"$folder/env/bin/python" -W ignore - 2> /dev/null <<'PY'
from collections.abc import Callable

import torch
from diffusers.training_utils import EMAModel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def zeros_then_ones(frozen: bool) -> tuple[torch.nn.Sequential, Callable[[], None]]:
    """Two layers of zeros, and what makes them ones, the first of them frozen or not."""
    layers = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 2, bias=False))
    for layer in layers:
        torch.nn.init.zeros_(layer.weight)

    def change() -> None:
        for layer in layers:
            torch.nn.init.ones_(layer.weight)
        layers[0].requires_grad_(not frozen)

    return layers, change


def by_diffusers(frozen: bool, foreach: bool = False) -> list[float]:
    """The average of the first layer after one step and after two."""
    layers, change = zeros_then_ones(frozen)
    average = EMAModel(layers.parameters(), decay=0.9, min_decay=0.9, foreach=foreach)
    average.step(layers.parameters())  # the very first one copies
    change()
    seen = []
    for _ in range(2):
        average.step(layers.parameters())
        seen.append(round(float(average.shadow_params[0].mean()), 4))
    return seen


@torch.no_grad()
def by_torch(frozen: bool) -> list[float]:
    layers, change = zeros_then_ones(frozen)
    average = AveragedModel(layers, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    average.n_averaged += 1  # the very first update copies
    change()
    seen = []
    for _ in range(2):
        average.update_parameters(layers)
        seen.append(round(float(average.module[0].weight.mean()), 4))
    return seen


print("diffusers:", by_diffusers(False), "frozen:", by_diffusers(True), by_diffusers(True, foreach=True))
print("torch:", by_torch(False), "frozen:", by_torch(True))
assert by_diffusers(False) == by_torch(False) == by_torch(True) == [0.1, 0.19]
assert by_diffusers(True) == by_diffusers(True, foreach=True) == [1.0, 1.0], "the behaviour has changed"
PY
