"""What is observed: the measurements of MIMIC-IV by item id, with units and the bounds outside of which a value is an
error.

Item ids, merging rules, conversions and bounds are those that the MIMIC Code Repository publishes for its derived
concepts (Johnson et al., JAMIA 2018, doi 10.1093/jamia/ocx084; concepts `measurement/*` for MIMIC-IV). Bounds marked
"ours" are added where it publishes none and the tables are known to hold absurd values. Departures:

* a device that delivers oxygen is kept when no flow is charted with it (the published query drops those rows);
* lactate is taken from any blood gas specimen, since venous and arterial lactate are read alike; the rest from
  arterial ones;
* CK-MB stands once (enzyme), not a second time under cardiac markers, and the white cell count of a differential only
  where a differential was counted;
* the make of the ventilator is not read, as it says nothing about the patient;
* ionised calcium is in mmol/L, as measured;
* magnesium is read too;
* what a ventilator is set to is an action, what it measures is an observation.

`Variable.order` is the place of a measurement in the text of an hour; the numbers and display names are the
reference's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from jepa_core.data.trajectories import Role

Reduction = Literal["mean", "max", "sum", "first", "each"]
"""How readings of one variable at one time become one: `first` takes the item that is listed first, `each` keeps
all."""

SPECIMEN_TYPE = 52033
"""Lab item that says where the specimen of a blood gas came from."""

GCS_MOTOR, GCS_VERBAL, GCS_EYES = 223901, 223900, 220739
FIO2_CHARTED = 223835
CREATININE = 50912

LOOK_BACK = 48.0
"""Hours before admission from which chartings are read: the 24 that SOFA looks back, and what was in force as they
began."""
A_DAY, A_MONTH = 24.0, 720.0
"""How long what was charted before admission lasts: the state of the patient and of the machines, and the build of the
body, which is charted for the hospital stay."""

LAB_COPIES = (220621, 226537)
"""Charted items that repeat a laboratory result under the time of its specimen (glucose in serum and in whole
blood)."""


@dataclass(frozen=True)
class Item:
    """An item id, the closed interval of values that are believed, and value * scale + shift as the conversion."""

    id: int
    low: float = -math.inf
    high: float = math.inf
    scale: float = 1.0
    shift: float = 0.0


@dataclass(frozen=True)
class Variable:
    """A variable of a concept. items: what it is read from; none if it is derived. text: its values are words. role:
    whether it says how the patient is or what is done. lasts: hours in which a charting from before admission is still
    known at hour 0; none for what was true at its moment only."""

    group: str
    name: str
    label: str
    unit: str
    order: int
    items: tuple[Item, ...] = ()
    reduction: Reduction = "each"
    text: bool = False
    role: Role = "state"
    lasts: float = 0.0

    @property
    def channel(self) -> str:
        return f"{self.group}/{self.name}"


def _between(low: float, high: float, *ids: int, scale: float = 1.0, shift: float = 0.0) -> tuple[Item, ...]:
    """Items whose values lie strictly between two bounds."""
    return tuple(Item(item, math.nextafter(low, high), math.nextafter(high, low), scale, shift) for item in ids)


def _positive(*ids: int, high: float = math.inf, scale: float = 1.0) -> tuple[Item, ...]:
    """Items whose values lie above 0 and not above a bound."""
    return tuple(Item(item, math.nextafter(0.0, 1.0), high, scale) for item in ids)


def _fraction_or_percent(item: int) -> tuple[Item, ...]:
    """Inspired oxygen: entered as a fraction or in percent; between 1 and 20 it is a flow in the wrong field."""
    return (Item(item, math.nextafter(0.2, 1.0), 1.0, scale=100.0), Item(item, 20.0, 100.0))


_FAHRENHEIT = {"scale": 5 / 9, "shift": -32 * 5 / 9}
_ART_SYSTOLIC, _ART_DIASTOLIC, _ART_MEAN = (220050, 225309), (220051, 225310), (220052, 225312)
_CUFF_SYSTOLIC, _CUFF_DIASTOLIC, _CUFF_MEAN = 220179, 220180, 220181


def _vital(order: int, name: str, label: str, unit: str, items: tuple[Item, ...]) -> Variable:
    return Variable("vitalsign", name, label, unit, order, items, "mean")


VITAL_SIGNS = (
    _vital(100, "heart_rate", "Heart rate", "bpm", _between(0, 300, 220045)),
    _vital(101, "sbp", "Systolic BP", "mmHg", _between(0, 400, *_ART_SYSTOLIC, _CUFF_SYSTOLIC)),
    _vital(102, "dbp", "Diastolic BP", "mmHg", _between(0, 300, *_ART_DIASTOLIC, _CUFF_DIASTOLIC)),
    _vital(103, "mbp", "MAP", "mmHg", _between(0, 300, *_ART_MEAN, _CUFF_MEAN)),
    _vital(104, "sbp_ni", "Systolic BP (non-invasive)", "mmHg", _between(0, 400, _CUFF_SYSTOLIC)),
    _vital(105, "dbp_ni", "Diastolic BP (non-invasive)", "mmHg", _between(0, 300, _CUFF_DIASTOLIC)),
    _vital(106, "mbp_ni", "MAP (non-invasive)", "mmHg", _between(0, 300, _CUFF_MEAN)),
    _vital(107, "resp_rate", "Respiratory rate", "breaths/min", _between(0, 70, 220210, 224690)),
    _vital(
        108, "temperature", "Temperature", "°C", _between(70, 120, 223761, **_FAHRENHEIT) + _between(10, 50, 223762)
    ),
    _vital(109, "spo2", "SpO2", "%", _positive(220277, high=100)),
    _vital(110, "glucose", "Glucose", "mg/dL", _positive(225664, 220621, 226537, high=10_000)),  # upper bound ours
)


def _words(group: str, order: int, name: str, label: str, *ids: int) -> Variable:
    return Variable(group, name, label, "", order, tuple(Item(item) for item in ids), text=True, lasts=A_DAY)


_HEIGHT = _between(120, 230, 226730) + _between(120 / 2.54, 230 / 2.54, 226707, scale=2.54)


def _flow(order: int, name: str, label: str, *ids: int) -> Variable:
    high = 100  # ours
    return Variable("oxygen_delivery", name, label, "L/min", order, _positive(*ids, high=high), "max", lasts=A_DAY)


_WEIGHT = _between(0, 600, 224639, 226512)  # upper bound ours


BEDSIDE = (
    _words("rhythm", 111, "heart_rhythm", "Heart rhythm", 220048),
    _words("rhythm", 112, "ectopy_type", "Ectopy type", 224650),
    _words("rhythm", 113, "ectopy_frequency", "Ectopy frequency", 224651),
    _flow(114, "o2_flow", "O2 flow", 223834, 227582),
    _flow(115, "o2_flow_additional", "O2 flow (additional)", 227287),
    _words("oxygen_delivery", 116, "o2_delivery_device", "O2 delivery device", 226732),
    Variable("height", "height", "Height", "cm", 117, _HEIGHT, "first", lasts=A_MONTH),
    Variable("weight", "weight", "Weight", "kg", 118, _WEIGHT, "first", lasts=A_MONTH),
    Variable("weight", "weight_type", "Weight type", "", 119, text=True, lasts=A_MONTH),
)


def _gas(order: int, name: str, label: str, unit: str, items: tuple[Item, ...] = ()) -> Variable:
    return Variable("bg", name, label, unit, order, items)


BLOOD_GAS = (
    _gas(200, "po2", "PaO2", "mmHg", _positive(50821)),
    _gas(201, "pco2", "PaCO2", "mmHg", _positive(50818)),
    _gas(202, "ph", "pH", "", _between(6, 9, 50820)),  # ours
    _gas(203, "lactate", "Lactate", "mmol/L", _positive(50813, high=10_000)),
    _gas(204, "so2", "SaO2", "%", _positive(50817, high=100)),
    _gas(205, "fio2", "FiO2 (ABG)", "%", _fraction_or_percent(50816)),
    _gas(206, "baseexcess", "Base excess", "mEq/L", (Item(50802, -100, 100),)),  # ours
    _gas(207, "bicarbonate", "Bicarbonate (ABG)", "mEq/L", _positive(50803)),
    _gas(208, "totalco2", "Total CO2", "mEq/L", _positive(50804)),
    _gas(209, "hematocrit", "Hematocrit (ABG)", "%", _positive(50810, high=100)),
    _gas(210, "hemoglobin", "Hemoglobin (ABG)", "g/dL", _positive(50811)),
    _gas(211, "chloride", "Chloride (ABG)", "mEq/L", _positive(50806)),
    _gas(212, "calcium", "Calcium (ABG)", "mmol/L", _positive(50808)),
    _gas(213, "potassium", "Potassium (ABG)", "mEq/L", _positive(50822)),
    _gas(214, "sodium", "Sodium (ABG)", "mEq/L", _positive(50824)),
    _gas(215, "glucose", "Glucose (ABG)", "mg/dL", _positive(50809, high=10_000)),
    _gas(216, "aado2", "A-a gradient", "mmHg", _positive(50801)),
    _gas(217, "aado2_calc", "A-a gradient (calc)", "mmHg"),
    _gas(218, "fio2_chartevents", "FiO2 (charted)", "%"),
    _gas(219, "pao2fio2ratio", "PaO2/FiO2 ratio", ""),
)
"""From arterial specimens with an oxygen tension; the last three are derived with the inspired oxygen charted up to 4
h before."""


def _lab(group: str, order: int, name: str, label: str, unit: str, item: int, high: float = math.inf) -> Variable:
    return Variable(group, name, label, unit, order, _positive(item, high=high))


MAGNESIUM_ORDER = 312
"""Magnesium is among the 27 targets and not among the published concepts, so the text of the reference lacks it."""

LABS = (
    _lab("chemistry", 300, "creatinine", "Creatinine", "mg/dL", CREATININE, 150),
    _lab("chemistry", 301, "bun", "BUN", "mg/dL", 51006, 300),
    _lab("chemistry", 302, "albumin", "Albumin", "g/dL", 50862, 10),
    _lab("chemistry", 303, "globulin", "Globulin", "g/dL", 50930, 10),
    _lab("chemistry", 304, "total_protein", "Total protein", "g/dL", 50976, 20),
    Variable(
        "chemistry", "aniongap", "Anion gap", "mEq/L", 305, (Item(50868, -100, 10_000),)
    ),  # may be negative; low bound ours
    _lab("chemistry", 306, "bicarbonate", "Bicarbonate", "mEq/L", 50882, 10_000),
    _lab("chemistry", 307, "calcium", "Calcium", "mg/dL", 50893, 10_000),
    _lab("chemistry", 308, "chloride", "Chloride", "mEq/L", 50902, 10_000),
    _lab("chemistry", 309, "glucose", "Glucose (chem)", "mg/dL", 50931, 10_000),
    _lab("chemistry", 310, "sodium", "Sodium", "mEq/L", 50983, 200),
    _lab("chemistry", 311, "potassium", "Potassium", "mEq/L", 50971, 30),
    _lab("chemistry", MAGNESIUM_ORDER, "magnesium", "Magnesium", "mg/dL", 50960, 20),
    _lab("complete_blood_count", 320, "wbc", "WBC count", "K/uL", 51301),
    _lab("complete_blood_count", 321, "hemoglobin", "Hemoglobin", "g/dL", 51222),
    _lab("complete_blood_count", 322, "hematocrit", "Hematocrit", "%", 51221),
    _lab("complete_blood_count", 323, "platelet", "Platelet count", "K/uL", 51265),
    _lab("complete_blood_count", 324, "rbc", "RBC count", "M/uL", 51279),
    _lab("complete_blood_count", 325, "mch", "MCH", "pg", 51248),
    _lab("complete_blood_count", 326, "mchc", "MCHC", "g/dL", 51249),
    _lab("complete_blood_count", 327, "mcv", "MCV", "fL", 51250),
    _lab("complete_blood_count", 328, "rdw", "RDW", "%", 51277),
    _lab("complete_blood_count", 329, "rdwsd", "RDW-SD", "fL", 52159),
    _lab("coagulation", 340, "inr", "INR", "", 51237),
    _lab("coagulation", 341, "pt", "PT", "sec", 51274),
    _lab("coagulation", 342, "ptt", "PTT", "sec", 51275),
    _lab("coagulation", 343, "d_dimer", "D-dimer", "ng/mL", 51196),
    _lab("coagulation", 344, "fibrinogen", "Fibrinogen", "mg/dL", 51214),
    _lab("coagulation", 345, "thrombin", "Thrombin time", "sec", 51297),
    _lab("enzyme", 350, "alt", "ALT", "IU/L", 50861),
    _lab("enzyme", 351, "ast", "AST", "IU/L", 50878),
    _lab("enzyme", 352, "alp", "ALP", "IU/L", 50863),
    _lab("enzyme", 353, "bilirubin_total", "Total bilirubin", "mg/dL", 50885),
    _lab("enzyme", 354, "bilirubin_direct", "Direct bilirubin", "mg/dL", 50883),
    _lab("enzyme", 355, "bilirubin_indirect", "Indirect bilirubin", "mg/dL", 50884),
    _lab("enzyme", 356, "amylase", "Amylase", "IU/L", 50867),
    _lab("enzyme", 357, "ck_cpk", "CK", "IU/L", 50910),
    _lab("enzyme", 358, "ck_mb", "CK-MB", "ng/mL", 50911),
    _lab("enzyme", 359, "ggt", "GGT", "IU/L", 50927),
    _lab("enzyme", 360, "ld_ldh", "LDH", "IU/L", 50954),
    _lab("inflammation", 370, "crp", "CRP", "mg/L", 50889),
    _lab("cardiac_marker", 375, "troponin_t", "Troponin T", "ng/mL", 51003),
    _lab("cardiac_marker", 377, "ntprobnp", "NT-proBNP", "pg/mL", 50963),
)


def _cells(order: int, name: str, label: str, *items: Item) -> Variable:
    return Variable("blood_differential", name, label, "K/uL", order, items)


def _share(order: int, name: str, label: str, unit: str, item: int) -> Variable:
    return Variable("blood_differential", name, label, unit, order, (Item(item, 0.0),))


BLOOD_DIFFERENTIAL = (
    _cells(380, "wbc", "WBC (diff)"),
    _cells(381, "neutrophils_abs", "Neutrophils", Item(52075, 0)),
    _cells(382, "lymphocytes_abs", "Lymphocytes", Item(51133, 0), Item(52769, 0, scale=0.001)),
    _cells(383, "monocytes_abs", "Monocytes", Item(52074, 0), Item(51253, 0, scale=0.001)),
    _cells(384, "eosinophils_abs", "Eosinophils", Item(52073, 0), Item(51199, 0, scale=0.001)),
    _cells(385, "basophils_abs", "Basophils", Item(52069, 0)),
    _share(386, "bands", "Bands", "%", 51144),
    _share(387, "immature_granulocytes", "Immature granulocytes", "%", 52135),
    _share(388, "nrbc", "NRBC", "/100 WBC", 51257),
)

WHITE_CELLS = (51300, 51301, 51755)
"""Lab items of the white cell count in K/uL, with which percentages of a differential become counts."""

PERCENTAGES: dict[str, tuple[int, ...]] = {
    "neutrophils_abs": (51256,),
    "lymphocytes_abs": (51244, 51245),
    "monocytes_abs": (51254,),
    "eosinophils_abs": (51200,),
    "basophils_abs": (51146,),
}
"""Lab items of the percentages, by the count that each stands in for where none was reported."""

COMA_SCALE = (
    Variable("gcs", "gcs", "GCS total", "", 400, lasts=A_DAY),
    Variable("gcs", "gcs_motor", "GCS motor", "", 401, lasts=A_DAY),
    Variable("gcs", "gcs_verbal", "GCS verbal", "", 402, lasts=A_DAY),
    Variable("gcs", "gcs_eyes", "GCS eyes", "", 403, lasts=A_DAY),
    Variable("gcs", "gcs_unable", "GCS unable", "", 404, lasts=A_DAY),
)
"""Derived from three charted items; 15 while an endotracheal tube forbids a verbal answer, with `unable` 1, as
published."""

_URINE = (226559, 226560, 226561, 226584, 226563, 226564, 226565, 226567, 226557, 226558, 227489)
_IRRIGATION_IN = 227488
_URINE_ITEMS = (  # bounds ours
    *(Item(item, 0, 20_000) for item in _URINE),
    Item(_IRRIGATION_IN, 0, 20_000, scale=-1.0),
)
URINE = (
    Variable("urine_output", "urineoutput", "Urine output", "mL", 500, _URINE_ITEMS, "sum"),
    Variable("urine_output", "irrigant_alone", "Irrigant not yet returned", "mL", 500),
)
"""The second is how far a charting lies below 0, where irrigant is charted before it comes back."""


def _ventilator(order: int, name: str, label: str, unit: str, items: tuple[Item, ...], role: Role) -> Variable:
    lasts = A_DAY if role == "action" else 0.0  # what is set holds until it is set anew, what is measured was then
    return Variable("ventilator_setting", name, label, unit, order, items, "max", role=role, lasts=lasts)


def _mode(order: int, name: str, label: str, item: int) -> Variable:
    items = (Item(item),)
    return Variable("ventilator_setting", name, label, "", order, items, text=True, role="action", lasts=A_DAY)


def _volume(order: int, kind: str, item: int, role: Role) -> Variable:
    label = f"Tidal volume ({kind})"
    return _ventilator(order, f"tidal_volume_{kind}", label, "mL", _positive(item, high=3_000), role)


def _breaths(order: int, kind: str, item: int, role: Role) -> Variable:
    return _ventilator(order, f"respiratory_rate_{kind}", f"RR ({kind})", "breaths/min", (Item(item, 0, 100),), role)


_PEEP = (Item(220339, 0, 100), Item(224700, 0, 100))
VENTILATOR = (
    _mode(751, "ventilator_mode", "Ventilator mode", 223849),
    _mode(752, "ventilator_mode_hamilton", "Ventilator mode (Hamilton)", 229314),
    _ventilator(754, "fio2", "FiO2", "%", _fraction_or_percent(FIO2_CHARTED), "action"),
    _ventilator(755, "peep", "PEEP", "cmH2O", _PEEP, "action"),
    _ventilator(756, "plateau_pressure", "Plateau pressure", "cmH2O", _positive(224696, high=100), "state"),
    _volume(757, "set", 224684, "action"),
    _volume(758, "observed", 224685, "state"),
    _volume(759, "spontaneous", 224686, "state"),
    _breaths(760, "set", 224688, "action"),
    _breaths(761, "total", 224690, "state"),
    _breaths(762, "spontaneous", 224689, "state"),
    _ventilator(763, "minute_volume", "Minute volume", "L/min", _positive(224687, high=60), "state"),
    _ventilator(764, "flow_rate", "Flow rate", "L/min", _positive(224691, high=200), "action"),
)
"""What is set is an action, what is measured shows the patient: if the measured breaths were actions, a rollout under
given actions would be told how the patient fares. The reference has all of them among the actions. Bounds from the
plateau pressure on are ours."""


def _crrt(order: int, name: str, label: str, unit: str, item: int, low: float = 0.0) -> Variable:
    items = (Item(item, low, 20_000),)
    return Variable("crrt", name, f"CRRT {label}", unit, order, items, "max", role="action")


def _crrt_words(order: int, name: str, label: str, item: int) -> Variable:
    return Variable("crrt", name, f"CRRT {label}", "", order, (Item(item),), text=True, role="action")


CRRT = (
    _crrt_words(810, "crrt_mode", "mode", 227290),
    _crrt(811, "blood_flow", "blood flow", "mL/min", 224144),
    _crrt(812, "dialysate_rate", "dialysate rate", "mL/hr", 224154),
    _crrt_words(813, "dialysate_fluid", "dialysate fluid", 225977),
    _crrt(814, "access_pressure", "access pressure", "mmHg", 224149, -1_000),
    _crrt(815, "effluent_pressure", "effluent pressure", "mmHg", 224151, -1_000),
    _crrt(816, "filter_pressure", "filter pressure", "mmHg", 224150, -1_000),
    _crrt(817, "return_pressure", "return pressure", "mmHg", 224152, -1_000),
    _crrt(818, "citrate", "citrate", "mL/hr", 228004),
    _crrt(819, "current_goal", "current goal", "mL", 225183, -20_000),
    _crrt_words(820, "heparin_concentration", "heparin concentration", 225958),
    _crrt(821, "heparin_dose", "heparin dose", "units/hr", 224145),
    _crrt(822, "hourly_patient_fluid_removal", "hourly fluid removal", "mL", 224191, -20_000),
    _crrt(823, "prefilter_replacement_rate", "pre-filter replacement rate", "mL/hr", 228005),
    _crrt(824, "postfilter_replacement_rate", "post-filter replacement rate", "mL/hr", 228006),
    _crrt_words(825, "replacement_fluid", "replacement fluid", 225976),
    _crrt(826, "replacement_rate", "replacement rate", "mL/hr", 224153),
    _crrt(827, "ultrafiltrate_output", "ultrafiltrate output", "mL", 226457),
)
"""Continuous dialysis as charted; bounds ours (none are published). The heparin concentration is charted in words."""

CHARTED = VITAL_SIGNS + BEDSIDE + VENTILATOR + URINE + CRRT
"""Read from chartevents and outputevents as they stand."""

MEASURED: tuple[Variable, ...] = CHARTED + BLOOD_GAS + LABS + BLOOD_DIFFERENTIAL + COMA_SCALE
"""Every variable that is read from an item or made of the items of one time; `derived` adds the scores."""
LAB_UNITS = {
    item.id: variable.unit
    for variable in LABS + BLOOD_GAS + BLOOD_DIFFERENTIAL
    for item in variable.items
    if variable.unit and (item.scale, item.shift) == (1.0, 0.0)
}
"""The unit in which each laboratory item is read as it stands."""
