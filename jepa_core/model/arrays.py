"""Arrays with named dimensions, coordinates and units, as users get them.

Imported where one is made: xarray brings pandas, which takes a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray

from jepa_core.errors import RecipeError

if TYPE_CHECKING:
    from jepa_core.contracts import Surprise
    from jepa_core.data.trajectories import Channel
    from jepa_core.model.data import Data
    from jepa_core.model.decoding import Decoded


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
    dataset: xarray.Dataset, data: Data, dimension: str, number: np.ndarray, ends: np.ndarray
) -> xarray.Dataset:
    """With the number of each step along a dimension, and the time at its end since the trajectory's beginning."""
    length = data.step_length
    time = xarray.DataArray(ends * length.value, dims=dimension, attrs={"units": length.unit})
    return dataset.assign_coords({dimension: number, "time": time})


def with_decoded(dataset: xarray.Dataset, decoded: Decoded | None, samples: int, seed: int) -> xarray.Dataset:
    """With `decoded` (trajectory, horizon, channel), its bounds `decoded_low` and `decoded_high` where intervals were
    fitted, and what each channel is: its name, its unit, and whether a label or a channel of the data is read.

    `aleatoric`: the noise that was fitted with the intervals. Of an ensemble, `decoded_member` (trajectory, member,
    horizon, channel) and `epistemic`, its spread. `decoded_sample` (trajectory, sample, horizon, channel), if samples
    are asked for.

    Raises RecipeError for samples where no noise was fitted.
    """
    if samples and (decoded is None or decoded.level is None):
        raise RecipeError(
            "samples need the noise of decoded channels, and none was fitted; evaluate the run with channel_forecast, "
            "and its curriculum needs an objective that decodes, such as grounding"
        )
    if decoded is None:
        return dataset
    dimensions = ("trajectory", "horizon", "channel")
    arrays = {"decoded": decoded.values}
    if decoded.level is not None:
        arrays |= {"decoded_low": decoded.low, "decoded_high": decoded.high, "aleatoric": decoded.noise}
        dataset = dataset.assign_attrs(interval=decoded.level)
    names = [channel.name for channel in decoded.channels]
    units = ("channel", [channel.unit for channel in decoded.channels])
    dataset = dataset.assign({name: (dimensions, values) for name, values in arrays.items()})
    if decoded.members.shape[1] > 1:
        by_member = ("trajectory", "member", "horizon", "channel")
        dataset = dataset.assign(epistemic=(dimensions, decoded.spread), decoded_member=(by_member, decoded.members))
    if samples:
        by_sample = ("trajectory", "sample", "horizon", "channel")
        dataset = dataset.assign(decoded_sample=(by_sample, decoded.samples(samples, seed)))
    return dataset.assign_coords(channel=names, unit=units, reads=("channel", decoded.reads))


def of_observations(values: np.ndarray, channels: Sequence[Channel]) -> xarray.DataArray:
    """Values (T, C) of one trajectory as (step, channel)."""
    coordinates = {
        "step": np.arange(len(values)),
        "channel": [channel.name for channel in channels],
        "unit": ("channel", [channel.unit for channel in channels]),
    }
    return xarray.DataArray(values, coordinates, ("step", "channel"), "observed")


def of_surprise(
    data: Data, head: Surprise, by_channel: np.ndarray, score: np.ndarray, **attributes: Any
) -> xarray.Dataset:
    """Surprises (trajectory, step, channel) and scores (trajectory, step) of all steps, and which raise an alarm."""
    by_step = ("trajectory", "step")
    arrays: dict[str, tuple[Sequence[str], np.ndarray]] = {
        "surprise": ((*by_step, "channel"), by_channel),
        "score": (by_step, score),
        "alarm": (by_step, score > head.threshold),
    }
    attributes["threshold"] = head.threshold
    scored = of_trajectories(data, np.arange(len(data)), arrays, **attributes)
    channels = [channel.name for channel in head.channels]
    units = ("channel", [channel.unit for channel in head.channels])
    steps = np.arange(score.shape[1])
    return with_steps(scored, data, "step", steps, steps + 1.0).assign_coords(channel=channels, unit=units)


def of_steps(
    data: Data, trajectory: np.ndarray, step: np.ndarray, values: np.ndarray, **attributes: Any
) -> xarray.DataArray:
    """Values (R,) of rows as (trajectory, step), NaN where there is no row."""
    trajectories, owner = np.unique(trajectory, return_inverse=True)
    steps, inverse = np.unique(step, return_inverse=True)
    grid = np.full((len(trajectories), len(steps)), np.nan)
    grid[owner, inverse] = values
    dataset = of_trajectories(data, trajectories, {"score": (("trajectory", "step"), grid)})
    scores = with_steps(dataset, data, "step", steps, steps + 1.0)["score"]
    return scores.assign_attrs(attributes)
