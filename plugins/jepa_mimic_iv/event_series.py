"""The events behind early-event prediction, three-valued per step: 1 on, 0 off, NaN where nobody can tell.

Definitions are those of the ICareFM tasks as published with icu-features (functions `outcomes` and `kdigo_3`), on the
steps of the store; hours become steps by the length of a step. Values are means of a step, as in the labels beside
them, and are seen when the store shows them (a laboratory value when it was stored, by default). Departures:

* kidney: the rise of creatinine within 48 h is measured from the lowest value to the present one (published: between
  any two, so that a fall counts too); the spans of 24 h and 12 h without urine must lie within the stay (published: one
  low hour at the beginning is enough); creatinine before admission to intensive care is not looked at;
* liver: the MELD has its published coefficients (3.78 bilirubin, 11.2 INR, 9.57 creatinine);
* theophylline and levosimendan are no items of MIMIC-IV; phenylephrine does not count, as published.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import ge, gt, le, lt

import numpy as np

Values = np.ndarray
Relation = Callable[[Values, float], Values]

LOW_PRESSURE, HIGH_LACTATE = 65.0, 2.0
"""mmHg, at or below; mmol/L, at or above."""
LOW_OXYGENATION, LOW_SATURATION = 200.0, 90.0
"""PaO2/FiO2 in mmHg, below; arterial saturation in %, at or below, where there is no ratio."""
ROOM_AIR = 21.0
HIGH_GLUCOSE = 180.0
"""mg/dL, above."""
SEVERE_MELD = 30.0
DECIMALS = 4
"""Decimals in which values, and what is reckoned of them, are compared: more than any is charted in, and fewer than
single precision holds, in which 4.1 - 3.8 is less than 0.3."""


@dataclass(frozen=True)
class Grid:
    """Places steps of N trajectories in a rectangle (N, longest). offsets: (N + 1,). step_hours: hours of a step."""

    offsets: np.ndarray
    step_hours: float

    def steps(self, hours: float) -> int:
        """Steps that so many hours are, at least one."""
        return max(1, round(hours / self.step_hours))

    def rectangle(self, values: Values) -> Values:
        """(N, longest), NaN beyond the end of a trajectory."""
        lengths = np.diff(self.offsets)
        grid = np.full((len(lengths), int(lengths.max(initial=0))), np.nan)
        grid[self._inside(grid.shape[1])] = values
        return grid

    def flat(self, grid: Values) -> Values:
        """(S,) float32, the steps of a rectangle."""
        return grid[self._inside(grid.shape[1])].astype(np.float32)

    def _inside(self, longest: int) -> np.ndarray:
        return np.arange(longest)[None, :] < np.diff(self.offsets)[:, None]


def either(*parts: Values) -> Values:
    """1 where any part is 1, else NaN where any is NaN, else 0."""
    stacked = np.stack(parts)
    return np.where((stacked == 1).any(axis=0), 1.0, np.where(np.isnan(stacked).any(axis=0), np.nan, 0.0))


def both(first: Values, second: Values) -> Values:
    """0 where either part is 0, else NaN where either is NaN, else 1."""
    return 1 - either(1 - first, 1 - second)


def holds(values: Values, relation: Relation, bound: float) -> Values:
    """1 where the values stand in a relation (such as `operator.ge`) to a bound, else 0, NaN where they are missing;
    compared in decimals."""
    related = relation(np.round(values.astype(np.float64), DECIMALS), bound)
    return np.where(np.isnan(values), np.nan, related.astype(np.float64))


def shifted(grid: Values, steps: int) -> Values:
    """Each row moved later by so many steps (earlier if negative), NaN where nothing comes from."""
    moved = np.full_like(grid, np.nan)
    if abs(steps) >= grid.shape[1]:
        return moved
    if steps >= 0:
        moved[:, steps:] = grid[:, : grid.shape[1] - steps]
    else:
        moved[:, :steps] = grid[:, -steps:]
    return moved


def rolling(reduce: Callable[[Values, Values], Values], grid: Values, window: int) -> Values:
    """Least or largest (np.fmin, np.fmax) of the last `window` steps, the present one included; NaN if none is
    known."""
    grids, span = grid, 1
    while 2 * span <= window:
        grids, span = reduce(grids, shifted(grids, span)), 2 * span
    return reduce(grids, shifted(grids, window - span)) if span < window else grids


def circulatory_failure(pressure: Values, lactate: Values, supported: np.ndarray) -> Values:
    """Low mean pressure (or a drug that raises it) with high lactate is 1, neither is 0; NaN where the two disagree or
    one is not known."""
    low = np.where(supported, 1.0, holds(pressure, le, LOW_PRESSURE))
    high = holds(lactate, ge, HIGH_LACTATE)
    return np.where(low == high, low, np.nan)


def respiratory_failure(
    grid: Grid, tension: Values, fraction: Values, saturation: Values, ventilated: Values
) -> Values:
    """PaO2 (mmHg) over the inspired fraction (%), which is that of air where none is charted and the patient is
    ventilated neither in this step nor in the next."""
    helped = grid.rectangle(ventilated.astype(float))
    helped = grid.flat(np.fmax(helped, shifted(helped, -1))) == 1
    fraction = np.where(np.isnan(fraction) & ~helped, ROOM_AIR, fraction)
    by_ratio = holds(100 * tension / fraction, lt, LOW_OXYGENATION)
    by_saturation = holds(saturation, le, LOW_SATURATION)
    return np.where(np.isnan(by_ratio), by_saturation, by_ratio)


def kidney_failure(grid: Grid, creatinine: Values, urine_rate: Values, dialysed: np.ndarray) -> Values:
    """KDIGO stage 3 of creatinine (mg/dL), urine (mL/kg/h) or continuous dialysis at any time so far."""
    value, rate = grid.rectangle(creatinine), grid.rectangle(urine_rate)
    lowest = rolling(np.fmin, shifted(value, 1), grid.steps(168))
    rise = value - rolling(np.fmin, value, grid.steps(48))
    ratio = value / lowest
    injured = either(holds(rise, ge, 0.3), holds(ratio, ge, 1.5))
    ever = rolling(np.fmax, grid.rectangle(dialysed.astype(float)), value.shape[1])
    failing = either(
        (ever == 1).astype(float),
        holds(ratio, ge, 3.0),
        both(injured, holds(value, gt, 4.0)),
        _little_urine(grid, rate, 24, lt, 0.3),
        _little_urine(grid, rate, 12, le, 0.0),
    )
    return grid.flat(failing)


def _little_urine(grid: Grid, rate: Values, hours: int, relation: Relation, bound: float) -> Values:
    """Whether the largest rate of so many hours is little; 0 where none was measured or the stay is not so long yet."""
    steps = grid.steps(hours)
    long_enough = np.arange(rate.shape[1])[None, :] >= steps - 1
    return ((holds(rolling(np.fmax, rate, steps), relation, bound) == 1) & long_enough).astype(float)


def liver_failure(grid: Grid, bilirubin: Values, inr: Values, creatinine: Values, dialysed: np.ndarray) -> Values:
    """MELD (Kamath et al. 2001, UNOS bounds) of 30 or more. Values of the hour after are taken where this one has none;
    creatinine is 4 within 7 days of dialysis."""
    hour = grid.steps(1)
    filled = [_carried_back(grid.rectangle(values), hour) for values in (bilirubin, inr, creatinine)]
    recently = rolling(np.fmax, grid.rectangle(dialysed.astype(float)), grid.steps(168)) == 1
    filled[2] = np.where(recently, 4.0, filled[2])
    logs = [np.log(np.fmax(values, 1.0) + 0 * values) for values in filled]
    meld = 3.78 * logs[0] + 11.2 * logs[1] + 9.57 * logs[2] + 6.43
    return grid.flat(holds(meld, ge, SEVERE_MELD))


def _carried_back(grid: Values, steps: int) -> Values:
    for step in range(1, steps + 1):
        grid = np.where(np.isnan(grid), shifted(grid, -step), grid)
    return grid


def decompensation(grid: Grid, hours_to_end: Values, died: Values) -> Values:
    """1 in the last 24 hourly steps of a stay that ended with death, else 0. hours_to_end: (S,) from the beginning of
    the step to the end of the last one. died: (N,) 1, 0 or NaN."""
    ended = np.repeat(died, np.diff(grid.offsets))
    return np.where(np.round(hours_to_end, DECIMALS) <= 24, ended, np.where(np.isnan(ended), np.nan, 0.0))


def hyperglycaemia(glucose: Values) -> Values:
    """Glucose above 180 mg/dL."""
    return holds(glucose, gt, HIGH_GLUCOSE)
