"""Hours of the MIMIC-IV demo in the words of the reference, against words made here of the raw rows.

The tables are read with the csv module and rendered by the few lines below, which share nothing with the plugin. What
is compared is counted, never shown.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from jepa_core.data.preparation import open_store
from jepa_mimic_iv.config import MimicIVConfig
from jepa_mimic_iv.source import MimicIVSource

STAYS = slice(0, None, 15)

# Place, name and unit of every observation, as the reference is documented: `place name [unit]`.
ORDER = """
0 SOFA total; 1 SOFA respiration; 2 SOFA coagulation; 3 SOFA liver; 4 SOFA cardiovascular; 5 SOFA CNS; 6 SOFA renal
100 Heart rate [bpm]; 101 Systolic BP [mmHg]; 102 Diastolic BP [mmHg]; 103 MAP [mmHg]
104 Systolic BP (non-invasive) [mmHg]; 105 Diastolic BP (non-invasive) [mmHg]; 106 MAP (non-invasive) [mmHg]
107 Respiratory rate [breaths/min]; 108 Temperature [°C]; 109 SpO2 [%]; 110 Glucose [mg/dL]
111 Heart rhythm; 112 Ectopy type; 113 Ectopy frequency; 114 O2 flow [L/min]; 115 O2 flow (additional) [L/min]
116 O2 delivery device; 117 Height [cm]; 118 Weight [kg]; 119 Weight type
200 PaO2 [mmHg]; 201 PaCO2 [mmHg]; 202 pH; 203 Lactate [mmol/L]; 204 SaO2 [%]; 205 FiO2 (ABG) [%]
206 Base excess [mEq/L]; 207 Bicarbonate (ABG) [mEq/L]; 208 Total CO2 [mEq/L]; 209 Hematocrit (ABG) [%]
210 Hemoglobin (ABG) [g/dL]; 211 Chloride (ABG) [mEq/L]; 212 Calcium (ABG) [mg/dL]; 213 Potassium (ABG) [mEq/L]
214 Sodium (ABG) [mEq/L]; 215 Glucose (ABG) [mg/dL]; 216 A-a gradient [mmHg]; 217 A-a gradient (calc) [mmHg]
218 FiO2 (charted) [%]; 219 PaO2/FiO2 ratio
300 Creatinine [mg/dL]; 301 BUN [mg/dL]; 302 Albumin [g/dL]; 303 Globulin [g/dL]; 304 Total protein [g/dL]
305 Anion gap [mEq/L]; 306 Bicarbonate [mEq/L]; 307 Calcium [mg/dL]; 308 Chloride [mEq/L]; 309 Glucose (chem) [mg/dL]
310 Sodium [mEq/L]; 311 Potassium [mEq/L]; 320 WBC count [K/uL]; 321 Hemoglobin [g/dL]; 322 Hematocrit [%]
323 Platelet count [K/uL]; 324 RBC count [M/uL]; 325 MCH [pg]; 326 MCHC [g/dL]; 327 MCV [fL]; 328 RDW [%]
329 RDW-SD [fL]; 340 INR; 341 PT [sec]; 342 PTT [sec]; 343 D-dimer [ng/mL]; 344 Fibrinogen [mg/dL]
345 Thrombin time [sec]; 350 ALT [IU/L]; 351 AST [IU/L]; 352 ALP [IU/L]; 353 Total bilirubin [mg/dL]
354 Direct bilirubin [mg/dL]; 355 Indirect bilirubin [mg/dL]; 356 Amylase [IU/L]; 357 CK [IU/L]; 358 CK-MB [ng/mL]
359 GGT [IU/L]; 360 LDH [IU/L]; 370 CRP [mg/L]; 375 Troponin T [ng/mL]; 376 CK-MB (cardiac) [ng/mL]
377 NT-proBNP [pg/mL]; 380 WBC (diff) [K/uL]; 381 Neutrophils [K/uL]; 382 Lymphocytes [K/uL]; 383 Monocytes [K/uL]
384 Eosinophils [K/uL]; 385 Basophils [K/uL]; 386 Bands [%]; 387 Immature granulocytes [%]; 388 NRBC [/100 WBC]
400 GCS total; 401 GCS motor; 402 GCS verbal; 403 GCS eyes; 404 GCS unable; 500 Urine output [mL]
501 Urine output [mL]; 502 Urine output 6hr [mL]; 503 Urine output 12hr [mL]; 504 Urine output 24hr [mL]
505 Urine rate 6hr [mL/kg/hr]; 506 Urine rate 12hr [mL/kg/hr]; 507 Urine rate 24hr [mL/kg/hr]; 508 Weight [kg]
600 Creatinine (KDIGO) [mg/dL]; 601 Creatinine low 7d [mg/dL]; 602 Creatinine low 48hr [mg/dL]
603 AKI stage (creatinine); 604 Urine rate 6hr (KDIGO) [mL/kg/hr]; 605 Urine rate 12hr (KDIGO) [mL/kg/hr]
606 Urine rate 24hr (KDIGO) [mL/kg/hr]; 607 AKI stage (urine); 608 AKI stage (CRRT); 609 AKI stage
610 AKI stage (smoothed)
"""
PLACES: dict[str, list[int]] = defaultdict(list)
UNITS: dict[str, str] = {}
for place, name, unit in re.findall(r"(\d+) ([^;\n\[]+?)(?: \[([^\]]+)\])?(?:;|\n)", ORDER):
    PLACES[name].append(int(place))
    UNITS[name] = unit
SEPARATOR = re.compile(rf"\. (?=(?:{'|'.join(map(re.escape, PLACES))}): )")
WORDS = {"Heart rhythm", "Ectopy type", "Ectopy frequency", "O2 delivery device", "Weight type"}

# Name, items, least and largest value that is believed, of what is read here.
VITALS = [
    ("Heart rate", (220045,), 0, 300), ("Systolic BP", (220179, 220050, 225309), 0, 400),
    ("Diastolic BP", (220180, 220051, 225310), 0, 300), ("MAP", (220181, 220052, 225312), 0, 300),
    ("Systolic BP (non-invasive)", (220179,), 0, 400), ("Diastolic BP (non-invasive)", (220180,), 0, 300),
    ("MAP (non-invasive)", (220181,), 0, 300), ("Respiratory rate", (220210, 224690), 0, 70),
    ("SpO2", (220277,), 0, 100.001), ("Glucose", (225664, 220621, 226537), 0, 10_000),
]  # fmt: skip
LABS = {
    50912: ("Creatinine", 150), 51006: ("BUN", 300), 50882: ("Bicarbonate", 10_000), 50893: ("Calcium", 10_000),
    50902: ("Chloride", 10_000), 50983: ("Sodium", 200), 50971: ("Potassium", 30), 51222: ("Hemoglobin", 1e9),
    51221: ("Hematocrit", 1e9), 51265: ("Platelet count", 1e9), 51279: ("RBC count", 1e9), 51250: ("MCV", 1e9),
    51277: ("RDW", 1e9), 51237: ("INR", 1e9), 51274: ("PT", 1e9), 51275: ("PTT", 1e9), 50861: ("ALT", 1e9),
    50878: ("AST", 1e9), 50885: ("Total bilirubin", 1e9), 50862: ("Albumin", 10), 51301: ("WBC count", 1e9),
}  # fmt: skip
CHARTED_WORDS = {220048: "Heart rhythm", 224650: "Ectopy type", 226732: "O2 delivery device"}
CONTAINERS = {
    "Bag",
    "Sterile Water",
    "SW",
    "Iso-Osmotic Dextrose",
    "Iso-Osmotic Sodium Chloride",
    "Solution",
    "Soln",
    "Vial",
    "Syringe",
    "Bottle",
}
DILUENTS = {"Solution", "Sterile Water", "Piggyback", "GT Flush"}
FLUSHES = ("Sodium Chloride 0.9% Flush", "Heparin Flush (10 units/ml)")


def rows(folder: Path, table: str) -> Iterator[dict[str, str]]:
    with gzip.open(folder / f"{table}.csv.gz", "rt", newline="") as file:
        yield from csv.DictReader(file)


def written(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def clean(words: str) -> str:
    return " ".join(words.split())


@dataclass(repr=False)
class Raw:
    """What the raw tables say of one stay: (hour, fragment) of every kind that is read here."""

    stay: str
    subject: str
    admission: str
    begins: datetime
    ends: datetime
    states: list[tuple[float, str]] = field(default_factory=list)
    actions: list[tuple[float, str]] = field(default_factory=list)
    charted: bool = False

    def hour(self, time: str) -> float:
        return (datetime.fromisoformat(time) - self.begins).total_seconds() / 3600

    def holds(self, time: str) -> bool:
        return bool(time) and self.begins <= datetime.fromisoformat(time) < self.ends

    def is_of_the_day_before(self, time: str) -> bool:
        return -24 <= self.hour(time) < 0


def stays_of(folder: Path) -> dict[str, Raw]:
    return {
        row["stay_id"]: Raw(
            row["stay_id"], row["subject_id"], row["hadm_id"],
            datetime.fromisoformat(row["intime"]), datetime.fromisoformat(row["outtime"]),
        )
        for row in rows(folder, "icu/icustays")
    }  # fmt: skip


def read_charts(folder: Path, stays: dict[str, Raw]) -> None:
    numbers: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    words: set[tuple[str, str, str, str]] = set()
    before: set[tuple[str, str, str, str]] = set()
    for row in rows(folder, "icu/chartevents"):
        raw, item = stays.get(row["stay_id"]), int(row["itemid"])
        if raw and item in CHARTED_WORDS and clean(row["value"]) and raw.is_of_the_day_before(row["charttime"]):
            before.add((raw.stay, row["charttime"], CHARTED_WORDS[item], clean(row["value"])))
        if raw is None or not raw.holds(row["charttime"]):
            continue
        for name, items, low, high in VITALS:
            if item in items and row["valuenum"] and low < float(row["valuenum"]) < high:
                numbers[raw.stay, row["charttime"], name].append(float(row["valuenum"]))
        if item in CHARTED_WORDS and clean(row["value"]):
            words.add((raw.stay, row["charttime"], CHARTED_WORDS[item], clean(row["value"])))
    for (stay, time, name), values in numbers.items():
        told = f"{name}: {written(sum(values) / len(values))} {UNITS[name]}"
        stays[stay].states.append((stays[stay].hour(time), told))
    last = {(stay, name): time for stay, time, name, _ in sorted(before)}
    words |= {one for one in before if last[one[0], one[2]] == one[1]}  # ours: hour 0 shows what lasts from before
    for stay, time, name, told in words:
        stays[stay].states.append((stays[stay].hour(time), f"{name}: {told}"))


def read_labs(folder: Path, stays: dict[str, Raw]) -> None:
    for row in rows(folder, "hosp/labevents"):
        name, high = LABS.get(int(row["itemid"]), ("", 0.0))
        if not name or not row["valuenum"] or not 0 < float(row["valuenum"]) <= high:
            continue
        told = f"{name}: {written(float(row['valuenum']))} {UNITS[name]}".rstrip()
        for raw in stays.values():
            if (
                raw.subject == row["subject_id"]
                and row["hadm_id"] in ("", raw.admission)
                and raw.holds(row["charttime"])
            ):
                raw.states.append((raw.hour(row["charttime"]), told))


def read_orders(folder: Path, stays: dict[str, Raw]) -> None:
    by_admission = {raw.admission: raw for raw in stays.values()}
    for row in rows(folder, "hosp/emar"):
        raw, drug = by_admission.get(row["hadm_id"]), clean(row["medication"])
        is_shown = row["event_txt"] in ("Administered", "Applied") and drug and drug not in FLUSHES
        if raw and raw.holds(row["charttime"]) and is_shown:
            raw.actions.append((raw.hour(row["charttime"]), f"{drug}: {row['event_txt']}"))
    for row in sorted(rows(folder, "hosp/prescriptions"), key=lambda row: row["starttime"]):
        raw, drug = by_admission.get(row["hadm_id"]), clean(row["drug"])
        if raw is None or not raw.holds(row["starttime"]) or row["stoptime"] and row["stoptime"] < row["starttime"]:
            continue
        if drug in CONTAINERS or "flush" in drug.lower() or drug.lower().startswith("syringe ("):
            continue
        dose = row["dose_val_rx"].replace(",", "")
        if re.fullmatch(r"\d*\.?\d+", dose):
            dose = written(float(dose))
        # Ours: a dose of 0 (a sliding scale) is no dose.
        amount = f"{dose} {row['dose_unit_rx']}" if dose != "0" else ""
        told = clean(f"{drug}: {amount} {row['prod_strength']} {row['route']}")
        if told not in [one for _, one in raw.actions]:
            raw.actions.append((raw.hour(row["starttime"]), told))


def read_pushes(folder: Path, stays: dict[str, Raw]) -> None:
    labels = {row["itemid"]: clean(row["label"]) for row in rows(folder, "icu/d_items")}
    for row in rows(folder, "icu/inputevents"):
        raw = stays.get(row["stay_id"])
        if raw is None or not raw.holds(row["starttime"]) or row["statusdescription"] == "Rewritten":
            continue
        is_push = row["ordercategorydescription"] == "Drug Push" and float(row["amount"]) > 0 and not row["rate"]
        if is_push and labels[row["itemid"]] not in DILUENTS:
            told = f"{labels[row['itemid']]}: {written(float(row['amount']))} {row['amountuom']} Drug Push"
            raw.actions.append((raw.hour(row["starttime"]), told))


class Hours(list[tuple[Raw, int, str, str]]):
    """Stays, hours, and the two texts of each; a failing test does not print them."""

    def __repr__(self) -> str:
        return f"{len(self)} hours"


@pytest.fixture(scope="module")
def hours(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Hours:
    """Some stays and their hours: what the raw tables say, and the two texts of the hour."""
    folder = real_data / "mimic-iv-demo"
    source = MimicIVSource(MimicIVConfig(tables=str(folder), template="reference", lab_visibility="charted"))
    store = open_store(source, "mimic_iv", tmp_path_factory.mktemp("stores"))
    (block,) = store.blocks(len(store))
    rendered = source.render(block, store.channels, "text")
    found = stays_of(folder)
    chosen = {str(one): found[str(one)] for one in store.identifier[STAYS]}
    for read in (read_charts, read_labs, read_orders, read_pushes):
        read(folder, chosen)
    texts = Hours()
    for place in range(len(store))[STAYS]:
        first = int(store.first_step[place])
        for hour in range(int(store.steps[place])):
            raw = chosen[str(store.identifier[place])]
            texts.append((raw, hour, rendered.state[first + hour], rendered.action[first + hour]))
    return texts


def fragments(text: str, hour: int) -> list[str]:
    prefix, _, rest = text.partition(" | ")
    assert prefix == f"t={hour}h"
    return [] if rest == "No observations recorded." else SEPARATOR.split(rest)


def of_hour(told: list[tuple[float, str]], hour: int) -> list[str]:
    return [one for time, one in sorted(told) if hour <= max(time, 0) < hour + 1]


def named(name: str, told: list[str]) -> list[str]:
    return [one for one in told if one.startswith(f"{name}: ")]


def test_the_demo_has_hours_of_many_kinds(hours):
    states = [fragments(state, hour) for _, hour, state, _ in hours]

    assert len(hours) > 500 and sum(map(len, states)) > 8000
    assert {name.split(":")[0] for state in states for name in state} > {
        "SOFA total",
        "Lactate",
        "AKI stage",
        "GCS eyes",
    }


def test_observations_stand_in_the_order_with_the_names_and_units_of_the_reference(hours):
    wrong = []
    for number, (_, hour, state, _) in enumerate(hours):
        last = -1
        for fragment in fragments(state, hour):
            name, _, told = fragment.partition(": ")
            later = [place for place in PLACES[name] if place >= last]
            is_number = re.fullmatch(r"-?\d+(\.\d{1,2})?( .+)?", told)
            if not later or name not in WORDS and (not is_number or (is_number[2] or "").strip() != UNITS[name]):
                wrong.append((number, name))
            else:
                last = min(later)
    assert not wrong


def test_the_observations_of_an_hour_are_those_of_the_raw_rows_in_order_of_time(hours):
    checked = {name for name, *_ in VITALS} | {name for name, _ in LABS.values()} | set(CHARTED_WORDS.values())
    wrong, count = [], 0
    for number, (raw, hour, state, _) in enumerate(hours):
        told, expected = fragments(state, hour), of_hour(raw.states, hour)
        count += len(expected)
        wrong += [(number, name) for name in checked if named(name, told) != named(name, expected)]
    assert count > 8000
    assert not wrong


def test_an_hour_without_a_row_has_the_sentinel_of_the_reference(hours):
    for raw, hour, state, action in hours:
        assert not (state.endswith("No observations recorded.") and of_hour(raw.states, hour))
        assert not (action.endswith("No active interventions.") and of_hour(raw.actions, hour))
    assert any(action == f"t={hour}h | No active interventions." for _, hour, _, action in hours)


def test_orders_administrations_and_pushes_of_an_hour_are_those_of_the_raw_rows(hours):
    missing, count = [], 0
    for number, (raw, hour, _, action) in enumerate(hours):
        for told in set(of_hour(raw.actions, hour)):
            count += 1
            if told not in action:
                missing.append(number)
    assert count > 300
    assert not missing
