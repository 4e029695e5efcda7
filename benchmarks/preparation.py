"""`jepa prepare` beside the least work on the same bytes, in processor time, each in a fresh process.

    python benchmarks/preparation.py MIMIC_IV           # a folder of the tables, such as the demo
    python benchmarks/preparation.py --stays 2000       # synthetic tables of as many stays

The least work is what nobody can leave out: with polars, which must be installed (`pip install polars`), decompress
and parse every table that is read, with the columns and types that are read of it, and group the events of the four
tables of measured values by admission, item and hour. It extracts nothing, joins nothing and writes nothing.

Imports count in both. Both run in turn, and the median counts. Exit code 1 if the ratio is above --most-ratio (5, for
the demo; 2.5 is wanted of large tables).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RECIPE = "clin_jepa"
GROUPED = {
    "icu/chartevents": ("stay_id", "charttime", "valuenum"),
    "icu/outputevents": ("stay_id", "charttime", "value"),
    "icu/inputevents": ("stay_id", "starttime", "amount"),
    "hosp/labevents": ("hadm_id", "charttime", "valuenum"),
}
"""Owner, time and value of the events of a table."""


def main() -> int:
    options = parse_options()
    if options.least:
        print(least_work(options.least))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        tables = options.tables or synthetic(Path(scratch) / "tables", options.stays)
        result = compare(tables, Path(scratch), options.rounds)
    print(json.dumps(result) if options.json else table(result))
    return int(result["ratio"] > options.most_ratio)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="?", type=Path, help="folder that holds hosp/ and icu/")
    parser.add_argument("--stays", type=int, default=200, help="size of the synthetic tables that are made without one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--most-ratio", type=float, default=5.0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--least", type=Path, help=argparse.SUPPRESS)  # the other process
    return parser.parse_args()


def synthetic(folder: Path, stays: int) -> Path:
    from jepa_mimic_iv.synthetic import write_tables

    write_tables(folder, stays, seed=0)
    return folder


def compare(tables: Path, scratch: Path, rounds: int) -> dict[str, float]:
    ours, least = [], []
    for number in range(rounds):
        runs = scratch / f"runs-{number}"
        prepare = ["-m", "jepa_core", "prepare", RECIPE, f"source.tables={tables.resolve()}", "--runs", str(runs)]
        ours.append(processor([*prepare, "--workers", "1", "--quiet"]))
        least.append(processor([__file__, "--least", str(tables)]))
    result = {"prepare_seconds": sorted(ours)[rounds // 2], "least_seconds": sorted(least)[rounds // 2]}
    return result | {"ratio": result["prepare_seconds"] / result["least_seconds"]}


def processor(arguments: list[str]) -> float:
    """Processor seconds of a fresh interpreter and its children. Raises CalledProcessError if it fails."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return used.ru_utime + used.ru_stime


def least_work(folder: Path) -> int:
    """Rows that were parsed, and groups that were made of them."""
    import polars as pl

    from jepa_mimic_iv.layout import MIMIC_IV

    types = {"BIGINT": pl.Int64, "INTEGER": pl.Int32, "DOUBLE": pl.Float64, "VARCHAR": pl.String}
    done = 0
    for name, columns in MIMIC_IV.columns.items():
        path = MIMIC_IV.find(folder, name)
        if path is None:
            continue
        plain = {column: types.get(kind, pl.String) for column, kind in columns.items()}
        if path.suffix == ".parquet":
            rows = pl.read_parquet(path, columns=list(columns))
        else:
            rows = pl.read_csv(path, columns=list(columns), schema_overrides=plain)
            rows = rows.with_columns(
                pl.col(column).str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)
                for column, kind in columns.items()
                if kind == "TIMESTAMP"
            )
        done += len(rows)
        if name in GROUPED:
            owner, time, value = GROUPED[name]
            hour = pl.col(time).dt.truncate("1h").alias("hour")
            done += len(rows.group_by(owner, "itemid", hour).agg(pl.col(value).mean(), pl.len()))
    return done


def table(result: dict[str, float]) -> str:
    return (
        f"jepa prepare   {result['prepare_seconds']:8.2f} s of processor time\n"
        f"least work     {result['least_seconds']:8.2f} s\n"
        f"ratio          {result['ratio']:8.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())
