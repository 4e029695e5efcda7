"""Predictors of one size on long windows: a forward and a backward pass, on one thread.

    python benchmarks/long_windows.py       # latents of 64, windows of 512 steps, the flagship's predictor: a minute

The transformer of the flagship (width 128, 3 layers, feed-forward 512) is the measure; the others are sized to it
within 2 %, as `match` in a recipe does. Every one gets the same latents, 2 windows, and no dropout. They are timed in
turn, in processor time, and the fastest round counts: what else runs on the machine only slows. Exit code 1 if the
state-space predictor takes more than half of the transformer's time.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import torch

from jepa_clin.config import ActionTransformerConfig, GruConfig
from jepa_clin.further_config import RssmConfig, StateSpaceConfig
from jepa_clin.gru import Gru
from jepa_clin.predictor import ActionTransformer
from jepa_clin.rssm import Rssm
from jepa_clin.state_space import StateSpace
from jepa_core.config import PredictorConfig
from jepa_core.contracts import Latents, Predictor
from jepa_core.recipe.matching import match_size

LATENT, WINDOWS = 64, 2
MOST = 0.5
"""Of the transformer's time that the state-space predictor may take."""
OTHERS: dict[str, tuple[PredictorConfig, type[Predictor]]] = {
    "state_space": (StateSpaceConfig(), StateSpace),
    "gru": (GruConfig(), Gru),
    "rssm": (RssmConfig(), Rssm),
}


def main() -> int:
    options = parse_options()
    torch.set_num_threads(1)
    models = made(options.steps)
    given = latents(options.steps)
    seconds = in_turn(models, given, options.rounds)
    measure = seconds["action_transformer"]
    result = {
        name: {
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "seconds": seconds[name],
            "of_the_transformer": seconds[name] / measure,
        }
        for name, model in models.items()
    }
    print(json.dumps(result) if options.json else table(result, options.steps))
    return int(result["state_space"]["of_the_transformer"] > MOST)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=512, help="steps of a window")
    parser.add_argument("--rounds", type=int, default=7, help="how often each predictor is timed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def made(steps: int) -> dict[str, Predictor]:
    """The transformer, and the others sized to it."""
    config = ActionTransformerConfig(
        width=128, layers=3, heads=4, feedforward=512, max_steps=steps, dropout=0.0, attention_dropout=0.0
    )
    wanted = config.size(LATENT).parameters
    torch.manual_seed(0)
    models: dict[str, Predictor] = {"action_transformer": ActionTransformer(config, LATENT)}
    for name, (other, build) in OTHERS.items():
        sized = match_size(other, (), wanted, lambda candidate: candidate.size(LATENT).parameters)
        models[name] = build(other.model_copy(update=sized), LATENT)  # type: ignore[call-arg]
    return models


def latents(steps: int) -> Latents:
    states, actions = torch.randn(2, WINDOWS, steps, LATENT)
    return Latents(torch.randn(WINDOWS, LATENT), states, actions, torch.ones(WINDOWS, steps, dtype=torch.bool))


def in_turn(models: dict[str, Predictor], given: Latents, rounds: int) -> dict[str, float]:
    """Least processor time of each, in seconds, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for number in range(rounds + 1):
        for name, model in models.items():
            start = time.process_time()
            model.zero_grad()
            model(given).next_states.abs().mean().backward()
            if number:
                seconds[name].append(time.process_time() - start)
    return {name: min(taken) for name, taken in seconds.items()}


def table(result: dict[str, dict[str, float]], steps: int) -> str:
    lines = [f"{WINDOWS} windows of {steps} steps{'parameters':>18}{'forward and backward':>24}"]
    for name, row in result.items():
        taken = f"{1000 * row['seconds']:.0f} ms"
        lines.append(f"{name:<24}{int(row['parameters']):>18,}{taken:>15}  {row['of_the_transformer']:.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
