"""What acts do, as a model imagines it and as the generator of the data says.

Symbols: R rows (trajectories, each from every step that it is imagined from), H horizon, C channels, D latent size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from jepa_core.contracts import Act, Decoder, Evaluation, Simulator, Source
from jepa_core.data.observations import Observer
from jepa_core.model.acts import PlannedActs
from jepa_core.model.forecasting import AT_ONCE, Origin, foresee, origin_of
from jepa_core.model.imagining import OwnData, able_to, origins_under
from jepa_core.model.view import View
from jepa_core.training.processes import Peers
from jepa_core.training.shares import batches_of, each, end_to_end
from jepa_latent_eval.config import ImaginationConfig, JudgedActConfig

if TYPE_CHECKING:
    from jepa_core.training.learner import Learner


@dataclass(frozen=True)
class Start:
    """The trajectories that are imagined from one step. chosen: (n,) positions, ascending."""

    at: int
    chosen: np.ndarray


@dataclass(frozen=True)
class Question:
    """What is asked about. source, simulator: of the data. starts: from where. names: (C,) channels that are judged.
    left_out: trajectories in which an act cannot be done, such as a dose by weight without a weight."""

    config: ImaginationConfig
    evaluation: Evaluation
    source: Source
    simulator: Simulator
    starts: list[Start]
    names: list[str]
    left_out: int

    @property
    def context(self) -> int:
        """Steps that are seen before a rollout, at the most."""
        return max(1, self.evaluation.window_length - self.config.horizon)

    @property
    def subjects(self) -> np.ndarray:
        """(R,) of the rows."""
        return np.concatenate([self.evaluation.dataset.subject[start.chosen] for start in self.starts])


def acts_from(act: JudgedActConfig, at: int, value: float | None) -> list[Act]:
    """The act from a step on, with a value; nothing for none."""
    begin = at + act.begin
    return [] if value is None else [Act(act.channel, value, act.unit, begin, begin + act.steps)]


def find_starts(evaluation: Evaluation, source: Source, config: ImaginationConfig) -> tuple[list[Start], int]:
    """Where trajectories of the split can be imagined from: those that go on as long, so that what they record is known
    to the end, and in which every act can be done. Also how many cannot do with one."""
    dataset, left_out = evaluation.dataset, 0
    data, starts = OwnData(source, dataset), []
    for at in config.at:
        mine = dataset.trajectories(config.split)
        mine = mine[dataset.steps[mine] >= at + config.horizon]
        plans = [PlannedActs(acts_from(act, at, act.value), at, config.horizon, "none") for act in config.acts]
        able, _ = able_to(data, mine, plans)
        left_out += len(mine) - len(able)
        if len(able):
            starts.append(Start(at, able))
    return starts, left_out


# --- the generator ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Truth:
    """Values of one channel as the generator makes them: (R, H) each. given, against: in the turn of chance that the
    data took. effect: given less against, mean over turns. noise: standard deviation of `against` over turns."""

    given: np.ndarray
    against: np.ndarray
    effect: np.ndarray
    noise: np.ndarray


def true_futures(question: Question, act: JudgedActConfig) -> dict[str, Truth]:
    """The truth of one act, by channel."""
    turns = range(question.config.turns + 1)
    given, against = (
        [simulated(question, act, value, turn) for turn in turns] for value in (act.value, act.against)
    )  # fmt: skip
    by_name = {}
    for name in question.names:
        ours, theirs = (np.stack([turn[name] for turn in side]) for side in (given, against))
        effect = (ours - theirs).mean(axis=0)
        by_name[name] = Truth(ours[0], theirs[0], effect, theirs.std(axis=0, ddof=1))
    return by_name


def simulated(
    question: Question, act: JudgedActConfig | None, value: float | None, turn: int = 0
) -> dict[str, np.ndarray]:
    """Values (R, H) of every judged channel under an act, or as recorded where there is none to ask about."""
    parts = []
    for start in question.starts:
        acts = [] if act is None else acts_from(act, start.at, value)
        otherwise = "recorded" if act is None else question.config.otherwise
        identifiers = question.evaluation.dataset.store.identifier[start.chosen]
        parts.append(
            question.simulator.simulate(
                identifiers, [acts] * len(identifiers), start.at, question.config.horizon, otherwise, turn
            )
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in question.names}


# --- the model --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Imaginer:
    """A learner that imagines. places: (C,) of the judged channels among those that its decoder reads. processes: that
    share the work."""

    view: View
    data: OwnData
    decoder: Decoder
    observer: Observer
    places: list[int]
    processes: Peers

    @classmethod
    def of(cls, learner: Learner, question: Question) -> Imaginer:
        """A learner whose curriculum keeps a decoder."""
        observer = learner.observer
        assert observer is not None, "the learner has a decoder"
        view = View.of(learner, question.evaluation)
        places = [observer.names.index(name) for name in question.names]
        decoder = next(iter(learner.decoders().values()))
        return cls(view, OwnData(question.source, learner.dataset), decoder, observer, places, learner.processes)

    def under(self, question: Question, act: JudgedActConfig, value: float | None) -> np.ndarray:
        """Values (R, H, C) that are imagined under an act, in the data's units."""

        def origins(start: Start, chosen: np.ndarray) -> Iterator[Origin]:
            plan = PlannedActs(
                acts_from(act, start.at, value), start.at, question.config.horizon, question.config.otherwise
            )
            return origins_under(self.view, self.data, chosen, plan, min(question.context, start.at))

        return self._decoded(question, origins)

    def forecast(self, question: Question) -> np.ndarray:
        """Values (R, H, C) that are foreseen under the recorded actions."""
        horizon, context = question.config.horizon, question.context

        def origins(start: Start, chosen: np.ndarray) -> Iterator[Origin]:
            for number in chosen.tolist():
                yield origin_of(self.view, number, start.at, min(context, start.at), horizon)

        return self._decoded(question, origins)

    def _decoded(self, question: Question, origins: Callable[[Start, np.ndarray], Iterator[Origin]]) -> np.ndarray:
        """What is foreseen from the origins of some trajectories of a start, as many at once as are rolled out."""
        parts = [(start, part) for start in question.starts for part in batches_of(start.chosen, AT_ONCE)]

        @torch.no_grad()
        def decoded(part: tuple[Start, np.ndarray]) -> dict[str, np.ndarray]:
            foreseen = foresee(self.view.frozen, origins(*part), question.config.horizon)
            belief = torch.from_numpy(foreseen.belief).to(self.view.frozen.device)
            scores = self.decoder.next_values(belief).float().cpu().numpy()
            return {"values": self.observer.scaling.values(scores)[..., self.places]}

        return end_to_end(each(self.processes, parts, decoded))["values"]


def last_values(question: Question, imaginer: Imaginer) -> np.ndarray:
    """(R, C) last observed value before each start, NaN where there is none."""
    store, starts = question.evaluation.dataset.store, []
    for start in question.starts:
        for trajectory in start.chosen.tolist():
            first = int(store.first_step[trajectory])
            seen = imaginer.observer.means(first + np.arange(start.at))
            values = np.where(seen.observed[..., 0].numpy(), seen.values[..., 0].numpy(), np.nan)[:, imaginer.places]
            starts.append(last_of(values))
    return np.stack(starts)


def last_of(values: np.ndarray) -> np.ndarray:
    """(C,) last finite value of each column (T, C), NaN where there is none."""
    last = np.where(np.isfinite(values), np.arange(len(values))[:, None], -1).max(axis=0)
    return np.where(last >= 0, values[np.maximum(last, 0), np.arange(values.shape[1])], np.nan)


# --- both -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """One act and one channel. imagined, untrained: effects (R, H), untrained None where there is no such control.
    errors: absolute errors (R, H) of forecasts of the generator's values, by name. subjects: (R,)."""

    act: JudgedActConfig
    channel: str
    unit: str
    truth: Truth
    given: np.ndarray
    against: np.ndarray
    untrained: np.ndarray | None
    errors: dict[str, np.ndarray]
    subjects: np.ndarray

    @property
    def imagined(self) -> np.ndarray:
        """Effects that the model imagines."""
        return self.given - self.against


IMAGINED, LOGGED, IGNORING, LAST = "imagined", "forecast of logged actions", "ignoring the act", "last value"


def compare(question: Question, units: Sequence[str]) -> Iterator[Compared]:
    """Every act and channel in turn. units: of the judged channels."""
    imaginer = Imaginer.of(question.evaluation.learner, question)
    control = _control(question)
    forecast, recorded = imaginer.forecast(question), simulated(question, None, None)
    last = last_values(question, imaginer)
    for act in question.config.acts:
        truth = true_futures(question, act)
        given, against = (imaginer.under(question, act, value) for value in (act.value, act.against))
        untrained = None
        if control is not None:
            untrained = control.under(question, act, act.value) - control.under(question, act, act.against)
        for index, name in enumerate(question.names):
            values = truth[name]
            errors = {
                IMAGINED: given[..., index] - values.given,
                LOGGED: forecast[..., index] - recorded[name],
                IGNORING: against[..., index] - values.given,
                LAST: last[:, index, None] - values.given,
            }
            yield Compared(
                act, name, units[index], values, given[..., index], against[..., index],
                None if untrained is None else untrained[..., index],
                {label: np.abs(error) for label, error in errors.items()}, question.subjects,
            )  # fmt: skip


def _control(question: Question) -> Imaginer | None:
    """The untrained control, where it is asked for and can be made."""
    evaluation = question.evaluation
    if not question.config.untrained or evaluation.untrained is None:
        return None
    learner = evaluation.untrained()
    return Imaginer.of(learner, replace(question, evaluation=replace(evaluation, learner=learner)))
