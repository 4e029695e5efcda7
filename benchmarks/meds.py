"""Preparing a MEDS data set copied to growing size: events a second, peak memory of preparing and of inspecting.

    python benchmarks/meds.py /path/to/mimic-iv-demo-meds [--copies 1 5 20] [--json]

Each copy has subjects of its own. Each size is prepared with the recipe clin_jepa_meds, and then inspected, each in a
process of its own, whose peak resident memory is read when it ends. Exit code 1 if the time an event grows by more than
half from the smallest size to the largest, or the peak by more than half from the second size to the largest.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jepa_core.data.inspection import inspect_store
from jepa_core.data.preparation import prepare_data
from jepa_core.data.store import Store
from jepa_core.plugin import shared_registry
from jepa_core.recipe import load_recipe

SPLITS = "metadata/subject_splits.parquet"


def main() -> int:
    options = parse_options()
    if options.work:
        print(json.dumps(inspect(options.data) if options.work == "inspect" else prepare(options.data)))
        return 0
    results = [measure(options.data, copies) for copies in options.copies]
    print(json.dumps(results) if options.json else table(results))
    slower = results[-1]["microseconds_per_event"] / results[0]["microseconds_per_event"]
    larger = results[-1]["peak_bytes"] / results[min(1, len(results) - 1)]["peak_bytes"]
    return 0 if slower <= 1.5 and larger <= 1.5 else 1


def measure(data: Path, copies: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch:
        copy(data, copies, Path(scratch) / "meds")
        measured_alone = run_alone("prepare", Path(scratch) / "meds")
        looked = run_alone("inspect", Path(measured_alone.pop("store")))
    return (
        measured_alone
        | looked
        | {"copies": copies, "microseconds_per_event": 1e6 * measured_alone["seconds"] / measured_alone["events"]}
    )


def run_alone(work: str, path: Path) -> dict[str, float]:
    command = [sys.executable, __file__, str(path), "--work", work]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def copy(data: Path, copies: int, place: Path) -> None:
    """Write a data set several times over, under new subject numbers."""
    shutil.copytree(data / "metadata", place / "metadata")
    files = sorted((data / "data").rglob("*.parquet"))
    splits = pq.read_table(data / SPLITS)
    offset = pc.max(splits["subject_id"]).as_py() + 1
    for number in range(copies):
        for file in files:
            target = place / file.relative_to(data).with_suffix(f".{number}.parquet")
            target.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(moved(pq.read_table(file), number * offset), target)
    pq.write_table(pa.concat_tables([moved(splits, number * offset) for number in range(copies)]), place / SPLITS)


def moved(rows: pa.Table, offset: int) -> pa.Table:
    column = rows.column_names.index("subject_id")
    return rows.set_column(column, "subject_id", pc.add(rows["subject_id"], pa.scalar(offset, pa.int64())))


def prepare(data: Path) -> dict[str, float | str]:
    recipe = load_recipe("clin_jepa_meds", [], shared_registry(), {"MEDS": str(data)})
    start = time.perf_counter()
    summary = prepare_data(recipe, data / "stores").summary()
    seconds = time.perf_counter() - start
    events = sum(
        pq.read_metadata(file.path).num_rows for file in recipe.source.config.inputs() if "data" in file.path.parts
    )
    counts = {name: summary[name] for name in ("store", "subjects", "trajectories", "steps")}
    return counts | {"events": events, "seconds": seconds, "peak_bytes": peak()}


def inspect(store: Path) -> dict[str, float]:
    start = time.perf_counter()
    inspect_store(Store(store))
    return {"inspect_seconds": time.perf_counter() - start, "inspect_peak_bytes": peak()}


def peak() -> int:
    """Peak resident bytes of this process; getrusage would count those of the process that started it too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def table(results: list[dict[str, float]]) -> str:
    heads = ("subjects", "events", "trajectories", "steps", "seconds", "events/s", "peak MiB", "inspect s", "peak MiB")
    lines = ["  ".join(f"{head:>12}" for head in heads)]
    for result in results:
        cells = [f"{result[name]:,}" for name in ("subjects", "events", "trajectories", "steps")]
        cells += [
            f"{result['seconds']:.1f}",
            f"{result['events'] / result['seconds']:,.0f}",
            f"{result['peak_bytes'] / 2**20:,.0f}",
        ]
        cells += [f"{result['inspect_seconds']:.1f}", f"{result['inspect_peak_bytes'] / 2**20:,.0f}"]
        lines.append("  ".join(f"{cell:>12}" for cell in cells))
    return "\n".join(lines)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of a MEDS data set that the recipe clin_jepa_meds fits")
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--work", choices=["prepare", "inspect"], help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
