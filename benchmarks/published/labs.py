"""Laboratory results: plain ones, arterial blood gases, and the counts of a differential.

MIMIC Code Repository, concepts measurement/{chemistry,complete_blood_count,coagulation,enzyme,inflammation,
cardiac_marker,bg,blood_differential}. The first result of a specimen counts where several are combined.
"""

from __future__ import annotations

import math
from collections import defaultdict

from published.charted import numbers, oxygen
from published.stay import Lab, Series, Stay, plain

PLAIN: dict[str, tuple[int, float]] = {
    "chemistry/creatinine": (50912, 150), "chemistry/bun": (51006, 300), "chemistry/albumin": (50862, 10),
    "chemistry/globulin": (50930, 10), "chemistry/total_protein": (50976, 20), "chemistry/bicarbonate": (50882, 10_000),
    "chemistry/calcium": (50893, 10_000), "chemistry/chloride": (50902, 10_000), "chemistry/glucose": (50931, 10_000),
    "chemistry/sodium": (50983, 200), "chemistry/potassium": (50971, 30), "chemistry/magnesium": (50960, 20),
    "bg/lactate": (50813, 10_000),
} | {
    f"{group}/{name}": (item, math.inf)
    for group, items in {
        "complete_blood_count": {
            "wbc": 51301, "hemoglobin": 51222, "hematocrit": 51221, "platelet": 51265, "rbc": 51279, "mch": 51248,
            "mchc": 51249, "mcv": 51250, "rdw": 51277, "rdwsd": 52159,
        },
        "coagulation": {
            "inr": 51237, "pt": 51274, "ptt": 51275, "d_dimer": 51196, "fibrinogen": 51214, "thrombin": 51297,
        },
        "enzyme": {
            "alt": 50861, "ast": 50878, "alp": 50863, "bilirubin_total": 50885, "bilirubin_direct": 50883,
            "bilirubin_indirect": 50884, "amylase": 50867, "ck_cpk": 50910, "ck_mb": 50911, "ggt": 50927,
            "ld_ldh": 50954,
        },
        "inflammation": {"crp": 50889},
        "cardiac_marker": {"troponin_t": 51003, "ntprobnp": 50963},
    }.items()
    for name, item in items.items()
}  # fmt: skip
"""Channel: item and the largest value believed; all above 0."""
ANION_GAP = 50868
GASES: dict[str, tuple[int, float, float]] = {
    "po2": (50821, 0, math.inf), "pco2": (50818, 0, math.inf), "bicarbonate": (50803, 0, math.inf),
    "totalco2": (50804, 0, math.inf), "hemoglobin": (50811, 0, math.inf), "chloride": (50806, 0, math.inf),
    "calcium": (50808, 0, math.inf), "potassium": (50822, 0, math.inf), "sodium": (50824, 0, math.inf),
    "aado2": (50801, 0, math.inf), "so2": (50817, 0, 100), "hematocrit": (50810, 0, 100),
    "glucose": (50809, 0, 10_000),
}  # fmt: skip
"""Item, above, up to."""
PH, BASE_EXCESS, FRACTION, TENSION, DIOXIDE, SPECIMEN = 50820, 50802, 50816, 50821, 50818, 52033
COUNTS: dict[str, dict[int, float]] = {
    "neutrophils_abs": {52075: 1}, "lymphocytes_abs": {51133: 1, 52769: 1 / 1000},
    "monocytes_abs": {52074: 1, 51253: 1 / 1000}, "eosinophils_abs": {52073: 1, 51199: 1 / 1000},
    "basophils_abs": {52069: 1},
}  # fmt: skip
"""Items of absolute counts, and what turns them into K/uL."""
SHARES = {51256: "neutrophils_abs", 51244: "lymphocytes_abs", 51245: "lymphocytes_abs", 51254: "monocytes_abs",
          51200: "eosinophils_abs", 51146: "basophils_abs"}  # fmt: skip
OTHERS = {"bands": 51144, "immature_granulocytes": 52135, "nrbc": 51257}
WHITE_CELLS = {51300, 51301, 51755}
ITEMS = (
    {item for item, _ in PLAIN.values()}
    | {item for item, _, _ in GASES.values()}
    | {ANION_GAP, PH, BASE_EXCESS, FRACTION, SPECIMEN, *SHARES, *OTHERS.values(), *WHITE_CELLS}
    | {item for items in COUNTS.values() for item in items}
)


def plain_results(stay: Stay) -> dict[str, Series]:
    """Distinct results of each channel by when they were seen; those of a differential as reported among them."""
    by_channel: dict[str, set[tuple[float, float]]] = defaultdict(set)
    by_item: dict[int, list[Lab]] = defaultdict(list)
    for lab in stay.labs:
        by_item[lab.item].append(lab)
    for channel, (item, high) in PLAIN.items():
        by_channel[channel] |= {
            (reading.seen, reading.value) for reading in by_item[item] if reading.value and 0 < reading.value <= high
        }
    by_channel["chemistry/aniongap"] |= {
        (reading.seen, reading.value)
        for reading in by_item[ANION_GAP]
        if reading.value is not None and -100 <= reading.value <= 10_000
    }
    for name, item in OTHERS.items():
        by_channel[f"blood_differential/{name}"] |= {
            (reading.seen, reading.value)
            for reading in by_item[item]
            if reading.value is not None and reading.value >= 0
        }
    return {name: sorted(values) for name, values in by_channel.items()}


def believed_gas(item: int, value: float) -> float | None:
    """A result of a blood gas in the unit of its channel, None if it is not believed."""
    if item == PH:
        return value if 6 < value < 9 else None
    if item == BASE_EXCESS:
        return value if -100 <= value <= 100 else None
    if item == FRACTION:
        return oxygen(value)
    low, high = next((low, high) for gas, low, high in GASES.values() if gas == item)
    return value if low < value <= high else None


def gases(stay: Stay) -> dict[str, Series]:
    """Channels of the group bg but lactate. A specimen counts once it is known to be arterial and its PaO2 is known."""
    names = {item: name for name, (item, _, _) in GASES.items()}
    names |= {PH: "ph", BASE_EXCESS: "baseexcess", FRACTION: "fio2"}
    reported: dict[str, set[tuple[float, float]]] = defaultdict(set)
    derived: dict[str, Series] = defaultdict(list)
    charted = numbers(stay, "ventilator_setting/fio2")
    for specimen in specimens(stay).values():
        if (known := arterial(specimen)) is None:
            continue
        seen: dict[int, list[float]] = defaultdict(list)
        for result in specimen:
            value = (
                believed_gas(result.item, result.value) if result.item in names and result.value is not None else None
            )
            if value is not None:
                reported[f"bg/{names[result.item]}"].add((max(result.seen, known), value))
                if result.seen <= known:
                    seen[result.item].append(value)
        for name, value in combined(specimen, seen, charted).items():
            derived[f"bg/{name}"].append((known, value))
    return {name: sorted(values) for name, values in (reported | derived).items()}


def specimens(stay: Stay) -> dict[str, list[Lab]]:
    by_specimen: dict[str, list[Lab]] = defaultdict(list)
    for lab in stay.labs:
        if lab.specimen:
            by_specimen[lab.specimen].append(lab)
    return by_specimen


def first_tension(specimen: list[Lab]) -> tuple[float, float, float] | None:
    """When the first PaO2 of a specimen was seen, what it is, when it was drawn."""
    tensions = sorted((r.seen, r.value, r.drawn) for r in specimen if r.item == TENSION and r.value and r.value > 0)
    return tensions[0] if tensions else None


def arterial(specimen: list[Lab]) -> float | None:
    """From when on a specimen is known to be arterial with a PaO2, None if it is not."""
    kinds = sorted((r.seen, r.text) for r in specimen if r.item == SPECIMEN and r.text)
    tension = first_tension(specimen)
    return max(kinds[0][0], tension[0]) if kinds and kinds[0][1] == "ART." and tension else None


def combined(specimen: list[Lab], seen: dict[int, list[float]], charted: Series) -> dict[str, float]:
    """The inspired oxygen charted in the 4 h before, PaO2/FiO2, and the alveolar-arterial gradient at sea level."""
    first = first_tension(specimen)
    assert first is not None, "an arterial specimen has one"
    _, tension, drawn = first
    earlier = [(at, value) for at, value in charted if at <= drawn]
    near = earlier[-1][1] if earlier and plain(drawn - earlier[-1][0]) <= 4 else None
    nearest = {} if near is None else {"fio2_chartevents": near}
    fraction = max(seen[FRACTION]) if seen[FRACTION] else near
    if fraction:
        nearest["pao2fio2ratio"] = 100 * tension / fraction
        if seen[DIOXIDE]:
            nearest["aado2_calc"] = fraction / 100 * (760 - 47) - max(seen[DIOXIDE]) / 0.8 - tension
    return nearest


def differential(stay: Stay) -> dict[str, Series]:
    """Absolute counts: as reported, or the share of the white cells once both are known."""
    by_channel: dict[str, set[tuple[float, float]]] = defaultdict(set)
    absolute = {item: (name, scale) for name, items in COUNTS.items() for item, scale in items.items()}
    for lab in stay.labs:
        if lab.item in absolute and lab.value is not None and lab.value >= 0:
            name, scale = absolute[lab.item]
            by_channel[name].add((lab.seen, lab.value * scale))
    for specimen in specimens(stay).values():
        cells = sorted(
            (result.seen, result.value) for result in specimen if result.item in WHITE_CELLS and (result.value or 0) > 0
        )
        if not cells:
            continue
        seen, white = cells[0]
        reported = [
            result for result in specimen if result.item in absolute and result.value is not None and result.value >= 0
        ]
        shares = [
            result for result in specimen if result.item in SHARES and result.value is not None and result.value >= 0
        ]
        for lab in shares:
            name, at = SHARES[lab.item], max(lab.seen, seen)
            counted = any(absolute[other.item][0] == name and other.seen <= at for other in reported)
            if not counted and sum(other.value or 0 for other in shares if other.seen == lab.seen) > 0:
                by_channel[name].add((at, (lab.value or 0) * white / 100))
        if shares or reported:
            by_channel["wbc"].add((max(seen, min(result.seen for result in [*shares, *reported])), white))
    return {f"blood_differential/{name}": sorted(values) for name, values in by_channel.items()}
