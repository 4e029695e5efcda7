"""What nurses and monitors chart: vital signs, ventilator, consciousness, documentation, and urine output."""

from __future__ import annotations

import numpy as np

from . import catalogue
from .grid import Cells, Chunk, draw_cells
from .physiology import INTUBATED, Array
from .writing import TableWriters, grouped_by, joined, number_text, pick, time_text

IMPLAUSIBLE = 2.5e-4
GAP_PER_HOUR = 0.008


class Chart:
    """Collects the chart rows of one chunk."""

    def __init__(self, rng: np.random.Generator, chunk: Chunk) -> None:
        self.rng, self.chunk, self.series = rng, chunk, chunk.course.series
        self._blocks: list[dict] = []
        self._stays: list[Array] = []

    def numeric(self, itemid: int, cells: Cells, values: Array, decimals: int = 0) -> None:
        """Charts numbers in the item's unit; now and then one is an artefact, as on a real monitor."""
        wrong = self.rng.random(len(cells)) < IMPLAUSIBLE
        values = np.where(wrong, np.where(self.rng.random(len(cells)) < 0.6, 0.0, values * 10), values)
        text = number_text(values, decimals)
        self._add(itemid, cells, text, text)

    def text(self, itemid: int, cells: Cells, texts: tuple[str, ...], codes: Array, numbers: Array | None) -> None:
        """Charts a choice from `texts`; `numbers (N,)` fills valuenum where the real item has one."""
        valuenum = None if numbers is None else number_text(numbers, 0)
        self._add(itemid, cells, pick(texts, codes), valuenum)

    def routine(self, cells: Cells, itemids: Array, values: list[str], codes: Array) -> None:
        """Charts many documentation items at once; `itemids (N,)`, `codes (N,)` into `values`."""
        self._add(itemids, cells, pick(values, codes), None)

    def _add(self, itemid: int | Array, cells: Cells, value: object, valuenum: object) -> None:
        unit = catalogue.CHART_ITEMS[itemid][3] if isinstance(itemid, int) else None
        unit = None if unit == "None" else unit  # the word of the dictionary for an item charted without a unit
        self._stays.append(cells.stay)
        self._blocks.append(
            {
                "itemid": itemid,
                "time": cells.time,
                "value": value,
                "valuenum": valuenum,
                "valueuom": unit,
            }
        )

    def write(self, tables: TableWriters) -> None:
        stay = np.concatenate(self._stays)
        rows = joined([block | {"stay": stays} for block, stays in zip(self._blocks, self._stays, strict=True)])
        rows = grouped_by(stay, rows)
        ordered, time = rows.pop("stay").to_numpy(), rows.pop("time").to_numpy()
        delay = 60 * self.rng.integers(1, 45, len(ordered))
        tables.write(
            "icu/chartevents",
            self.chunk.owner(ordered)
            | rows
            | {
                "caregiver_id": 10_000 + (ordered * 37 + time // 43_200 * 101) % 83_000,
                "charttime": time_text(time),
                "storetime": time_text(time + delay),
                "warning": "0",
            },
        )


def write_charts(rng: np.random.Generator, chunk: Chunk, tables: TableWriters) -> None:
    """Draws and writes `icu/chartevents` and `icu/outputevents` of a chunk."""
    chart = Chart(rng, chunk)
    attended = _attended(rng, chunk)
    arterial = _arterial_line(rng, chunk)
    _vital_signs(chart, attended, arterial)
    _temperature(chart, attended)
    _consciousness(chart, attended)
    _oxygen(chart, attended)
    _ventilator(chart, attended)
    _body(chart)
    _finger_sticks(chart)
    _documentation(chart)
    chart.write(tables)
    _urine(rng, chunk, tables)


def _attended(rng: np.random.Generator, chunk: Chunk) -> Array:
    """1 where the patient is at the bedside monitor, 0 in transport gaps of one to four hours; `(T, n)`."""
    shape = chunk.course.present.shape
    away = rng.random(shape) < GAP_PER_HOUR
    for back in range(1, 4):
        away[back:] |= (rng.random((shape[0] - back, shape[1])) < 0.5) & away[:-back] if shape[0] > back else False
    return (~away & ~chunk.unobserved[None, :]).astype(np.float64)


def _arterial_line(rng: np.random.Generator, chunk: Chunk) -> Array:
    """True from the first pressor or tube until a day after the last, for those who get a line; `(T, n)`."""
    series = chunk.course.series
    needed = (series["given_norepinephrine"] > 0) | (series["given_support"] == INTUBATED)
    hours = np.arange(len(needed))[:, None]
    last = np.maximum.accumulate(np.where(needed, hours, -1000), axis=0)
    return (hours - last < 24) & (rng.random(needed.shape[1]) < 0.85)[None, :]


def _every(rng: np.random.Generator, chunk: Chunk, period: int, kept: float) -> Array:
    """Probability grid of rounds every `period` hours by the clock, each kept with a chance; `(T, n)`."""
    phase = rng.integers(0, period, len(chunk.structure.stay_id))
    return ((chunk.clock() - phase[None, :]) % period == 0) * kept


def _vital_signs(chart: Chart, attended: Array, arterial: Array) -> None:
    rng, chunk, series = chart.rng, chart.chunk, chart.series
    extra = np.clip(0.12 * (series["severity"] - 0.8), 0, 0.3)
    for grid, on_the_hour in ((0.98 * attended, 0.72), (extra * attended, 0.0)):
        cells = draw_cells(rng, chunk, grid, on_the_hour)
        n = len(cells)
        seen = {name: cells.of(series[name]) for name in ("heart_rate", "respiratory_rate", "spo2")}
        wobble = 1 + 0.06 * chunk.traits.fibrillating[cells.stay]
        kept = rng.random((3, n)) < np.array([[0.99], [0.98], [0.96]])
        rate = np.round(np.clip(seen["heart_rate"] * wobble + rng.normal(0, 4, n), 20, 220))
        chart.numeric(220045, cells.where(kept[0]), rate[kept[0]])
        breaths = np.clip(seen["respiratory_rate"] + rng.normal(0, 2.4, n), 4, 60)
        chart.numeric(220210, cells.where(kept[1]), breaths[kept[1]])
        chart.numeric(220277, cells.where(kept[2]), np.clip(seen["spo2"] + rng.normal(0.8, 1.1, n), 40, 100)[kept[2]])
        _rhythm(chart, cells.where(kept[0]), rate[kept[0]])
        _pressure(chart, cells.where(arterial[cells.hour, cells.stay]), (220050, 220051, 220052), 3.0)
        cuff = rng.random(n) < np.where(arterial[cells.hour, cells.stay], 0.22, 0.95)
        _pressure(chart, cells.where(cuff), (220179, 220180, 220181), 5.0)


def _rhythm(chart: Chart, cells: Cells, rate: Array) -> None:
    codes = np.where(rate > 100, 1, np.where(rate < 60, 2, 0))
    codes = np.where(chart.chunk.traits.fibrillating[cells.stay] * chart.rng.random(len(cells)) > 0.15, 3, codes)
    kept = chart.rng.random(len(cells)) < 0.9
    chart.text(220048, cells.where(kept), catalogue.RHYTHM, codes[kept], None)


def _pressure(chart: Chart, cells: Cells, items: tuple[int, int, int], noise: float) -> None:
    n = len(cells)
    mean = cells.of(chart.series["map"]) + chart.rng.normal(0, noise, n)
    pulse = cells.of(chart.series["pulse_pressure"]) * chart.rng.lognormal(0, 0.13, n)
    # Systolic and diastolic from the mean: diastolic lies a third of the pulse pressure below it.
    for item, value in zip(items, (mean + 2 * pulse / 3, mean - pulse / 3, mean), strict=True):
        kept = chart.rng.random(n) < 0.995
        chart.numeric(item, cells.where(kept), np.clip(value + chart.rng.normal(0, 1, n), 10, 260)[kept])


def _temperature(chart: Chart, attended: Array) -> None:
    rng, chunk = chart.rng, chart.chunk
    fever = np.clip(0.25 * (chart.series["temperature"] - 37.8), 0, 0.4)
    cells = draw_cells(rng, chunk, (_every(rng, chunk, 4, 0.9) + fever) * attended, 0.8)
    celsius = np.clip(cells.of(chart.series["temperature"]) + rng.normal(0, 0.22, len(cells)), 30, 42)
    core = (rng.random(len(chunk.structure.stay_id)) < 0.11)[cells.stay]
    chart.numeric(223762, cells.where(core), celsius[core], 1)
    chart.numeric(223761, cells.where(~core), celsius[~core] * 1.8 + 32, 1)


def _consciousness(chart: Chart, attended: Array) -> None:
    rng, series = chart.rng, chart.series
    cells = draw_cells(rng, chart.chunk, _every(rng, chart.chunk, 4, 0.93) * attended, 0.85)
    n = len(cells)
    eye = np.clip(np.round(cells.of(series["eye"]) + rng.normal(0, 0.3, n)), 1, 4).astype(int)
    verbal = np.clip(np.round(cells.of(series["verbal"]) + rng.normal(0, 0.35, n)), 1, 5).astype(int)
    motor = np.clip(np.round(cells.of(series["motor"]) + rng.normal(0, 0.3, n)), 1, 6).astype(int)
    tube = cells.of(series["given_support"]) == INTUBATED
    chart.text(220739, cells, catalogue.EYE, eye - 1, eye.astype(float))
    chart.text(223900, cells, catalogue.VERBAL, np.where(tube, 5, verbal - 1), np.where(tube, 1.0, verbal))
    chart.text(223901, cells, catalogue.MOTOR, motor - 1, motor.astype(float))
    arousal = np.clip(np.round(rng.normal(0.1, 0.5, n) - 5.5 * cells.of(series["sedation"]) - (eye < 3)), -5, 1)
    chart.text(228096, cells, catalogue.AROUSAL, arousal.astype(int) + 5, arousal)


def _oxygen(chart: Chart, attended: Array) -> None:
    rng, series = chart.rng, chart.series
    support, fio2 = series["given_support"], series["given_fio2"]
    changed = np.zeros_like(support)
    changed[1:] = 0.9 * ((support[1:] != support[:-1]) | (fio2[1:] != fio2[:-1]))
    grid = np.maximum(_every(rng, chart.chunk, 4, 0.85), 0.6 * changed) * attended
    cells = draw_cells(rng, chart.chunk, grid, 0.7)
    level = cells.of(support).astype(int)
    mask = (level == 2) & (rng.random(len(cells)) < 0.45)
    chart.text(226732, cells, catalogue.DEVICE, np.where(mask, 5, level), None)
    flowing = (level >= 1) & (level <= 2)
    litres = np.where(level == 1, (cells.of(fio2) - 0.2) / 0.04, cells.of(fio2) * 50)
    chart.numeric(223834, cells.where(flowing), np.maximum(litres, 1)[flowing])
    measured = level >= 2
    chart.numeric(223835, cells.where(measured), 100 * cells.of(fio2)[measured])


def _ventilator(chart: Chart, attended: Array) -> None:
    rng, series = chart.rng, chart.series
    tube = series["given_support"] == INTUBATED
    cells = draw_cells(rng, chart.chunk, np.maximum(_every(rng, chart.chunk, 4, 0.95), 0.06) * attended * tube, 0.6)
    n, traits = len(cells), chart.chunk.traits
    lean = 45.5 + 0.91 * (traits.height[cells.stay] - 152.4) + 4.5 * traits.male[cells.stay]
    breaths = np.round(np.maximum(cells.of(series["respiratory_rate"]) + rng.normal(0, 1.5, n), 8))
    spontaneous = cells.of(series["sedation"]) < 0.25
    rate_set = np.round(np.clip(breaths - 2, 10, 34) / 2) * 2
    volume_set = np.round(lean * 6.8 / 10) * 10
    volume = np.maximum(volume_set * rng.lognormal(0, 0.1, n), 120)
    stiffness = np.clip(8 + (350 - cells.of(series["pf_ratio"])) / 25, 4, 24)
    peep = cells.of(series["given_peep"])
    mandatory = ~spontaneous
    chart.numeric(220339, cells, peep)
    chart.numeric(224685, cells, volume)
    chart.numeric(224690, cells, breaths)
    chart.numeric(224687, cells, np.maximum(volume * breaths / 1000 + rng.normal(0, 0.3, n), 1.5), 1)
    chart.numeric(224689, cells, np.where(spontaneous, breaths, np.maximum(breaths - rate_set, 0)))
    chart.numeric(224684, cells.where(mandatory), volume_set[mandatory])
    chart.numeric(224688, cells.where(mandatory), rate_set[mandatory])
    chart.numeric(224686, cells.where(spontaneous), volume[spontaneous])
    plateau = mandatory & (rng.random(n) < 0.6)
    chart.numeric(224696, cells.where(plateau), (peep + stiffness + rng.normal(0, 1.5, n))[plateau])
    mode = spontaneous.astype(int)
    chart.text(223849, cells, catalogue.VENTILATOR_MODE, mode, np.array(catalogue.VENTILATOR_MODE_NUMBER)[mode])


def _body(chart: Chart) -> None:
    rng, chunk = chart.rng, chart.chunk
    first = np.zeros(chunk.course.present.shape)
    first[0] = 0.92
    cells = draw_cells(rng, chunk, first, 0.3)
    chart.numeric(226512, cells, chunk.traits.weight[cells.stay], 1)
    cells = draw_cells(rng, chunk, first * 0.55, 0.3)
    chart.numeric(226730, cells, chunk.traits.height[cells.stay])
    cells = draw_cells(rng, chunk, (chunk.clock() == 5) * 0.45, 0.5)
    chart.numeric(224639, cells, chunk.traits.weight[cells.stay] + rng.normal(0.5, 1.0, len(cells)), 1)


def _finger_sticks(chart: Chart) -> None:
    rng, series = chart.rng, chart.series
    keen = np.where(chart.chunk.traits.diabetic > 0, 0.9, 0.25)[None, :]
    grid = np.maximum(_every(rng, chart.chunk, 6, 1.0) * keen, 0.8 * (series["given_insulin_drip"] > 0))
    cells = draw_cells(rng, chart.chunk, grid, 0.3)
    chart.numeric(225664, cells, np.maximum(cells.of(series["glucose"]) + rng.normal(0, 9, len(cells)), 30))


def _documentation(chart: Chart) -> None:
    """Rounds every two hours; each writes most of the documentation items."""
    rng = chart.rng
    rounds = draw_cells(rng, chart.chunk, _every(rng, chart.chunk, 2, 0.95), 0.9)
    itemids = np.array(list(catalogue.ROUTINE_ITEMS))
    values = [value for item in catalogue.ROUTINE_ITEMS.values() for value in item[3]]
    sizes = np.array([len(item[3]) for item in catalogue.ROUTINE_ITEMS.values()])
    starts = np.cumsum(sizes) - sizes
    item, at = np.nonzero(rng.random((len(itemids), len(rounds))) < 0.8)
    rank = np.minimum(rng.geometric(0.7, len(at)) - 1, sizes[item] - 1)
    chart.routine(rounds.where(at), itemids[item], values, starts[item] + rank)


def _urine(rng: np.random.Generator, chunk: Chunk, tables: TableWriters) -> None:
    """Hourly by catheter for most of the sick; otherwise voided every few hours. Volumes sum the hours since."""
    series = chunk.course.series
    catheter = rng.random(len(chunk.structure.stay_id)) < 0.35 + 0.3 * np.clip(series["severity"][0], 0, 2)
    grid = np.where(catheter[None, :], 0.8, 0.14) * ~chunk.unobserved[None, :]
    cells = draw_cells(rng, chunk, grid, 0.8)
    total = np.vstack([np.zeros(grid.shape[1]), np.cumsum(series["urine"], axis=0)])[cells.hour, cells.stay]
    fresh = np.append(True, cells.stay[1:] != cells.stay[:-1])
    volume = np.where(fresh, series["urine"][0, cells.stay], np.diff(total, prepend=0.0))
    volume = np.round(np.maximum(volume * rng.lognormal(0, 0.25, len(cells)), 0) / 5) * 5
    tables.write(
        "icu/outputevents",
        chunk.owner(cells.stay)
        | {
            "caregiver_id": 10_000 + (cells.stay * 37) % 83_000,
            "charttime": time_text(cells.time),
            "storetime": time_text(cells.time + 60 * rng.integers(1, 70, len(cells))),
            "itemid": np.where(catheter[cells.stay], 226559, 226560),
            "value": number_text(volume, 0),
            "valueuom": "ml",
        },
    )
