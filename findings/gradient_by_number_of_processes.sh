#!/usr/bin/env bash
# torch 2.13.0: the gradient of F.mse_loss of two DTensors is as many times too large as there are processes. Where the rows are sharded,
# the backward of a mean loss divides by the rows of its own process instead of by all, and nothing averages after it; the loss itself
# is right, so with SGD the step grows with the machines, with Adam epsilon and weight decay lose their weight, and no curve tells. Of the
# losses that are alike to look at, smooth_l1_loss, huber_loss, binary_cross_entropy and soft_margin_loss do the same; l1_loss,
# binary_cross_entropy_with_logits, cross_entropy and (x - y).square().mean() are right. Where the rows cannot be dealt out evenly the
# loss is the plain mean of the processes' means, and rows weigh unequally. What helps: reduction="none" and .mean(), or "sum" and a
# division. Upstream: pytorch issues 162692 (closed: DTensor.mean of uneven shards) and 185167 (nll_loss with weights); of these
# gradients no thread was found.
# Seen on CPU by gloo, gradient over that of one process: 2.0 with two processes and 8 rows for the five, 1.0 for the others; with 7 rows
# 1.75 for the first four and 2.33 for the last three, and a loss of 2.091 instead of 1.993. With four processes: 4.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.3.5
cat > "$folder/losses.py" <<'PY'
import sys
import warnings

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch.nn import functional

WRONG = {
    "mse_loss": functional.mse_loss,
    "smooth_l1_loss": functional.smooth_l1_loss,
    "huber_loss": functional.huber_loss,
    "binary_cross_entropy": lambda x, y: functional.binary_cross_entropy(x.sigmoid(), (y > 0).float()),
    "soft_margin_loss": functional.soft_margin_loss,
}
RIGHT = {
    "l1_loss": functional.l1_loss,
    "with_logits": lambda x, y: functional.binary_cross_entropy_with_logits(x, (y > 0).float()),
    "cross_entropy": lambda x, y: functional.cross_entropy(x, y.argmax(1)),
    "by hand": lambda x, y: (x - y).square().mean(),
}


def compared(loss, x: torch.Tensor, y: torch.Tensor, mesh) -> tuple[float, float, list[float]]:
    alone = x.clone().requires_grad_()
    value = loss(alone, y)
    value.backward()
    sharded = distribute_tensor(x, mesh, [Shard(0)]).requires_grad_()
    together = loss(sharded, distribute_tensor(y, mesh, [Shard(0)]))
    together.backward()
    ratios = (sharded.grad.full_tensor() / alone.grad)[:, 0]
    return round(value.item(), 3), round(together.full_tensor().item(), 3), [round(ratio, 2) for ratio in ratios.tolist()]


def process(rank: int, store: str) -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    torch.manual_seed(0)
    x, y = torch.randn(8, 3), torch.randn(8, 3)
    even = {name: compared(loss, x, y, mesh) for name, loss in (WRONG | RIGHT).items()}
    uneven = compared(functional.mse_loss, x[:7], y[:7], mesh)
    if rank == 0:
        print(f"8 rows: {even}\n7 rows, mse_loss: {uneven}")
    assert all(alone == together for alone, together, _ in even.values())
    assert all(even[name][2] == [1.0] * 8 for name in RIGHT)
    assert all(even[name][2] == [2.0] * 8 for name in WRONG), "the behaviour has changed"
    assert uneven[0] != uneven[1] and uneven[2] == [1.75] * 4 + [2.33] * 3, "the behaviour has changed"
    dist.destroy_process_group()


if __name__ == "__main__":
    torch.multiprocessing.spawn(process, (sys.argv[1],), nprocs=2)
PY
"$folder/env/bin/python" "$folder/losses.py" "$folder/store"
