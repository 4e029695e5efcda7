"""Displacement: how far latents move on the way to an event, beside those of stable trajectories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import eigh

from jepa_core.contracts import Evaluation, Evaluator
from jepa_core.libraries import library
from jepa_core.results.findings import Findings, Redrawn
from jepa_core.results.paired import redraw
from jepa_core.results.samples import subject_numbers
from jepa_core.results.statistics import bootstrap_subjects
from jepa_latent_eval.cohorts import EventCourse, Matched, event_course, match, outcome_course
from jepa_latent_eval.config import DRAWN_SETS, LatentDisplacementConfig
from jepa_latent_eval.displacement_findings import displacement_findings, ratio_name
from jepa_latent_eval.geometry import ROUNDING
from jepa_latent_eval.states import encoded

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset
    from jepa_core.training.learner import Learner

EMBEDDED = 4000
"""States behind a picture by UMAP: up to about so many it finds neighbours exactly, and takes seconds."""
AT_ONCE = 2000
"""States whose products are held at once."""
NEIGHBOURS = 15
"""Neighbours of a state in UMAP, its own default."""


@dataclass(frozen=True)
class Displacement:
    """How far one encoder's latents move over the rows of a `Matched`.

    scatter: root mean square distance of the baselines from their mean, the unit of the rest. case, control: mean
    length of the displacements; controls weigh 1 a set. ratio: case over control. draws: (draws,) of the ratio over
    redrawn subjects; paired: of it under those that are the same in every run; shuffled: (draws,) of it with the case
    drawn anew within each set. All None if the encoder is constant at the baselines.
    """

    scatter: float
    case: float | None = None
    control: float | None = None
    ratio: float | None = None
    draws: np.ndarray | None = None
    paired: np.ndarray | None = None
    shuffled: np.ndarray | None = None


@dataclass(frozen=True)
class Paths:
    """Latents from the baseline to the onset in a plane.

    points: (P, H + 1, 2). case: (P,) which of them are cases. means: (2, H + 1, 2), the mean latents of cases and of
    controls, placed as any other. method: how the plane was found, axis: what its coordinates are called.
    """

    points: np.ndarray
    case: np.ndarray
    means: np.ndarray
    method: str
    axis: str


@dataclass(frozen=True)
class EventDisplacement:
    """One event at one horizon. encoders: displacement by name of the encoder; empty with the reason if unmeasured."""

    event: str
    horizon: int
    matched: Matched | None
    reason: str
    encoders: dict[str, Displacement]
    paths: list[Paths]


class LatentDisplacement(Evaluator[LatentDisplacementConfig]):
    """Displacement of cases over that of matched stable controls, in the encoder's own space.

    With controls of its own: the encoder before training, on the same rows, and shuffled labels.
    """

    def check(self, dataset: Dataset) -> None:
        for name in self.config.events:
            dataset.store.label(name)
        for name in self.config.outcomes:
            dataset.store.outcome(name)

    def evaluate(self, evaluation: Evaluation) -> Findings:
        learners = {"trained": evaluation.learner}
        if self.config.untrained and evaluation.untrained is not None:
            learners["untrained"] = evaluation.untrained()
        events = [
            self._compare(evaluation, learners, event, course, horizon)
            for event, course in self._courses(evaluation)
            for horizon in sorted(set(self.config.horizons))
        ]
        redrawn = [kept for moved in events if (kept := self._kept(evaluation, moved)) is not None]
        return replace(displacement_findings(events, self.config), redrawn=redrawn)

    def _kept(self, evaluation: Evaluation, moved: EventDisplacement) -> Redrawn | None:
        """The ratio of the trained encoder for comparing runs; None where it is undefined."""
        trained = moved.encoders.get("trained")
        if moved.matched is None or trained is None or trained.ratio is None or trained.paired is None:
            return None
        if not np.isfinite(trained.ratio):
            return None
        everyone = evaluation.dataset.subject[evaluation.dataset.trajectories(self.config.split)]
        numbers = np.unique(subject_numbers(moved.matched.subjects, everyone))
        ratio, name = float(trained.ratio), ratio_name(moved.event)
        return Redrawn(name, numbers, ratio, trained.paired, axis="h", at=float(moved.horizon))

    def _courses(self, evaluation: Evaluation) -> Iterator[tuple[str, EventCourse]]:
        split = self.config.split
        yield from ((name, event_course(evaluation.dataset, split, name)) for name in self.config.events)
        yield from ((name, outcome_course(evaluation.dataset, split, name)) for name in self.config.outcomes)

    def _compare(
        self, evaluation: Evaluation, learners: dict[str, Learner], event: str, course: EventCourse, horizon: int
    ) -> EventDisplacement:
        if horizon >= evaluation.window_length:
            return EventDisplacement(event, horizon, None, "the windows of training are not as long", {}, [])
        matched = match(evaluation.dataset, course, horizon, self.config.controls, evaluation.seed)
        if isinstance(matched, str):
            return EventDisplacement(event, horizon, None, matched, {}, [])
        encoders, paths = {}, []
        for name, learner in learners.items():
            moves, followed = self._latents(evaluation, learner, matched, name == "trained")
            encoders[name] = displacement(matched, moves, self.config.bootstrap, evaluation.seed)
            if len(followed):
                paths = draw_paths(followed, matched.case[matched.group < DRAWN_SETS], evaluation.seed)
        return EventDisplacement(event, horizon, matched, "", encoders, paths)

    def _latents(
        self, evaluation: Evaluation, learner: Learner, matched: Matched, drawn: bool
    ) -> tuple[Moves, np.ndarray]:
        """How every window moves, of which a batch is held; and all states of the windows that are drawn, if any."""
        index, moves = np.arange(len(matched.windows)), Moves()
        last = int(np.searchsorted(matched.group, DRAWN_SETS)) if drawn else 0
        shape = (last, matched.horizon + 1, learner.encoder.latent_dim)
        followed = np.empty(shape, dtype=np.float32)
        for part, latents in encoded(learner, evaluation.dataset, matched.windows, index, self.config.batch_size):
            states = latents.states.float().cpu().numpy()
            moves.add(states[:, 0].astype(np.float64), states[:, -1].astype(np.float64))
            inside = part[part < last]
            followed[inside] = states[: len(inside)]
        return moves, followed


class Moves:
    """Windows that went through: the lengths of their displacements, and moments of the states they begin with.

    Moments are about the first state, so that squares of a large offset that all share do not drown a small spread.
    """

    def __init__(self) -> None:
        self._lengths: list[np.ndarray] = []
        self._origin = self._sum = np.zeros(0)
        self._squares = self._about_zero = 0.0

    def add(self, baseline: np.ndarray, end: np.ndarray) -> None:
        """First and last states (B, D) of windows, float64."""
        if not self._lengths:
            self._origin, self._sum = baseline[0], np.zeros(baseline.shape[1])
        self._lengths.append(np.linalg.norm(end - baseline, axis=1))
        self._about_zero += float((baseline**2).sum())
        self._squares += float(((baseline - self._origin) ** 2).sum())
        self._sum += (baseline - self._origin).sum(axis=0)

    @property
    def lengths(self) -> np.ndarray:
        """(R,) how far each moved."""
        return np.concatenate(self._lengths)

    @property
    def size(self) -> float:
        """Root mean square length of the baselines."""
        return float(np.sqrt(self._about_zero / len(self.lengths)))

    @property
    def scatter(self) -> float:
        """Root mean square distance of the baselines from their mean."""
        count = len(self.lengths)
        return float(np.sqrt(max(0.0, self._squares / count - float(((self._sum / count) ** 2).sum()))))


def displacement(matched: Matched, moves: Moves, draws: int, seed: int) -> Displacement:
    """Measure the displacement over matched rows, which moved so, in their order."""
    scatter = moves.scatter
    if scatter <= ROUNDING * moves.size:
        return Displacement(scatter)
    length = moves.lengths / scatter
    case, weight = matched.case, _control_weights(matched)
    columns = np.stack([length * case, case, length * weight, weight], axis=1)
    means = columns.mean(axis=0)
    redrawn = bootstrap_subjects(columns, matched.subjects, draws, seed)
    return Displacement(
        scatter=scatter,
        case=float(_over(means[0], means[1])),
        control=float(_over(means[2], means[3])),
        ratio=float(_ratio(means)),
        draws=_ratio(redrawn.T),
        paired=_ratio(redraw(columns, matched.subjects).T),
        shuffled=_shuffled_ratios(matched, length, draws, seed),
    )


def _control_weights(matched: Matched) -> np.ndarray:
    """(R,) 1 over the number of controls in the set for a control, 0 for a case."""
    controls = np.bincount(matched.group) - 1
    return np.where(matched.case, 0.0, 1 / controls[matched.group])


def _shuffled_ratios(matched: Matched, length: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """(draws,) ratios with the case drawn evenly among the members of each set."""
    sizes = np.bincount(matched.group)
    first, totals = np.cumsum(sizes) - sizes, np.bincount(matched.group, length)
    chosen = first + (np.random.default_rng(seed).random((draws, len(sizes))) * sizes).astype(np.int64)
    cases = length[chosen]
    return _over(cases.mean(axis=1), ((totals - cases) / (sizes - 1)).mean(axis=1))


def _ratio(means: np.ndarray) -> np.ndarray:
    """Of the four columns of `displacement`; NaN where a draw has no case, no control, or nothing moves."""
    return _over(_over(means[0], means[1]), _over(means[2], means[3]))


def _over(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    above, below = np.broadcast_arrays(np.asarray(above, dtype=np.float64), below)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def draw_paths(followed: np.ndarray, case: np.ndarray, seed: int) -> list[Paths]:
    """Paths in the plane of their two main directions, and by UMAP (arXiv 1802.03426) where it is installed and the
    latents are not all the same, of which it would make a cloud.

    followed: (P, H + 1, D) float32, set by set, the case first. case: (P,) bool.
    """
    states = followed.reshape(-1, followed.shape[-1])
    centre = states.mean(axis=0, dtype=np.float64)
    moments = np.zeros((len(centre), len(centre)))
    for first in range(0, len(states), AT_ONCE):
        part = states[first : first + AT_ONCE] - centre
        moments += part.T @ part
    size = len(centre)
    variance, directions = eigh(moments, subset_by_index=[max(0, size - 2), size - 1])  # the others take most time
    share = 100 * variance.sum() / np.trace(moments) if np.trace(moments) > 0 else 0.0
    plane = directions[:, ::-1]
    points = np.stack([(path - centre) @ plane for path in followed])
    means = (_mean_paths(followed, case) - centre) @ plane
    method = f"two principal components, {share:.0f} % of the variance"
    pictures = [Paths(points, case, means, method, "direction")]
    if find_spec("umap") is not None and np.ptp(states, axis=0).max() > ROUNDING * np.abs(states).max():
        kept = slice(max(2, EMBEDDED // followed.shape[1]))
        pictures.append(_by_umap(followed[kept], case[kept], seed))
    return pictures


def _by_umap(followed: np.ndarray, case: np.ndarray, seed: int) -> Paths:
    with library("umap"):
        from umap import UMAP

    together = np.concatenate([followed.astype(np.float64), _mean_paths(followed, case)])
    states = together.reshape(-1, together.shape[-1])
    neighbours = min(NEIGHBOURS, len(states) - 1)
    # From principal components: its spectral start differs from call to call, whatever the seed.
    plane = UMAP(n_neighbors=neighbours, init="pca", random_state=seed, n_jobs=1).fit_transform(states)
    plane = plane.reshape(*together.shape[:2], 2)
    return Paths(plane[:-2], case, plane[-2:], "UMAP, whose distances mean little", "UMAP coordinate")


def _mean_paths(followed: np.ndarray, case: np.ndarray) -> np.ndarray:
    """(2, H + 1, D) mean latents of cases and of controls."""
    return np.stack([followed[chosen].mean(axis=0, dtype=np.float64) for chosen in (case, ~case)])
