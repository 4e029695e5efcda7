"""What the harness works on: a folder with a tiny recipe, a finished run of it, and what that run found."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import children

CANARY = "QXCANARYQX"
"""A word that stands in cells of raw data, and that no output may hold."""

RECIPE = """\
extends: five_phases
source: {use: oscillators, shortest: 20, longest: 30, trajectories: 30}
encoder: {use: mlp, width: 8, feedforward: 8, layers: 1, latent_size: 8}
predictor: {use: gru, width: 8}
windows: {length: 16, stride: 8, min_length: 4}
curriculum:
  - {use: predictor_warmup, steps: 3, batch_size: 4, objectives: [{use: grounding, windows: [[0, 1]]}]}
  - {use: joint_refinement, steps: 3, batch_size: 4}
evaluators: [{use: channel_forecast, context: 6, horizon: 4, least_values: 5, stride: 4, bootstrap: 100}]
runtime: {checkpoint_every: 2, threads: 1}
"""
PUSH = "acts:\n  - {channel: push, value: 2.0, unit: N, from: 6, to: 9}\n"


@dataclass(frozen=True)
class Scene:
    """folder: holds toy.yaml, new.json, push.yaml and runs/whole. findings: what the run found, by file."""

    folder: Path
    findings: dict[str, bytes]
    seconds: float

    @property
    def whole(self) -> Path:
        return self.folder / "runs" / "whole"


def findings_of(run: Path) -> dict[str, bytes]:
    """The findings of a run, byte by byte."""
    return {path.name: path.read_bytes() for path in sorted((run / "findings").glob("*.json"))}


def set_scene(folder: Path) -> Scene:
    """Write the recipe and make its run."""
    (folder / "toy.yaml").write_text(RECIPE)
    (folder / "push.yaml").write_text(PUSH)
    (folder / "new.json").write_text(json.dumps({"seed": 5, "trajectories": 8}))
    done = children.run(["run", "toy.yaml", "--out", "runs/whole", "--quiet"], folder)
    if done.code != 0:
        raise SystemExit(f"the run that all others are held against failed:\n{done.words}")
    return Scene(folder, findings_of(folder / "runs" / "whole"), done.seconds)
