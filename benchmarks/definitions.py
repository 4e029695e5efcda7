"""Derived columns of a MIMIC-IV store, recomputed from its raw rows in plain Python, and how far the two agree.

    python benchmarks/definitions.py STORE [--tables FOLDER] [--stays N] [--json]

STORE is a store that `jepa prepare` made with steps of an hour. The rows are those of the tables that it was built
from, as the store has them written down (synthetic tables are made again), or of --tables. They are read with the csv
module, and the definitions are written anew in benchmarks/published.py, which shares no SQL with the plugin. For each
column: n cells (a stay and an hour in which either side has a value), how many are equal, in how many the number of
values differs, the worst difference. Exit code 1 if a cell differs. No identifier is printed.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import math
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import published as plain
import published_labels as labels

from jepa_core.data.store import Store
from jepa_mimic_iv.derived import ANTIBIOTICS, NOT_SYSTEMIC_DRUGS, NOT_SYSTEMIC_ROUTES
from jepa_mimic_iv.staging import GIVEN
from jepa_mimic_iv.synthetic import write_tables

Cells = dict[tuple[int, int], list[float | str]]
FACTORS = {"norepinephrine": 1.0, "epinephrine": 1.0, "phenylephrine": 0.1, "dopamine": 0.01, "vasopressin": 2.5 / 60}
TOLERANCE = 2e-4
"""Of the larger value, or absolute: a store holds single precision."""


def main() -> int:
    options = parse_options()
    store = Store(options.store)
    recipe = store.attributes["options"]
    if recipe["step_hours"] != 1:
        sys.exit("this check needs a store with steps of an hour")
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.tables or tables_of(store, recipe, Path(scratch))
        kept = store.identifier[: options.stays].tolist()
        frame = read_stays(folder, set(kept), recipe)
    found = recomputed(frame)
    rows = [agreement(name, found[name], cells, set(kept)) for name, cells in shown(store, found).items()]
    print(json.dumps(rows) if options.json else table(rows))
    return 0 if all(row["n"] == row["equal"] for row in rows) else 1


def tables_of(store: Store, recipe: dict[str, Any], scratch: Path) -> Path:
    """The folder of the tables that a store was built from."""
    if recipe["tables"] == "synthetic":
        write_tables(scratch, recipe["synthetic"]["stays"], recipe["synthetic"]["seed"])
        return scratch
    return Path(recipe["tables"]).expanduser()


# --- the raw rows -----------------------------------------------------------------------------------------------------


def rows(folder: Path, name: str) -> Iterator[dict[str, str]]:
    path = next((one for end in (".csv.gz", ".csv") if (one := folder / f"{name}{end}").is_file()), None)
    if path is None:
        sys.exit(f"{folder} has no {name} as csv or csv.gz, which this check reads; name the tables with --tables")
    with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
        for row in csv.DictReader(file):
            yield {key: " ".join(value.split()) if value else "" for key, value in row.items()}


def number(text: str) -> float | None:
    return float(text) if text else None


def time(text: str) -> datetime:
    return datetime.fromisoformat(text)


class Frame:
    """The stays that are checked, found by stay, admission and subject; hours since admission to intensive care."""

    def __init__(self, folder: Path, wanted: set[int], recipe: dict[str, Any]) -> None:
        self.stays: dict[int, plain.Stay] = {}
        self.begins: dict[int, datetime] = {}
        self.ends: dict[int, labels.End] = {}
        self.admission: dict[str, int] = {}
        self.subject: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for row in rows(folder, "icu/icustays"):
            if (stay := int(row["stay_id"])) in wanted:
                begins, ends = time(row["intime"]), time(row["outtime"])
                hours = (ends - begins).total_seconds() / 3600
                self.stays[stay], self.begins[stay] = plain.Stay(min(hours, recipe["max_steps"])), begins
                self.ends[stay] = labels.End(hours, False, None, None, False)
                self.admission[row["hadm_id"]] = stay
                self.subject[row["subject_id"]].append((stay, row["hadm_id"]))

    def hour(self, stay: int, text: str) -> float:
        return (time(text) - self.begins[stay]).total_seconds() / 3600


def read_stays(folder: Path, wanted: set[int], recipe: dict[str, Any]) -> Frame:
    frame = Frame(folder, wanted, recipe)
    read_ends(folder, frame)
    read_dialysis(folder, frame)
    read_charts(folder, frame)
    read_labs(folder, frame, recipe["lab_visibility"] == "stored")
    read_drips(folder, frame)
    read_orders(folder, frame)
    for row in rows(folder, "icu/outputevents"):
        if (stay := int(row["stay_id"])) in frame.stays and row["value"]:
            hour = frame.hour(stay, row["charttime"])
            if hour < frame.stays[stay].hours:
                frame.stays[stay].urine.append((hour, int(row["itemid"]), float(row["value"])))
    read_cultures(folder, frame)
    return frame


def read_ends(folder: Path, frame: Frame) -> None:
    for row in rows(folder, "hosp/admissions"):
        if (stay := frame.admission.get(row["hadm_id"])) is not None:
            end = frame.ends[stay]
            end.died, end.discharged = row["hospital_expire_flag"] == "1", bool(row["dischtime"])
            end.death = frame.hour(stay, row["deathtime"]) if row["deathtime"] else None
    for row in rows(folder, "hosp/patients"):
        for stay, _ in frame.subject.get(row["subject_id"], ()):
            frame.ends[stay].day = frame.hour(stay, row["dod"]) if row["dod"] else None


def read_dialysis(folder: Path, frame: Frame) -> None:
    """Procedures of continuous dialysis and what is given through its circuit; chartings are read with the others."""
    tables = {"icu/procedureevents": {225802, 225803, 225809, 225955}, "icu/inputevents": {227536, 227525}}
    for name, items in tables.items():
        for row in rows(folder, name):
            stay, said = int(row["stay_id"]), row["value" if name == "icu/procedureevents" else "amount"]
            told = int(row["itemid"]) in items and row["statusdescription"] != "Rewritten" and said
            if told and stay in frame.stays and (name == "icu/procedureevents" or float(said) > 0):
                start, stop = frame.hour(stay, row["starttime"]), frame.hour(stay, row["endtime"] or row["starttime"])
                if stop >= 0 and start < frame.stays[stay].hours:
                    frame.stays[stay].dialysis.append((max(start, 0), stop))


def read_charts(folder: Path, frame: Frame) -> None:
    items = {
        220052, 220181, 225312, 224639, 226512, 223900, 223901, 220739, 223835, 226732, 223849, 229314, 220045, 227290,
        226457,
    }  # fmt: skip
    for row in rows(folder, "icu/chartevents"):
        item, stay = int(row["itemid"]), int(row["stay_id"] or 0)
        if item in items and stay in frame.stays:
            hour = frame.hour(stay, row["charttime"])
            if -720 <= hour < frame.stays[stay].hours and (hour >= -48 or item in (224639, 226512)):
                frame.stays[stay].charted.append((hour, item, number(row["valuenum"]), row["value"]))
                if hour >= 0 and (item == 227290 and row["value"] or item == 226457 and row["valuenum"]):
                    frame.stays[stay].dialysis.append((hour, hour))


def read_labs(folder: Path, frame: Frame, stored: bool) -> None:
    items = {52033, 50821, 50816, 50912, 50885, 51265, 50813}
    for row in rows(folder, "hosp/labevents"):
        if int(row["itemid"]) not in items:
            continue
        for stay, admission in frame.subject.get(row["subject_id"], ()):
            item, drawn = int(row["itemid"]), frame.hour(stay, row["charttime"])
            seen = max(drawn, frame.hour(stay, row["storetime"])) if stored and row["storetime"] else drawn
            mine = row["hadm_id"] in ("", admission) or item == 50912 and drawn < 0
            if mine and -168 <= seen < frame.stays[stay].hours:
                value = number(row["valuenum"])
                frame.stays[stay].labs.append(plain.Lab(seen, drawn, item, value, row["value"], row["specimen_id"]))


def read_drips(folder: Path, frame: Frame) -> None:
    for row in rows(folder, "icu/inputevents"):
        stay, drug, rate = int(row["stay_id"]), plain.DRUGS.get(int(row["itemid"])), number(row["rate"])
        if stay not in frame.stays or drug is None or not rate or rate < 0 or row["statusdescription"] == "Rewritten":
            continue
        weight, unit = number(row["patientweight"]) or math.nan, row["rateuom"]
        per = {"units/hour": rate, "units/min": rate * 60} if drug == "vasopressin" else {
            "mcg/kg/min": rate, "mg/kg/min": rate if weight == 1 else rate * 1000, "mcg/min": rate / weight,
            "mg/min": rate * 1000 / weight, "mg/hour": rate * 1000 / 60 / weight,
        }  # fmt: skip
        dose = per.get(unit, math.nan)
        began, stop = (frame.hour(stay, row[name]) for name in ("starttime", "endtime"))
        stop = min(stop, frame.stays[stay].hours)
        if not math.isnan(dose) and stop > max(began, 0) and began < frame.stays[stay].hours:
            new = not row["linkorderid"] or row["linkorderid"] == row["orderid"]
            frame.stays[stay].drips.append((began, stop, drug, dose, new))


def read_orders(folder: Path, frame: Frame) -> None:
    given: dict[tuple[int, str], float] = {}
    for row in rows(folder, "hosp/emar"):
        for stay, admission in frame.subject.get(row["subject_id"], ()):
            if row["hadm_id"] in ("", admission) and row["event_txt"] in GIVEN and row["pharmacy_id"]:
                key = stay, row["pharmacy_id"]
                given[key] = min(given.get(key, math.inf), frame.hour(stay, row["charttime"]))
    for row in rows(folder, "hosp/prescriptions"):
        stay, name, route = frame.admission.get(row["hadm_id"]), row["drug"].lower(), row["route"]
        if stay is None or not row["starttime"] or row["drug_type"] in ("BASE", "") or not route:
            continue
        local = route in NOT_SYSTEMIC_ROUTES or "ear" in route.lower() or "eye" in route.lower()
        local |= any(word in name for word in NOT_SYSTEMIC_DRUGS)
        withdrawn = bool(row["stoptime"]) and row["stoptime"] < row["starttime"]
        hour = frame.hour(stay, row["starttime"])
        shown = given.get((stay, row["pharmacy_id"]), math.inf) < frame.stays[stay].hours or not withdrawn
        if 0 <= hour < frame.stays[stay].hours and shown and not local and any(one in name for one in ANTIBIOTICS):
            frame.stays[stay].antibiotics.add((hour, time(row["starttime"]).toordinal()))


def read_cultures(folder: Path, frame: Frame) -> None:
    specimens: dict[tuple[str, str], tuple[str, str]] = {}
    for row in rows(folder, "hosp/microbiologyevents"):
        if row["subject_id"] in frame.subject:
            key = row["subject_id"], row["micro_specimen_id"]
            at, day = specimens.get(key, ("", ""))
            specimens[key] = max(at, row["charttime"]), max(day, row["chartdate"])
    for (subject, _), (at, day) in specimens.items():
        for stay, _ in frame.subject[subject]:
            frame.stays[stay].cultures.append((frame.hour(stay, at or day), time(day).toordinal(), bool(at)))


# --- what is made of them, and the comparison -------------------------------------------------------------------------


def recomputed(frame: Frame) -> dict[str, Cells]:
    """Cells of every column that is recomputed: channels of the store by name, labels and outcomes with `label_` and
    `outcome_` before it."""
    found: dict[str, Cells] = defaultdict(dict)
    for identifier, stay in frame.stays.items():
        add_labels(found, identifier, stay, frame.ends[identifier])
        last = math.ceil(plain.plain(stay.hours)) - 1
        series = {f"urine_output_rate/{name}": values for name, values in plain.urine_rates(stay).items()}
        series |= {f"kdigo_stages/{name}": values for name, values in plain.kidney_stages(stay).items()}
        series |= {f"gcs/{name}": carried(values) for name, values in plain.coma_scale(stay).items()}
        series["vitalsign/mbp"] = plain.mean_pressure(stay)
        series["bg/pao2fio2ratio"] = plain.oxygenation(stay)
        series.pop("urine_output_rate/hours", None)
        for name, values in series.items():
            for at, value in values:
                if at >= 0 or name.startswith("gcs/"):
                    cell = identifier, max(min(math.floor(plain.plain(at)), last), 0)
                    found[name].setdefault(cell, []).append(value)
        add_treatments(found, identifier, stay)
        add_scores(found, identifier, stay)
    return found


def add_labels(found: dict[str, Cells], identifier: int, stay: plain.Stay, end: labels.End) -> None:
    series = {
        "circulatory_failure": labels.circulatory(stay),
        "kidney_failure": labels.kidney(stay),
        "decompensation": labels.decompensation(stay, end),
    }
    for name, told in series.items():
        cells: Cells = {(identifier, hour): [math.nan if one is None else one] for hour, one in enumerate(told)}
        found[f"label_event_{name}"] |= cells
    for name, one in labels.outcomes(end).items():
        found[f"outcome_{name}"][identifier, 0] = [math.nan if one is None else one]


def carried(values: plain.Series) -> plain.Series:
    """Those of the stay, and the last of the day before it."""
    before = [one for one in values if -24 <= plain.plain(one[0]) < 0]
    return before[-1:] + [one for one in values if one[0] >= 0]


def add_scores(found: dict[str, Cells], identifier: int, stay: plain.Stay) -> None:
    score = plain.sofa(stay)
    for part, values in score.items():
        for hour, points in values.items():
            found[f"sofa/{part}_24hours"][identifier, hour] = [points]
    onset = plain.sepsis_onset(stay, score["sofa"])
    for hour in score["sofa"]:
        found["label_event_sepsis"][identifier, hour] = [float(onset is not None and hour >= onset)]


def add_treatments(found: dict[str, Cells], identifier: int, stay: plain.Stay) -> None:
    doses = plain.vasoactive(stay)
    pieces = [(a, b, r * FACTORS[drug]) for drug, spans in doses.items() if drug in FACTORS for a, b, r in spans]
    equivalent = [(a, b, round(rate, 4)) for a, b, rate in plain.added(pieces)]
    lasting: dict[str, list[tuple[float, float, Any]]] = {
        f"vasoactive_agent/{drug}": spans for drug, spans in doses.items()
    }
    lasting["norepinephrine_equivalent_dose/norepinephrine_equivalent_dose"] = equivalent
    lasting["ventilation/ventilation_status"] = [(a, b, status) for a, b, status, _ in plain.ventilation(stay) if b > 0]
    for name, spans in lasting.items():
        cells: dict[int, dict[Any, float]] = defaultdict(dict)
        weighted: dict[int, list[tuple[float, float]]] = defaultdict(list)
        for start, stop, value in spans:
            start = max(start, 0)
            for hour in range(math.floor(plain.plain(start)), math.ceil(plain.plain(stop))):
                cells[hour].setdefault(value, start)
                if not isinstance(value, str):
                    weighted[hour].append((value, min(stop, hour + 1) - max(start, hour)))
        for hour, values in cells.items():
            found[name][identifier, hour] = list(values)
        for hour, parts in weighted.items():
            mean = sum(value * hours for value, hours in parts) / sum(hours for _, hours in parts)
            found[f"mean_rate/{name.split('/')[1]}"][identifier, hour] = [mean]


def shown(store: Store, found: dict[str, Cells]) -> dict[str, Cells]:
    """The same columns as the store has them."""
    cells: dict[str, Cells] = {name: {} for name in sorted(found)}
    names = [channel.name for channel in store.channels]
    for block in store.blocks():
        owner, step = np.repeat(block.identifier, block.steps).tolist(), block.step_numbers().tolist()
        for events in (block.state, block.action):
            at = np.repeat(np.arange(len(owner)), np.diff(events.offsets))
            wanted = np.isin(events.channel, [place for place, name in enumerate(names) if name in cells])
            for one in np.flatnonzero(wanted).tolist():
                text = int(events.text[one])
                value = float(events.value[one]) if text < 0 else str(block.texts[text])
                key = owner[at[one]], step[at[one]]
                cells[names[events.channel[one]]].setdefault(key, []).append(value)
        for name in (name for name in cells if name.startswith("label_")):
            values = block.labels[name.removeprefix("label_")].tolist()
            cells[name] |= {key: [value] for key, value in zip(zip(owner, step, strict=True), values, strict=True)}
        for name in (name for name in cells if name.startswith("outcome_")):
            values = block.outcomes[name.removeprefix("outcome_")].tolist()
            cells[name] |= {(stay, 0): [value] for stay, value in zip(block.identifier.tolist(), values, strict=True)}
    return cells


def agreement(name: str, ours: Cells, theirs: Cells, kept: set[int]) -> dict[str, Any]:
    """n cells, how many are equal, and the worst difference among those with as many values on both sides."""
    keys = {key for key in ours.keys() | theirs.keys() if key[0] in kept}
    equal, worst, missing = 0, 0.0, 0
    for key in keys:
        one, other = sorted(ours.get(key, []), key=str), sorted(theirs.get(key, []), key=str)
        if one and not isinstance(one[0], str):
            one, other = sorted(one), sorted(other)  # type: ignore[type-var]
        differences = [difference(a, b) for a, b in zip(one, other, strict=False)]
        missing += len(one) != len(other)
        worst = max([worst, *differences])
        equal += len(one) == len(other) and max(differences, default=0) == 0
    return {"column": name, "n": len(keys), "equal": equal, "other_count": missing, "worst": worst}


def difference(one: float | str, other: float | str) -> float:
    if isinstance(one, str) or isinstance(other, str):
        return 0.0 if one == other else math.inf
    if math.isnan(one) or math.isnan(other):
        return 0.0 if math.isnan(one) and math.isnan(other) else math.inf
    apart = abs(one - other)
    return 0.0 if apart <= TOLERANCE * max(1.0, abs(one)) else apart


def table(found: list[dict[str, Any]]) -> str:
    lines = [f"{'column':<66}{'n':>8}{'equal':>8}{'other count':>13}{'worst':>10}"]
    lines += [
        f"{row['column']:<66}{row['n']:>8}{row['equal']:>8}{row['other_count']:>13}{row['worst']:>10.4g}"
        for row in found
    ]
    return "\n".join(lines)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path, help="the store of a prepared recipe of mimic_iv")
    parser.add_argument("--tables", type=Path, help="folder that holds hosp/ and icu/, if it has moved")
    parser.add_argument("--stays", type=int, help="check only so many stays")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
