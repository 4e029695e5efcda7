"""Arrays with named dimensions, coordinates and units, as users get them.

Imported where one is made: xarray brings pandas, which takes a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray

if TYPE_CHECKING:
    from jepa_core.contracts import Readout
    from jepa_core.model.data import Data


def of_trajectories(
    data: Data, chosen: np.ndarray, arrays: Mapping[str, tuple[Sequence[str], np.ndarray]], **attributes: Any
) -> xarray.Dataset:
    """Arrays whose first dimension is the trajectories at `chosen` (n,); each carries the position, the identifier and
    the subject that it has in the data."""
    store = data.dataset.store
    whose = {
        "trajectory": chosen,
        "identifier": ("trajectory", store.identifier[chosen]),
        "subject": ("trajectory", store.subject[chosen]),
    }
    return xarray.Dataset(dict(arrays), coords=whose, attrs=attributes)


def with_steps(
    made: xarray.Dataset, data: Data, dimension: str, number: np.ndarray, ends: np.ndarray
) -> xarray.Dataset:
    """With the number of each step along a dimension, and the time at its end since the trajectory's beginning."""
    length = data.step_length
    time = xarray.DataArray(ends * length.value, dims=dimension, attrs={"units": length.unit})
    return made.assign_coords({dimension: number, "time": time})


def decoded_arrays(
    readouts: Sequence[Readout], dimensions: Sequence[str], states: np.ndarray
) -> dict[str, tuple[Sequence[str], np.ndarray]]:
    """`decoded` (..., channel): what readouts read off states (..., D), all channels beside one another; nothing where
    there is no readout."""
    if not readouts:
        return {}
    values = np.concatenate([one.decode(states.astype(np.float64)) for one in readouts], axis=-1)
    return {"decoded": ((*dimensions, "channel"), values)}


def with_channels(made: xarray.Dataset, readouts: Sequence[Readout]) -> xarray.Dataset:
    """With name and unit of each channel that was decoded."""
    channels = [channel for one in readouts for channel in one.channels]
    if not channels:
        return made
    units = ("channel", [one.unit for one in channels])
    return made.assign_coords(channel=[one.name for one in channels], unit=units)


def of_steps(
    data: Data, trajectory: np.ndarray, step: np.ndarray, values: np.ndarray, **attributes: Any
) -> xarray.DataArray:
    """Values (R,) of rows as (trajectory, step), NaN where there is no row."""
    trajectories, owner = np.unique(trajectory, return_inverse=True)
    steps, place = np.unique(step, return_inverse=True)
    grid = np.full((len(trajectories), len(steps)), np.nan)
    grid[owner, place] = values
    made = of_trajectories(data, trajectories, {"score": (("trajectory", "step"), grid)})
    found = with_steps(made, data, "step", steps, steps + 1.0)["score"]
    return found.assign_attrs(attributes)
