"""The check that a user can repeat: derived columns against plain Python over the raw rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from jepa_core.data.store import StoreWriter
from jepa_mimic_iv.config import MimicIVConfig, SyntheticConfig
from jepa_mimic_iv.source import MimicIVSource

CHECK = Path(__file__).parents[2] / "benchmarks" / "definitions.py"


def stored(config: MimicIVConfig, folder: Path) -> Path:
    source, scratch = MimicIVSource(config), folder / "scratch"
    scratch.mkdir()
    about = {"options": config.model_dump(mode="json", by_alias=True)}
    with StoreWriter(folder / "store", "mimic_iv", source.fingerprint(), about) as writer:
        source.build(writer, scratch)
    return folder / "store"


def checked(store: Path, *options: str) -> tuple[int, dict[str, dict[str, float]]]:
    """Exit code, and the figures of each column."""
    command = [sys.executable, str(CHECK), str(store), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, {row["column"]: row for row in json.loads(done.stdout)}


def test_every_column_of_a_synthetic_store_agrees_with_plain_python(tmp_path):
    code, columns = checked(stored(MimicIVConfig(synthetic=SyntheticConfig(stays=12)), tmp_path))

    assert code == 0
    assert all(row["n"] == row["equal"] for row in columns.values())
    assert columns["sofa/sofa_24hours"]["n"] > 300 and columns["kdigo_stages/aki_stage"]["n"] > 100


def test_a_store_that_is_wrong_is_found(three_stays, tmp_path):
    for hour in range(1, 9):
        three_stays.urine(0, hour, 40)
    three_stays.chart(0, -0.01, 226512, 100)
    three_stays.lab(0, 2, 50885, 1.3)
    store = stored(MimicIVConfig(tables=str(three_stays.write(tmp_path / "tables"))), tmp_path)
    assert checked(store)[0] == 0
    three_stays.rows["icu/chartevents"][-1].update(valuenum=50)
    three_stays.rows["hosp/labevents"][-1].update(valuenum=2.1)
    three_stays.write(tmp_path / "tables")

    code, columns = checked(store)

    wrong = {name for name, row in columns.items() if row["n"] != row["equal"]}
    rates = {f"urine_output_rate/{name}" for name in ("uo_mlkghr_6hr", "weight")}
    stages = {f"kdigo_stages/{name}" for name in ("aki_stage", "aki_stage_smoothed", "aki_stage_uo")}
    assert code == 1
    assert wrong == rates | stages | {"sofa/liver_24hours", "sofa/sofa_24hours"}
