"""A whole run of a recipe with this checkout and with another one, in processor time.

    python benchmarks/flagship.py ../before                 # clin_jepa twice, some minutes each
    python benchmarks/flagship.py ../before --recipe clin_jepa source.synthetic.stays=60
    python benchmarks/flagship.py ../before --recipe basic_motions --rounds 3
    MIMIC_IV=TABLES python benchmarks/flagship.py ../before --recipe benchmarks/as_before.yaml --recipe-before clin_jepa

The last gives two builds the same work, where the recipe of today asks for more than it did. A checkout is a folder
with its own environment in `.venv`. Each run is a process of its own in an empty folder; counted is what the process
and all its children take of the processor, in user and system mode, and the most memory of any of them. Rounds
alternate between the checkouts, and the median counts. Below stand the seconds of the phases and of the evaluators by
the clock, as each run notes them; they say where the time goes, and little else on a busy machine.

Exit code 1 if the ratio of processor time is above --most-ratio (0.5) or the memory has grown by more than a tenth.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
MORE_MEMORY = 1.1


@dataclass(frozen=True)
class Taken:
    """Processor seconds and the peak of memory in bytes of one run, and the seconds of its parts by the clock."""

    processor: float
    peak: int
    parts: dict[str, float]


def main() -> int:
    options = parse_options()
    runs: dict[Path, list[Taken]] = {options.before: [], HERE: []}
    for number in range(options.rounds):
        for checkout, taken in runs.items():
            taken.append(run(checkout, options.recipes[checkout], options.overrides))
            if not options.json:
                print(f"round {number + 1}, {checkout}: {taken[-1].processor:.1f} s")
    before, after = (median(taken) for taken in runs.values())
    ratio = after.processor / before.processor
    if options.json:
        print(json.dumps({"before": vars(before), "after": vars(after), "ratio": ratio}))
    else:
        print(table(before, after))
    return int(ratio > options.most_ratio or after.peak > MORE_MEMORY * before.peak)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="another checkout, with its environment in .venv")
    parser.add_argument("overrides", nargs="*", help="keys of the recipe, as `jepa run` takes them")
    parser.add_argument("--recipe", default="clin_jepa")
    parser.add_argument("--recipe-before", help="what the other checkout runs, if that is not --recipe")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--most-ratio", type=float, default=0.5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    options.before = options.before.resolve()
    options.recipes = recipes(options)
    for checkout in (options.before, HERE):
        if not command(checkout).is_file():
            parser.error(f"{command(checkout)} is missing: make the environment of that checkout as the README says")
    return options


def recipes(options: argparse.Namespace) -> dict[Path, str]:
    """The recipe that each checkout runs, from wherever it runs it."""
    recipe = str(Path(options.recipe).resolve()) if Path(options.recipe).is_file() else options.recipe
    return {HERE: recipe, options.before: options.recipe_before or recipe}


def command(checkout: Path) -> Path:
    return checkout / ".venv" / "bin" / "jepa"


def run(checkout: Path, recipe: str, overrides: list[str]) -> Taken:
    """Run the recipe in an empty folder and wait for it. Raises CalledProcessError if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [command(checkout), "run", recipe, *overrides], cwd=folder, stdout=subprocess.DEVNULL, stderr=sys.stderr
        )
        # Of this child and of all that it has waited for, unlike the sums over every child so far.
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)
        (run_folder,) = Path(folder).glob("runs/*-001")
        return Taken(used.ru_utime + used.ru_stime, used.ru_maxrss * kilobyte(), parts(run_folder))


def kilobyte() -> int:
    """The unit of `ru_maxrss`: bytes on macOS, kilobytes elsewhere."""
    return 1 if sys.platform == "darwin" else 1024


def median(taken: list[Taken]) -> Taken:
    """The run whose processor time is the median."""
    return sorted(taken, key=lambda timing: timing.processor)[len(taken) // 2]


def parts(made: Path) -> dict[str, float]:
    """Seconds of each phase and each evaluator of a run."""
    phases = json.loads((made / "costs.json").read_text())
    evaluators = json.loads((made / "manifest.json").read_text()).get("evaluated", {})
    return {name: cost["seconds"] for name, cost in {**phases, **evaluators}.items()}


def table(before: Taken, after: Taken) -> str:
    rows = [("processor time", before.processor, after.processor)]
    rows += [(name, before.parts[name], after.parts.get(name, 0.0)) for name in before.parts]
    lines = [f"{'':<28}{'before':>10}{'after':>10}{'ratio':>8}"]
    lines += [f"{name:<28}{old:>8.1f} s{new:>8.1f} s{new / old if old else 1:>8.2f}" for name, old, new in rows]
    peaks = f"{before.peak / 1e9:.2f} and {after.peak / 1e9:.2f} GB"
    return "\n".join([*lines, f"peak of memory: {peaks}"])


if __name__ == "__main__":
    sys.exit(main())
