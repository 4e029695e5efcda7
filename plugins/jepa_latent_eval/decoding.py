"""Probes that read labels off latents, and the errors of what they read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from jepa_core.contracts import Readout
from jepa_core.data.trajectories import Channel
from jepa_core.results.findings import KeptHead
from jepa_core.results.statistics import bootstrap_subjects
from jepa_latent_eval.rollout import Cohort
from jepa_latent_eval.states import States

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset

RECORDED = "rollout, recorded actions"
HELD = "rollout, last action held"
DECODED_PERSISTENCE = "decoded persistence"
LAST_VALUE = "last value"
MEAN = "train mean"
ENCODED = "decoded true state"

LEAST_STEPS = 50
"""Steps with a label that a probe is fitted on, at least."""


@dataclass(frozen=True)
class Probe:
    """A ridge regression of a label on the latent of the same step.

    weights: (D,) float64, bias: what is read off a latent x is weights @ x + bias. strength: penalty that did best on
    the tuning split. steps: fitted on. mean: of the label over them.
    """

    label: str
    weights: np.ndarray
    bias: float
    strength: float
    steps: int
    mean: float


@dataclass(frozen=True)
class Score:
    """Mean absolute error of a forecast of a label at a horizon, and over that of the last value, with draws."""

    mae: float
    mae_draws: np.ndarray
    mase: float
    mase_draws: np.ndarray
    rows: int
    subjects: int


def fit_probes(
    names: list[str], dataset: Dataset, train: States, tuning: States, strengths: tuple[float, ...]
) -> Iterator[Probe | str]:
    """A probe of each label, or why there is none.

    Second moments are made once for all penalties, and for all labels that the same steps show.
    """
    ridges: dict[bytes, _Ridge] = {}
    for name in names:
        shown, wanted = _shown(name, dataset, train)
        tried, truth = _shown(name, dataset, tuning)
        if len(wanted) < LEAST_STEPS or len(truth) == 0:
            yield f"{name}: {len(wanted)} steps of train and {len(truth)} of tuning show it, too few for a probe"
            continue
        key = np.packbits(shown).tobytes()
        if key not in ridges:
            ridges.clear()  # labels that the same steps show mostly follow one another, and D x D is much to hold
            ridges[key] = _Ridge(train.latents[shown].astype(np.float64))
        latents = tuning.latents[tried].astype(np.float64)
        fits = [ridges[key].fit(wanted, strength) for strength in strengths]
        errors = [float(np.abs(latents @ weights + bias - truth).mean()) for weights, bias in fits]
        best = int(np.argmin(errors))
        yield Probe(name, *fits[best], strengths[best], len(wanted), float(wanted.mean()))


def _shown(name: str, dataset: Dataset, states: States) -> tuple[np.ndarray, np.ndarray]:
    """Which of the states show a label, (N,) bool, and its values there."""
    values = dataset.store.label(name)[dataset.store.first_step[states.trajectory] + states.step]
    shown = np.isfinite(values)
    return shown, values[shown].astype(np.float64)


class _Ridge:
    """Ridge regression on latents (N, D) float64, which are its own: their second moments once, and a factor for each
    penalty, whatever the label."""

    def __init__(self, latents: np.ndarray) -> None:
        self._mean = latents.mean(axis=0)
        latents -= self._mean
        self._centred = latents
        self._moments = self._centred.T @ self._centred
        self._factors: dict[float, tuple[np.ndarray, bool]] = {}

    def fit(self, wanted: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
        """Weights (D,) and bias that minimise the squared error plus strength times the squared weights."""
        if strength not in self._factors:
            self._factors[strength] = cho_factor(self._moments + strength * np.eye(len(self._moments)))
        offset = float(wanted.mean())
        weights = cho_solve(self._factors[strength], self._centred.T @ (wanted - offset))
        return weights, offset - float(self._mean @ weights)


@dataclass(frozen=True)
class Probes(Readout):
    """Probes at work together. channels: their L labels. weights: (D, L), bias: (L,) float64."""

    channels: list[Channel]
    weights: np.ndarray
    bias: np.ndarray

    @classmethod
    def of(cls, probes: list[Probe], known: Sequence[Channel]) -> Probes:
        """known: channels of the store, which tell the unit of a label that is called as one of them is."""
        units = {name: channel.unit for channel in known for name in (channel.name.rpartition("/")[2], channel.name)}
        channels = [Channel(probe.label, units.get(probe.label, "")) for probe in probes]
        weights = np.stack([probe.weights for probe in probes], axis=1)
        return cls(channels, weights, np.array([probe.bias for probe in probes]))

    def decode(self, states: np.ndarray) -> np.ndarray:
        return states @ self.weights + self.bias

    def kept(self) -> KeptHead:
        """In the form that files hold."""
        channels = [asdict(channel) for channel in self.channels]
        state = {"channels": channels, "weights": self.weights, "bias": self.bias}
        return KeptHead("labels", "readout", target="labels of a state", state=state)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Probes:
        return cls([Channel(**channel) for channel in state["channels"]], state["weights"], state["bias"])


def absolute_errors(
    dataset: Dataset, cohort: Cohort, probe: Probe, decoded: dict[str, np.ndarray], horizons: list[int]
) -> dict[str, np.ndarray]:
    """Errors of every forecast of a label: (N, H), NaN where the label is not measured.

    decoded: (N, H) or (N, 1) for each forecast of states; the last value and the mean of train join them.
    """
    windows, context = cohort.windows, cohort.context
    first = dataset.store.first_step[windows.trajectory] + windows.start
    values = dataset.store.label(probe.label)[first[:, None] + np.arange(context + horizons[-1])].astype(np.float64)
    truth = values[:, context - 1 + np.array(horizons)]
    still = {LAST_VALUE: _last_value(values[:, :context], probe.mean)[:, None], MEAN: np.full((1, 1), probe.mean)}
    return {name: np.abs(decoded_values - truth) for name, decoded_values in (decoded | still).items()}


def _last_value(seen: np.ndarray, otherwise: float) -> np.ndarray:
    """(N,) last measured value of the seen steps (N, C); `otherwise` where there is none."""
    last = np.where(np.isfinite(seen), np.arange(seen.shape[1]), -1).max(axis=1)
    return np.where(last >= 0, seen[np.arange(len(seen)), last], otherwise)


def score(errors: dict[str, np.ndarray], subjects: np.ndarray, draws: int, seed: int) -> dict[str, list[Score | None]]:
    """For each forecast, its score at every horizon; None where no row shows the label.

    errors: (N, H) for each forecast, NaN in the same places. subjects: (N,). Draws redraw the subjects of all N rows,
    so that those of different labels are paired.
    """
    by_name: dict[str, list[Score | None]] = {name: [] for name in errors}
    for rows in np.stack(list(errors.values()), axis=-1).transpose(1, 0, 2):
        scores = _scores(rows, subjects, list(errors), draws, seed)
        for name, kept in by_name.items():
            kept.append(scores.get(name))
    return by_name


def _scores(rows: np.ndarray, subjects: np.ndarray, names: list[str], draws: int, seed: int) -> dict[str, Score]:
    """Of rows (N, forecasts), NaN where the label is not measured."""
    shown = np.isfinite(rows[:, 0])
    if not shown.any():
        return {}
    columns = np.concatenate([np.where(shown[:, None], rows, 0.0), shown[:, None]], axis=1)
    redrawn = bootstrap_subjects(columns, subjects, draws, seed)
    means, drawn = rows[shown].mean(axis=0), _ratio(redrawn[:, :-1], redrawn[:, -1:])
    last = names.index(LAST_VALUE)
    return {
        name: Score(
            mae=float(means[column]),
            mae_draws=drawn[:, column],
            mase=float(_ratio(means[column], means[last])),
            mase_draws=_ratio(drawn[:, column], drawn[:, last]),
            rows=int(shown.sum()),
            subjects=len(np.unique(subjects[shown])),
        )
        for column, name in enumerate(names)
    }


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    above, below = np.broadcast_arrays(np.asarray(above, dtype=np.float64), below)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
