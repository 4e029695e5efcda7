"""How near plans made with a model come to plans made with what made the data.

    python benchmarks/planning.py RUN [--trajectories 60] [--at 16] [--horizon 13] [--goal FILE] [--risk 1]
                                   [--away SEED] [--json]

RUN is a run whose source can be run on under chosen acts, such as `jepa run oscillators_planning`. For trajectories of
another seed, which the run has never seen, one search, with the same draws, looks for the plan of least cost with

    model     the run's model, which sees the first steps as they were recorded, with errors of measurement and gaps
    truth     the generator itself, which knows the state that they come from

and both plans, and doing nothing, are then carried out by the generator: what is compared are true costs. Intervals are
95 %, percentile, over redrawn subjects; ratios are of mean costs. Without a goal an oscillator is to come to 0.5 m and
to stay there, with little push.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import jepa_core
from jepa_core.contracts import Simulator
from jepa_core.errors import JepaError, RecipeError
from jepa_core.model.data import Data
from jepa_core.model.goals import Goal, goal_of, read_goal
from jepa_core.model.model import Model
from jepa_core.model.searching import Search
from jepa_core.model.steering import ImaginedCosts, Steering
from jepa_core.results.statistics import bootstrap_subjects, percentile_interval

DRAWS = 2000
AWAY = 10_000
"""Added to the seed of the run's source: the trajectories are new ones, which no split of the run holds."""


def main() -> int:
    options = parse_options()
    try:
        print_page(measure(options), options.json)
    except JepaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--trajectories", type=int, default=60)
    parser.add_argument("--away", type=int, default=AWAY, metavar="SEED", help="added to the seed of the run's source")
    parser.add_argument("--at", type=int, default=16)
    parser.add_argument("--horizon", type=int, default=13)
    parser.add_argument("--goal", type=Path, metavar="FILE")
    parser.add_argument("--risk", type=float, default=1.0)
    parser.add_argument("--method", choices=("cem", "mppi"), default="cem")
    parser.add_argument("--plans", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def default_goal(at: int, horizon: int) -> Goal:
    """To come to 0.5 m and stay there for the second half of the horizon."""
    return goal_of({
        "cost": [
            {"use": "target", "channel": "position", "value": 0.5, "from": at + horizon // 2},
            {"use": "effort", "channel": "push", "weight": 0.02},
        ],
        "limits": [{"channel": "push", "low": -2.5, "high": 2.5, "unit": "N"}],
    })  # fmt: skip


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Costs of the three ways, and their ratios."""
    model = jepa_core.load(options.run, device="cpu")
    data, simulator = new_trajectories(model, options.trajectories, options.away)
    goal = default_goal(options.at, options.horizon) if options.goal is None else read_goal(options.goal)
    how = Search(method=options.method, plans=options.plans, rounds=options.rounds)
    asked = Steering(goal, options.at, options.horizon, options.risk, how)
    chosen = np.flatnonzero(data.steps >= options.at)[: options.trajectories]
    rows = [true_costs(model, data, simulator, asked, run_on) for run_on in data.dataset.store.each(chosen)]
    costs = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    subjects = data.dataset.store.subject[chosen]
    return {
        "run": model.record["name"],
        "members": len(model.frozen.apart()),
        "trajectories": len(chosen),
        "subjects": len(np.unique(subjects)),
        "goal": goal.told(),
        "costs": {name: estimate(cost, np.ones(len(cost)), subjects) for name, cost in costs.items()},
        "model over truth": estimate(costs["model"], costs["truth"], subjects),
        "nothing over model": estimate(costs["nothing"], costs["model"], subjects),
    }


def new_trajectories(model: Model, count: int, away: int) -> tuple[Data, Simulator]:
    """Trajectories of another seed, and what made them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys.json"
        seed = getattr(model.source_config, "seed", 0) + away
        path.write_text(json.dumps({"seed": seed, "trajectories": count}))
        data = model.read(path)
    simulator = data.source.simulator()
    if simulator is None:
        raise RecipeError(f"the source of {model!r} cannot be run on; give a run on made data")
    return data, simulator


def true_costs(
    model: Model, data: Data, simulator: Simulator, asked: Steering, one: tuple[int, Any]
) -> dict[str, float]:
    """True costs of a trajectory's plans."""
    trajectory, alone = one

    def truth(plans: np.ndarray) -> np.ndarray:
        acts = [asked.acts(plan) for plan in plans]
        values = simulator.simulate(np.repeat(alone.identifier, len(plans)), acts, asked.at, asked.horizon)
        return asked.goal.costs(values, plans, asked.at)

    plans = {
        "model": asked.find(ImaginedCosts(model, data, trajectory, alone, asked), trajectory).chosen,
        "truth": asked.find(truth, trajectory).chosen,
        "nothing": np.zeros((asked.horizon - 1, len(asked.goal.limits))),
    }
    return {name: float(truth(plan[None])[0]) for name, plan in plans.items()}


def estimate(above: np.ndarray, below: np.ndarray, subjects: np.ndarray) -> dict[str, float]:
    """A ratio of sums over trajectories, with its interval."""
    draws = bootstrap_subjects(np.stack([above, below], axis=1), subjects, DRAWS, 0)
    low, high = percentile_interval(draws[:, 0] / draws[:, 1])
    return {"value": float(above.sum() / below.sum()), "low": float(low), "high": float(high)}


def print_page(page: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(page, indent=1))
        return
    print(f"{page['run']}: {page['trajectories']} new trajectories of {page['subjects']} subjects, {page['goal']}")
    rows = {f"cost, plan of {name}": costs_of for name, costs_of in page["costs"].items()}
    for name, cost in (rows | {key: page[key] for key in ("model over truth", "nothing over model")}).items():
        print(f"{name:24} {cost['value']:.3f}  ({cost['low']:.3f} to {cost['high']:.3f})")


if __name__ == "__main__":
    sys.exit(main())
