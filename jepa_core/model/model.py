"""The trained model of a run, as a user holds it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jepa_core.config import Modality, SourceConfig
from jepa_core.contracts import Act, Intervals, Otherwise, Readout
from jepa_core.data.observations import CLIP, Observer
from jepa_core.data.standardisation import NormalScores
from jepa_core.data.trajectories import Channel
from jepa_core.ensemble import members_of
from jepa_core.errors import RecipeError
from jepa_core.model import forecasting, steering, streaming
from jepa_core.model.acts import PlannedActs, acts_of, known_acts
from jepa_core.model.data import Data, read, read_by
from jepa_core.model.decoding import ChannelDecoder, decoded
from jepa_core.model.folder import OBSERVATIONS, read_part
from jepa_core.model.forecasting import Origin, Reach
from jepa_core.model.frozen import Frozen
from jepa_core.model.goals import Goal, goal_of
from jepa_core.model.imagining import CAUTION, origins_under, those_able
from jepa_core.model.kept import (
    KeptTask,
    Scored,
    find_surprise,
    find_task,
    kept_intervals,
    kept_readouts,
    kept_tasks,
    rows_to_score,
)
from jepa_core.model.searching import Search
from jepa_core.model.streaming import Item, Stream
from jepa_core.model.view import View
from jepa_core.plugin import Component, Registry

if TYPE_CHECKING:
    import xarray

log = logging.getLogger("jepa")


@dataclass(frozen=True, eq=False)
class Model:
    """A trained encoder and predictor with what reading data as the run did takes. Made by `jepa_core.load`.

    folder: of the run. frozen: the networks. record: what `model.json` holds. registry: of the plugins. channels: that
    the encoder was fitted on.
    """

    folder: Path
    frozen: Frozen
    source: Component
    source_config: SourceConfig
    modality: Modality
    reach: Reach
    record: Mapping[str, Any]
    registry: Registry
    channels: list[Channel]

    def __repr__(self) -> str:
        return f"Model({self.record['name']!r}, from {str(self.folder)!r})"

    def read(self, *paths: str | Path, source: str | None = None) -> Data:
        """New raw data, as the run's source reads its own: a folder of tables or files, whichever that is.

        source: name of another source that reads them, where its channels are called as those of the run: what it finds
        is rendered as the run's own data are.

        Nothing is fitted on them: columns, vocabularies and units are those of the run. Every trajectory is read that
        the source's own rules keep (`Data.attrition` counts them). Raises RecipeError if the paths are not what the
        source reads, DataError if a channel is missing, in another unit or of an unknown category, or if a trajectory,
        or all of the data, hold nothing.
        """
        places = [Path(path).expanduser() for path in paths]
        if source not in (None, self.source.name):
            return read_by(self, source, places)
        config = self.source_config.at(places)
        own = self.source.load()(config)
        own.load_fitted(self.record["source_fitted"])
        return read(self, own, config)

    def encode(self, data: Data) -> xarray.Dataset:
        """Latents of every item: `static` (trajectory, latent), `state` and `action` (trajectory, step, latent), NaN
        behind a trajectory's end.

        A trajectory's latents are the same to the bit whatever stands beside it in the data.
        """
        from jepa_core.model.arrays import of_trajectories, with_steps

        count, longest, size = len(data), int(data.steps.max()), self.frozen.encoder.latent_dim
        static = np.empty((count, size), dtype=np.float32)
        state, action = (np.full((count, longest, size), np.nan, dtype=np.float32) for _ in range(2))
        view = self.view(data)
        for trajectory, steps in enumerate(data.steps.tolist()):
            latents = view.latents(trajectory)
            static[trajectory] = latents.static[0].cpu()
            state[trajectory, :steps] = latents.states[0].cpu()
            action[trajectory, :steps] = latents.actions[0].cpu()
        by_step = ("trajectory", "step", "latent")
        arrays: dict[str, tuple[Sequence[str], np.ndarray]] = {
            "static": (("trajectory", "latent"), static),
            "state": (by_step, state),
            "action": (by_step, action),
        }
        dataset = of_trajectories(data, np.arange(count), arrays, model=self.record["name"])
        return with_steps(dataset, data, "step", np.arange(longest), np.arange(longest) + 1.0)

    @cached_property
    def heads(self) -> list[KeptTask]:
        """What evaluators of the run fitted to score trajectories, by task and method. Raises RunError if they are of
        another version, DataError if a file is missing or damaged."""
        return list(kept_tasks(self.folder, self.registry))

    @cached_property
    def readouts(self) -> list[Readout]:
        """What evaluators of the run fitted to read values off states; see `heads`."""
        return list(kept_readouts(self.folder, self.registry))

    @cached_property
    def intervals(self) -> Intervals | None:
        """What an evaluator of the run fitted around forecasts of channels; see `heads`."""
        return kept_intervals(self.folder, self.registry)

    @cached_property
    def decoder(self) -> ChannelDecoder | None:
        """What reads channels off beliefs; None where no objective of the run keeps a decoder."""
        names = self.record.get("observations", [])
        if not names or not self.frozen.decoders:
            return None
        units = {channel.name: channel.unit for channel in self.channels}
        scaling = NormalScores(len(names), CLIP)
        scaling.load_fitted(read_part(self.folder / OBSERVATIONS))
        channels = [Channel(name, units.get(name, "")) for name in names]
        return ChannelDecoder(next(iter(self.frozen.decoders.values())), scaling, channels)

    def predict(
        self, data: Data, task: str, at: int | None = None, method: str | None = None, evaluator: str | None = None
    ) -> xarray.DataArray:
        """Scores (trajectory, step) of a task: probabilities, or values where the task is about one; NaN where a
        trajectory is not scored.

        task: the name of a task of the run's evaluators, or what it is about, such as the name of an outcome. at: score
        every trajectory of so many steps when it has had them; None scores the steps that the task is about. method:
        which of the evaluator's methods scores; its first if None. Scores of the run's own trajectories, given again
        as raw data, are those of its predictions to the bit, on the same kind of machine with as many threads.

        Raises RecipeError if no head or more than one is meant, DataError if no trajectory is long enough.
        """
        from jepa_core.model.arrays import of_steps

        scored = self.score(data, task, at, method, evaluator)
        kept = scored.kept
        return of_steps(
            data, scored.trajectory, scored.step, scored.score, model=self.record["name"], task=kept.task,
            method=kept.method, evaluator=kept.evaluator,
            meaning="probability" if kept.kind == "boolean" else "value",
        )  # fmt: skip

    def score(
        self, data: Data, task: str, at: int | None = None, method: str | None = None, evaluator: str | None = None
    ) -> Scored:
        """What `predict` gives, row by row."""
        kept = find_task(self.heads, task, method, evaluator, at)
        trajectory, step = rows_to_score(kept, data.dataset, at)
        head, view = kept.head, self.view(data)
        score, truth = head.scores(view, trajectory, step), head.truth(data.dataset, trajectory, step)
        return Scored(kept, trajectory, step, score, truth)

    def surprise(self, data: Data, evaluator: str | None = None) -> xarray.Dataset:
        """How far every step is from what the steps before it let expect: `surprise` (trajectory, step, channel) in
        what is usual for the channel on the train split; `score` (trajectory, step), over channels and the last steps;
        `alarm` (trajectory, step), whether the score is beyond the `threshold` that the run's tuning split gave. NaN,
        and no alarm, where nothing was observed or foreseen: the first step is never foreseen.

        evaluator: whose head it is; None where only one of the run's evaluators keeps one. Nothing is read that comes
        after a step. Raises RecipeError where no evaluator keeps a head of surprise, or several do.
        """
        from jepa_core.model.arrays import of_surprise

        head, view = find_surprise(self.heads, evaluator), self.view(data)
        count, longest = len(data), int(data.steps.max())
        by_channel = np.full((count, longest, len(head.channels)), np.nan)
        score = np.full((count, longest), np.nan)
        for trajectory, steps in enumerate(data.steps.tolist()):
            by_channel[trajectory, :steps] = head.by_channel(view, trajectory)
            every = np.arange(steps)
            score[trajectory, :steps] = head.scores(view, np.full(steps, trajectory), every)
        return of_surprise(data, head, by_channel, score, model=self.record["name"])

    def view(self, data: Data) -> View:
        """What the model makes of data, trajectory by trajectory, as a head reads it. Raises RecipeError for data that
        another model read."""
        if data.reader is not self:
            raise RecipeError(f"these data were read by {data.reader!r}; read them with this model, as its run did")
        return data.view

    def forecast(self, data: Data, at: int, horizon: int, samples: int = 0, seed: int = 0) -> xarray.Dataset:
        """What is foreseen after the first `at` steps of every trajectory that has so many: `state` (trajectory,
        horizon, latent), where horizon h is the step at + h - 1, counted from 0; `decoded` (trajectory, horizon,
        channel) what the run's readouts and its decoder read off it, in the units that `unit` (channel) tells, with
        `decoded_low` and `decoded_high` where an evaluator fitted intervals, which cover the share `interval`. Of an
        ensemble, `decoded_member` (trajectory, member, horizon, channel) is what each member imagines by itself, and
        `epistemic` its standard deviation over them: what more data might settle. `aleatoric` is that of what no member
        foresees, fitted on the tuning split. With `samples`, `decoded_sample` (trajectory, sample, horizon, channel)
        are so many futures drawn from both, by `seed`.

        The actions are those that the data record, future ones included, and where a trajectory ends the last of them
        is held: `action_recorded` (trajectory, horizon) says which it is for the action that leads to each step.
        Raises DataError if no trajectory is long enough, RecipeError if the predictor does not reach so far, or for
        samples where no noise was fitted.
        """
        context = self.reach.context(at, horizon)
        chosen = forecasting.long_enough(data.dataset, at)
        view = self.view(data)
        origins = (forecasting.origin_of(view, trajectory, at, context, horizon) for trajectory in chosen.tolist())
        return self._foreseen(data, chosen, origins, at, horizon, context, samples, seed)

    def begin(self, static: Item) -> Stream:
        """A trajectory before its first step, to be followed step by step. static: an item as the encoder reads them, a
        text or values (C, P)."""
        return streaming.begin(self.frozen, self._item(static))

    def step(self, state: Stream, observation: Item, action: Item) -> Stream:
        """The trajectory after one more step, which costs one step and not the history; equal to the batch answer but
        for rounding. `next_state` is what is foreseen. Raises RunError beyond the predictor's last position."""
        return streaming.step(self.frozen, state, self._item(observation), self._item(action))

    def _item(self, given: Item) -> Item:
        """An item that the encoder reads. Raises RecipeError for anything else."""
        if self.modality == "text":
            if not isinstance(given, str):
                raise RecipeError(f"the encoder of {self!r} reads texts, and {type(given).__name__} was given")
            return given
        shape = tuple(self.record["item_shape"].values())
        values = given if isinstance(given, np.ndarray) else np.empty(0)
        if values.shape != shape or (np.abs(values) > np.finfo(np.float32).max).any():
            told = f"an array {values.shape}" if isinstance(given, np.ndarray) else type(given).__name__
            raise RecipeError(
                f"the encoder of {self!r} reads arrays {shape} (channels, samples) with NaN for what was not observed "
                f"and nothing infinite in float32; {told} was given"
            )
        return values

    def imagine(
        self,
        data: Data,
        at: int,
        horizon: int,
        actions: Sequence[Act] | Sequence[Mapping[str, Any]] = (),
        otherwise: Otherwise = "none",
        samples: int = 0,
        seed: int = 0,
    ) -> xarray.Dataset:
        """What the model associates with other actions: as `forecast`, but from step `at` on those of `actions` are
        done, and otherwise nothing, or what the data record.

        actions: `jepa_core.Act`s, or plain values such as `{"channel": "push", "value": 1.5, "unit": "N", "from": 24,
        "to": 30}`, in the units of the data; the source turns them into what its data would record. `state`
        (trajectory, horizon, latent); the attributes say what was done, and that logged actions do not identify what an
        intervention does. The action of step `at` - 1 is in the past and is kept: horizon 1 is as forecast.

        A trajectory that lacks what an act needs, such as the weight that a dose is given by, is left out; a warning
        and the attribute `left_out` say how many are.

        Raises RecipeError for an act on an unknown channel, in another unit or outside the steps imagined, DataError if
        no trajectory is long enough or none has what the acts need.
        """
        plan = PlannedActs(known_acts(acts_of(actions), data.dataset.store.channels), at, horizon, otherwise)
        context = self.reach.context(at, horizon)
        asked = forecasting.long_enough(data.dataset, at)
        chosen = those_able(data, asked, [plan])
        origins = origins_under(self.view(data), data, chosen, plan, context)
        dataset = self._foreseen(data, chosen, origins, at, horizon, context, samples, seed)
        return dataset.drop_vars("action_recorded").assign_attrs(
            actions=plan.told(), caution=CAUTION, left_out=len(asked) - len(chosen)
        )

    def steer(
        self,
        data: Data,
        at: int,
        horizon: int,
        goal: Goal | Mapping[str, Any],
        risk: float = 1.0,
        how: Search | None = None,
        retrospective: bool = False,
        trajectory: int | None = None,
    ) -> xarray.Dataset:
        """Actions from step `at` on under which what is imagined costs least, for every trajectory that has so many
        steps: `chosen` (trajectory, step, action) in the units of the data, `cost` (trajectory) that the model expects
        of them, and `cost_of_nothing`.

        goal: what is wanted and what may be done, a `jepa_core.Goal` or its plain values. risk: share of an ensemble's
        members, the worst, whose mean cost counts. how: the search. retrospective: says that plans are made of the past
        alone, which a source whose actions are interventions on people asks for. A trajectory that lacks what the acts
        need is left out, as by `imagine`. trajectory: position of the one that is steered alone; None for all of them.

        Raises RecipeError if it is not said, for an unknown position or channel or one that nothing reads, a limit in
        another unit, or a horizon below 2; DataError if no trajectory is long enough.
        """
        from jepa_core.model.arrays import of_trajectories

        steering.refuse_unasked(self.source_config, retrospective)
        wanted = goal if isinstance(goal, Goal) else goal_of(goal)
        asked = steering.Steering(wanted, at, horizon, risk, how or Search())
        within = forecasting.long_enough(data.dataset, at)
        if trajectory is not None:
            within = steering.the_one_at(within, trajectory, at)
        steered = steering.steer(self, data, within, asked)
        by_trajectory = ("trajectory",)
        arrays = {
            "chosen": (("trajectory", "step", "action"), steered.chosen),
            "cost": (by_trajectory, steered.cost),
            "cost_of_nothing": (by_trajectory, steered.nothing),
        }
        dataset = of_trajectories(
            data, steered.trajectory, arrays, model=self.record["name"], at=at, horizon=horizon, goal=wanted.told(),
            risk=risk, members=len(members_of(self.frozen.predictor)), method=asked.how.method,
            caution=steering.CAUTION, left_out=steered.left_out,
        )  # fmt: skip
        names = [limit.channel for limit in wanted.limits]
        units = ("action", [steered.units[name] for name in names])
        return dataset.assign_coords(step=at + np.arange(horizon - 1), action=names, unit=units)

    def observed(self, data: Data, trajectory: int) -> xarray.DataArray:
        """What a trajectory, by its position in the data, shows of the channels that the run's decoder reads: (step,
        channel) in the units of the data, NaN where nothing was observed.

        Raises RecipeError if there is no such position, or no decoder.
        """
        from jepa_core.model.arrays import of_observations

        dataset = data.channels
        if self.decoder is None or dataset is None:
            raise RecipeError(f"{self!r} keeps no decoder of channels; it needs an objective such as grounding")
        if not 0 <= trajectory < len(data):
            raise RecipeError(f"there is no trajectory at the position {trajectory}; the data have {len(data)}, from 0")
        observer = Observer(lambda: dataset, self.source_config.observations())
        first = int(dataset.store.first_step[trajectory])
        means = observer.means(first + np.arange(int(dataset.steps[trajectory])))
        values = np.where(means.observed[..., 0].numpy(), means.values[..., 0].numpy(), np.nan)
        return of_observations(values, self.decoder.channels)

    def _foreseen(
        self,
        data: Data,
        chosen: np.ndarray,
        origins: Iterator[Origin],
        at: int,
        horizon: int,
        context: int,
        samples: int,
        seed: int,
    ) -> xarray.Dataset:
        from jepa_core.model.arrays import of_trajectories, with_decoded, with_steps

        foreseen = forecasting.foresee(self.frozen, origins, horizon)
        arrays = {
            "state": (("trajectory", "horizon", "latent"), foreseen.state),
            "action_recorded": (("trajectory", "horizon"), foreseen.recorded),
        }
        dataset = of_trajectories(
            data, chosen, arrays, model=self.record["name"], at=at, context=context,
            too_short=len(data) - len(chosen), actions=_told(foreseen.recorded),
        )  # fmt: skip
        dataset = with_decoded(dataset, decoded(foreseen, self.readouts, self.decoder, self.intervals), samples, seed)
        ahead = np.arange(1, horizon + 1)
        return with_steps(dataset, data, "horizon", ahead, (at + ahead).astype(float))


def _told(recorded: np.ndarray) -> str:
    """What was known of the actions of a forecast, and what was assumed."""
    held = int((~recorded).sum())
    told = f"{recorded.size - held} of {recorded.size} steps under the action that the data record"
    return told + (f"; {held} under the last recorded action, held, as it is not known what followed" if held else "")
