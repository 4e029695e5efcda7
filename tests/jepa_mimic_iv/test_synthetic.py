"""The synthetic MIMIC-IV tables: layout, integrity, repeatability, and the physiology behind them."""

from __future__ import annotations

import csv
import gzip
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jepa_core.errors import DataError, RecipeError
from jepa_mimic_iv import synthetic
from jepa_mimic_iv.synthetic import write_tables
from jepa_mimic_iv.synthetic.generation import simulate_chunk
from jepa_mimic_iv.synthetic.physiology import (
    INFLAMMATION,
    advance,
    draw_noise,
    draw_traits,
    first_state,
    no_treatment,
    signals,
)

STAYS, SEED = 60, 11

# First lines of the distributed files of MIMIC-IV 2.2.
HEADERS = {
    "hosp/patients": "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod",
    "hosp/admissions": "subject_id,hadm_id,admittime,dischtime,deathtime,admission_type,admit_provider_id,"
    "admission_location,discharge_location,insurance,language,marital_status,race,edregtime,edouttime,"
    "hospital_expire_flag",
    "hosp/labevents": "labevent_id,subject_id,hadm_id,specimen_id,itemid,order_provider_id,charttime,storetime,value,"
    "valuenum,valueuom,ref_range_lower,ref_range_upper,flag,priority,comments",
    "hosp/d_labitems": "itemid,label,fluid,category",
    "hosp/prescriptions": "subject_id,hadm_id,pharmacy_id,poe_id,poe_seq,order_provider_id,starttime,stoptime,"
    "drug_type,drug,formulary_drug_cd,gsn,ndc,prod_strength,form_rx,dose_val_rx,dose_unit_rx,form_val_disp,"
    "form_unit_disp,doses_per_24_hrs,route",
    "hosp/emar": "subject_id,hadm_id,emar_id,emar_seq,poe_id,pharmacy_id,enter_provider_id,charttime,medication,"
    "event_txt,scheduletime,storetime",
    "hosp/microbiologyevents": "microevent_id,subject_id,hadm_id,micro_specimen_id,order_provider_id,chartdate,"
    "charttime,spec_itemid,spec_type_desc,test_seq,storedate,storetime,test_itemid,test_name,org_itemid,org_name,"
    "isolate_num,quantity,ab_itemid,ab_name,dilution_text,dilution_comparison,dilution_value,interpretation,comments",
    "hosp/diagnoses_icd": "subject_id,hadm_id,seq_num,icd_code,icd_version",
    "hosp/d_icd_diagnoses": "icd_code,icd_version,long_title",
    "icu/icustays": "subject_id,hadm_id,stay_id,first_careunit,last_careunit,intime,outtime,los",
    "icu/chartevents": "subject_id,hadm_id,stay_id,caregiver_id,charttime,storetime,itemid,value,valuenum,valueuom,"
    "warning",
    "icu/d_items": "itemid,label,abbreviation,linksto,category,unitname,param_type,lownormalvalue,highnormalvalue",
    "icu/inputevents": "subject_id,hadm_id,stay_id,caregiver_id,starttime,endtime,storetime,itemid,amount,amountuom,"
    "rate,rateuom,orderid,linkorderid,ordercategoryname,secondaryordercategoryname,ordercomponenttypedescription,"
    "ordercategorydescription,patientweight,totalamount,totalamountuom,isopenbag,continueinnextdept,"
    "statusdescription,originalamount,originalrate",
    "icu/outputevents": "subject_id,hadm_id,stay_id,caregiver_id,charttime,storetime,itemid,value,valueuom",
    "icu/procedureevents": "subject_id,hadm_id,stay_id,caregiver_id,starttime,endtime,storetime,itemid,value,valueuom,"
    "location,locationcategory,orderid,linkorderid,ordercategoryname,ordercategorydescription,patientweight,isopenbag,"
    "continueinnextdept,statusdescription,ORIGINALAMOUNT,ORIGINALRATE",
}
EVENT_TABLES = ("icu/chartevents", "icu/inputevents", "icu/outputevents", "icu/procedureevents")

Row = dict[str, str]


def rows_of(folder: Path, table: str) -> Iterator[Row]:
    with gzip.open(folder / f"{table}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def hours_between(start: str, moment: str) -> float:
    return (np.datetime64(moment) - np.datetime64(start)).astype("timedelta64[s]").astype(int) / 3600


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic") / "mimic"
    write_tables(folder, STAYS, SEED)
    return folder


@pytest.fixture(scope="session")
def stays(tables: Path) -> dict[str, Row]:
    return {row["stay_id"]: row for row in rows_of(tables, "icu/icustays")}


@pytest.fixture(scope="session")
def severity(tables: Path) -> dict[tuple[str, int], float]:
    truth = pq.read_table(tables / "truth.parquet").to_pydict()
    return {
        (str(stay), hour): value
        for stay, hour, value in zip(truth["stay_id"], truth["hour"], truth["severity"], strict=True)
    }


def charted_with_severity(
    tables: Path, stays: dict[str, Row], severity: dict[tuple[str, int], float], itemid: str
) -> np.ndarray:
    pairs = []
    for row in rows_of(tables, "icu/chartevents"):
        if row["itemid"] == itemid:
            hour = int(hours_between(stays[row["stay_id"]]["intime"], row["charttime"]))
            pairs.append((severity[row["stay_id"], hour], float(row["valuenum"])))
    return np.array(pairs).T


def test_every_table_has_the_columns_of_the_distributed_files(tables: Path) -> None:
    written = {}
    for path in tables.glob("*/*.csv.gz"):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            written[f"{path.parent.name}/{path.name.removesuffix('.csv.gz')}"] = file.readline().rstrip("\n")
    assert written == HEADERS


def test_every_table_has_rows(tables: Path) -> None:
    assert {table for table in HEADERS if next(rows_of(tables, table), None) is None} == set()


def test_the_number_of_stays_is_exact(tables: Path, stays: dict[str, Row]) -> None:
    assert len(stays) == STAYS
    assert sum(1 for _ in rows_of(tables, "icu/icustays")) == STAYS


def test_the_same_seed_gives_the_same_bytes(tables: Path, tmp_path: Path) -> None:
    write_tables(tmp_path / "again", STAYS, SEED)
    assert digests(tmp_path / "again") == digests(tables)


def test_another_seed_gives_other_rows(tables: Path, tmp_path: Path) -> None:
    write_tables(tmp_path / "other", 5, SEED + 1)
    write_tables(tmp_path / "same", 5, SEED)
    other, same = digests(tmp_path / "other"), digests(tmp_path / "same")
    dictionaries = {name for name in other if other[name] == same[name]}
    assert dictionaries == {"icu/d_items.csv.gz", "hosp/d_labitems.csv.gz", "hosp/d_icd_diagnoses.csv.gz"}


def test_every_row_belongs_to_a_known_subject_admission_and_stay(tables: Path, stays: dict[str, Row]) -> None:
    subjects = {row["subject_id"] for row in rows_of(tables, "hosp/patients")}
    admissions = {row["hadm_id"]: row["subject_id"] for row in rows_of(tables, "hosp/admissions")}
    assert set(admissions.values()) == subjects
    assert all(admissions[row["hadm_id"]] == row["subject_id"] for row in stays.values())
    for table in EVENT_TABLES:
        for row in rows_of(tables, table):
            stay = stays[row["stay_id"]]
            assert (row["subject_id"], row["hadm_id"]) == (stay["subject_id"], stay["hadm_id"])
    for table in ("hosp/prescriptions", "hosp/emar", "hosp/diagnoses_icd"):
        assert all(admissions[row["hadm_id"]] == row["subject_id"] for row in rows_of(tables, table))
    unnamed = 0
    for row in rows_of(tables, "hosp/labevents"):
        unnamed += row["hadm_id"] == ""
        assert row["subject_id"] in subjects and admissions.get(row["hadm_id"], row["subject_id"]) == row["subject_id"]
    assert unnamed > 0


def test_every_item_is_in_the_dictionary_of_its_table(tables: Path) -> None:
    items = {row["itemid"]: row["linksto"] for row in rows_of(tables, "icu/d_items")}
    for table in EVENT_TABLES:
        assert {items[row["itemid"]] for row in rows_of(tables, table)} == {table.removeprefix("icu/")}
    lab_items = {row["itemid"] for row in rows_of(tables, "hosp/d_labitems")}
    assert {row["itemid"] for row in rows_of(tables, "hosp/labevents")} <= lab_items
    titles = {(row["icd_code"], row["icd_version"]) for row in rows_of(tables, "hosp/d_icd_diagnoses")}
    assert {(row["icd_code"], row["icd_version"]) for row in rows_of(tables, "hosp/diagnoses_icd")} <= titles


def test_observations_lie_inside_their_stay_and_results_come_after_the_draw(
    tables: Path, stays: dict[str, Row]
) -> None:
    for table in ("icu/chartevents", "icu/outputevents"):
        for row in rows_of(tables, table):
            assert stays[row["stay_id"]]["intime"] <= row["charttime"] < stays[row["stay_id"]]["outtime"]
    assert all(row["charttime"] < row["storetime"] for row in rows_of(tables, "hosp/labevents"))


def test_rows_of_a_stay_are_not_sorted_by_time(tables: Path) -> None:
    times: dict[str, list[str]] = {}
    for row in rows_of(tables, "icu/chartevents"):
        times.setdefault(row["stay_id"], []).append(row["charttime"])
    assert any(each != sorted(each) for each in times.values())


def test_segments_of_an_infusion_follow_one_another_without_overlap(tables: Path) -> None:
    runs: dict[str, list[Row]] = {}
    for row in rows_of(tables, "icu/inputevents"):
        if row["itemid"] == "221906":
            runs.setdefault(row["linkorderid"], []).append(row)
    changes = 0
    for run in runs.values():
        run.sort(key=lambda row: row["starttime"])
        assert run[0]["orderid"] == run[0]["linkorderid"]
        for before, after in zip(run, run[1:], strict=False):
            assert before["endtime"] == after["starttime"]
            changes += before["statusdescription"] == "ChangeDose/Rate"
    assert changes > 0


def test_the_amount_of_norepinephrine_is_rate_times_weight_times_time(tables: Path) -> None:
    checked = 0
    for row in rows_of(tables, "icu/inputevents"):
        if row["itemid"] == "221906":
            minutes = 60 * hours_between(row["starttime"], row["endtime"])
            expected = float(row["rate"]) * float(row["patientweight"]) * minutes / 1000
            assert float(row["amount"]) == pytest.approx(expected, rel=2e-3)
            checked += 1
    assert checked > 10


def test_adults_only_and_deaths_agree_between_tables(tables: Path) -> None:
    patients = {row["subject_id"]: row for row in rows_of(tables, "hosp/patients")}
    assert min(int(row["anchor_age"]) for row in patients.values()) >= 18
    died = 0
    for row in rows_of(tables, "hosp/admissions"):
        assert row["admittime"] < row["dischtime"]
        assert (row["hospital_expire_flag"] == "1") == (row["deathtime"] != "") == (row["discharge_location"] == "DIED")
        dod = patients[row["subject_id"]]["dod"]
        if row["deathtime"]:
            died += 1
            assert dod == row["deathtime"][:10]
        elif dod:
            assert row["dischtime"][:10] <= dod
    assert died > 0


def test_the_cohort_rules_have_work_to_do() -> None:
    chunk = simulate_chunk(np.random.default_rng(3), 0, 300, 300)
    hours = (chunk.calendar.outtime - chunk.calendar.intime) / 3600
    admissions, subjects = chunk.structure.stay_admission, chunk.structure.stay_subject
    assert len(np.unique(admissions)) < 300 and len(np.unique(subjects)) < len(np.unique(admissions))
    assert (hours < 6).any() and (hours >= 72).mean() > 0.3 and hours.max() > 300
    assert 0.04 < (chunk.calendar.deathtime >= 0).mean() < 0.2
    assert chunk.unobserved.any()


def test_severity_shows_in_pressure_lactate_and_breathing(
    tables: Path, stays: dict[str, Row], severity: dict[tuple[str, int], float]
) -> None:
    hidden, pressure = charted_with_severity(tables, stays, severity, "220181")
    assert np.corrcoef(hidden, pressure)[0, 1] < -0.2
    hidden, breaths = charted_with_severity(tables, stays, severity, "220210")
    assert np.corrcoef(hidden, breaths)[0, 1] > 0.3
    of_admission: dict[str, list[Row]] = {}
    for stay in stays.values():
        of_admission.setdefault(stay["hadm_id"], []).append(stay)
    pairs = [
        (severity[stay["stay_id"], int(hours_between(stay["intime"], row["charttime"]))], float(row["valuenum"]))
        for row in rows_of(tables, "hosp/labevents")
        if row["itemid"] == "50813" and row["valuenum"]
        for stay in of_admission.get(row["hadm_id"], [])
        if stay["intime"] <= row["charttime"] < stay["outtime"]
    ]
    assert np.corrcoef(np.array(pairs).T)[0, 1] > 0.4


def test_those_who_die_in_the_unit_are_sicker_at_the_end() -> None:
    course = simulate_chunk(np.random.default_rng(5), 0, 300, 300).course
    assert course.final_severity[course.died_in_unit].mean() > course.final_severity[~course.died_in_unit].mean() + 0.5


def test_the_hidden_state_is_persistent_over_a_day() -> None:
    course = simulate_chunk(np.random.default_rng(5), 0, 200, 200).course
    later = course.present[24:]
    hidden = course.series["severity"]
    assert 0.5 < np.corrcoef(hidden[24:][later], hidden[:-24][later])[0, 1] < 0.98


@pytest.mark.parametrize(
    ("drug", "dose", "signal", "sign"),
    [
        ("norepinephrine", 0.3, "map", 1),
        ("bolus", 1000.0, "map", 1),
        ("propofol", 50.0, "motor", -1),
        ("furosemide", 40.0, "urine", 1),
        ("fio2", 0.8, "pao2", 1),
    ],
)
def test_a_treatment_acts_on_its_signal_at_equal_state_and_noise(
    drug: str, dose: float, signal: str, sign: int
) -> None:
    rng = np.random.default_rng(2)
    traits = draw_traits(rng, np.full(400, 65.0), rng.random(400) < 0.5, rng.integers(0, 24, 400))
    state, nothing = first_state(rng, traits), no_treatment(400)
    treated = replace(nothing, **{drug: np.full(400, dose)})
    with_it, without = state, state
    for hour in range(3):
        noise = draw_noise(rng, traits)
        with_it = advance(with_it, treated, traits, hour, noise)
        without = advance(without, nothing, traits, hour, noise)
    after, otherwise = signals(with_it, treated, traits, 3), signals(without, nothing, traits, 3)
    change = sign * (getattr(after, signal) - getattr(otherwise, signal))
    assert change.mean() > 0 and (change >= -1e-9).mean() > 0.95


@pytest.mark.parametrize(
    ("drug", "dose", "quantity", "sign"),
    [
        ("insulin_push", 10.0, "glucose", -1),
        ("potassium", 40.0, "potassium", 1),
        ("blood", 350.0, "haemoglobin", 1),
        ("furosemide", 40.0, "overload", -1),
    ],
)
def test_a_treatment_moves_what_it_is_given_for(drug: str, dose: float, quantity: str, sign: int) -> None:
    rng = np.random.default_rng(2)
    traits = draw_traits(rng, np.full(100, 65.0), rng.random(100) < 0.5, rng.integers(0, 24, 100))
    state, nothing, noise = first_state(rng, traits), no_treatment(100), draw_noise(rng, traits)
    treated = replace(nothing, **{drug: np.full(100, dose)})
    with_it = advance(advance(state, treated, traits, 0, noise), nothing, traits, 1, noise)
    without = advance(advance(state, nothing, traits, 0, noise), nothing, traits, 1, noise)
    change = sign * (getattr(with_it, quantity) - getattr(without, quantity))
    assert change.mean() > 0 and (change >= 0).all()


def test_antibiotics_bring_inflammation_down_in_the_infected() -> None:
    rng = np.random.default_rng(2)
    traits = draw_traits(rng, np.full(200, 65.0), rng.random(200) < 0.5, rng.integers(0, 24, 200))
    nothing = no_treatment(200)
    treated = replace(nothing, vancomycin=np.ones(200), piperacillin=np.ones(200))
    with_it = without = first_state(rng, traits)
    for hour in range(12):
        noise = draw_noise(rng, traits)
        with_it, without = (
            advance(with_it, treated, traits, hour, noise),
            advance(without, nothing, traits, hour, noise),
        )
    lowered = without.latent[:, INFLAMMATION] - with_it.latent[:, INFLAMMATION]
    assert lowered[traits.infected > 0].min() > 0 and lowered[traits.infected > 0].mean() > 0.3
    assert np.abs(lowered[traits.infected == 0]).max() < 1e-9


def test_the_same_state_is_treated_differently() -> None:
    course = simulate_chunk(np.random.default_rng(8), 0, 300, 300).course
    low = course.present & (course.series["map"] > 58) & (course.series["map"] < 60)
    treated = course.series["given_norepinephrine"][low] > 0
    assert low.sum() > 100 and 0.1 < treated.mean() < 0.95


def test_progress_reports_the_stays_finished_so_far(tmp_path: Path) -> None:
    seen: list[int] = []
    write_tables(tmp_path / "tables", 55, 0, seen.append)
    assert seen == [50, 55]


def test_an_interrupted_generation_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tables(tmp_path / "tables", 5, 0, stop)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("keep")
    with pytest.raises(DataError, match="exists already"):
        write_tables(tmp_path, 1, 0)
    assert (tmp_path / "notes.txt").read_text() == "keep"


def test_no_stays_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="at least 1 stay"):
        write_tables(tmp_path / "tables", 0, 0)


def test_importing_the_generator_loads_neither_numpy_nor_pyarrow() -> None:
    code = f"import sys, {synthetic.__name__}; print(sorted({{'numpy', 'pyarrow', 'duckdb'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
