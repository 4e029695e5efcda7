"""What evaluators predict: the 27 hourly targets, the event series of early-event prediction, the outcomes of stays.

A target is the mean of the plausible values that the hour shows (urine: their sum), NaN where it shows none. Units are
those of the variables: bpm, mmHg, breaths/min, %, °C, mmol/L (lactate), mg/dL (creatinine, glucose, magnesium,
bilirubin), mEq/L (sodium, potassium, bicarbonate), g/dL (haemoglobin, albumin), K/uL (platelets, white cells), IU/L
(AST, ALT), mL (urine), points (coma scale, SOFA).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from jepa_core.io.columns import to_numpy
from jepa_mimic_iv import event_series
from jepa_mimic_iv.event_series import Grid

TARGETS: dict[str, tuple[str, ...]] = {
    "hr": ("vitalsign/heart_rate",),
    "map": ("vitalsign/mbp",),
    "sbp": ("vitalsign/sbp",),
    "dbp": ("vitalsign/dbp",),
    "rr": ("vitalsign/resp_rate",),
    "spo2": ("vitalsign/spo2",),
    "pao2fio2_ratio": ("bg/pao2fio2ratio",),
    "temperature": ("vitalsign/temperature",),
    "lactate": ("bg/lactate",),
    "creatinine": ("chemistry/creatinine",),
    "glucose": ("vitalsign/glucose", "chemistry/glucose", "bg/glucose"),
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
    "sofa_total": ("sofa/sofa_24hours",),
}
"""Channels of each target; glucose is read at the bedside, in serum and in blood gases alike."""
SUMMED = frozenset({"urine_output"})

RAISING_PRESSURE = tuple(
    f"vasoactive_agent/{drug}"
    for drug in ("dobutamine", "norepinephrine", "epinephrine", "milrinone", "dopamine", "vasopressin")
)
CONTINUOUS_DIALYSIS = ("CRRT", "CVVH", "CVVHD", "CVVHDF", "SCUF")


@dataclass(frozen=True)
class ShownEvents:
    """Events of a block of stays that the steps show. number: of each channel. step, channel: (E,) int; value: (E,)
    float64, as charted: the store keeps single precision; text: (E,) object. carried: (E,) bool, charted before
    admission and still known in hour 0. steps: how many there are in all."""

    number: dict[str, int]
    step: np.ndarray
    channel: np.ndarray
    value: np.ndarray
    text: np.ndarray
    carried: np.ndarray
    steps: int

    @classmethod
    def of(cls, tables: Iterable[tuple[pa.Table, np.ndarray]], number: dict[str, int], steps: int) -> ShownEvents:
        """Of the events of several roles, each with the step that it belongs to."""
        kept = list(tables)
        columns = {
            name: np.concatenate([to_numpy(table[name]) for table, _ in kept])
            for name in ("channel", "value", "text", "time")
        }
        carried = columns.pop("time") < 0
        return cls(number, np.concatenate([step for _, step in kept]), carried=carried, steps=steps, **columns)

    def mean(self, *names: str) -> np.ndarray:
        """(S,) mean of the values of some channels, NaN where a step shows none."""
        chosen = self._of(names)
        count = np.bincount(self.step[chosen], minlength=self.steps)
        return np.where(count > 0, self.total(*names) / np.maximum(count, 1), np.nan)

    def total(self, *names: str) -> np.ndarray:
        """(S,) sum of the values of some channels, NaN where a step shows none."""
        chosen = self._of(names)
        weights = self.value[chosen].astype(np.float64)
        total = np.bincount(self.step[chosen], weights, minlength=self.steps)
        return np.where(np.bincount(self.step[chosen], minlength=self.steps) > 0, total, np.nan)

    def shows(self, *names: str) -> np.ndarray:
        """(S,) whether a step shows one of some channels."""
        return self._any(self._of(names))

    def says(self, name: str, words: tuple[str, ...]) -> np.ndarray:
        """(S,) whether a step shows a channel with one of some words."""
        chosen = self._of((name,))
        chosen[chosen] = np.isin(self.text[chosen].astype(str), words)
        return self._any(chosen)

    def _of(self, names: tuple[str, ...]) -> np.ndarray:
        """Events of some channels; what is carried counts only where hour 0 has nothing of its own."""
        chosen = np.isin(self.channel, [self.number[name] for name in names])
        return chosen & ~(self.carried & self._any(chosen & ~self.carried)[self.step])

    def _any(self, chosen: np.ndarray) -> np.ndarray:
        return np.bincount(self.step[chosen], minlength=self.steps) > 0


def hourly_targets(shown: ShownEvents) -> dict[str, np.ndarray]:
    """The 27 hourly targets: (S,) float32 each. A sum below 0, of irrigant that has not come back yet, is 0."""
    return {
        name: (np.maximum(shown.total(*names), 0) if name in SUMMED else shown.mean(*names)).astype(np.float32)
        for name, names in TARGETS.items()
    }


@dataclass(frozen=True)
class SeriesInputs:
    """What the event series are made of beside what the steps show.

    urine_rate: (S,) mL/kg/h. ventilated: (S,) bool, by a mask or a tube. saturation: (S,) arterial, in %, where it
    stands in for a missing PaO2/FiO2, else NaN. hours_to_end: (S,), see
    `event_series.decompensation`. died: (N,) in intensive care. septic: (S,) 1 from the onset of sepsis on, else 0.
    """

    urine_rate: np.ndarray
    ventilated: np.ndarray
    saturation: np.ndarray
    hours_to_end: np.ndarray
    died: np.ndarray
    septic: np.ndarray


def events(shown: ShownEvents, grid: Grid, course: SeriesInputs) -> dict[str, np.ndarray]:
    """The event series: (S,) float32 each, named event_<family>."""
    dialysed = shown.shows("crrt/crrt_mode", "crrt/ultrafiltrate_output") | shown.says(
        "rrt/dialysis_type", CONTINUOUS_DIALYSIS
    )
    creatinine = shown.mean("chemistry/creatinine")
    labels = {
        "circulatory_failure": event_series.circulatory_failure(
            shown.mean("vitalsign/mbp"), shown.mean("bg/lactate"), shown.shows(*RAISING_PRESSURE)
        ),
        "respiratory_failure": event_series.respiratory_failure(
            grid,
            shown.mean("bg/po2"),
            shown.mean("bg/fio2", "ventilator_setting/fio2"),
            course.saturation,
            course.ventilated,
        ),
        "kidney_failure": event_series.kidney_failure(grid, creatinine, course.urine_rate, dialysed),
        "liver_failure": event_series.liver_failure(
            grid, shown.mean("enzyme/bilirubin_total"), shown.mean("coagulation/inr"), creatinine, dialysed
        ),
        "decompensation": event_series.decompensation(grid, course.hours_to_end, course.died),
        "hyperglycaemia": event_series.hyperglycaemia(shown.mean(*TARGETS["glucose"])),
        "sepsis": course.septic,
    }
    return {f"event_{name}": values.astype(np.float32) for name, values in labels.items()}
