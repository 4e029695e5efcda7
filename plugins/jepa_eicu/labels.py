"""What evaluators predict, under the names of `mimic_iv` and by its definitions, as far as eICU can tell.

Hourly targets are what the hour shows. Of the seven event series three are made; sepsis, kidney, liver and respiratory
failure need cultures, exact urine rates, dialysis and the kind of ventilation, which the tables do not tell in the
same way. Nobody is followed after the hospital, so there is no `mortality_<n>d`: whoever left it alive may have died.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jepa_eicu.mapping import CHANNELS

TARGETS: dict[str, tuple[str, ...]] = {
    "hr": ("vitalsign/heart_rate",),
    "map": ("vitalsign/mbp",),
    "sbp": ("vitalsign/sbp",),
    "dbp": ("vitalsign/dbp",),
    "rr": ("vitalsign/resp_rate",),
    "spo2": ("vitalsign/spo2",),
    "temperature": ("vitalsign/temperature",),
    "lactate": ("bg/lactate",),
    "creatinine": ("chemistry/creatinine",),
    "glucose": ("vitalsign/glucose", "chemistry/glucose"),
    "urine_output": ("urine_output/urineoutput",),
    "sodium": ("chemistry/sodium",),
    "potassium": ("chemistry/potassium",),
    "magnesium": ("chemistry/magnesium",),
    "ph": ("bg/ph",),
    "bicarbonate": ("chemistry/bicarbonate",),
    "hemoglobin": ("complete_blood_count/hemoglobin",),
    "platelet": ("complete_blood_count/platelet",),
    "wbc": ("complete_blood_count/wbc",),
    "inr": ("coagulation/inr",),
    "total_bilirubin": ("enzyme/bilirubin_total",),
    "albumin": ("chemistry/albumin",),
    "ast": ("enzyme/ast",),
    "alt": ("enzyme/alt",),
    "gcs_total": ("gcs/gcs",),
}
RAISING_PRESSURE = tuple(
    f"vasoactive_agent/{drug}"
    for drug in ("dobutamine", "norepinephrine", "epinephrine", "milrinone", "dopamine", "vasopressin")
)
LOW_PRESSURE, HIGH_LACTATE, HIGH_GLUCOSE = 65.0, 2.0, 180.0
"""mmHg, at or below; mmol/L, at or above; mg/dL, above."""


OUTCOMES: dict[str, str] = {
    "hospital_mortality": "died::DOUBLE",
    "icu_mortality": "died_in_unit::DOUBLE",
    "prolonged_stay_7d": "(hours > 168)::INTEGER::DOUBLE",
}
"""SQL of each outcome over a stay."""


def hourly_labels(
    told: Mapping[str, Mapping[str, np.ndarray]], owners: Mapping[str, np.ndarray], steps: int
) -> dict[str, np.ndarray]:
    """Hourly targets and the two event series that an hour's own values tell: (steps,) float32 by name. told: columns
    `channel` and `value` of the events by role. owners: the step of each."""
    number = {channel.name: index for index, channel in enumerate(CHANNELS)}

    def shown(role: str, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        chosen = np.isin(told[role]["channel"], [number[name] for name in names])
        return owners[role][chosen], told[role]["value"][chosen].astype(np.float64)

    def mean(names: tuple[str, ...]) -> np.ndarray:
        step, value = shown("state", names)
        count = np.bincount(step, minlength=steps)
        total = np.bincount(step, value, minlength=steps)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    labels = {name: mean(names) for name, names in TARGETS.items()}
    supported = np.bincount(shown("action", RAISING_PRESSURE)[0], minlength=steps) > 0
    low = np.where(supported, 1.0, _holds(labels["map"], np.round(labels["map"], 4) <= LOW_PRESSURE))
    high = _holds(labels["lactate"], np.round(labels["lactate"], 4) >= HIGH_LACTATE)
    labels["event_circulatory_failure"] = np.where(low == high, low, np.nan)
    labels["event_hyperglycaemia"] = _holds(labels["glucose"], np.round(labels["glucose"], 4) > HIGH_GLUCOSE)
    return {name: values.astype(np.float32) for name, values in labels.items()}


def _holds(values: np.ndarray, related: np.ndarray) -> np.ndarray:
    """1 or 0, NaN where the value is missing."""
    return np.where(np.isnan(values), np.nan, related.astype(np.float64))
