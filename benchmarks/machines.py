"""Which findings of a run stay to the bit where threads or the kernels of linear algebra are others.

    python benchmarks/machines.py OUT [--recipe clin_jepa] [--only NAME ...] [KEY=VALUE ...]

The whole way, from raw data to findings, is run in a process of its own for each variant: 1 thread (twice), 2 and 4
threads, and with 1 thread the kernels of three processors, of NumPy's OpenBLAS and PyTorch's MKL and ATen alike. A run
that is in OUT already is not made again. Told is for each variant, beside the first: whether store and rendering,
trained weights and findings are the same to the bit; how many of the numbers in the findings are; the largest
difference, over the larger of the two and over 1; and the first step whose logged loss differs. Exit code 1 if the
second run of the first variant differs in anything.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jepa_core.data.store import Store


@dataclass(frozen=True)
class Variant:
    """threads: of the source and of training. environment: what chooses kernels."""

    threads: int = 1
    environment: dict[str, str] = field(default_factory=dict)


def kernels(openblas: str, mkl: str, aten: str) -> dict[str, str]:
    return {"OPENBLAS_CORETYPE": openblas, "MKL_CBWR": mkl, "ATEN_CPU_CAPABILITY": aten}


VARIANTS = {
    "1 thread": Variant(),
    "1 thread, again": Variant(),
    "2 threads": Variant(2),
    "4 threads": Variant(4),
    "Nehalem": Variant(1, kernels("Nehalem", "COMPATIBLE", "default")),
    "Haswell": Variant(1, kernels("Haswell", "AVX2", "avx2")),
    "SkylakeX": Variant(1, kernels("SkylakeX", "AVX512", "avx512")),
}
FIRST = "1 thread"
TIMED = ("cost", "environment", "seconds", "peak_bytes")
"""Parts of a run that tell of the machine and not of the data."""


def main() -> int:
    options = parse_options()
    chosen = [name for name in VARIANTS if name in (FIRST, *(options.only or VARIANTS))]
    folders = {name: made(options, name) for name in chosen}
    rows = {name: compared(folders[FIRST], folders[name]) for name in chosen if name != FIRST}
    print(json.dumps(rows, indent=1) if options.json else table(rows))
    again = rows.get("1 thread, again")
    return int(again is not None and not (again["weights"] and again["findings"]))


def made(options: argparse.Namespace, name: str) -> Path:
    """The folder of a variant's run."""
    variant, run_folder = VARIANTS[name], options.out / name.replace(" ", "-").replace(",", "")
    run = run_folder / "run"
    if not (run / "report.html").is_file():
        command = [sys.executable, "-m", "jepa_core", "run", options.recipe, "--quiet", "--runs", str(run_folder)]
        command += ["--out", str(run), f"source.threads={variant.threads}", f"runtime.threads={variant.threads}"]
        threads = {"OMP_NUM_THREADS": str(variant.threads), "OPENBLAS_NUM_THREADS": str(variant.threads)}
        subprocess.run(command + options.overrides, check=True, env={**os.environ, **threads, **variant.environment})
    return run_folder


def compared(one: Path, other: Path) -> dict[str, Any]:
    stores = [contents(run_folder / "stores") for run_folder in (one, other)]
    numbers = [dict(figures(run_folder / "run")) for run_folder in (one, other)]
    shared = numbers[0].keys() & numbers[1].keys()
    apart = [distance(numbers[0][name], numbers[1][name]) for name in shared]
    return {
        "store": stores[0] == stores[1],
        "weights": digest(one / "run/model.safetensors") == digest(other / "run/model.safetensors"),
        "findings": numbers[0] == numbers[1],
        "numbers": len(numbers[0].keys() | numbers[1].keys()),
        "equal": sum(value == 0 for value in apart),
        "most": max(apart, default=math.nan),
        "first_step": first_difference(one / "run", other / "run"),
        "headlines": headlines(numbers[0], numbers[1]),
    }


def contents(stores: Path) -> list[str]:
    return sorted(Store(path).content for path in stores.iterdir() if "." not in path.name)


def figures(run: Path) -> Iterator[tuple[str, float | str]]:
    """Every number and word of the findings, by where it stands."""
    for path in sorted((run / "findings").glob("*.json")):
        yield from leaves(json.loads(path.read_text()), path.stem)


def leaves(value: Any, where: str) -> Iterator[tuple[str, float | str]]:
    if isinstance(value, dict):
        for key, part in value.items():
            if key not in TIMED:
                yield from leaves(part, f"{where}.{key}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from leaves(part, f"{where}.{index}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield where, float(value)
    else:
        yield where, str(value)


def distance(one: float | str, other: float | str) -> float:
    """0 for what is the same; words that differ, and NaN on one side alone, count as 1."""
    if one == other:
        return 0.0
    if isinstance(one, str) or isinstance(other, str):
        return 1.0
    if math.isnan(one) or math.isnan(other):
        return 0.0 if math.isnan(one) and math.isnan(other) else 1.0
    return abs(one - other) / max(abs(one), abs(other), 1.0)


def headlines(one: dict[str, float | str], other: dict[str, float | str]) -> dict[str, tuple[float | str, float | str]]:
    """Headline numbers that are not the same, from the marks of the headline figures."""
    names = [name for name in one if ".marks." in name and name.endswith(".value")]
    return {name: (one[name], other[name]) for name in names if name in other and one[name] != other[name]}


def first_difference(one: Path, other: Path) -> int | None:
    """The first logged step, of all, whose loss differs."""
    logs = [[json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in (one, other)]
    return next((a["total_step"] for a, b in zip(*logs, strict=True) if a["terms"] != b["terms"]), None)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def table(rows: dict[str, dict[str, Any]]) -> str:
    heads = f"{'store':>7}{'weights':>9}{'findings':>10}{'equal numbers':>16}{'most':>10}{'from step':>11}"
    lines = [f"{'beside 1 thread':<18}{heads}"]
    for name, row in rows.items():
        same = ["same" if row[key] else "other" for key in ("store", "weights", "findings")]
        share, step = f"{row['equal']} of {row['numbers']}", "none" if row["first_step"] is None else row["first_step"]
        lines.append(f"{name:<18}{same[0]:>7}{same[1]:>9}{same[2]:>10}{share:>16}{row['most']:>10.2g}{step:>11}")
    return "\n".join(lines)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the runs")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="changes to the recipe")
    parser.add_argument("--recipe", default="clin_jepa")
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), help="variants, beside the first")
    parser.add_argument("--json", action="store_true")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    sys.exit(main())
