"""What was given and done: infusions in segments, pushes, boluses, ventilation, lines, prescriptions, emar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .grid import Cells, Chunk, draw_cells
from .physiology import INTUBATED, Array
from .population import HOUR
from .writing import TableWriters, grouped_by, joined, number_text, pick, time_text

DRIPS, FLUIDS, PUSH, BOLUS, INSULIN = (
    "01-Drips",
    "02-Fluids (Crystalloids)",
    "05-Med Bolus",
    "03-IV Fluid Bolus",
    "06-Insulin (Non IV)",
)
ANTIBIOTIC, BLOOD = "08-Antibiotics (IV)", "07-Blood Products"
MAIN, MIXED = "Main order parameter", "Mixed solution"
ADDITIVE = "Additives                                         Ampoule                                           "
ORDERS_PER_CHUNK = 200_000


@dataclass(frozen=True)
class Infusion:
    """A continuous drug: its series, units, mg (or units) given per rate unit per minute (per kg if `per_kg`),
    the strength of the bag in amount per mL, and the fluid that carries it (None for plain fluid)."""

    itemid: int
    series: str
    amount_unit: str
    rate_unit: str
    per_minute: float
    per_kg: bool
    strength: float
    carrier: int | None
    bag: float


INFUSIONS = (
    Infusion(221906, "given_norepinephrine", "mg", "mcg/kg/min", 1e-3, True, 8 / 250, 220949, 250),
    Infusion(222315, "given_vasopressin", "units", "units/hour", 1 / 60, False, 0.4, 225158, 100),
    Infusion(222168, "given_propofol", "mg", "mcg/kg/min", 1e-3, True, 10, None, 100),
    Infusion(225942, "given_fentanyl", "mg", "mcg/hour", 1e-3 / 60, False, 0.05, 225158, 50),
    Infusion(221668, "given_midazolam", "mg", "mg/hour", 1 / 60, False, 1, 225158, 100),
    Infusion(223258, "given_insulin_drip", "units", "units/hour", 1 / 60, False, 1, 225158, 100),
    Infusion(225158, "given_maintenance", "ml", "mL/hour", 1 / 60, False, 1, None, 1000),
)


@dataclass(frozen=True)
class Segments:
    """Stretches of constant rate: stay, start and end second, rate, status; `place` numbers the segments and `first`
    is the number of the first segment of the same run."""

    stay: Array
    start: Array
    end: Array
    rate: Array
    place: Array
    first: Array
    status: Array


class OrderIds:
    """Hands out order ids that are unique over all chunks."""

    def __init__(self, chunk_number: int) -> None:
        self._next = 1 + chunk_number * ORDERS_PER_CHUNK

    def take(self, count: int) -> Array:
        self._next += count
        return np.arange(self._next - count, self._next)


STATUSES = ("ChangeDose/Rate", "FinishedRunning", "Stopped", "Paused")


def write_orders(rng: np.random.Generator, chunk: Chunk, tables: TableWriters, chunk_number: int) -> None:
    """Draws and writes `icu/inputevents` and `icu/procedureevents` of a chunk."""
    orders = OrderIds(chunk_number)
    blocks = [block for infusion in INFUSIONS for block in _infusion_rows(rng, chunk, orders, infusion)]
    blocks += _pushes(rng, chunk, orders) + _fluids(rng, chunk, orders) + _routine(rng, chunk, orders)
    rows = joined(blocks)
    rows = grouped_by(rows["stay"].to_numpy(), rows)
    stay, start, end = (rows.pop(name).to_numpy() for name in ("stay", "start", "end"))
    tables.write(
        "icu/inputevents",
        chunk.owner(stay)
        | rows
        | {
            "caregiver_id": 10_000 + (stay * 37 + start // 43_200 * 101) % 83_000,
            "starttime": time_text(start),
            "endtime": time_text(end),
            "storetime": time_text(start + 60 * rng.integers(0, 30, len(stay))),
            "patientweight": number_text(chunk.traits.weight[stay], 1),
            "isopenbag": "0",
            "continueinnextdept": "0",
        },
    )
    _procedures(rng, chunk, tables, orders)


def segments_of(rng: np.random.Generator, chunk: Chunk, doses: Array) -> Segments:
    """Cuts an hourly dose `(T, n)` into segments of constant rate that abut within a run.

    A change takes effect at a minute inside its hour, shared by the segment that ends and the one that begins; long
    runs are cut when the bag is finished.
    """
    doses = np.where(chunk.course.present, doses, 0.0)
    hours, n = doses.shape
    before = np.vstack([np.zeros((1, n)), doses[:-1]])
    bag_change = (np.arange(hours)[:, None] + rng.integers(0, 11, (1, n))) % 11 == 0
    cut = (doses != before) | (bag_change & (doses > 0) & (before > 0))
    edge_stay, edge_hour = np.nonzero(cut.T)
    moment = chunk.calendar.intime[edge_stay] + edge_hour * HOUR + 60 * rng.integers(0, 50, len(edge_stay))
    moment -= moment % 60
    follows = np.append(edge_stay[1:] == edge_stay[:-1], False)
    finish = np.where(follows, np.append(moment[1:], 0), chunk.calendar.outtime[edge_stay])
    rate = doses[edge_hour, edge_stay]
    next_rate = np.where(follows, np.append(rate[1:], 0.0), 0.0)
    status = np.where(next_rate == rate, 1, 0)
    status = np.where(next_rate == 0, rng.choice([1, 2, 3], len(rate), p=[0.35, 0.35, 0.3]), status)
    starts_run = before[edge_hour, edge_stay] == 0
    first = np.maximum.accumulate(np.where(starts_run, np.arange(len(rate)), 0))
    used = (rate > 0) & (finish > moment)
    positions = np.arange(len(rate))
    return Segments(edge_stay[used], moment[used], finish[used], rate[used], positions[used], first[used], status[used])


def _infusion_rows(rng: np.random.Generator, chunk: Chunk, orders: OrderIds, infusion: Infusion) -> list[dict]:
    segments = segments_of(rng, chunk, chunk.course.series[infusion.series].astype(np.float64))
    count = len(segments.stay)
    # A pump's log differs slightly from the order; the run's later segments link to its first order.
    rate = segments.rate * (1 + 0.002 * rng.normal(0, 1, count))
    weight = np.round(chunk.traits.weight[segments.stay], 1) if infusion.per_kg else 1.0
    minutes = (segments.end - segments.start) / 60
    amount = rate * infusion.per_minute * weight * minutes
    ids = orders.take(int(segments.place.max(initial=-1)) + 1)
    common = {
        "stay": segments.stay,
        "start": segments.start,
        "end": segments.end,
        "orderid": ids[segments.place],
        "linkorderid": ids[segments.first],
        "statusdescription": pick(STATUSES, segments.status),
        "totalamount": number_text(np.full(count, infusion.bag), 0),
        "totalamountuom": "ml",
    }
    drip = infusion.amount_unit != "ml"
    rows = [
        common
        | _what(
            infusion.itemid,
            amount,
            infusion.amount_unit,
            rate,
            infusion.rate_unit,
            DRIPS if drip else FLUIDS,
            FLUIDS if drip else "Additive (Crystalloid)",
            MAIN,
            "Continuous Med" if drip else "Continuous IV",
        )
    ]
    if infusion.carrier is not None:
        volume = amount / infusion.strength
        rows.append(
            common
            | _what(
                infusion.carrier, volume, "ml", volume / minutes * 60, "mL/hour", DRIPS, FLUIDS, MIXED, "Continuous Med"
            )
        )
    return rows


def _what(
    itemid: int,
    amount: Array,
    unit: str,
    rate: Array | None,
    rate_unit: str | None,
    category: str,
    second_category: str | None,
    component: str,
    description: str,
) -> dict:
    return {
        "itemid": itemid,
        "amount": number_text(amount, 6),
        "amountuom": unit,
        "rate": None if rate is None else number_text(rate, 6),
        "rateuom": rate_unit,
        "ordercategoryname": category,
        "secondaryordercategoryname": second_category,
        "ordercomponenttypedescription": component,
        "ordercategorydescription": description,
        "originalamount": number_text(amount, 3),
        "originalrate": number_text(amount if rate is None else rate, 3),
    }


def _given_cells(rng: np.random.Generator, chunk: Chunk, name: str) -> tuple[Cells, Array]:
    """Moments in the hours in which the series `name` is given, with the amounts."""
    series = chunk.course.series[name]
    cells = draw_cells(rng, chunk, (series > 0).astype(float), 0.2)
    return cells, cells.of(series)


def _once(orders: OrderIds, cells: Cells, minutes: int, total: Array | None, cell: dict) -> dict:
    own = orders.take(len(cells))
    return {
        "stay": cells.stay,
        "start": cells.time,
        "end": cells.time + 60 * minutes,
        "orderid": own,
        "linkorderid": own,
        "statusdescription": "FinishedRunning",
        "totalamount": None if total is None else number_text(total, 0),
        "totalamountuom": None if total is None else "ml",
    } | cell


def _pushes(rng: np.random.Generator, chunk: Chunk, orders: OrderIds) -> list[dict]:
    """Insulin, furosemide, fentanyl and antibiotics, each given in one minute."""
    blocks = []
    for itemid, name, unit, category in (
        (223258, "given_insulin_push", "units", INSULIN),
        (221794, "given_furosemide", "mg", PUSH),
    ):
        cells, amount = _given_cells(rng, chunk, name)
        blocks.append(
            _once(orders, cells, 1, None, _what(itemid, amount, unit, None, None, category, None, MAIN, "Drug Push"))
        )
    tube = chunk.course.series["given_support"] == INTUBATED
    cells = draw_cells(rng, chunk, 0.05 * tube * ~chunk.traits.prefers_propofol[None, :] + 0.006, 0.1)
    blocks.append(
        _once(
            orders,
            cells,
            1,
            None,
            _what(
                221744, rng.choice([25.0, 50.0, 100.0], len(cells)), "mcg", None, None, PUSH, None, MAIN, "Drug Push"
            ),
        )
    )
    for itemid, name, volume in ((225798, "given_vancomycin", 200.0), (225893, "given_piperacillin", 100.0)):
        cells, amount = _given_cells(rng, chunk, name)
        bag = np.full(len(cells), volume)
        dose = _once(
            orders, cells, 1, bag, _what(itemid, amount, "dose", None, None, ANTIBIOTIC, FLUIDS, MAIN, "Drug Push")
        )
        solution = _what(225158, bag, "ml", None, None, ANTIBIOTIC, FLUIDS, MIXED, "Drug Push")
        blocks += [dose, dose | solution]
    return blocks


def _routine(rng: np.random.Generator, chunk: Chunk, orders: OrderIds) -> list[dict]:
    """Prophylaxis and oral or tube intake by the clock, which say little about the state."""
    clock = chunk.clock()
    tube = chunk.course.series["given_support"] == INTUBATED
    blocks = []
    for itemid, chance, unit, amounts, category, second, description in (
        (225975, 0.6 * (clock % 8 == 0), "dose", (1.0,), "11-Prophylaxis (Non IV)", None, "Drug Push"),
        (225910, 0.5 * (clock % 12 == 8), "dose", (1.0,), "10-Prophylaxis (IV)", FLUIDS, "Drug Push"),
        (226452, 0.5 * ~tube * (clock % 4 == 0), "ml", (60.0, 120.0, 240.0), "14-Oral/Gastric Intake", None, "Bolus"),
        (226453, 0.5 * tube * (clock % 4 == 0), "ml", (30.0, 60.0), "14-Oral/Gastric Intake", None, "Bolus"),
    ):
        cells = draw_cells(rng, chunk, chance, 0.5)
        amount = rng.choice(amounts, len(cells))
        blocks.append(
            _once(orders, cells, 1, None, _what(itemid, amount, unit, None, None, category, second, MAIN, description))
        )
    return blocks


def _fluids(rng: np.random.Generator, chunk: Chunk, orders: OrderIds) -> list[dict]:
    """Crystalloid boluses, potassium in an hour and red cells in an hour."""
    cells, amount = _given_cells(rng, chunk, "given_bolus")
    ringer = chunk.traits.prefers_ringer[cells.stay]
    blocks = [
        _once(
            orders,
            cells.where(chosen),
            1,
            amount[chosen],
            _what(itemid, amount[chosen], "ml", None, None, BOLUS, None, MAIN, "Bolus"),
        )
        for itemid, chosen in ((225828, ringer), (225158, ~ringer))
    ]
    cells, amount = _given_cells(rng, chunk, "given_potassium")
    blocks.append(
        _once(
            orders,
            cells,
            60,
            np.full(len(cells), 50.0),
            _what(225166, amount, "mEq", None, None, FLUIDS, "Additive (Crystalloid)", ADDITIVE, "Continuous IV"),
        )
    )
    cells, amount = _given_cells(rng, chunk, "given_blood")
    blocks.append(
        _once(
            orders,
            cells,
            60,
            amount,
            _what(225168, amount, "ml", amount, "mL/hour", BLOOD, None, MAIN, "Continuous IV"),
        )
    )
    return blocks


def _procedures(rng: np.random.Generator, chunk: Chunk, tables: TableWriters, orders: OrderIds) -> None:
    series = chunk.course.series
    support = series["given_support"]
    blocks = []
    for itemid, level in ((225792, INTUBATED), (225794, 3)):
        segments = segments_of(rng, chunk, (support == level) * 1.0)
        merged = _merge(segments)
        blocks.append(_lasting(orders, itemid, merged.stay, merged.start, merged.end, "Ventilation"))
        if level == INTUBATED:
            inside = merged.end < chunk.calendar.outtime[merged.stay]
            blocks.append(_task(orders, 224385, merged.stay, merged.start, "Intubation/Extubation"))
            blocks.append(_task(orders, 227194, merged.stay[inside], merged.end[inside], "Intubation/Extubation"))
    n = len(chunk.structure.stay_id)
    severity = series["severity"][0]
    for itemid, chance, category in (
        (225752, 0.3 + 0.3 * (severity > 1), "Invasive Lines"),
        (224263, 0.15 + 0.35 * (severity > 1.2), "Invasive Lines"),
        (224275, np.full(n, 0.85), "Peripheral Lines"),
        (229351, np.full(n, 0.4), "Tubes"),
    ):
        stay = np.flatnonzero(rng.random(n) < chance)
        length = chunk.calendar.outtime[stay] - chunk.calendar.intime[stay]
        start = chunk.calendar.intime[stay] + (length * 0.1 * rng.random(len(stay))).astype(np.int64)
        end = start + (length * rng.uniform(0.4, 0.9, len(stay))).astype(np.int64)
        blocks.append(_lasting(orders, itemid, stay, start - start % 60, end - end % 60, category))
    films = draw_cells(rng, chunk, 0.012 + 0.01 * (support >= 2), 0.1)
    blocks.append(_task(orders, 225459, films.stay, films.time, "Imaging"))
    rows = joined(blocks)
    rows = grouped_by(rows["stay"].to_numpy(), rows)
    stay, start, end = (rows.pop(name).to_numpy() for name in ("stay", "start", "end"))
    tables.write(
        "icu/procedureevents",
        chunk.owner(stay)
        | rows
        | {
            "caregiver_id": 10_000 + (stay * 37) % 83_000,
            "starttime": time_text(start),
            "endtime": time_text(end),
            "storetime": time_text(end),
            "patientweight": number_text(chunk.traits.weight[stay], 1),
            "continueinnextdept": "0",
            "statusdescription": "FinishedRunning",
        },
    )


def _merge(segments: Segments) -> Segments:
    """Joins the segments of each run into one."""
    _, start = np.unique(segments.first, return_index=True)
    end = np.append(start[1:], len(segments.first)) - 1
    if len(segments.first) == 0:
        return segments
    return Segments(
        segments.stay[start],
        segments.start[start],
        segments.end[end],
        segments.rate[start],
        segments.place[start],
        segments.first[start],
        segments.status[end],
    )


def _lasting(orders: OrderIds, itemid: int, stay: Array, start: Array, end: Array, category: str) -> dict:
    minutes = number_text((end - start) // 60, 0)
    own = orders.take(len(stay))
    return {
        "stay": stay,
        "start": start,
        "end": end,
        "itemid": itemid,
        "value": minutes,
        "valueuom": "min",
        "orderid": own,
        "linkorderid": own,
        "ordercategoryname": category,
        "ordercategorydescription": "ContinuousProcess",
        "isopenbag": "1",
        "ORIGINALAMOUNT": minutes,
        "ORIGINALRATE": "1",
    }


def _task(orders: OrderIds, itemid: int, stay: Array, start: Array, category: str) -> dict:
    own = orders.take(len(stay))
    return {
        "stay": stay,
        "start": start,
        "end": start + 60,
        "itemid": itemid,
        "value": "1",
        "valueuom": "None",
        "orderid": own,
        "linkorderid": own,
        "ordercategoryname": category,
        "ordercategorydescription": "Task",
        "isopenbag": "0",
        "ORIGINALAMOUNT": "1",
        "ORIGINALRATE": "0",
    }
