"""Tries to break `jepa`: random kills of its commands, inputs changed at random, keys at their largest and
least values. 1 if anything was found.

python tests/hostile --kills 200 --inputs 1500 --keys 868 --seed 1 --log hostile.jsonl
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # one thread, so that a fork has all of them
os.environ["OPENBLAS_NUM_THREADS"] = "1"
REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(REPOSITORY), str(REPOSITORY / "plugins")]

from inputs import change_once  # noqa: E402 - of the folder that was just added
from keys import sweep_once  # noqa: E402
from kills import kill_once  # noqa: E402
from scene import Scene  # noqa: E402

COMMANDS_IMPORT = (
    "torch._dynamo", "pandas", "duckdb", "pyarrow.dataset", "matplotlib.figure", "matplotlib.backends.backend_svg",
    "sklearn.linear_model", "sklearn.preprocessing", "lightgbm", "scipy.stats", "rich.progress", "ruamel.yaml",
    "jepa_core.cli.comparing", "jepa_core.cli.predicting", "jepa_core.cli.reading", "jepa_core.cli.writing",
    "jepa_core.runs.pipeline", "jepa_core.runs.reevaluation",
)  # fmt: skip


def import_once() -> None:
    """Import what commands import, before anything is forked: it is half of the time that a small one takes."""
    for name in COMMANDS_IMPORT:
        importlib.import_module(name)
    from jepa_core.plugin import shared_registry

    shared_registry()


def main() -> int:
    """Do all that is asked, and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--inputs", type=int, default=1500)
    parser.add_argument("--keys", type=int, default=0, help="868 are all of them, twice")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first, to do one again")
    parser.add_argument("--log", type=Path, default=Path(os.devnull), help="a line of JSON for each")
    asked = parser.parse_args()
    import_once()
    counts = {"kills": 0, "inputs": 0, "keys": 0, "faults": 0}
    parts = (("kills", asked.kills, kill_once), ("inputs", asked.inputs, change_once), ("keys", asked.keys, sweep_once))
    with tempfile.TemporaryDirectory() as held, asked.log.open("w") as log:
        scene = Scene(Path(held))
        for kind, times, once in parts:
            for number in range(asked.first, asked.first + times):
                told = once(scene, random.Random(f"{asked.seed} {kind} {number}"), number)
                counts[kind] += 1
                counts["faults"] += bool(told.faults)
                log.write(json.dumps({"kind": kind, "seed": asked.seed, "number": number, **asdict(told)}) + "\n")
                log.flush()
                for fault in told.faults:
                    print(f"{kind} {number}, {told.what}, {told.how}: {fault}", flush=True)
    print(json.dumps(counts))
    return 1 if counts["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
