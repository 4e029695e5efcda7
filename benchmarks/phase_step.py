"""A step of one phase with this checkout and with another one, in processor time.

    python benchmarks/phase_step.py ../before                              # joint refinement of clin_jepa
    python benchmarks/phase_step.py ../before --phase predictor_warmup --steps 40 source.synthetic.stays=60
    MIMIC_IV=TABLES python benchmarks/phase_step.py ../before --recipe benchmarks/as_before.yaml \\
        --recipe-before clin_jepa

The last gives two builds the same work, where the recipe of today asks for more than it did.

The recipe is run without its evaluators, and with one step in every phase but the one that is asked for; that one is
run with --steps steps and with one, and the difference is divided by the steps between. So data, imports, the fit of
the encoder and the first use of everything count for nothing. Each run is a process of its own in an empty folder.

Exit code 1 if the ratio is above --most-ratio (0.5).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from flagship import HERE, command, recipes, run

PHASES = ("predictor_warmup", "joint_refinement", "ema_alignment", "predictor_finalization")


def main() -> int:
    options = parse_options()
    seconds = {checkout: step_seconds(checkout, options) for checkout in (options.before, HERE)}
    before, after = seconds[options.before], seconds[HERE]
    result = {"before_seconds": before, "after_seconds": after, "ratio": after / before}
    print(json.dumps(result) if options.json else table(options.phase, result))
    return int(result["ratio"] > options.most_ratio)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="another checkout, with its environment in .venv")
    parser.add_argument("overrides", nargs="*", help="keys of the recipe, as `jepa run` takes them")
    parser.add_argument("--recipe", default="clin_jepa", help="one with the five phases")
    parser.add_argument("--recipe-before", help="what the other checkout runs, if that is not --recipe")
    parser.add_argument("--phase", default="joint_refinement", choices=PHASES)
    parser.add_argument("--steps", type=int, default=31)
    parser.add_argument("--most-ratio", type=float, default=0.5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    options.before = options.before.resolve()
    options.recipes = recipes(options)
    if not command(options.before).is_file():
        parser.error(f"{command(options.before)} is missing: make the environment of that checkout as the README says")
    return options


def step_seconds(checkout: Path, options: argparse.Namespace) -> float:
    """Processor seconds of a step of the phase."""
    few, many = (
        run(
            checkout, options.recipes[checkout], [*steps(options.phase, count), "evaluators=[]", *options.overrides]
        ).processor
        for count in (1, options.steps)
    )  # fmt: skip
    return (many - few) / (options.steps - 1)


def steps(phase: str, count: int) -> list[str]:
    return [f"curriculum.{name}.steps={count if name == phase else 1}" for name in PHASES]


def table(phase: str, result: dict[str, float]) -> str:
    return (
        f"a step of {phase.replace('_', ' ')}\n"
        f"before {result['before_seconds']:8.3f} s of processor time\n"
        f"after  {result['after_seconds']:8.3f} s\n"
        f"ratio  {result['ratio']:8.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())
