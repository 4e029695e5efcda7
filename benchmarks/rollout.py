"""Rollout that keeps keys and values against recomputing the whole history at every step, on one thread.

    python benchmarks/rollout.py        # 48 steps from context 24, the paper's predictor, batch 16: about 4 minutes
    python benchmarks/rollout.py --batch 2 --layers 1 --width 128 --latent-dim 256 --feedforward 512 --least-ratio 1

Recomputing is what a predictor without memory has to do: append the predicted state and the next action, run the whole
prefix, take the last output. Both ways use the same layers, weights and inputs, and are timed in fp32.

Whether they are the same function is decided in fp64, on the first window, to 1e-5. In fp32 each feeds its own rounding
back for as many steps as it rolls out, so the fp32 difference is printed beside the distance of each way from fp64.

Exit code 1 if the fp64 rollouts differ by more than 1e-5 or the ratio is below --least-ratio.
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
    span = (options.context, options.horizon)
    with torch.no_grad():
        kept, kept_seconds = timed(lambda: roll_out(predictor, latents, *span), options.repeats)
        recomputed, recomputed_seconds = timed(lambda: recompute(predictor, latents, *span), 1)
        double, window = predictor.double(), first_window_in_double(latents)
        kept_double, recomputed_double = roll_out(double, window, *span), recompute(double, window, *span)
    result = {
        "parameters": predictor.config.size(options.latent_dim).parameters,
        "batch": options.batch,
        "context": options.context,
        "horizon": options.horizon,
        "keeping_seconds": kept_seconds,
        "recomputing_seconds": recomputed_seconds,
        "ratio": recomputed_seconds / kept_seconds,
        "difference_fp64": largest(kept_double - recomputed_double),
        "difference_fp32": largest(kept - recomputed),
        "keeping_from_fp64": largest(kept[:1] - kept_double),
        "recomputing_from_fp64": largest(recomputed[:1] - recomputed_double),
        "largest_value": largest(kept_double),
    }
    print(json.dumps(result) if options.json else table(result))
    return int(result["ratio"] < options.least_ratio or result["difference_fp64"] > TOLERANCE)


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
    return predictor.rollout(latents, predictor(latents).memory, origins, horizon).states[:, 0]


def recompute(predictor: ActionTransformer, latents: Latents, context: int, horizon: int) -> Tensor:
    """Run the whole prefix again for every step: (B, H, D)."""
    history, rolled = latents, []
    for _ in range(horizon):
        rolled.append(predictor(history).next_states[:, -1])
        states = torch.cat((history.states, rolled[-1][:, None]), dim=1)
        history = replace(history, states=states, mask=torch.ones(states.shape[:2], dtype=torch.bool))
    return torch.stack(rolled, dim=1)


def first_window_in_double(latents: Latents) -> Latents:
    static, states, actions = (part[:1].double() for part in (latents.static, latents.states, latents.actions))
    return Latents(static, states, actions, latents.mask[:1])


def largest(values: Tensor) -> float:
    """The largest absolute value."""
    return values.abs().max().item()


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
            f"  difference in fp64         {result['difference_fp64']:9.1e}  (at most {TOLERANCE:.0e} allowed)",
            f"  difference in fp32         {result['difference_fp32']:9.1e}  (values to {result['largest_value']:.1f})",
            f"    keeping from fp64        {result['keeping_from_fp64']:9.1e}",
            f"    recomputing from fp64    {result['recomputing_from_fp64']:9.1e}",
        )
    )


if __name__ == "__main__":
    sys.exit(main())
