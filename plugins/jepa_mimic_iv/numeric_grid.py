"""The modality `channels`: an hour as numbers, NaN where nothing was observed.

Columns, the same for static facts, states and actions (each fills its own and leaves the others NaN):

    static   age (years), male (1 or 0), Charlson index of earlier admissions
    state    for every numeric observation and score its value in the hour, and `<channel>:age`, the hours since it was
             last observed (0 in the hour of it, more in hour 0 for what is known from before, NaN before the first)
    action   for every numeric treatment its value in the hour: vasoactive rates, equivalent dose, what the ventilator
             is set to, dialysis, neuromuscular blockers; for each status of ventilation 1 while it is in force, else 0
             where another is; antibiotic orders begun; mL of fluid and units of insulin that went in

The value is the mean of the hour's readings, weighted by time for rates of drugs, the sum for volumes and pieces, the
last for scores; what was charted before admission counts in hour 0 only where the hour has no reading of its own. Drugs
by name are not columns: there are thousands, and which ones depends on the data.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jepa_core.data.trajectories import Channel, Events, Rendered, Trajectories
from jepa_mimic_iv.derived import SCORES, TREATMENTS, VARIABLES

VERSION = 2
"""Raised when a value changes, so that datasets render again."""

STATIC = ("demographics/age", "male", "demographics/charlson")
OBSERVED = tuple(variable.channel for variable in VARIABLES if variable.role == "state" and not variable.text)
MEAN_RATES = {
    channel: f"mean_rate/{channel.split('/')[1]}"
    for channel in (treatment.channel for treatment in TREATMENTS)
    if f"mean_rate/{channel.split('/')[1]}" in {treatment.channel for treatment in TREATMENTS}
    and not channel.startswith("mean_rate")
}
"""Columns of rates, and the channel that has them weighted by time, where a step has several."""
TREATED = tuple(
    variable.channel
    for variable in VARIABLES
    if variable.role == "action" and not variable.text and variable.group != "mean_rate"
)
STATUSES = ("Tracheostomy", "InvasiveVent", "NonInvasiveVent", "HFNC", "SupplementalOxygen", "None")
GIVEN = ("antibiotic orders", "fluid in mL", "insulin in units")
AGE = ":age"

COLUMNS: tuple[str, ...] = (
    *STATIC,
    *OBSERVED,
    *(name + AGE for name in OBSERVED),
    *TREATED,
    *(f"ventilation/{status}" for status in STATUSES),
    *GIVEN,
)
"""Names of the columns, in order."""

_PLACE = {name: index for index, name in enumerate(COLUMNS)}
_READ = {name: index for name, index in _PLACE.items() if name not in MEAN_RATES}
_READ |= {mean: _PLACE[name] for name, mean in MEAN_RATES.items()}
"""The column that a channel goes to."""
_SUMMED = frozenset({"urine_output/urineoutput", "neuroblock/drug_amount", "crrt/ultrafiltrate_output"})
_LAST = frozenset(score.channel for score in SCORES) | {
    treatment.channel for treatment in TREATMENTS if treatment.group in ("rrt", "crrt")
}


def render_grid(trajectories: Trajectories, channels: Sequence[Channel], step_hours: float) -> Rendered:
    """(owners, C, 1) float32 for static facts, states and actions, C = len(COLUMNS)."""
    state, action = (_values(trajectories.events(role), channels) for role in ("state", "action"))
    _add_ages(state, trajectories, channels, step_hours)
    _add_statuses(action, trajectories, channels)
    _add_given(action, trajectories, channels)
    grids = (_static(trajectories, channels), state, action)
    return Rendered(*(grid[:, :, None] for grid in grids))


def _owner(events: Events) -> np.ndarray:
    return np.repeat(np.arange(len(events.offsets) - 1), np.diff(events.offsets))


def _values(events: Events, channels: Sequence[Channel]) -> np.ndarray:
    """Means, sums or last values of the numeric channels that are columns."""
    cell, value, _ = _readings(events, channels)
    owners = len(events.offsets) - 1
    cells, inverse = np.unique(cell, return_inverse=True)
    total, count = np.bincount(inverse, value, len(cells)), np.bincount(inverse, minlength=len(cells))
    last = np.zeros(len(cells))
    last[inverse] = value
    kind = np.array([2 if name in _LAST else 1 if name in _SUMMED else 0 for name in COLUMNS])[cells % len(COLUMNS)]
    grid = np.full(owners * len(COLUMNS), np.nan, dtype=np.float32)
    grid[cells] = np.choose(kind, [total / np.maximum(count, 1), total, last])
    return grid.reshape(owners, len(COLUMNS))


def _readings(events: Events, channels: Sequence[Channel]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cell, value and time of the R events that count in a cell of the grid, (R,) each; what was charted before
    admission does only where nothing else does."""
    column = np.array([_READ.get(channel.name, -1) for channel in channels])[events.channel]
    kept = (column >= 0) & ~np.isnan(events.value)
    cell, time = _owner(events)[kept] * len(COLUMNS) + column[kept], events.time[kept]
    counts = ~(time < 0) | ~np.isin(cell, cell[~(time < 0)])  # a static fact has no time
    return cell[counts], events.value[kept][counts].astype(np.float64), time[counts]


def _add_ages(state: np.ndarray, trajectories: Trajectories, channels: Sequence[Channel], step_hours: float) -> None:
    """Fill in the hours since each observed channel was last seen in its trajectory."""
    first, age = _PLACE[OBSERVED[0]], _PLACE[OBSERVED[0] + AGE]
    seen = ~np.isnan(state[:, first : first + len(OBSERVED)])
    step = np.arange(len(state))[:, None]
    begins = (np.arange(len(state)) - trajectories.step_numbers())[:, None]
    last = np.maximum.accumulate(np.where(seen, step, -1), axis=0)
    earlier = _steps_before(trajectories.state, channels, step_hours)[:, first : first + len(OBSERVED)]
    since = step - last + np.take_along_axis(earlier, np.maximum(last, 0), axis=0)
    state[:, age : age + len(OBSERVED)] = np.where(last >= begins, since * step_hours, np.nan)


def _steps_before(events: Events, channels: Sequence[Channel], step_hours: float) -> np.ndarray:
    """(owners, C) float32: how many steps before its own the reading of a cell was charted; 0 but for what is carried
    into hour 0."""
    cell, _, time = _readings(events, channels)
    grid = np.zeros((len(events.offsets) - 1, len(COLUMNS)), dtype=np.float32)
    grid.flat[cell[time < 0]] = np.ceil(np.round(-time[time < 0] / step_hours, 4))
    return grid


def _add_statuses(action: np.ndarray, trajectories: Trajectories, channels: Sequence[Channel]) -> None:
    events, texts = trajectories.action, trajectories.texts.astype(str)
    told = np.array([channel.name == "ventilation/ventilation_status" for channel in channels], dtype=bool)
    chosen = np.flatnonzero(told[events.channel])
    owner = _owner(events)[chosen]
    for status in STATUSES:
        action[owner, _PLACE[f"ventilation/{status}"]] = np.nan_to_num(action[owner, _PLACE[f"ventilation/{status}"]])
        action[owner[texts[events.text[chosen]] == status], _PLACE[f"ventilation/{status}"]] = 1.0


def _add_given(action: np.ndarray, trajectories: Trajectories, channels: Sequence[Channel]) -> None:
    events = trajectories.action
    drips = [channel.group == "inputevents" for channel in channels]
    rules = {
        "antibiotic orders": [channel.name == "antibiotic/antibiotic" for channel in channels],
        "fluid in mL": [drip and channel.unit.lower() == "ml" for drip, channel in zip(drips, channels, strict=True)],
        "insulin in units": [
            drip and channel.unit == "units" and channel.label.startswith("Insulin")
            for drip, channel in zip(drips, channels, strict=True)
        ],
    }
    for name, rule in rules.items():
        chosen = np.array(rule, dtype=bool)[events.channel]
        owner = _owner(events)[chosen]
        amount = np.ones(len(owner)) if name == "antibiotic orders" else np.nan_to_num(events.value[chosen])
        total = np.bincount(owner, amount, len(action))
        action[:, _PLACE[name]] = np.where(np.bincount(owner, minlength=len(action)) > 0, total, np.nan)


def _static(trajectories: Trajectories, channels: Sequence[Channel]) -> np.ndarray:
    grid = _values(trajectories.static, channels)
    events, texts = trajectories.static, trajectories.texts.astype(str)
    told = np.array([channel.name == "demographics/gender" for channel in channels], dtype=bool)[events.channel]
    grid[_owner(events)[told], _PLACE["male"]] = texts[events.text[told]] == "M"
    return grid
