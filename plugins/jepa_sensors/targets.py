"""Labels and outcomes: what evaluators predict, and no encoder sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jepa_core.errors import DataError, RecipeError
from jepa_sensors import cells
from jepa_sensors.config import TableConfig
from jepa_sensors.config_parts import FileTarget, RemainingTarget
from jepa_sensors.cutting import Cuts, seconds_of
from jepa_sensors.files import find
from jepa_sensors.reading import TableFile
from jepa_sensors.staging import GROUPS, StagedRows

if TYPE_CHECKING:
    from jepa_sensors.assembly import CutRows


class Targets:
    """The labels and outcomes of a recipe. Reads the files of outcomes, which are small, when it is made."""

    def __init__(self, config: TableConfig, staged: StagedRows, cuts: Cuts) -> None:
        self._config = config
        self._staged = staged
        self._of_file = {
            name: _from_file(name, target, config, staged, cuts) for name, target in config.outcome_files().items()
        }
        # Timestamps count microseconds; what remains of them is told in seconds.
        self._unit = 1.0 if staged.clock == "number" else seconds_of(staged, config)

    def labels(self, rows: CutRows) -> dict[str, np.ndarray]:
        """(S,) float32 by name."""
        by_name: dict[str, np.ndarray] = {}
        for name, target in self._config.labels.items():
            if isinstance(target, RemainingTarget):
                by_name[name] = self._remaining(rows, target)
            else:
                by_name |= self._column(rows, name, target.column, rows.step, rows.steps)
        return by_name

    def outcomes(self, rows: CutRows) -> dict[str, np.ndarray]:
        """(K,) float32 by name."""
        by_name: dict[str, np.ndarray] = {}
        for name, target in self._config.outcomes.items():
            if isinstance(target, FileTarget):
                by_name[name] = self._of_file[name][rows.cuts.key]
            else:
                by_name |= self._column(rows, name, target.column, rows.owner, len(rows.cuts))
        return by_name

    def _column(self, rows: CutRows, name: str, column: str, owner: np.ndarray, owners: int) -> dict[str, np.ndarray]:
        """The last known value of a column in each owner; of words, whether it is each of them."""
        number = self._staged.number(column)
        values = rows.values[number]
        known = ~np.isnan(values)
        last = np.full(owners, np.nan, dtype=np.float32)
        last[owner[known]] = values[known]  # of several, numpy keeps the last
        names = self._config.target_names(name, column)
        if not self._staged.columns[number].categories:
            return {names[0]: last}
        unknown = np.isnan(last)
        return {
            word: np.where(unknown, np.nan, last == code).astype(np.float32) for code, word in enumerate(names)
        }  # fmt: skip

    def _remaining(self, rows: CutRows, target: RemainingTarget) -> np.ndarray:
        """What remains from the last row of each step to the last row of its trajectory; NaN in a step without rows."""
        ends = np.concatenate([np.flatnonzero(np.diff(rows.owner)), [len(rows.owner) - 1]])
        time, unit = (rows.time, self._unit) if self._config.time_column else (rows.slot, 1.0)
        remaining = (time[ends][rows.owner] - time) * unit
        if target.ends_at:
            remaining = remaining + np.nan_to_num(self._of_file[target.ends_at])[rows.cuts.key][rows.owner]
        label = np.full(rows.steps, np.nan, dtype=np.float32)
        label[rows.step] = remaining
        return label if target.cap is None else np.minimum(label, np.float32(target.cap))


def _from_file(name: str, target: FileTarget, config: TableConfig, staged: StagedRows, cuts: Cuts) -> np.ndarray:
    """(N,) float32 for every key, NaN for those that the file is not about.

    Raises DataError if a trajectory has no row or two, RecipeError if the columns do not tell which number is meant.
    """
    path = find([target.file])[0]
    headless = not (target.column or target.id)
    file = TableFile(path, config.model_copy(update={"columns": ("value",) if headless else (), "format": "auto"}))
    left = [name_of for name_of in file.names if name_of not in target.id]
    if not target.column and len(left) != 1:
        raise RecipeError(f"source.outcomes.{name}.column: {path} has {len(left)} columns besides the id; name one")
    column = target.column or left[0]
    ids: list[str] = []
    values: list[np.ndarray] = []
    for block in file.blocks([*target.id, column]):
        values.append(cells.numbers(block, column))
        if target.id:
            ids += cells.names(block, target.id, 0).cast("string").to_pylist()
    joined = np.concatenate(values) if values else np.zeros(0, dtype=np.float32)
    group = GROUPS.index(target.of)
    own = np.flatnonzero(staged.group == group)
    if target.id:
        number = {f"{group}{cells.SEPARATOR}{identifier}": index for index, identifier in enumerate(ids)}
        places = [number.get(staged.names[key]) for key in own.tolist()]
        if len(number) < len(ids) or None in places:
            text = "an id twice" if len(number) < len(ids) else f"no row for {places.count(None)} of {len(own)} ids"
            again = cells.respelled([*(staged.names[key] for key in own.tolist()), *number])
            text += f" ({len(again)} of them are there in another spelling of the same number)" if again else ""
            raise DataError(f"{path} has {text}; source.outcomes.{name} needs one for each trajectory")
        joined = joined[np.array(places, dtype=np.int64)]
    if len(joined) != len(own):
        raise DataError(
            f"{path} has {len(joined)} rows for {len(own)} trajectories; source.outcomes.{name} needs one for each, in "
            "the order of their ids"
        )
    outcome = np.full(len(staged.names), np.nan, dtype=np.float32)
    outcome[own] = joined
    return outcome
