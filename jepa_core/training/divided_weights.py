"""Frozen weights divided among processes: each holds its share, and all gather those of a map when they compute it.

It is torch's FSDP2 (`fully_shard`), on the frozen maps alone. What trains is whole on each process: so the target,
which is put in the place of what trains (`torch.func.functional_call`), gradients, their sums, and checkpoints are what
they are without. Gathering is done by all together. So all processes encode when one does, with as many passes over the
weights, and work that encodes is not shared out.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from jepa_core.contracts import Encoder
from jepa_core.training.processes import Peers


def divide_frozen(encoder: Encoder, processes: Peers, device: torch.device) -> list[str]:
    """Divide the frozen maps of an encoder among processes, and give their names. Each is brought to the device by
    itself, so that none has to hold them all. Token tables and what is no matrix are left whole: they are read by rows,
    or are small."""
    maps = {name: module for name, module in encoder.named_modules() if _is_frozen_map(module)}
    mesh = init_device_mesh(device.type, (processes.count,))
    for module in maps.values():
        fully_shard(module, mesh=mesh, reshard_after_forward=True)
    processes.in_lockstep = True
    encoder.passes_of_all = lambda count: int(processes.largest(torch.tensor(count, device=device)))
    return list(maps)


def _is_frozen_map(module: nn.Module) -> bool:
    parameters = list(module.parameters(recurse=False))
    alone = next(module.children(), None) is None and not isinstance(module, nn.Embedding)
    frozen = not any(parameter.requires_grad for parameter in parameters)
    return alone and frozen and any(parameter.dim() > 1 for parameter in parameters)
