"""The trained model of a run, as a user holds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jepa_core.config import Modality, SourceConfig
from jepa_core.contracts import Act
from jepa_core.data.trajectories import Channel
from jepa_core.model import forecasting
from jepa_core.model.acts import Otherwise, Plan, acts_of, known_acts
from jepa_core.model.data import Data, read
from jepa_core.model.forecasting import Origin, Reach
from jepa_core.model.frozen import Frozen
from jepa_core.model.imagining import CAUTION, origins_under
from jepa_core.plugin import Component

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Model:
    """A trained encoder and predictor with what reading data as the run did takes. Made by `jepa_core.load`.

    folder: of the run. frozen: the networks. record: what `model.json` holds. channels: that the encoder was fitted on.
    """

    folder: Path
    frozen: Frozen
    source: Component
    source_config: SourceConfig
    modality: Modality
    reach: Reach
    record: Mapping[str, Any]
    channels: list[Channel]

    def __repr__(self) -> str:
        return f"Model({self.record['name']!r}, from {str(self.folder)!r})"

    def read(self, *paths: str | Path) -> Data:
        """New raw data, as the run's source reads its own: a folder of tables or files, whichever that is.

        Nothing is fitted on them: columns, vocabularies and units are those of the run. Every trajectory is read that
        the source's own rules keep (`Data.attrition` counts them). Raises RecipeError if the paths are not what the
        source reads, DataError if a channel is missing, in another unit or of an unknown category, or if a trajectory,
        or all of the data, hold nothing.
        """
        config = self.source_config.at([Path(path).expanduser() for path in paths])
        source = self.source.load()(config)
        source.load_fitted(self.record["source_fitted"])
        return read(source, config, self.source.name, self.modality, self.channels)

    def encode(self, data: Data) -> xarray.Dataset:
        """Latents of every item: `static` (trajectory, latent), `state` and `action` (trajectory, step, latent), NaN
        behind a trajectory's end.

        A trajectory's latents are the same to the bit whatever stands beside it in the data.
        """
        from jepa_core.model.arrays import of_trajectories, with_steps

        count, longest, size = len(data), int(data.steps.max()), self.frozen.encoder.latent_dim
        static = np.empty((count, size), dtype=np.float32)
        state, action = (np.full((count, longest, size), np.nan, dtype=np.float32) for _ in range(2))
        for trajectory, steps in enumerate(data.steps.tolist()):
            latents = self.frozen.latents(data.dataset, trajectory)
            static[trajectory] = latents.static[0].cpu()
            state[trajectory, :steps] = latents.states[0].cpu()
            action[trajectory, :steps] = latents.actions[0].cpu()
        by_step = ("trajectory", "step", "latent")
        arrays = {"static": (("trajectory", "latent"), static), "state": (by_step, state), "action": (by_step, action)}
        made = of_trajectories(data, np.arange(count), arrays, model=self.record["name"])
        return with_steps(made, data, "step", np.arange(longest), np.arange(longest) + 1.0)

    def forecast(self, data: Data, at: int, horizon: int) -> xarray.Dataset:
        """What is foreseen after the first `at` steps of every trajectory that has so many: `state` (trajectory,
        horizon, latent), where horizon h is the step at + h - 1, counted from 0.

        The actions are those that the data record, future ones included, and where a trajectory ends the last of them
        is held: `action_recorded` (trajectory, horizon) says which it is for the action that leads to each step.
        Raises DataError if no trajectory is long enough, RecipeError if the predictor does not reach so far.
        """
        context = self.reach.context(at, horizon)
        chosen = forecasting.long_enough(data.dataset, at)
        origins = (
            forecasting.origin_of(self.frozen, data.dataset, one, at, context, horizon) for one in chosen.tolist()
        )
        return self._foreseen(data, chosen, origins, at, horizon, context)

    def imagine(
        self,
        data: Data,
        at: int,
        horizon: int,
        actions: Sequence[Act] | Sequence[Mapping[str, Any]] = (),
        otherwise: Otherwise = "none",
    ) -> xarray.Dataset:
        """What the model associates with other actions: as `forecast`, but from step `at` on those of `actions` are
        done, and otherwise nothing, or what the data record.

        actions: `jepa_core.Act`s, or plain values such as `{"channel": "push", "value": 1.5, "unit": "N", "from": 24,
        "to": 30}`, in the units of the data; the source turns them into what its data would record. `state`
        (trajectory, horizon, latent); the attributes say what was done, and that logged actions do not identify what an
        intervention does. The action of step `at` - 1 is in the past and stays: horizon 1 is as forecast.

        Raises RecipeError for an act on an unknown channel, in another unit or outside the steps imagined, DataError if
        no trajectory is long enough or one lacks what an act needs.
        """
        plan = Plan(known_acts(acts_of(actions), data.dataset.store.channels), at, horizon, otherwise)
        context = self.reach.context(at, horizon)
        chosen = forecasting.long_enough(data.dataset, at)
        origins = origins_under(self.frozen, data, chosen, plan, context)
        made = self._foreseen(data, chosen, origins, at, horizon, context)
        return made.drop_vars("action_recorded").assign_attrs(actions=plan.told(), caution=CAUTION)

    def _foreseen(
        self, data: Data, chosen: np.ndarray, origins: Iterator[Origin], at: int, horizon: int, context: int
    ) -> xarray.Dataset:
        from jepa_core.model.arrays import of_trajectories, with_steps

        parts = list(forecasting.roll_out(self.frozen, origins, horizon))
        state = np.concatenate([states.cpu().numpy() for states, _ in parts])
        recorded = np.concatenate([known for _, known in parts])
        arrays = {
            "state": (("trajectory", "horizon", "latent"), state),
            "action_recorded": (("trajectory", "horizon"), recorded),
        }
        made = of_trajectories(
            data, chosen, arrays, model=self.record["name"], at=at, context=context,
            too_short=len(data) - len(chosen), actions=_told(recorded),
        )  # fmt: skip
        ahead = np.arange(1, horizon + 1)
        return with_steps(made, data, "horizon", ahead, (at + ahead).astype(float))


def _told(recorded: np.ndarray) -> str:
    """What was known of the actions of a forecast, and what was assumed."""
    held = int((~recorded).sum())
    told = f"{recorded.size - held} of {recorded.size} steps under the action that the data record"
    return told + (f"; {held} under the last recorded action, held, as it is not known what followed" if held else "")
