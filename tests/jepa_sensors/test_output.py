"""What a run on sensors leaves behind speaks of sensors alone, whatever other plugins are installed beside."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from commands import environment
from jepa_core.plugin import discover
from warm import WarmProcess

CLINICAL = re.compile(
    r"(?<![a-z])(patient|icu|stay|mimic|qwen|clinical|hospital|sepsis|mortality|vital|medic|disease|nurse)", re.I
)
TINY = (
    "predictor.width=16", "predictor.layers=1", "predictor.heads=2", "predictor.feedforward=32", "encoder.width=16",
    "encoder.latent_size=16", "curriculum.predictor_warmup.steps=2", "curriculum.joint_refinement.steps=2",
    "curriculum.ema_alignment.steps=2", "curriculum.predictor_finalization.steps=2",
)  # fmt: skip


def recordings(path: Path, seed: int) -> Path:
    """A file of the layout of BasicMotions: 3 recordings an activity, of 6 channels and 100 samples."""
    random = np.random.default_rng(seed)
    lines = [
        ":".join([*(",".join(map(str, channel)) for channel in random.normal(size=(6, 100)).round(3)), activity])
        for activity in ("Standing", "Running", "Walking", "Badminton") * 3
    ]
    header = (
        "@problemName BasicMotions\n@timeStamps false\n@classLabel true Standing Running Walking Badminton\n@data\n"
    )
    path.write_text(header + "\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory, warm: WarmProcess) -> dict[str, str]:
    """Everything that a tiny run of basic_motions says and every text file that it writes, by name."""
    folder = tmp_path_factory.mktemp("sensors")
    train, test = (recordings(folder / f"{name}.ts", seed) for seed, name in enumerate(("train", "test")))
    data = (f"source.files={train}", f"source.split.held_out={test}")
    done = warm.run(["run", "basic_motions", "--out", str(folder / "run"), *data, *TINY], environment(), folder)
    assert done.returncode == 0, done.stderr
    files = [
        path for path in sorted((folder / "run").rglob("*")) if path.suffix in (".json", ".jsonl", ".yaml", ".html")
    ]
    files += sorted((folder / "run" / "tables").iterdir())
    written = {path.relative_to(folder).as_posix(): path.read_text() for path in files}
    return written | {"stdout": done.stdout, "stderr": done.stderr}


def test_a_run_on_sensors_speaks_no_clinical_word(output: dict[str, str]) -> None:
    assert {"run/report.html", "run/manifest.json", "run/findings/rollout_drift.json"} < output.keys()
    assert {name: CLINICAL.findall(text) for name, text in output.items() if CLINICAL.search(text)} == {}


def test_a_run_names_the_plugins_that_take_part_in_it_of_all_that_are_installed(output: dict[str, str]) -> None:
    named = {plugin["name"]: plugin["version"] for plugin in json.loads(output["run/manifest.json"])["plugins"]}
    assert named.keys() == {"jepa_channels", "jepa_clin", "jepa_latent_eval", "jepa_sensors"}
    installed = {plugin.name: plugin.version for plugin in discover().plugins}
    assert named.items() < installed.items() and any(CLINICAL.search(name) for name in installed)
