"""Preparing synthetic MIMIC-IV of growing size: seconds by stage, peak memory, files, and the time for all of MIMIC-IV.

    python benchmarks/extraction.py [--stays 500 2000 8000] [--workers 2] [--memory 2GB] [--tables FOLDER] [--json]

The large tables are filled up to the rows that MIMIC-IV 3.1 has for each of its 94,458 stays (4,584 chart events), with
rows that extraction reads and does not keep: other items, other subjects. Each size is prepared in a process of its own
with workers of its own, whose peak resident memory is read when they end; making the tables is not timed, and
`--tables` keeps them. cpu s are the seconds of all processes on a core, which say more than the clock where others work
on the same machine; the last two columns scale both to all stays. Exit code 1 if the cpu time a row grows by more than
half from the smallest size to the largest, or a size needs more than 4 GiB: the first process or all workers at their
peaks, whichever is more.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import duckdb

from jepa_core.data.partitions import Each, join_partitions, local_workers, make_partitions, stage_once
from jepa_core.data.rendering import open_rendering
from jepa_core.data.store import Store, StoreWriter
from jepa_mimic_iv.config import MimicIVConfig
from jepa_mimic_iv.source import MimicIVSource
from jepa_mimic_iv.synthetic import write_tables

STAYS = 94_458
FILLED = {
    "icu/chartevents": (432_997_491, "itemid", "220046"),
    "hosp/labevents": (158_374_764, "subject_id", "1"),
    "hosp/emar": (42_808_593, "subject_id", "1"),
    "hosp/prescriptions": (20_292_611, "hadm_id", "1"),
}
"""Rows of the large tables of MIMIC-IV 3.1; the column and value by which extraction drops what fills one up."""
STAGES = ("staging", "partitions", "joining", "rendering")


def main() -> int:
    options = parse_options()
    if options.prepare:
        print(json.dumps(prepare(options.prepare, options.memory, options.workers)))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        results = [measure(options.tables or Path(scratch), stays, options) for stays in options.stays]
    slower = results[-1]["microseconds_per_row"] / results[0]["microseconds_per_row"]
    print(json.dumps({"sizes": results, "time_per_row_ratio": slower}) if options.json else table(results, slower))
    return 0 if slower <= 1.5 and max(result["peak_bytes"] for result in results) <= 4 << 30 else 1


def measure(folder: Path, stays: int, options: argparse.Namespace) -> dict[str, float]:
    tables = folder / f"tables-{stays}"
    if not tables.is_dir():
        write_tables(tables, stays, seed=0)
        for name, (rows, column, value) in FILLED.items():
            fill(tables / f"{name}.csv.gz", rows * stays // STAYS, column, value)
    command = [sys.executable, __file__, "--prepare", str(tables), "--memory", options.memory]
    command += ["--workers", str(options.workers)]
    answer = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    seconds = sum(answer[stage] for stage in STAGES)
    about = {"stays": stays, "seconds": seconds, "microseconds_per_row": 1e6 * answer["cpu_seconds"] / answer["rows"]}
    scale = STAYS / stays / 3600
    return answer | about | {"hours_for_all": seconds * scale, "cpu_hours_for_all": answer["cpu_seconds"] * scale}


def fill(path: Path, rows: int, column: str, value: str) -> None:
    """Add rows to a table, as a second member of its gzip file."""
    have = count_rows(path)
    if have >= rows:
        return
    more = path.with_name(f"more-{path.name}")
    duckdb.sql(
        f"COPY (SELECT * EXCLUDE (range) REPLACE ({value} AS {column}) FROM range({rows // have + 1}), "
        f"read_csv('{path}', all_varchar = true) LIMIT {rows - have}) TO '{more}' (HEADER false, COMPRESSION gzip)"
    )
    with path.open("ab") as file, more.open("rb") as addition:
        while piece := addition.read(1 << 20):
            file.write(piece)
    more.unlink()


def prepare(tables: Path, memory: str, workers: int) -> dict[str, float]:
    """Build and render the store, in this process and its workers, and measure."""
    config = MimicIVConfig(tables=str(tables), memory_limit=memory)
    source = MimicIVSource(config)
    with tempfile.TemporaryDirectory(dir=tables.parent) as scratch:
        folder, store_folder = Path(scratch) / "partitions", Path(scratch) / "store"
        clock = [time.perf_counter()]
        stage_once(source, folder)
        clock.append(time.perf_counter())
        with local_workers(workers) as each:
            watch = Watch(each)
            make_partitions(source, folder, watch)
        clock.append(time.perf_counter())
        with StoreWriter(store_folder, "mimic_iv", source.fingerprint()) as writer:
            join_partitions(source, folder, writer)
        clock.append(time.perf_counter())
        store = Store(store_folder)
        open_rendering(store, source, "text")
        clock.append(time.perf_counter())
        files = sum(path.is_file() for path in store_folder.rglob("*"))
    seconds = {stage: after - before for stage, before, after in zip(STAGES, clock, clock[1:], strict=False)}
    seconds["cpu_seconds"] = sum(os.times()[:4])
    own, worker = peak(), max(watch.peaks, default=0)
    counts = {"trajectories": len(store), "steps": int(store.steps.sum()), "files": files}
    counts["rows"] = sum(count_rows(file.path) for file in config.inputs())
    return seconds | counts | {"own_bytes": own, "worker_bytes": worker, "peak_bytes": max(own, workers * worker)}


class Watch:
    """Lets workers tell their peak memory with each partition."""

    def __init__(self, each: Each) -> None:
        self._each = each
        self.peaks: list[int] = []

    def __call__(self, make: Callable[[int], None], numbers: Iterable[int]) -> Iterator[None]:
        for counted in self._each(functools.partial(make_and_tell, make), numbers):
            self.peaks.append(counted)
            yield


def make_and_tell(make: Callable[[int], None], number: int) -> int:
    make(number)
    return peak()


def peak() -> int:
    """Peak resident bytes of this process; getrusage would count those of the process that started it too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def count_rows(path: Path) -> int:
    ((rows,),) = duckdb.sql(f"SELECT count(*) FROM read_csv('{path}', all_varchar = true)").fetchall()
    return rows


def table(results: list[dict[str, float]], slower: float) -> str:
    heads = (
        "stays",
        "rows",
        *(f"{stage} s" for stage in STAGES),
        "cpu s",
        "own GiB",
        "worker GiB",
        "files",
        "all h",
        "all cpu h",
    )
    lines = [" ".join(f"{head:>12}" for head in heads)]
    for result in results:
        cells = [f"{result['stays']:,}", f"{result['rows']:,}", *(f"{result[stage]:.1f}" for stage in STAGES)]
        cells += [f"{result['cpu_seconds']:.1f}"]
        cells += [f"{result[name] / 2**30:.2f}" for name in ("own_bytes", "worker_bytes")]
        cells += [f"{result['files']}", f"{result['hours_for_all']:.2f}", f"{result['cpu_hours_for_all']:.2f}"]
        lines.append(" ".join(f"{cell:>12}" for cell in cells))
    return "\n".join([*lines, f"cpu time a row, largest over smallest: {slower:.2f}"])


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stays", type=int, nargs="+", default=[500, 2000, 8000])
    parser.add_argument("--workers", type=int, default=2, help="processes that make partitions")
    parser.add_argument("--memory", default="2GB", help="memory limit given to reading and sorting")
    parser.add_argument("--tables", type=Path, help="folder in which the tables are kept, and found the next time")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
