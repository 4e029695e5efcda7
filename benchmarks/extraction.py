"""Extraction of synthetic MIMIC-IV tables of growing size: rows a second, seconds a stay, peak memory.

    python benchmarks/extraction.py [--stays 200 2000] [--memory 2GB] [--json]

Each size is extracted in a process of its own, whose peak resident memory is read when it ends; making the tables is
not timed. Rows are those of the table files that extraction reads. Exit code 1 if the time a row grows by more than
half from the smallest size to the largest, or the largest size needs more than 4 GiB.
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

import duckdb

from jepa_core.pipeline import open_store
from jepa_mimic_iv.config import MimicIVConfig
from jepa_mimic_iv.source import MimicIVSource
from jepa_mimic_iv.synthetic import write_tables


def main() -> int:
    options = parse_options()
    if options.extract:
        print(json.dumps(extract(options.extract, options.memory)))
        return 0
    results = [measure(stays, options.memory) for stays in options.stays]
    slower = results[-1]["microseconds_per_row"] / results[0]["microseconds_per_row"]
    print(json.dumps({"sizes": results, "time_per_row_ratio": slower}) if options.json else table(results, slower))
    return 0 if slower <= 1.5 and results[-1]["peak_bytes"] <= 4 << 30 else 1


def measure(stays: int, memory: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        write_tables(Path(folder) / "tables", stays, seed=0)
        command = [sys.executable, __file__, "--extract", folder, "--memory", memory]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
    rows, seconds = found["rows"], found["seconds"]
    return found | {"stays": stays, "rows_per_second": rows / seconds, "microseconds_per_row": 1e6 * seconds / rows}


def extract(folder: Path, memory: str) -> dict[str, float]:
    """Build the store and count, in this process."""
    config = MimicIVConfig(tables=str(folder / "tables"), memory_limit=memory)
    start = time.perf_counter()
    store = open_store(MimicIVSource(config), "mimic_iv", folder / "stores")
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    files = sum(path.is_file() for path in store.path.rglob("*"))
    rows = sum(count_rows(one.path) for one in config.inputs())
    return {
        "rows": rows,
        "seconds": seconds,
        "peak_bytes": peak,
        "trajectories": len(store),
        "steps": int(store.steps.sum()),
        "files": files,
    }


def count_rows(path: Path) -> int:
    return duckdb.sql(f"SELECT count(*) FROM read_csv('{path}', all_varchar = true)").fetchall()[0][0]


def table(results: list[dict[str, float]], slower: float) -> str:
    lines = [f"{'stays':>7} {'rows':>11} {'seconds':>9} {'rows/s':>10} {'peak GiB':>9} {'files':>6}"]
    lines += [
        f"{one['stays']:>7} {one['rows']:>11,} {one['seconds']:>9.1f} {one['rows_per_second']:>10,.0f} "
        f"{one['peak_bytes'] / 2**30:>9.2f} {one['files']:>6}"
        for one in results
    ]
    return "\n".join([*lines, f"time a row, largest over smallest: {slower:.2f}"])


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stays", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--memory", default="2GB", help="memory limit given to the extraction")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--extract", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
