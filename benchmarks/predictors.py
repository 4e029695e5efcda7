"""The predictor in both layouts beside LeWM's, at equal parameters, window and batch, on one thread.

    python benchmarks/predictors.py     # latents of 64, 0.63 M parameters, windows of 72 steps: about a minute

LeWM is the one of the package stable-worldmodel, run from the package's own files; install it beside
this project with

    pip install --no-deps stable-worldmodel einops

Only the two files of its world model are read, so nothing else that it depends on is needed. Without it our own figures
are printed, and that it is absent.

    step      a teacher-forced pass over 8 windows and its gradient, without an optimizer
    rollout   48 steps from 24 real ones, 16 windows; LeWM recomputes the whole history at every step, which is what its
              own rollout does if its history is as long as the window

Every way has the same dropout and gets the same latents. The ways are timed in turn, in processor time, and the median
counts. Exit code 1 if LeWM is there and our joined step costs more than 1.3 times its step, or our joined rollout is
less than 8 times faster than its rollout.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from jepa_clin.config import ActionTransformerConfig
from jepa_clin.predictor import ActionTransformer
from jepa_core.contracts import Latents

PEER = "stable-worldmodel"
LATENT, STEPS, CONTEXT, HORIZON = 64, 72, 24, 48
TRAINED_WINDOWS, ROLLED_WINDOWS = 8, 16
WIDTH, HEADS, FEEDFORWARD, DROPOUT = 128, 4, 512, 0.1
MOST_OF_A_STEP, LEAST_OF_A_ROLLOUT = 1.3, 8.0

Way = Callable[[], object]


def main() -> int:
    options = parse_options()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    models: dict[str, nn.Module] = {layout: ours(layout) for layout in ("interleaved", "joined")}
    steps = {name: our_step(model) for name, model in models.items()}
    rollouts = {name: our_rollout(model) for name, model in models.items()}
    if (package := peer_folder()) is not None:
        models["LeWM"] = lewm(package)
        steps["LeWM"], rollouts["LeWM"] = lewm_step(models["LeWM"]), lewm_rollout(models["LeWM"])
    result = {name: {"parameters": sum(p.numel() for p in model.parameters())} for name, model in models.items()}
    for title, ways in (("step_ms", steps), ("rollout_ms", rollouts)):
        for name, seconds in in_turn(ways, options.rounds).items():
            result[name][title] = 1000 * seconds
    print(json.dumps(result) if options.json else table(result))
    return int(missed(result))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="how often each way is timed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def latents(windows: int, steps: int, actions: int) -> Latents:
    states = torch.randn(windows, steps, LATENT)
    mask = torch.ones(windows, steps, dtype=torch.bool)
    return Latents(torch.randn(windows, LATENT), states, torch.randn(windows, actions, LATENT), mask)


def ours(layout: str) -> ActionTransformer:
    config = ActionTransformerConfig(
        layout=layout, width=WIDTH, layers=3, heads=HEADS, feedforward=FEEDFORWARD, max_steps=STEPS,
        dropout=DROPOUT, attention_dropout=0.0,
    )  # fmt: skip
    return ActionTransformer(config, LATENT)


def our_step(model: ActionTransformer) -> Way:
    given = latents(TRAINED_WINDOWS, STEPS, STEPS)
    return lambda: with_gradient(model.train(), lambda: model(given).next_states)


def our_rollout(model: ActionTransformer) -> Way:
    given = latents(ROLLED_WINDOWS, CONTEXT, STEPS)
    origins = torch.full((ROLLED_WINDOWS, 1), CONTEXT - 1)

    @torch.no_grad()
    def roll() -> Tensor:
        model.eval()
        return model.rollout(given, model(given).memory, origins, HORIZON).states

    return roll


def peer_folder() -> Path | None:
    """Where the peer's world models lie, if it is installed; its package is not imported, for that needs simulators."""
    try:
        installed = importlib.metadata.distribution(PEER)
    except importlib.metadata.PackageNotFoundError:
        return None
    return Path(str(installed.locate_file("stable_worldmodel/wm/lewm")))


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"lewm_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lewm(folder: Path) -> nn.Module:
    """LeWM on latents: no encoder, and actions that are latents already. Two of its blocks have the parameters of three
    of ours, because each has a map of its own for the actions."""
    predictor = load(folder / "module.py").Predictor(
        num_frames=STEPS, depth=2, heads=HEADS, mlp_dim=FEEDFORWARD, input_dim=LATENT, hidden_dim=WIDTH,
        output_dim=LATENT, dim_head=WIDTH // HEADS, dropout=DROPOUT,
    )  # fmt: skip
    return load(folder / "lewm.py").LeWM(nn.Identity(), predictor, nn.Identity())


def lewm_step(model: nn.Module) -> Way:
    given = latents(TRAINED_WINDOWS, STEPS, STEPS)
    return lambda: with_gradient(model.train(), lambda: model.predict(given.states, given.actions))


def lewm_rollout(model: nn.Module) -> Way:
    given = latents(ROLLED_WINDOWS, CONTEXT, STEPS)
    states, actions = given.states.unsqueeze(1), given.actions[:, :-1].unsqueeze(1)
    sizes = torch.zeros(ROLLED_WINDOWS, 1, CONTEXT, 1, 1, 1)  # of the images; it reads their number alone

    @torch.no_grad()
    def roll() -> Tensor:
        model.eval()
        return model.rollout({"pixels": sizes, "emb": states}, actions, history_size=STEPS)["predicted_emb"]

    assert roll().shape[2] == CONTEXT + HORIZON
    return roll


def with_gradient(model: nn.Module, predict: Callable[[], Tensor]) -> None:
    model.zero_grad()
    predict().abs().mean().backward()


def in_turn(ways: dict[str, Way], rounds: int) -> dict[str, float]:
    """Median processor time of each, in seconds, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            start = time.process_time()
            way()
            if number:
                seconds[name].append(time.process_time() - start)
    return {name: sorted(taken)[len(taken) // 2] for name, taken in seconds.items()}


def missed(result: dict[str, dict[str, float]]) -> bool:
    if "LeWM" not in result:
        return False
    mine, peer = result["joined"], result["LeWM"]
    slow = mine["step_ms"] > MOST_OF_A_STEP * peer["step_ms"]
    return slow or LEAST_OF_A_ROLLOUT * mine["rollout_ms"] > peer["rollout_ms"]


def table(result: dict[str, dict[str, float]]) -> str:
    lines = [f"{'':<14}{'parameters':>12}{'step':>12}{'rollout':>14}"]
    lines += [
        f"{name:<14}{row['parameters']:>12,}{row['step_ms']:>9.1f} ms{row['rollout_ms']:>11.1f} ms"
        for name, row in result.items()
    ]
    if "LeWM" not in result:
        return "\n".join([*lines, f"{PEER} is not installed: no figure of LeWM"])
    peer = result["LeWM"]
    for name in ("interleaved", "joined"):
        step = result[name]["step_ms"] / peer["step_ms"]
        rollout = peer["rollout_ms"] / result[name]["rollout_ms"]
        lines.append(f"{name}: a step costs {step:.2f} times LeWM's; the rollout is {rollout:.1f} times faster")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
