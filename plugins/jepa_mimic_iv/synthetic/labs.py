"""Laboratory panels: ordered more often for the sicker, resulted later than drawn, before, during and after the ICU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import catalogue
from .grid import Cells, Chunk, choose
from .physiology import INTUBATED, Array
from .population import HOUR
from .writing import Tables, grouped_by, joined, number_text, pick, time_text

# Per panel: item -> (decimals, chance that the item is on the specimen).
CHEMISTRY_PANEL = {
    50912: (1, 1.0), 51006: (0, 1.0), 50868: (0, 0.96), 50882: (0, 0.96), 50902: (0, 0.99), 50931: (0, 0.91),
    50983: (0, 1.0), 50971: (1, 1.0), 50960: (1, 0.83), 50970: (1, 0.79), 50893: (1, 0.80),
}
COUNT_PANEL = {
    51301: (1, 1.0), 51222: (1, 1.0), 51221: (1, 1.0), 51265: (0, 1.0), 51279: (2, 1.0), 51248: (1, 1.0),
    51249: (1, 1.0), 51250: (0, 1.0), 51277: (1, 1.0),
}
CLOTTING_PANEL = {51237: (1, 1.0), 51274: (1, 1.0), 51275: (1, 0.95), 51214: (0, 0.12)}
LIVER_PANEL = {50861: (0, 1.0), 50878: (0, 1.0), 50863: (0, 1.0), 50885: (1, 1.0), 50954: (0, 0.55), 50862: (1, 0.5)}
HEART_PANEL = {51003: (2, 1.0), 50910: (0, 0.8)}
GAS_PANEL = {
    50820: (2, 1.0), 50821: (0, 0.95), 50818: (0, 0.95), 50802: (0, 0.95), 50804: (0, 0.95), 50803: (0, 0.02),
    50813: (1, 0.75), 50816: (0, 0.2), 50817: (0, 0.25), 50808: (2, 0.55), 50822: (1, 0.35), 50824: (0, 0.17),
    50809: (0, 0.3),
}


@dataclass(frozen=True)
class Panel:
    """A group of items from one tube: their precision, turnaround in minutes and the chance of a draw an hour."""

    items: dict[int, tuple[int, float]]
    turnaround: tuple[float, float]
    chance: Array
    outside: float
    priority: str | None


def write_labs(rng: np.random.Generator, chunk: Chunk, tables: Tables, first_id: int) -> None:
    """Draws and writes `hosp/labevents` of a chunk; row and specimen ids count up from `first_id`."""
    blocks: list[dict] = []
    specimens = first_id
    habitus = rng.normal(0, 1, (8, len(chunk.structure.stay_id)))
    for panel in _panels(chunk):
        cells, known = _draws(rng, chunk, panel)
        values = _values(rng, chunk, cells, habitus)
        stored = cells.time + np.round(60 * rng.uniform(*panel.turnaround, len(cells))).astype(np.int64) // 60 * 60
        specimen = specimens + np.arange(len(cells))
        specimens += len(cells)
        for itemid, (decimals, chance) in panel.items.items():
            on = rng.random(len(cells)) < chance
            blocks.append(_block(rng, itemid, values[itemid][on], decimals, panel.priority) | {
                "stay": cells.stay[on], "known": known[on], "specimen_id": specimen[on], "time": cells.time[on],
                "stored": stored[on],
            })
    rows = joined(blocks)
    rows = grouped_by(rows["stay"].to_numpy(), rows)
    stay, known = rows.pop("stay").to_numpy(), rows.pop("known").to_numpy(zero_copy_only=False)
    owner = chunk.owner(stay)
    rows["charttime"], rows["storetime"] = (time_text(rows.pop(name).to_numpy()) for name in ("time", "stored"))
    tables.write("hosp/labevents", rows | {
        "labevent_id": first_id + np.arange(len(stay)), "subject_id": owner["subject_id"],
        "hadm_id": pick([None, *map(str, chunk.structure.hadm_id)],
                        np.where(known, chunk.structure.stay_admission[stay] + 1, 0)),
    })


def _panels(chunk: Chunk) -> list[Panel]:
    series, clock = chunk.course.series, chunk.clock()
    severity, first = series["severity"], np.zeros(clock.shape)
    first[0] = 0.8
    morning = (clock >= 4) & (clock <= 5)
    tube = series["given_support"] == INTUBATED
    again = np.clip(0.02 + 0.045 * severity, 0, 0.3)
    daily = np.maximum(np.where(morning, 0.5, again), first)
    gas = np.clip(np.where(tube, 0.14 + 0.05 * severity, 0.03 * np.maximum(severity - 0.7, 0)), 0, 0.5)
    heart = (chunk.traits.phenotype == 1) * 0.03 + 0.004
    return [
        Panel(CHEMISTRY_PANEL, (35, 120), daily, 1.0, "STAT"),
        Panel(COUNT_PANEL, (25, 90), 0.9 * daily, 1.0, "STAT"),
        Panel(CLOTTING_PANEL, (30, 110), 0.5 * daily, 0.6, "STAT"),
        Panel(LIVER_PANEL, (40, 130), 0.38 * daily, 0.4, "ROUTINE"),
        Panel(HEART_PANEL, (45, 140), np.broadcast_to(heart[None, :], clock.shape), 0.2, "STAT"),
        Panel(GAS_PANEL, (1, 12), np.maximum(gas, first * 0.5 * (severity > 1)), 0.1, None),
    ]


def _draws(rng: np.random.Generator, chunk: Chunk, panel: Panel) -> tuple[Cells, Array]:
    """Specimens of the stay, of the hours before it and of the ward days after; and which name their admission."""
    during = choose(rng, chunk, panel.chance * ~chunk.unobserved[None, :], 0.1)
    calendar, n = chunk.calendar, len(chunk.structure.stay_id)
    early = np.flatnonzero(rng.random(n) < 0.8 * panel.outside)
    lead = np.minimum(chunk.calendar.ward_before[chunk.structure.stay_admission[early]], 20 * HOUR)
    before = Cells(early, np.zeros(len(early), np.int64),
                   calendar.intime[early] - (lead * rng.uniform(0.05, 1, len(early))).astype(np.int64))
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
        "itemid": itemid, "value": pc.if_else(pa.array(withheld), "___", text),
        "valuenum": number_text(np.where(withheld, np.nan, values), decimals),
        "valueuom": unit, "ref_range_lower": None if low is None else f"{low:g}",
        "ref_range_upper": None if high is None else f"{high:g}",
        "flag": pick([None, "abnormal"], abnormal.astype(int)), "priority": priority,
        "comments": pick([None, "___"], withheld.astype(int)),
    }


def _values(rng: np.random.Generator, chunk: Chunk, cells: Cells, habitus: Array) -> dict[int, Array]:
    """Measured value of every laboratory item at the cells, `(N,)` each; `habitus (8, n)` varies between stays."""
    series, traits, n = chunk.course.series, chunk.traits, len(cells)
    at = {name: cells.of(series[name]) for name in (
        "lactate", "creatinine", "urea", "glucose", "potassium", "sodium", "haemoglobin", "platelets", "bilirubin",
        "albumin", "white_cells", "pao2", "paco2", "bicarbonate", "ph", "spo2", "given_fio2")}
    ill = np.maximum(chunk.course.latent[cells.hour, cells.stay].astype(np.float64), 0)
    person = habitus[:, cells.stay]

    def noise(spread: float) -> Array:
        return rng.normal(0, spread, n)

    def ratio(spread: float) -> Array:
        return rng.lognormal(0, spread, n)

    chloride = at["sodium"] - at["bicarbonate"] - 11 - 0.8 * at["lactate"] + noise(1.2)
    cell_volume, cell_haemoglobin = 90 + 5 * person[0], 30 + 1.8 * person[0] + 0.4 * person[1]
    red_cells = 10 * at["haemoglobin"] / cell_haemoglobin
    injury = np.exp(0.45 * np.maximum(ill[:, 0] - 0.8, 0) + 0.7 * person[2])
    clotting = 13 * np.exp(0.08 * ill[:, 3] + 0.12 * np.maximum(person[3], 0) * 2)
    calcium = 1.12 + 0.06 * person[4] - 0.02 * ill[:, 3]
    return {
        50912: at["creatinine"] * ratio(0.04), 51006: at["urea"] * ratio(0.04),
        50882: at["bicarbonate"] + noise(1.0), 50902: chloride,
        50868: at["sodium"] - at["bicarbonate"] - chloride + 3 + noise(0.8), 50931: at["glucose"] + noise(6),
        50983: at["sodium"] + noise(1.0), 50971: at["potassium"] + noise(0.15),
        50960: 2.0 + 0.2 * person[5] + 0.08 * ill[:, 2] + noise(0.15),
        50970: 3.4 + 0.5 * person[6] + 0.7 * ill[:, 2] + noise(0.4),
        50893: 8.6 + 0.4 * person[4] - 0.12 * ill[:, 3] + noise(0.25),
        51301: at["white_cells"] * ratio(0.08), 51222: at["haemoglobin"] + noise(0.25),
        51221: at["haemoglobin"] * 3.05 + noise(0.7), 51265: at["platelets"] * ratio(0.05),
        51279: red_cells + noise(0.06), 51248: cell_haemoglobin + noise(0.3), 51249: 32.7 + 1.1 * person[1] + noise(0.4),
        51250: cell_volume + noise(0.8), 51277: 15.2 + 1.9 * np.maximum(person[7], -1.6) + noise(0.2),
        51237: clotting / 11.8 * ratio(0.04), 51274: clotting * ratio(0.04),
        51275: 33 * np.exp(0.06 * ill[:, 3]) * ratio(0.18), 51214: 270 + 60 * ill[:, 3] + noise(60),
        50861: 26 * injury * ratio(0.1), 50878: 34 * injury * ratio(0.1), 50863: 90 * np.exp(0.3 * person[6]) * ratio(0.06),
        50885: at["bilirubin"] * ratio(0.06), 50954: 250 * np.sqrt(injury) * ratio(0.1), 50862: at["albumin"] + noise(0.12),
        51003: 0.02 * np.exp(0.8 * np.maximum(person[2], 0) + 1.4 * (traits.phenotype[cells.stay] == 1) + 0.3 * ill[:, 2]),
        50910: 120 * injury * ratio(0.3), 50820: at["ph"] + noise(0.012), 50821: at["pao2"] * ratio(0.07),
        50818: at["paco2"] + noise(1.5), 50804: at["bicarbonate"] + 1.2 + noise(0.8), 50803: at["bicarbonate"] + noise(0.8),
        50802: at["bicarbonate"] - 24.4 + 14.8 * (at["ph"] - 7.4) + noise(0.6), 50813: at["lactate"] * ratio(0.08),
        50816: 100 * at["given_fio2"], 50817: np.clip(at["spo2"] + noise(1.0), 40, 99), 50808: calcium + noise(0.03),
        50822: at["potassium"] + noise(0.12), 50824: at["sodium"] + noise(1.2), 50809: at["glucose"] + noise(6),
    }
