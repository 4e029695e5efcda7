"""Heads on standardised inputs: linear ones of several strengths and boosted trees; the best on tuning is taken."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jepa_core.libraries import library
from jepa_downstream.config import BIN_BYTES
from jepa_downstream.methods import CannotFit

if TYPE_CHECKING:
    from jepa_downstream.config import HeadsConfig, Kind

CLIP = 10.0
"""Standardised inputs are clipped here, in standard deviations."""
WORSE = 2
"""Strengths in a row that may be worse on tuning before weaker penalties are not tried."""

AT_ONCE = 256
"""Rows, or columns, whose products are held at once."""
SAMPLED = 200_000
"""Rows that LightGBM finds the edges of bins on, at the most, where it is told nothing else."""
MOMENT_BYTES = 2**28
"""Bytes of rows in float64 whose second moments are taken at once."""


class Scorer(Protocol):
    """Inputs to scores. The score of a row does not change a bit with the rows beside it."""

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Inputs (R, F), standardised -> scores (R,) float64."""

    def to_state(self) -> dict[str, Any]:
        """As a kept head holds it; see `head_of`."""


@dataclass(frozen=True)
class LinearScorer:
    """A weighted sum, through the logistic function if it is a probability. weights: (F,) float64."""

    weights: np.ndarray
    bias: float
    logistic: bool

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        sums = row_sums(inputs, self.weights) + self.bias
        return 1 / (1 + np.exp(-np.clip(sums, -500, 500))) if self.logistic else sums

    def to_state(self) -> dict[str, Any]:
        return {"kind": "linear", "weights": self.weights, "bias": self.bias, "logistic": self.logistic}


def row_sums(inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Inputs (R, F) times weights (F,): (R,) float64. Each row is summed by itself: a matrix product, or rows that do
    not lie one behind the other, would be summed in an order that depends on how many there are."""
    parts = [
        np.multiply(inputs[at : at + AT_ONCE], weights, order="C").sum(axis=1) for at in range(0, len(inputs), AT_ONCE)
    ]
    return np.concatenate(parts or [np.empty(0)])


_RANGES = re.compile(r"(?m)^feature_infos=(.*)$")


class Trees:
    """Boosted trees, as LightGBM writes them, without the least and the largest value of each input: they are those of
    one subject, and no prediction reads them."""

    def __init__(self, text: str) -> None:
        import lightgbm

        self._text = _RANGES.sub(lambda line: "feature_infos=" + " ".join(["none"] * len(line[1].split())), text)
        self._model = lightgbm.Booster(model_str=self._text)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        return np.asarray(self._model.predict(inputs), dtype=np.float64)

    def to_state(self) -> dict[str, Any]:
        return {"kind": "trees", "trees": self._text}


@dataclass(frozen=True)
class Mean:
    """The mean score of several heads."""

    heads: tuple[Scorer, ...]

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        return np.mean([head(inputs) for head in self.heads], axis=0)

    def to_state(self) -> dict[str, Any]:
        return {"kind": "mean", "heads": {str(number): head.to_state() for number, head in enumerate(self.heads)}}


def head_of(state: Mapping[str, Any]) -> Scorer:
    """The head that gave a state."""
    kinds: dict[str, Callable[[], Scorer]] = {
        "linear": lambda: LinearScorer(state["weights"], state["bias"], state["logistic"]),
        "trees": lambda: Trees(state["trees"]),
        "mean": lambda: Mean(
            tuple(head_of(state_of) for _, state_of in sorted(state["heads"].items(), key=lambda entry: int(entry[0])))
        ),
    }
    return kinds[state["kind"]]()


@dataclass(frozen=True)
class ColumnScaling:
    """Standardises the columns that vary among the train rows, and drops the others."""

    kept: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, inputs: np.ndarray) -> ColumnScaling:
        mean = inputs.mean(axis=0, dtype=np.float64)
        parts = [inputs[:, at : at + AT_ONCE].std(axis=0, dtype=np.float64) for at in range(0, len(mean), AT_ONCE)]
        deviation = np.concatenate([*parts, np.empty(0)])
        # What float32 rounding leaves of a constant is no variation.
        kept = np.flatnonzero(deviation > 1e-6 * np.abs(mean) + 1e-12)
        return cls(kept, mean[kept].astype(np.float32), deviation[kept].astype(np.float32))

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """(R, F) -> (R, kept) float32, at least one column."""
        return self._into(np.empty((len(inputs), max(1, len(self.kept))), dtype=np.float32), inputs)

    def in_place(self, inputs: np.ndarray) -> np.ndarray:
        """The same in the memory of the inputs, whose rows lie one behind the other; they are gone then."""
        shape = (len(inputs), max(1, len(self.kept)))
        return self._into(inputs.reshape(-1)[: shape[0] * shape[1]].reshape(shape), inputs)

    def _into(self, scaled: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """From the first row on, so that a row may be put where no row lies that is still to be read."""
        if len(self.kept) == 0:
            scaled[:] = 0
            return scaled
        for at in range(0, len(inputs), AT_ONCE):
            own = (inputs[at : at + AT_ONCE, self.kept] - self.mean) / self.deviation
            scaled[at : at + AT_ONCE] = np.clip(own, -CLIP, CLIP)
        return scaled

    def to_state(self) -> dict[str, Any]:
        """As a kept head holds it."""
        return dict(vars(self))


@dataclass(frozen=True)
class Examples:
    """Inputs (R, F) standardised, and their truth (R,)."""

    inputs: np.ndarray
    truth: np.ndarray


def select_head(
    kind: Kind, train: Examples, tuning: Examples, config: HeadsConfig, seed: int
) -> tuple[Scorer, dict[str, Any]]:
    """The head with the least loss on tuning (log loss, or mean squared error) and what it is. It is not fitted again.

    Raises CannotFit where a split has no row, or train one class.
    """
    for name, examples in (("train", train), ("tuning", tuning)):
        if len(examples.truth) == 0:
            raise CannotFit(f"the {name} split has no row")
    if kind == "binary" and len(np.unique(train.truth)) < 2:
        raise CannotFit(f"all {len(train.truth)} train rows are of one class")
    loss = _log_loss if kind == "binary" else _squared_error
    best: tuple[float, Scorer, dict[str, Any]] | None = None
    families = {"linear": _logistic if kind == "binary" else _ridge, "boosted": _boosted}
    for family in config.families:
        worse, least = 0, np.inf
        for head, chosen in families[family](kind, train, tuning, config, seed):
            loss_now = loss(tuning.truth, head(tuning.inputs))
            if best is None or loss_now < best[0]:
                best = (loss_now, head, {"head": family, **chosen})
            worse, least = (0, loss_now) if loss_now < least else (worse + 1, least)
            if worse == WORSE:
                break
    assert best is not None
    return best[1], best[2] | {"tuning_loss": float(best[0])}


def _log_loss(truth: np.ndarray, scores: np.ndarray) -> float:
    scores = np.clip(scores, 1e-12, 1 - 1e-12)
    return float(-np.mean(np.where(truth == 1, np.log(scores), np.log1p(-scores))))


def _squared_error(truth: np.ndarray, scores: np.ndarray) -> float:
    return float(np.mean((truth - scores) ** 2))


Candidates = Iterator[tuple[Scorer, dict[str, Any]]]


def _logistic(kind: str, train: Examples, tuning: Examples, config: HeadsConfig, seed: int) -> Candidates:
    """From the strongest penalty to the weakest, each begun where the last one ended."""
    with library("sklearn"):
        from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(warm_start=True, max_iter=config.iterations)
    for strength in sorted(config.strengths):
        model.set_params(C=strength)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a fit that ends before it has converged is a candidate like any other
            model.fit(train.inputs, train.truth)
        weights, bias = model.coef_[0].astype(np.float64), float(model.intercept_[0])
        yield LinearScorer(weights, bias, logistic=True), {"strength": strength}


def _ridge(kind: str, train: Examples, tuning: Examples, config: HeadsConfig, seed: int) -> Candidates:
    """Closed form for every strength from one decomposition; C as in logistic regression: C * squares + |w|^2 / 2."""
    inputs, mean = train.inputs, float(train.truth.mean())
    centre, size = inputs.mean(axis=0, dtype=np.float64), inputs.shape[1]
    moments, products = np.zeros((size, size)), np.zeros(size)
    at_once = max(1, MOMENT_BYTES // (8 * size))
    for first in range(0, len(inputs), at_once):
        part = inputs[first : first + at_once] - centre
        moments += part.T @ part
        products += part.T @ (train.truth[first : first + at_once] - mean)
    values, vectors = np.linalg.eigh(moments)
    target = vectors.T @ products
    for strength in sorted(config.strengths):
        weights = vectors @ (target / (np.maximum(values, 0) + 1 / (2 * strength)))
        yield LinearScorer(weights, mean - float(centre @ weights), logistic=False), {"strength": strength}


def _boosted(kind: str, train: Examples, tuning: Examples, config: HeadsConfig, seed: int) -> Candidates:
    with library("lightgbm"):
        import lightgbm

    settings = {
        "objective": "binary" if kind == "binary" else "regression",
        "learning_rate": 0.05,
        "num_leaves": 8,
        "min_data_in_leaf": 20,
        "feature_fraction": 0.2,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 5.0,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": config.threads,
        "verbosity": -1,
    }
    sampled = bin_sample(train.inputs)
    data = lightgbm.Dataset(train.inputs, train.truth, params=sampled)
    held = lightgbm.Dataset(tuning.inputs, tuning.truth, reference=data)
    stop = lightgbm.early_stopping(config.patience, verbose=False)
    model = lightgbm.train(settings | sampled, data, config.rounds, valid_sets=[held], callbacks=[stop])
    told = {"trees": model.best_iteration} | bins_told(sampled)
    yield Trees(model.model_to_string(num_iteration=model.best_iteration)), told


def bin_sample(inputs: np.ndarray) -> dict[str, int]:
    """What LightGBM must be told about inputs (R, F), so that finding bins takes no more than `BIN_BYTES`: to find them
    on fewer rows than there are, drawn at random. Nothing, where all fit."""
    rows, columns = inputs.shape
    most = max(1000, BIN_BYTES // (16 * columns))
    return {"bin_construct_sample_cnt": most} if most < min(rows, SAMPLED) else {}


def bins_told(sampled: dict[str, int]) -> dict[str, int]:
    """The same as a table tells what was chosen."""
    return {"rows_behind_bins": sampled["bin_construct_sample_cnt"]} if sampled else {}
