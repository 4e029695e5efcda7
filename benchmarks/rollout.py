"""Rollout that keeps keys and values against recomputing the whole history at every step, on one thread.

    python benchmarks/rollout.py                              # 48 steps from context 24, the paper's predictor, batch 16: minutes
    python benchmarks/rollout.py --batch 2 --layers 1 --width 128 --latent-dim 256 --feedforward 512

Recomputing is what a predictor without memory has to do: append the predicted state and the next action, run the whole prefix, take
the last output. Both ways use the same layers, weights and inputs. Exit code 1 if the rollouts differ by more than 1e-5 or the ratio
is below --least-ratio.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from jepa_clin.config import ActionTransformerConfig
from jepa_clin.predictor import ActionTransformer
from jepa_core.contracts import Latents

TOLERANCE = 1e-5


def main() -> int:
    options = parse_options()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    predictor = make_predictor(options)
    latents = make_latents(options)
    with torch.no_grad():
        kept, kept_seconds = timed(lambda: roll_out(predictor, latents, options.context, options.horizon), options.repeats)
        recomputed, recomputed_seconds = timed(lambda: recompute(predictor, latents, options.context, options.horizon), 1)
    result = {
        "parameters": predictor.config.size(options.latent_dim).parameters,
        "batch": options.batch,
        "context": options.context,
        "horizon": options.horizon,
        "keeping_seconds": kept_seconds,
        "recomputing_seconds": recomputed_seconds,
        "ratio": recomputed_seconds / kept_seconds,
        "largest_difference": (kept - recomputed).abs().max().item(),
    }
    print(json.dumps(result) if options.json else table(result))
    return int(result["ratio"] < options.least_ratio or result["largest_difference"] > TOLERANCE)


def parse_options() -> argparse.Namespace:
    paper = ActionTransformerConfig()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--batch", type=int, default=16, help="windows")
    parser.add_argument("--context", type=int, default=24, help="real steps seen")
    parser.add_argument("--horizon", type=int, default=48, help="steps rolled out")
    parser.add_argument("--latent-dim", type=int, default=4096)
    parser.add_argument("--width", type=int, default=paper.width)
    parser.add_argument("--layers", type=int, default=paper.layers)
    parser.add_argument("--heads", type=int, default=paper.heads)
    parser.add_argument("--feedforward", type=int, default=paper.feedforward)
    parser.add_argument("--repeats", type=int, default=3, help="runs of the rollout, of which the median counts")
    parser.add_argument("--least-ratio", type=float, default=10.0, help="fail below this ratio")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def make_predictor(options: argparse.Namespace) -> ActionTransformer:
    config = ActionTransformerConfig(
        width=options.width,
        layers=options.layers,
        heads=options.heads,
        feedforward=options.feedforward,
        max_steps=options.context + options.horizon,
    )
    return ActionTransformer(config, options.latent_dim).eval()


def make_latents(options: argparse.Namespace) -> Latents:
    """Latents with as many states as the context and as many actions as the whole rollout."""
    shape = (options.batch, options.context, options.latent_dim)
    actions = torch.randn(options.batch, options.context + options.horizon, options.latent_dim)
    mask = torch.ones(shape[:2], dtype=torch.bool)
    return Latents(torch.randn(options.batch, options.latent_dim), torch.randn(shape), actions, mask)


def roll_out(predictor: ActionTransformer, latents: Latents, context: int, horizon: int) -> Tensor:
    """One pass over the context, then the predictor's own rollout: (B, H, D)."""
    origins = torch.full((len(latents.static), 1), context - 1)
    return predictor.rollout(latents, predictor(latents).memory, origins, horizon)[:, 0]


def recompute(predictor: ActionTransformer, latents: Latents, context: int, horizon: int) -> Tensor:
    """Run the whole prefix again for every step: (B, H, D)."""
    history, rolled = latents, []
    for _ in range(horizon):
        rolled.append(predictor(history).next_states[:, -1])
        states = torch.cat((history.states, rolled[-1][:, None]), dim=1)
        history = replace(history, states=states, mask=torch.ones(states.shape[:2], dtype=torch.bool))
    return torch.stack(rolled, dim=1)


def timed(compute: Callable[[], Tensor], repeats: int) -> tuple[Tensor, float]:
    """The result of `compute`, and the median of its wall times in seconds."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = compute()
        seconds.append(time.perf_counter() - start)
    return result, sorted(seconds)[len(seconds) // 2]


def table(result: dict[str, float]) -> str:
    return "\n".join(
        (
            f"rollout of {result['horizon']} steps from context {result['context']}, {result['batch']} windows, "
            f"{result['parameters']:,} parameters, one thread",
            f"  keeping keys and values    {result['keeping_seconds']:9.2f} s",
            f"  recomputing the history    {result['recomputing_seconds']:9.2f} s",
            f"  ratio                      {result['ratio']:9.1f}",
            f"  largest difference         {result['largest_difference']:9.1e}",
        )
    )


if __name__ == "__main__":
    sys.exit(main())
