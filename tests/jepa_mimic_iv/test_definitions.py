"""The check that a user can repeat: derived columns against plain Python over the raw rows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    read = {"weight/weight", "enzyme/bilirubin_total", "label_total_bilirubin", "label_sofa_total"}
    rates = {f"urine_output_rate/{name}" for name in ("uo_mlkghr_6hr", "weight")}
    stages = {f"kdigo_stages/{name}" for name in ("aki_stage", "aki_stage_smoothed", "aki_stage_uo", "uo_rt_6hr")}
    assert code == 1
    assert wrong == read | rates | stages | {"sofa/liver_24hours", "sofa/sofa_24hours"}


def test_what_the_demo_lacks_agrees_with_plain_python_too(three_stays, clock, tmp_path):
    dialyse(three_stays)
    breathe_and_relax(three_stays)
    add_laboratory(three_stays)
    add_earlier_admission(three_stays, clock)
    store = stored(MimicIVConfig(tables=str(three_stays.write(tmp_path / "tables"))), tmp_path)

    code, columns = checked(store)

    assert {name: row for name, row in columns.items() if row["n"] != row["equal"]} == {}
    assert code == 0
    counts = {name: row["n"] for name, row in columns.items()}
    assert counts["rrt/dialysis_type"] == 10 and counts["neuroblock/drug_amount"] == 3
    assert counts["blood_differential/neutrophils_abs"] == 2 and counts["demographics/charlson"] == 1
    assert counts["bg/aado2_calc"] == 1 and counts["invasive_line/line_site"] == 2


def test_a_column_that_is_not_recomputed_differs(three_stays, tmp_path):
    three_stays.order(0, 2, "Aspirin", dose_val_rx="81", dose_unit_rx="mg", route="PO")
    tables = three_stays.write(tmp_path / "tables")
    store = stored(MimicIVConfig(tables=str(tables)), tmp_path)
    three_stays.rows["hosp/prescriptions"].clear()
    three_stays.write(tables)

    code, columns = checked(store)

    assert (code, columns["prescriptions (1 channels)"]["equal"]) == (1, 0)


def dialyse(tables: Any) -> None:
    """Every way in which dialysis is charted, two at a time among them."""
    tables.chart(0, 3.0, 227290, None, "CVVHDF")
    tables.chart(0, 3.0, 224146, None, "Active")
    tables.chart(0, 3.0, 224146, None, "Clots Present")
    tables.chart(0, 3.2, 226457, 100)
    tables.chart(0, 4.0, 225965, None, "In use")
    tables.chart(0, 4.5, 226499, 800)
    tables.procedure(0, 5.5, 7.5, 225441)
    tables.procedure(0, 7.0, 9.0, 224270, location="Left Femoral.")
    tables.procedure(1, 0.5, 1.5, 225955)
    tables.procedure(1, 2.5, 3.5, 225803, statusdescription="Rewritten")
    tables.pump(1, 3.0, 5.0, 227536, amount=10, amountuom="mEq", rate=5, rateuom="mEq/hour")
    tables.pump(1, 6.0, 6.0, 227525, amount=1, amountuom="grams", ordercategorydescription="Drug Push")
    tables.lab(0, 6, 50912, 1.0)
    tables.lab(0, 6, 50885, 30.0)
    tables.lab(0, 6.5, 51237, 3.0)


def breathe_and_relax(tables: Any) -> None:
    """A tracheostomy on a ventilator, gases in air and by mask, two blockers and a change of the bag."""
    tables.chart(2, -3, 226732, None, "Tracheostomy tube")
    tables.chart(2, -3, 223849, None, "CMV/ASSIST")
    tables.chart(2, 0.5, 223835, 0.5)
    for hour, tension in ((1.0, 90), (12.0, 60)):
        tables.lab(2, hour, 52033, None, value="ART.")
        tables.lab(2, hour, 50821, tension)
        tables.lab(2, hour, 50818, 40)
    tables.pump(2, 1, 2.1, 221555, rate=2.0, rateuom="mcg/kg/min", orderid=1, linkorderid=1)
    tables.pump(2, 2, 3, 221555, rate=2.0, rateuom="mcg/kg/min", orderid=2, linkorderid=2)
    tables.pump(2, 2, 3.5, 222062, rate=0.05, rateuom="mg/kg/hour", orderid=3, linkorderid=3)


def add_laboratory(tables: Any) -> None:
    """A differential in percent, one in counts, one of which all shares are 0, a glucose on and above the bound."""
    for hour, items in {
        1.0: {51301: 8.0, 51256: 70, 51244: 20, 51144: 5},
        2.0: {51301: 9.0, 52075: 6.1, 51256: 65, 52769: 1800},
        3.0: {51301: 7.0, 51256: 0, 51244: 0},
    }.items():
        for item, value in items.items():
            tables.lab(1, hour, item, value, stored=hour + 0.01 * (item % 5))
    tables.lab(1, 4, 50931, 180)
    tables.lab(1, 5, 50931, 181)


def add_earlier_admission(tables: Any, clock: Callable[[float], str]) -> None:
    tables.add(
        "hosp/admissions", subject_id=77_000_001, hadm_id=1000, admittime=clock(-900), dischtime=clock(-500),
        race="WHITE", hospital_expire_flag=0,
    )  # fmt: skip
    for code, version in (("I21", 10), ("E1122", 10), ("E119", 10), ("C780", 10), ("C50", 10), ("4255", 9)):
        tables.diagnosis(0, code, version, hadm_id=1000)
