"""What of eICU becomes which channel: names, units, groups, labels and orders are those of the source `mimic_iv`, so
that a model of one reads the other.

Names of columns, cells and laboratory tests are those of the published tables and of the eICU Code Repository
(`concepts/pivoted`). A value counts within the bounds that `mimic_iv` has for the channel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from jepa_core.data.trajectories import Channel, Role

Reduction = Literal["mean", "sum"]


@dataclass(frozen=True)
class HourlyVariable:
    """A channel of numbers. reduction: how the readings of an hour become one."""

    group: str
    name: str
    label: str
    unit: str
    order: int
    role: Role = "state"
    reduction: Reduction = "mean"

    @property
    def channel(self) -> str:
        return f"{self.group}/{self.name}"

    def declared(self) -> Channel:
        return Channel(self.channel, self.unit, self.group, self.label, self.order)


@dataclass(frozen=True)
class CellOrigin:
    """Where a channel is read from. key: a column, a cell (`label|name`), a test or a label of its table. low, high:
    closed interval of values that are believed. units: words of accepted units, each with the factor to the channel's;
    none where the table has no units. fraction: 0.2 to 1 is a share of 1, 20 to 100 percent, what is between neither.
    """

    table: str
    key: str
    channel: str
    low: float
    high: float
    units: tuple[tuple[str, float], ...] = ()
    fraction: bool = False


TINY = math.ulp(0.0)
"""The least number above 0: a bound that 0 itself is outside of."""


def _variables(group: str, *told: tuple[int, str, str, str], role: Role = "state") -> tuple[HourlyVariable, ...]:
    return tuple(HourlyVariable(group, name, label, unit, order, role) for order, name, label, unit in told)


VITAL_SIGNS = _variables(
    "vitalsign",
    (100, "heart_rate", "Heart rate", "bpm"),
    (101, "sbp", "Systolic BP", "mmHg"),
    (102, "dbp", "Diastolic BP", "mmHg"),
    (103, "mbp", "MAP", "mmHg"),
    (104, "sbp_ni", "Systolic BP (non-invasive)", "mmHg"),
    (105, "dbp_ni", "Diastolic BP (non-invasive)", "mmHg"),
    (106, "mbp_ni", "MAP (non-invasive)", "mmHg"),
    (107, "resp_rate", "Respiratory rate", "breaths/min"),
    (108, "temperature", "Temperature", "°C"),
    (109, "spo2", "SpO2", "%"),
    (110, "glucose", "Glucose", "mg/dL"),
)
BUILD = (*_variables("height", (117, "height", "Height", "cm")), *_variables("weight", (118, "weight", "Weight", "kg")))
BLOOD_GAS = _variables(
    "bg",
    (200, "po2", "PaO2", "mmHg"),
    (201, "pco2", "PaCO2", "mmHg"),
    (202, "ph", "pH", ""),
    (203, "lactate", "Lactate", "mmol/L"),
    (204, "so2", "SaO2", "%"),
    (205, "fio2", "FiO2 (ABG)", "%"),
    (206, "baseexcess", "Base excess", "mEq/L"),
)
CHEMISTRY = _variables(
    "chemistry",
    (300, "creatinine", "Creatinine", "mg/dL"),
    (301, "bun", "BUN", "mg/dL"),
    (302, "albumin", "Albumin", "g/dL"),
    (304, "total_protein", "Total protein", "g/dL"),
    (305, "aniongap", "Anion gap", "mEq/L"),
    (306, "bicarbonate", "Bicarbonate", "mEq/L"),
    (307, "calcium", "Calcium", "mg/dL"),
    (308, "chloride", "Chloride", "mEq/L"),
    (309, "glucose", "Glucose (chem)", "mg/dL"),
    (310, "sodium", "Sodium", "mEq/L"),
    (311, "potassium", "Potassium", "mEq/L"),
    (312, "magnesium", "Magnesium", "mg/dL"),
)
BLOOD_COUNT = _variables(
    "complete_blood_count",
    (320, "wbc", "WBC count", "K/uL"),
    (321, "hemoglobin", "Hemoglobin", "g/dL"),
    (322, "hematocrit", "Hematocrit", "%"),
    (323, "platelet", "Platelet count", "K/uL"),
    (324, "rbc", "RBC count", "M/uL"),
    (325, "mch", "MCH", "pg"),
    (326, "mchc", "MCHC", "g/dL"),
    (327, "mcv", "MCV", "fL"),
    (328, "rdw", "RDW", "%"),
)
COAGULATION = _variables(
    "coagulation",
    (340, "inr", "INR", ""),
    (341, "pt", "PT", "sec"),
    (342, "ptt", "PTT", "sec"),
    (344, "fibrinogen", "Fibrinogen", "mg/dL"),
)
ENZYMES = _variables(
    "enzyme",
    (350, "alt", "ALT", "IU/L"),
    (351, "ast", "AST", "IU/L"),
    (352, "alp", "ALP", "IU/L"),
    (353, "bilirubin_total", "Total bilirubin", "mg/dL"),
    (354, "bilirubin_direct", "Direct bilirubin", "mg/dL"),
    (356, "amylase", "Amylase", "IU/L"),
    (357, "ck_cpk", "CK", "IU/L"),
    (358, "ck_mb", "CK-MB", "ng/mL"),
    (360, "ld_ldh", "LDH", "IU/L"),
)
MARKERS = (
    *_variables("inflammation", (370, "crp", "CRP", "mg/L")),
    *_variables("cardiac_marker", (375, "troponin_t", "Troponin T", "ng/mL")),
    *_variables("blood_differential", (386, "bands", "Bands", "%")),
)
COMA_SCALE = _variables(
    "gcs",
    (400, "gcs", "GCS total", ""),
    (401, "gcs_motor", "GCS motor", ""),
    (402, "gcs_verbal", "GCS verbal", ""),
    (403, "gcs_eyes", "GCS eyes", ""),
)
URINE = (HourlyVariable("urine_output", "urineoutput", "Urine output", "mL", 500, reduction="sum"),)
VENTILATOR = (
    *_variables(
        "ventilator_setting",
        (754, "fio2", "FiO2", "%"),
        (755, "peep", "PEEP", "cmH2O"),
        (757, "tidal_volume_set", "Tidal volume (set)", "mL"),
        (760, "respiratory_rate_set", "RR (set)", "breaths/min"),
        role="action",
    ),
    *_variables(
        "ventilator_setting",
        (756, "plateau_pressure", "Plateau pressure", "cmH2O"),
        (758, "tidal_volume_observed", "Tidal volume (observed)", "mL"),
        (761, "respiratory_rate_total", "RR (total)", "breaths/min"),
        (762, "respiratory_rate_spontaneous", "RR (spontaneous)", "breaths/min"),
        (763, "minute_volume", "Minute volume", "L/min"),
    ),
)
PRESSORS = _variables(
    "vasoactive_agent",
    (700, "norepinephrine", "Norepinephrine", "mcg/kg/min"),
    (701, "epinephrine", "Epinephrine", "mcg/kg/min"),
    (702, "dopamine", "Dopamine", "mcg/kg/min"),
    (703, "dobutamine", "Dobutamine", "mcg/kg/min"),
    (704, "phenylephrine", "Phenylephrine", "mcg/kg/min"),
    (705, "vasopressin", "Vasopressin", "units/hour"),
    (706, "milrinone", "Milrinone", "mcg/kg/min"),
    role="action",
)
_EQUIVALENT = "norepinephrine_equivalent_dose"
RATES = (
    *PRESSORS,
    *_variables(_EQUIVALENT, (710, _EQUIVALENT, "Norepinephrine equivalent dose", "mcg/kg/min"), role="action"),
    *(
        HourlyVariable("mean_rate", drug.name, f"{drug.label}, mean rate", drug.unit, 910, "action")
        for drug in PRESSORS
    ),
    HourlyVariable("mean_rate", _EQUIVALENT, "Norepinephrine equivalent dose, mean", "mcg/kg/min", 911, "action"),
)  # fmt: skip
GIVEN = (
    HourlyVariable("inputevents", "Fluids [mL]", "Fluids", "mL", 9999, "action", "sum"),
    HourlyVariable("inputevents", "Insulin - Regular [units]", "Insulin - Regular", "units", 9999, "action", "sum"),
)
"""What went in. `mimic_iv` names every fluid, and adds them up where an hour is rendered as numbers."""

VARIABLES: tuple[HourlyVariable, ...] = (
    *VITAL_SIGNS, *BUILD, *BLOOD_GAS, *CHEMISTRY, *BLOOD_COUNT, *COAGULATION, *ENZYMES, *MARKERS, *COMA_SCALE, *URINE,
    *VENTILATOR, *RATES, *GIVEN,
)  # fmt: skip
ANTIBIOTIC = Channel("antibiotic/antibiotic", "", "antibiotic", "Antibiotic", 850)
STATIC_CHANNELS = (
    Channel("demographics/age", "years", "demographics", "Age", 0),
    Channel("demographics/gender", "", "demographics", "Gender", 1),
    Channel("demographics/race", "", "demographics", "Race", 2),
)
CHANNELS: tuple[Channel, ...] = (*STATIC_CHANNELS, *(variable.declared() for variable in VARIABLES), ANTIBIOTIC)
"""Every channel of the store: the same for any data."""

GRID: tuple[str, ...] = (
    "demographics/age",
    "male",
    *(variable.channel for variable in VARIABLES),
    "antibiotic orders",
)
"""Columns of the modality `channels`."""


def _vital(table: str, key: str, *names: str) -> tuple[CellOrigin, ...]:
    return tuple(
        CellOrigin(table, key, f"vitalsign/{name}", *_VITAL_BOUNDS[name.removesuffix("_ni")]) for name in names
    )


_VITAL_BOUNDS = {
    "heart_rate": (TINY, 299.999),
    "sbp": (TINY, 399.999),
    "dbp": (TINY, 299.999),
    "mbp": (TINY, 299.999),
    "resp_rate": (TINY, 69.999),
    "temperature": (10.001, 49.999),
    "spo2": (TINY, 100.0),
}
_NURSE, _RESP = "nurseCharting", "respiratoryCharting"
_CUFF, _LINE = "Non-Invasive BP|Non-Invasive BP", "Invasive BP|Invasive BP"

CHARTED = (
    *_vital("vitalPeriodic", "heartrate", "heart_rate"),
    *_vital("vitalPeriodic", "respiration", "resp_rate"),
    *_vital("vitalPeriodic", "sao2", "spo2"),
    *_vital("vitalPeriodic", "temperature", "temperature"),
    *_vital("vitalPeriodic", "systemicsystolic", "sbp"),
    *_vital("vitalPeriodic", "systemicdiastolic", "dbp"),
    *_vital("vitalPeriodic", "systemicmean", "mbp"),
    *_vital("vitalAperiodic", "noninvasivesystolic", "sbp", "sbp_ni"),
    *_vital("vitalAperiodic", "noninvasivediastolic", "dbp", "dbp_ni"),
    *_vital("vitalAperiodic", "noninvasivemean", "mbp", "mbp_ni"),
    *_vital(_NURSE, "Heart Rate|Heart Rate", "heart_rate"),
    *_vital(_NURSE, "Respiratory Rate|Respiratory Rate", "resp_rate"),
    *_vital(_NURSE, "O2 Saturation|O2 Saturation", "spo2"),
    *_vital(_NURSE, "Temperature|Temperature (C)", "temperature"),
    *_vital(_NURSE, f"{_CUFF} Systolic", "sbp", "sbp_ni"),
    *_vital(_NURSE, f"{_CUFF} Diastolic", "dbp", "dbp_ni"),
    *_vital(_NURSE, f"{_CUFF} Mean", "mbp", "mbp_ni"),
    *_vital(_NURSE, f"{_LINE} Systolic", "sbp"),
    *_vital(_NURSE, f"{_LINE} Diastolic", "dbp"),
    *_vital(_NURSE, f"{_LINE} Mean", "mbp"),
    *_vital(_NURSE, "MAP (mmHg)|Value", "mbp"),
    *_vital(_NURSE, "Arterial Line MAP (mmHg)|Value", "mbp"),
    CellOrigin(_NURSE, "Glasgow coma score|GCS Total", "gcs/gcs", 3, 15),
    CellOrigin(_NURSE, "Score (Glasgow Coma Scale)|Value", "gcs/gcs", 3, 15),
    CellOrigin(_NURSE, "Glasgow coma score|Motor", "gcs/gcs_motor", 1, 6),
    CellOrigin(_NURSE, "Glasgow coma score|Verbal", "gcs/gcs_verbal", 1, 5),
    CellOrigin(_NURSE, "Glasgow coma score|Eyes", "gcs/gcs_eyes", 1, 4),
)

_BREATHING = {
    "fio2": ("FiO2", "FIO2 (%)", "Set Fraction of Inspired Oxygen (FIO2)"),
    "peep": ("PEEP", "PEEP/CPAP"),
    "tidal_volume_set": ("Tidal Volume (set)",),
    "respiratory_rate_set": ("Vent Rate",),
    "plateau_pressure": ("Plateau Pressure",),
    "tidal_volume_observed": ("Tidal Volume Observed (VT)", "Exhaled TV (patient)", "Exhaled TV (machine)"),
    "respiratory_rate_total": ("Total RR", "f Total"),
    "respiratory_rate_spontaneous": ("RR Spont", "Spontaneous Respiratory Rate"),
    "minute_volume": ("Exhaled MV", "Minute Volume"),
}
_BREATHING_BOUNDS = {
    "fio2": (TINY, 100.0),
    "peep": (0.0, 100.0),
    "plateau_pressure": (TINY, 100.0),
    "minute_volume": (TINY, 60.0),
    "tidal_volume_set": (TINY, 3000.0),
    "tidal_volume_observed": (TINY, 3000.0),
}
BREATHING = tuple(
    CellOrigin(_RESP, key, f"ventilator_setting/{name}", *_BREATHING_BOUNDS.get(name, (0.0, 100.0)), (), name == "fio2")
    for name, keys in _BREATHING.items()
    for key in keys
)

Units = tuple[tuple[str, float], ...]
_MG_DL: Units = (("mg/dl", 1.0),)
_G_DL: Units = (("g/dl", 1.0),)
_CHARGE: Units = (("mmol/l", 1.0), ("meq/l", 1.0))
_CELLS: Units = (("k/mcl", 1.0), ("k/ul", 1.0), ("k/cmm", 1.0))
_ACTIVITY: Units = (("units/l", 1.0), ("iu/l", 1.0), ("u/l", 1.0))
_PERCENT: Units = (("%", 1.0),)
_PRESSURE: Units = (("mmhg", 1.0), ("torr", 1.0))
_SECONDS: Units = (("sec", 1.0), ("seconds", 1.0))
_NG_ML: Units = (("ng/ml", 1.0),)


def _lab(key: str, channel: str, high: float, units: Units, low: float = TINY) -> CellOrigin:
    return CellOrigin("lab", key, channel, low, high, units)


LABS = (
    _lab("paO2", "bg/po2", math.inf, _PRESSURE),
    _lab("paCO2", "bg/pco2", math.inf, _PRESSURE),
    _lab("pH", "bg/ph", 8.999, (("ph", 1.0), ("units", 1.0)), 6.001),
    _lab("lactate", "bg/lactate", 10_000, _CHARGE[:1]),
    _lab("O2 Sat (%)", "bg/so2", 100, _PERCENT),
    CellOrigin("lab", "FiO2", "bg/fio2", TINY, 100.0, _PERCENT, fraction=True),
    _lab("Base Excess", "bg/baseexcess", 100, _CHARGE, -100),
    _lab("bedside glucose", "vitalsign/glucose", 10_000, _MG_DL),
    _lab("creatinine", "chemistry/creatinine", 150, _MG_DL),
    _lab("BUN", "chemistry/bun", 300, _MG_DL),
    _lab("albumin", "chemistry/albumin", 10, _G_DL),
    _lab("total protein", "chemistry/total_protein", 20, _G_DL),
    _lab("anion gap", "chemistry/aniongap", 10_000, _CHARGE, -100),
    _lab("bicarbonate", "chemistry/bicarbonate", 10_000, _CHARGE),
    _lab("calcium", "chemistry/calcium", 10_000, _MG_DL),
    _lab("chloride", "chemistry/chloride", 10_000, _CHARGE),
    _lab("glucose", "chemistry/glucose", 10_000, _MG_DL),
    _lab("sodium", "chemistry/sodium", 200, _CHARGE),
    _lab("potassium", "chemistry/potassium", 30, _CHARGE),
    _lab("magnesium", "chemistry/magnesium", 20, (("mg/dl", 1.0), ("meq/l", 1.2153), ("mmol/l", 2.4305))),
    _lab("WBC x 1000", "complete_blood_count/wbc", math.inf, _CELLS),
    _lab("Hgb", "complete_blood_count/hemoglobin", math.inf, _G_DL),
    _lab("Hct", "complete_blood_count/hematocrit", math.inf, _PERCENT),
    _lab("platelets x 1000", "complete_blood_count/platelet", math.inf, _CELLS),
    _lab("RBC", "complete_blood_count/rbc", math.inf, (("m/mcl", 1.0), ("m/ul", 1.0), ("m/cmm", 1.0))),
    _lab("MCH", "complete_blood_count/mch", math.inf, (("pg", 1.0),)),
    _lab("MCHC", "complete_blood_count/mchc", math.inf, _G_DL),
    _lab("MCV", "complete_blood_count/mcv", math.inf, (("fl", 1.0),)),
    _lab("RDW", "complete_blood_count/rdw", math.inf, _PERCENT),
    _lab("PT - INR", "coagulation/inr", math.inf, (("ratio", 1.0),)),
    _lab("PT", "coagulation/pt", math.inf, _SECONDS),
    _lab("PTT", "coagulation/ptt", math.inf, _SECONDS),
    _lab("fibrinogen", "coagulation/fibrinogen", math.inf, _MG_DL),
    _lab("ALT (SGPT)", "enzyme/alt", math.inf, _ACTIVITY),
    _lab("AST (SGOT)", "enzyme/ast", math.inf, _ACTIVITY),
    _lab("alkaline phos.", "enzyme/alp", math.inf, _ACTIVITY),
    _lab("total bilirubin", "enzyme/bilirubin_total", math.inf, _MG_DL),
    _lab("direct bilirubin", "enzyme/bilirubin_direct", math.inf, _MG_DL),
    _lab("amylase", "enzyme/amylase", math.inf, _ACTIVITY),
    _lab("CPK", "enzyme/ck_cpk", math.inf, _ACTIVITY),
    _lab("CPK-MB", "enzyme/ck_mb", math.inf, _NG_ML),
    _lab("LDH", "enzyme/ld_ldh", math.inf, _ACTIVITY),
    _lab("CRP", "inflammation/crp", math.inf, (("mg/l", 1.0), ("mg/dl", 10.0))),
    _lab("troponin - T", "cardiac_marker/troponin_t", math.inf, _NG_ML),
    _lab("-bands", "blood_differential/bands", math.inf, _PERCENT, 0.0),
)
"""Tests by their name in `lab`. Salts of one charge are as many mmol as mEq."""

READINGS = (*CHARTED, *BREATHING, *LABS)
