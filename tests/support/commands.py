"""Running the command `jepa` in a process of its own, with plugins installed beside."""

from __future__ import annotations

import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

RECIPE = """\
# jepa run toy.yaml
# noisy oscillators
name: toy
seed: 1
source: {use: toy}
windows: {length: 12, stride: 4, min_length: 3}
encoder: {use: toy}
predictor: {use: toy}
curriculum:
  - {use: toy_fit, name: warm, steps: 6, batch_size: 4}
  - {use: toy_train, name: joint, steps: 12, batch_size: 4}
  - {use: toy_fit, name: sync}
  - {use: toy_fit, name: last, steps: 8, batch_size: 4}
evaluators:
  - use: toy
runtime: {checkpoint_every: 4, threads: 1}
"""


def install(folder: Path, name: str, entry_point: str) -> Path:
    """Lay down what an installed package leaves: metadata with an entry point of the group `jepa`."""
    info = folder / f"{name.replace('-', '_')}-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[jepa]\n{entry_point}\n")
    return folder


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "jepa_core", *map(str, arguments)]


def environment(*packages: Path, **variables: str) -> dict[str, str]:
    """The environment of a process that has `packages` installed besides the checkout."""
    given = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    paths = [*packages, Path(__file__).parent, REPOSITORY, REPOSITORY / "plugins", *given]
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1"} | variables
