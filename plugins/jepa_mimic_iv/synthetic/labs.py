"""Laboratory panels: ordered more often for the sicker, resulted later than drawn, before, during and after the ICU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import assays, catalogue
from .grid import Cells, Chunk, draw_cells
from .physiology import INTUBATED, PHENOTYPES, Array
from .population import HOUR
from .writing import TableWriters, grouped_by, joined, number_text, pick, time_text

# Per panel: item -> (decimals, chance that the item is on the specimen).
CHEMISTRY_PANEL = {
    50912: (1, 1.0),
    51006: (0, 1.0),
    50868: (0, 0.96),
    50882: (0, 0.96),
    50902: (0, 0.99),
    50931: (0, 0.91),
    50983: (0, 1.0),
    50971: (1, 1.0),
    50960: (1, 0.83),
    50970: (1, 0.79),
    50893: (1, 0.80),
}
COUNT_PANEL = {
    51301: (1, 1.0),
    51222: (1, 1.0),
    51221: (1, 1.0),
    51265: (0, 1.0),
    51279: (2, 1.0),
    51248: (1, 1.0),
    51249: (1, 1.0),
    51250: (0, 1.0),
    51277: (1, 1.0),
}
CLOTTING_PANEL = {51237: (1, 1.0), 51274: (1, 1.0), 51275: (1, 0.95), 51214: (0, 0.12)}
LIVER_PANEL = {50861: (0, 1.0), 50878: (0, 1.0), 50863: (0, 1.0), 50885: (1, 1.0), 50954: (0, 0.55), 50862: (1, 0.5)}
HEART_PANEL = {51003: (2, 1.0), 50910: (0, 0.8)}
GAS_PANEL = {
    50820: (2, 1.0),
    50821: (0, 0.95),
    50818: (0, 0.95),
    50802: (0, 0.95),
    50804: (0, 0.95),
    50803: (0, 0.02),
    50813: (1, 0.75),
    50816: (0, 0.2),
    50817: (0, 0.25),
    50808: (2, 0.55),
    50822: (1, 0.35),
    50824: (0, 0.17),
    50809: (0, 0.3),
    50810: (0, 0.3),
    50811: (1, 0.3),
}


@dataclass(frozen=True)
class Panel:
    """A group of items from one tube: how they are measured, their precision, turnaround in minutes, chance of a draw
    an hour `(T, n)`, and how often it is drawn before and after the ICU relative to the commonest panel."""

    measure: Callable[[assays.Sample], dict[int, Array]]
    items: dict[int, tuple[int, float]]
    turnaround: tuple[float, float]
    chance: Array
    outside: float
    priority: str | None


def write_labs(rng: np.random.Generator, chunk: Chunk, tables: TableWriters, first_id: int) -> None:
    """Draws and writes `hosp/labevents` of a chunk; row and specimen ids count up from `first_id`."""
    blocks: list[dict] = []
    specimens = first_id
    habitus = rng.normal(0, 1, (assays.HABITS, len(chunk.structure.stay_id)))
    for panel in _panels(chunk):
        cells, known = _draws(rng, chunk, panel)
        values = panel.measure(assays.Sample(rng, chunk, cells, habitus))
        stored = cells.time + np.round(60 * rng.uniform(*panel.turnaround, len(cells))).astype(np.int64) // 60 * 60
        specimen = specimens + np.arange(len(cells))
        specimens += len(cells)
        for itemid, (decimals, chance) in panel.items.items():
            on = rng.random(len(cells)) < chance
            blocks.append(
                _block(rng, itemid, values[itemid][on], decimals, panel.priority)
                | {
                    "stay": cells.stay[on],
                    "known": known[on],
                    "specimen_id": specimen[on],
                    "time": cells.time[on],
                    "stored": stored[on],
                }
            )
    rows = joined(blocks)
    rows = grouped_by(rows["stay"].to_numpy(), rows)
    stay, known = rows.pop("stay").to_numpy(), rows.pop("known").to_numpy(zero_copy_only=False)
    owner = chunk.owner(stay)
    rows["charttime"], rows["storetime"] = (time_text(rows.pop(name).to_numpy()) for name in ("time", "stored"))
    tables.write(
        "hosp/labevents",
        rows
        | {
            "labevent_id": first_id + np.arange(len(stay)),
            "subject_id": owner["subject_id"],
            "hadm_id": pick(
                [None, *map(str, chunk.structure.hadm_id)], np.where(known, chunk.structure.stay_admission[stay] + 1, 0)
            ),
        },
    )


def _panels(chunk: Chunk) -> list[Panel]:
    series, clock = chunk.course.series, chunk.clock()
    severity, first = series["severity"], np.zeros(clock.shape)
    first[0] = 0.8
    morning = (clock >= 4) & (clock <= 5)
    tube = series["given_support"] == INTUBATED
    again = np.clip(0.02 + 0.045 * severity, 0, 0.3)
    daily = np.maximum(np.where(morning, 0.5, again), first)
    gas = np.clip(np.where(tube, 0.14 + 0.05 * severity, 0.03 * np.maximum(severity - 0.7, 0)), 0, 0.5)
    heart = (chunk.traits.phenotype == PHENOTYPES.index("cardiac")) * 0.03 + 0.004
    return [
        Panel(assays.chemistry, CHEMISTRY_PANEL, (35, 120), daily, 1.0, "STAT"),
        Panel(assays.blood_count, COUNT_PANEL, (25, 90), 0.9 * daily, 1.0, "STAT"),
        Panel(assays.clotting, CLOTTING_PANEL, (30, 110), 0.5 * daily, 0.6, "STAT"),
        Panel(assays.liver, LIVER_PANEL, (40, 130), 0.38 * daily, 0.4, "ROUTINE"),
        Panel(assays.heart, HEART_PANEL, (45, 140), np.broadcast_to(heart[None, :], clock.shape), 0.2, "STAT"),
        Panel(assays.blood_gas, GAS_PANEL, (1, 12), np.maximum(gas, first * 0.5 * (severity > 1)), 0.1, None),
    ]


def _draws(rng: np.random.Generator, chunk: Chunk, panel: Panel) -> tuple[Cells, Array]:
    """Specimens of the stay, of the hours before it and of the ward days after; and which name their admission."""
    during = draw_cells(rng, chunk, panel.chance * ~chunk.unobserved[None, :], 0.1)
    calendar, n = chunk.calendar, len(chunk.structure.stay_id)
    early = np.flatnonzero(rng.random(n) < 0.8 * panel.outside)
    lead = np.minimum(chunk.calendar.ward_before[chunk.structure.stay_admission[early]], 20 * HOUR)
    before = Cells(
        early,
        np.zeros(len(early), np.int64),
        calendar.intime[early] - (lead * rng.uniform(0.05, 1, len(early))).astype(np.int64),
    )
    room = calendar.dischtime[chunk.structure.stay_admission] - calendar.outtime
    late = np.repeat(np.arange(n), rng.poisson(panel.outside * np.clip(room / (30 * HOUR), 0, 5)))
    last = np.maximum(chunk.course.present.sum(axis=0) - 1, 0)
    after = Cells(late, last[late], calendar.outtime[late] + (room[late] * rng.random(len(late))).astype(np.int64))
    parts = (during, before, after)
    cells = Cells(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("stay", "hour", "time")))
    # Real specimens of the emergency room and some others lack the admission's id.
    known = rng.random(len(cells)) > np.repeat([0.02, 0.3, 0.02], [len(part) for part in parts])
    return Cells(cells.stay, cells.hour, cells.time - cells.time % 60), known


def _block(rng: np.random.Generator, itemid: int, values: Array, decimals: int, priority: str | None) -> dict:
    _, _, unit, low, high = catalogue.LAB_ITEMS[itemid]
    floor = 10.0**-decimals
    values = np.maximum(np.round(values, decimals), floor) if itemid != 50802 else values
    text = number_text(values, decimals)
    abnormal = np.zeros(len(values), bool) if low is None or high is None else (values < low) | (values > high)
    # A few results are withheld in the released data and only commented.
    withheld = rng.random(len(values)) < 0.002
    return {
        "itemid": itemid,
        "value": pc.if_else(pa.array(withheld), "___", text),
        "valuenum": number_text(np.where(withheld, np.nan, values), decimals),
        "valueuom": unit,
        "ref_range_lower": None if low is None else f"{low:g}",
        "ref_range_upper": None if high is None else f"{high:g}",
        "flag": pick([None, "abnormal"], abnormal.astype(int)),
        "priority": priority,
        "comments": pick([None, "___"], withheld.astype(int)),
    }
