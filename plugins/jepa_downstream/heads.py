"""Heads on standardised inputs: linear ones of several strengths and boosted trees; the best on tuning is taken."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jepa_downstream.methods import CannotFit

if TYPE_CHECKING:
    from jepa_downstream.config import HeadsConfig, Kind

CLIP = 10.0
"""Standardised inputs are clipped here, in standard deviations."""
WORSE = 2
"""Strengths in a row that may be worse on tuning before weaker penalties are not tried."""

Head = Callable[[np.ndarray], np.ndarray]
"""Inputs (R, F), standardised -> scores (R,) float64."""


@dataclass(frozen=True)
class Scaling:
    """Standardises the columns that vary among the train rows, and drops the others."""

    kept: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, inputs: np.ndarray) -> Scaling:
        mean, deviation = inputs.mean(axis=0, dtype=np.float64), inputs.std(axis=0, dtype=np.float64)
        # What float32 rounding leaves of a constant is no variation.
        kept = np.flatnonzero(deviation > 1e-6 * np.abs(mean) + 1e-12)
        return cls(kept, mean[kept].astype(np.float32), deviation[kept].astype(np.float32))

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """(R, F) -> (R, kept) float32, at least one column."""
        if len(self.kept) == 0:
            return np.zeros((len(inputs), 1), dtype=np.float32)
        return np.clip((inputs[:, self.kept] - self.mean) / self.deviation, -CLIP, CLIP)


@dataclass(frozen=True)
class Examples:
    """Inputs (R, F) standardised, and their truth (R,)."""

    inputs: np.ndarray
    truth: np.ndarray


def select_head(
    kind: Kind, train: Examples, tuning: Examples, config: HeadsConfig, seed: int
) -> tuple[Head, dict[str, Any]]:
    """The head with the least loss on tuning (log loss, or mean squared error) and what it is. It is not fitted again.

    Raises CannotFit where a split has no row, or train one class.
    """
    for name, examples in (("train", train), ("tuning", tuning)):
        if len(examples.truth) == 0:
            raise CannotFit(f"the {name} split has no row")
    if kind == "binary" and len(np.unique(train.truth)) < 2:
        raise CannotFit(f"all {len(train.truth)} train rows are of one class")
    loss = _log_loss if kind == "binary" else _squared_error
    best: tuple[float, Head, dict[str, Any]] | None = None
    families = {"linear": _logistic if kind == "binary" else _ridge, "boosted": _boosted}
    for family in config.families:
        worse, least = 0, np.inf
        for head, chosen in families[family](kind, train, tuning, config, seed):
            found = loss(tuning.truth, head(tuning.inputs))
            if best is None or found < best[0]:
                best = (found, head, {"head": family, **chosen})
            worse, least = (0, found) if found < least else (worse + 1, least)
            if worse == WORSE:
                break
    assert best is not None
    return best[1], best[2] | {"tuning_loss": float(best[0])}


def _log_loss(truth: np.ndarray, scores: np.ndarray) -> float:
    scores = np.clip(scores, 1e-12, 1 - 1e-12)
    return float(-np.mean(np.where(truth == 1, np.log(scores), np.log1p(-scores))))


def _squared_error(truth: np.ndarray, scores: np.ndarray) -> float:
    return float(np.mean((truth - scores) ** 2))


Candidates = Iterator[tuple[Head, dict[str, Any]]]


def _logistic(kind: str, train: Examples, tuning: Examples, config: HeadsConfig, seed: int) -> Candidates:
    """From the strongest penalty to the weakest, each begun where the last one ended."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(warm_start=True, max_iter=config.iterations)
    for strength in sorted(config.strengths):
        model.set_params(C=strength)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a fit that ends before it has converged is a candidate like any other
            model.fit(train.inputs, train.truth)
        weights, bias = model.coef_[0].astype(np.float64), float(model.intercept_[0])
        yield _sigmoid_of(weights, bias), {"strength": strength}


def _sigmoid_of(weights: np.ndarray, bias: float) -> Head:
    return lambda inputs: 1 / (1 + np.exp(-np.clip(inputs @ weights + bias, -500, 500)))


def _ridge(kind: str, train: Examples, tuning: Examples, config: HeadsConfig, seed: int) -> Candidates:
    """Closed form for every strength from one decomposition; C as in logistic regression: C * squares + |w|^2 / 2."""
    inputs = train.inputs.astype(np.float64)
    centre, mean = inputs.mean(axis=0), float(train.truth.mean())
    inputs -= centre
    values, vectors = np.linalg.eigh(inputs.T @ inputs)
    target = vectors.T @ (inputs.T @ (train.truth - mean))
    for strength in sorted(config.strengths):
        weights = vectors @ (target / (np.maximum(values, 0) + 1 / (2 * strength)))
        yield _linear_of(weights, mean - float(centre @ weights)), {"strength": strength}


def _linear_of(weights: np.ndarray, bias: float) -> Head:
    return lambda inputs: inputs @ weights + bias


def _boosted(kind: str, train: Examples, tuning: Examples, config: HeadsConfig, seed: int) -> Candidates:
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
    data = lightgbm.Dataset(train.inputs, train.truth)
    held = lightgbm.Dataset(tuning.inputs, tuning.truth, reference=data)
    stop = lightgbm.early_stopping(config.patience, verbose=False)
    model = lightgbm.train(settings, data, config.rounds, valid_sets=[held], callbacks=[stop])
    trees = model.best_iteration
    yield lambda inputs: np.asarray(model.predict(inputs, num_iteration=trees), dtype=np.float64), {"trees": trees}
