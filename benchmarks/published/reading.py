"""The rows of the distributed tables, read with the csv module and timed in hours since admission."""

from __future__ import annotations

import csv
import gzip
import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from published.charted import ITEMS, LAB_COPIES, LASTS
from published.dialysis import CHARTED as DIALYSIS
from published.labels import End
from published.labs import ITEMS as LABS
from published.stay import LOOK_BACK, Given, Lab, Order, Person, Procedure, Stay

REACHED = {
    "Administered", "Administered Bolus from IV Drip", "Administered in Other Location", "Partial Administered",
    "Delayed Administered", "Applied", "Applied in Other Location", "Delayed Applied",
    "Removed Existing / Applied New", "Started", "Started in Other Location", "Delayed Started", "Restarted",
}  # fmt: skip
"""Events of the administration record in which a drug reached the patient."""
CREATININE = 50912


def rows(folder: Path, name: str) -> Iterator[dict[str, str]]:
    """Rows of a table, with blanks made single and none at the ends."""
    path = next((candidate for end in (".csv.gz", ".csv") if (candidate := folder / f"{name}{end}").is_file()), None)
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
    """The stays that are checked, found by stay, admission and subject."""

    def __init__(self, folder: Path, wanted: set[int], recipe: dict[str, Any]) -> None:
        self.stays: dict[int, Stay] = {}
        self.begins: dict[int, datetime] = {}
        self.ends: dict[int, End] = {}
        self.admission: dict[str, int] = {}
        self.subject: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for row in rows(folder, "icu/icustays"):
            if (stay := int(row["stay_id"])) in wanted:
                begins, ends = time(row["intime"]), time(row["outtime"])
                hours = (ends - begins).total_seconds() / 3600
                self.stays[stay], self.begins[stay] = Stay(min(hours, recipe["max_steps"])), begins
                self.ends[stay] = End(hours, False, None, None, False)
                self.admission[row["hadm_id"]] = stay
                self.subject[row["subject_id"]].append((stay, row["hadm_id"]))

    def hour(self, stay: int, text: str) -> float:
        return (time(text) - self.begins[stay]).total_seconds() / 3600

    def within(self, row: dict[str, str]) -> int | None:
        """The stay of a row of an intensive care table, if it is checked."""
        stay = int(row["stay_id"] or 0)
        return stay if stay in self.stays else None


def read_stays(folder: Path, wanted: set[int], recipe: dict[str, Any]) -> Frame:
    frame, stored = Frame(folder, wanted, recipe), recipe["lab_visibility"] == "stored"
    named = sorted(((row["label"], row["itemid"]) for row in rows(folder, "icu/d_items") if row["label"]), reverse=True)
    labels = {item: label for label, item in named}
    read_persons(folder, frame)
    read_charts(folder, frame, stored)
    read_labs(folder, frame, stored)
    read_given(folder, frame, labels)
    read_procedures(folder, frame, labels)
    read_orders(folder, frame)
    read_urine(folder, frame)
    read_cultures(folder, frame)
    return frame


def read_persons(folder: Path, frame: Frame) -> None:
    """Who they are, how the stays ended, and the codes of earlier admissions."""
    visits: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for row in rows(folder, "hosp/admissions"):
        visits[row["subject_id"]].append((row["hadm_id"], row["admittime"], row["dischtime"]))
        if (stay := frame.admission.get(row["hadm_id"])) is not None:
            end = frame.ends[stay]
            end.died, end.discharged = row["hospital_expire_flag"] == "1", bool(row["dischtime"])
            end.death = frame.hour(stay, row["deathtime"]) if row["deathtime"] else None
            frame.stays[stay].person.race = row["race"]
    for row in rows(folder, "hosp/patients"):
        for stay, _ in frame.subject.get(row["subject_id"], ()):
            frame.ends[stay].day = frame.hour(stay, row["dod"]) if row["dod"] else None
            person = frame.stays[stay].person
            person.gender = row["gender"]
            person.age = int(row["anchor_age"]) + frame.begins[stay].year - int(row["anchor_year"])
    codes: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in rows(folder, "hosp/diagnoses_icd"):
        codes[row["hadm_id"]].add((row["icd_version"], row["icd_code"]))
    for subject, mine in frame.subject.items():
        for stay, admission in mine:
            add_earlier(frame.stays[stay].person, admission, visits[subject], codes)


def add_earlier(
    person: Person, admission: str, visits: list[tuple[str, str, str]], codes: dict[str, set[tuple[str, str]]]
) -> None:
    admitted = next(came for visit, came, _ in visits if visit == admission)
    past = [visit for visit, _, left in visits if visit != admission and left and left <= admitted]
    person.earlier = set().union(*(codes[visit] for visit in past)) if past else None


def read_charts(folder: Path, frame: Frame, stored: bool) -> None:
    """Chartings, from before admission for as long as they last."""
    wanted = ITEMS | DIALYSIS
    for row in rows(folder, "icu/chartevents"):
        item = int(row["itemid"])
        if item not in wanted or (stay := frame.within(row)) is None:
            continue
        hour = frame.hour(stay, row["charttime"])
        if item in LAB_COPIES and stored and row["storetime"]:
            hour = max(hour, frame.hour(stay, row["storetime"]))
        if -max(LOOK_BACK, LASTS.get(item, 0)) <= hour < frame.stays[stay].hours:
            frame.stays[stay].charted.append((hour, item, number(row["valuenum"]), row["value"]))


def read_labs(folder: Path, frame: Frame, stored: bool) -> None:
    """Results of the admission and the week before; creatinine of other admissions before this stay too."""
    for row in rows(folder, "hosp/labevents"):
        if int(row["itemid"]) not in LABS:
            continue
        for stay, admission in frame.subject.get(row["subject_id"], ()):
            item, drawn = int(row["itemid"]), frame.hour(stay, row["charttime"])
            seen = max(drawn, frame.hour(stay, row["storetime"])) if stored and row["storetime"] else drawn
            mine = row["hadm_id"] in ("", admission) or item == CREATININE and drawn < 0
            if mine and -168 <= seen < frame.stays[stay].hours:
                value = number(row["valuenum"])
                frame.stays[stay].labs.append(Lab(seen, drawn, item, value, row["value"], row["specimen_id"]))


def read_given(folder: Path, frame: Frame, labels: dict[str, str]) -> None:
    for row in rows(folder, "icu/inputevents"):
        stay, amount, rate = frame.within(row), number(row["amount"]), number(row["rate"])
        if stay is None or row["statusdescription"] == "Rewritten" or not ((amount or 0) > 0 or (rate or 0) > 0):
            continue
        began, ended = frame.hour(stay, row["starttime"]), frame.hour(stay, row["endtime"] or row["starttime"])
        if began < frame.stays[stay].hours and ended >= 0:
            lasts = ended > began
            stop = min(ended, frame.stays[stay].hours) if lasts else None
            frame.stays[stay].given.append(
                Given(
                    began, stop, ended - began if lasts else None, int(row["itemid"]),
                    labels.get(row["itemid"]) or f"unknown item {row['itemid']}", amount, row["amountuom"], rate,
                    row["rateuom"], row["ordercategorydescription"], number(row["patientweight"]),
                    not row["linkorderid"] or not row["orderid"] or row["linkorderid"] == row["orderid"],
                )
            )  # fmt: skip


def read_procedures(folder: Path, frame: Frame, labels: dict[str, str]) -> None:
    for row in rows(folder, "icu/procedureevents"):
        if (stay := frame.within(row)) is None or row["statusdescription"] == "Rewritten":
            continue
        start, stop = frame.hour(stay, row["starttime"]), frame.hour(stay, row["endtime"] or row["starttime"])
        if start < frame.stays[stay].hours and stop >= 0:
            label = labels.get(row["itemid"]) or f"unknown item {row['itemid']}"
            frame.stays[stay].procedures.append(
                Procedure(
                    max(start, 0), min(stop, frame.stays[stay].hours), int(row["itemid"]), label, row["location"],
                    row["ordercategorydescription"], bool(row["value"]),
                )
            )  # fmt: skip


def read_orders(folder: Path, frame: Frame) -> None:
    """Orders that begin in the stay. One that stops before it starts counts if it was given, from its first dose on."""
    first = read_administered(folder, frame)
    for row in rows(folder, "hosp/prescriptions"):
        stay = frame.admission.get(row["hadm_id"])
        if stay is None or not row["starttime"] or not row["drug"]:
            continue
        begins, shown = frame.hour(stay, row["starttime"]), frame.hour(stay, row["starttime"])
        if not 0 <= begins < frame.stays[stay].hours:
            continue
        if row["stoptime"] and time(row["stoptime"]) < time(row["starttime"]):
            shown = max(begins, first.get((stay, row["pharmacy_id"]), math.inf))
        if shown < math.inf:
            frame.stays[stay].orders.append(
                Order(
                    shown, begins, time(row["starttime"]).toordinal(), row["drug"], row["drug_type"], row["route"],
                    row["dose_unit_rx"], row["dose_val_rx"], row["prod_strength"],
                )
            )  # fmt: skip


def read_administered(folder: Path, frame: Frame) -> dict[tuple[int, str], float]:
    """What reached the patient; the hour of the first dose of each order, by stay and pharmacy_id."""
    first: dict[tuple[int, str], float] = {}
    for row in rows(folder, "hosp/emar"):
        for stay, admission in frame.subject.get(row["subject_id"], ()):
            if row["hadm_id"] not in ("", admission) or row["event_txt"] not in REACHED or not row["charttime"]:
                continue
            hour = frame.hour(stay, row["charttime"])
            if hour >= frame.stays[stay].hours:
                continue
            if row["pharmacy_id"]:
                key = stay, row["pharmacy_id"]
                first[key] = min(first.get(key, math.inf), hour)
            if hour >= 0 and row["medication"]:
                frame.stays[stay].administered.append((hour, row["medication"], row["event_txt"]))
    return first


def read_urine(folder: Path, frame: Frame) -> None:
    for row in rows(folder, "icu/outputevents"):
        if (stay := frame.within(row)) is not None and row["value"]:
            hour = frame.hour(stay, row["charttime"])
            if 0 <= hour < frame.stays[stay].hours:
                frame.stays[stay].urine.append((hour, int(row["itemid"]), float(row["value"])))


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
