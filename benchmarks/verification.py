"""What it costs to find damage when a run opens its data, as a share of the whole run, in seconds of processor time.

    python benchmarks/verification.py [--recipe five_phases] [--most-share 0.03] [--json] [KEY=VALUE ...]
    python benchmarks/verification.py --finished RUN

Verification: the contents of everything sealed (the store, all its renderings, the model, the heads) read once and held
against the seals, with the files in the page cache; the mean of ROUNDS rounds. A run opens less than that: it has no
model yet. The run: the whole command on data that are prepared already, as a process of its own. With --finished, a run
that is there is read and not changed, and its cost is the seconds of its phases in `costs.json`: less than it took.
Exit code 1 if the share is above --most-share.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from jepa_core.results.record import read_costs
from jepa_core.runs.verification import verification_page, verify

ROUNDS = 5


def main() -> int:
    options = parse_options()
    if options.finished:
        phases = read_costs(options.finished / "costs.json").values()
        result = measured(options.finished, sum(phase["seconds"] for phase in phases))
    else:
        with tempfile.TemporaryDirectory() as folder:
            runs = ["--runs", folder, "runtime.threads=1", *options.overrides]
            seconds_of_command("prepare", options.recipe, *runs)
            seconds = seconds_of_command("run", options.recipe, *runs, "--out", f"{folder}/measured")
            result = measured(Path(folder) / "measured", seconds)
    print(
        json.dumps(result) if options.json else "\n".join(f"{name:<22} {value:14.6g}" for name, value in result.items())
    )
    return 0 if result["share"] <= options.most_share else 1


def seconds_of_command(*arguments: str) -> float:
    """Processor time of a command in a process of its own, the system's part included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "jepa_core", *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured(run: Path, run_seconds: float) -> dict[str, Any]:
    """The share of a whole run that verifying all of it takes."""
    page = verification_page(verify(run))  # brings the files into the page cache
    start = time.process_time()
    for _ in range(ROUNDS):
        verify(run)
    seconds = (time.process_time() - start) / ROUNDS
    files = sum(part["files"] for part in page["parts"])
    return {
        "files": files, "whole": page["whole"], "verification_seconds": seconds, "run_seconds": run_seconds,
        "share": seconds / run_seconds,
    }  # fmt: skip


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--recipe", default="five_phases")
    parser.add_argument("--finished", type=Path, metavar="RUN")
    parser.add_argument("--most-share", type=float, default=0.03)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
