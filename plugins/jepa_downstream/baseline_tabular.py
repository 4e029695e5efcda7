"""Tabular baselines on hand-made summaries: a linear model and boosted trees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import torch
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from jepa_downstream.baseline_channels import Histories, Profile
from jepa_downstream.baseline_search import INFORMATION, LOSSES, best, refuse_unfit
from jepa_downstream.baseline_summaries import Summaries

if TYPE_CHECKING:
    from jepa_core.contracts import Evaluation
    from jepa_downstream.config import PredictionTasksConfig
    from jepa_downstream.rows import Rows, Task

Score = Callable[[np.ndarray], np.ndarray]
"""Inputs (R, F) to scores (R,)."""


@dataclass(frozen=True)
class Table:
    """Inputs (R, F) float32, NaN where not defined, and truth (R,) of some rows."""

    inputs: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True)
class FittedTabular:
    """A chosen tabular method; rows are scored a block at a time."""

    chosen: dict[str, Any]
    summaries: Summaries
    score: Score

    def scores(self, rows: Rows) -> np.ndarray:
        scores = np.empty(len(rows))
        for index, inputs in self.summaries.blocks(rows):
            scores[index] = self.score(inputs)
        return scores


class Tabular(ABC):
    """A method on summaries, chosen on tuning among a few settings."""

    information = f"{INFORMATION}, summarised"

    def __init__(self, evaluation: Evaluation, config: PredictionTasksConfig) -> None:
        """Raises CannotFit where the source renders no channels."""
        self._histories = Histories.of(evaluation)
        self._config = config.baseline_search

    def fit(self, task: Task, train: Rows, tuning: Rows, seed: int) -> FittedTabular:
        refuse_unfit(train, tuning)
        summaries = Summaries(self._histories, Profile.of(self._histories, train, seed))
        tables = [Table(summaries.matrix(rows), rows.truth) for rows in (train, tuning)]
        loss = LOSSES[task.kind]
        candidates = (
            (loss(tables[1].truth, score(tables[1].inputs)), settings, score)
            for settings, score in self._candidates(task.kind, summaries, *tables, seed)
        )
        chosen, score = best(candidates)
        return FittedTabular(chosen, summaries, score)

    @abstractmethod
    def _candidates(
        self, kind: str, summaries: Summaries, train: Table, tuning: Table, seed: int
    ) -> Iterator[tuple[dict[str, Any], Score]]:
        """Settings, and the method fitted under them."""


class Linear(Tabular):
    """Logistic regression for a task of yes or no, ridge regression for a value.

    Medians of the train rows fill in what is missing, and indicators say so; inputs are scaled and clipped. Classes
    are not weighted, so that the scores are probabilities.
    """

    name = "logistic / ridge"

    def _candidates(
        self, kind: str, summaries: Summaries, train: Table, tuning: Table, seed: int
    ) -> Iterator[tuple[dict[str, Any], Score]]:
        config = self._config.linear
        prepared = _preparation(train.inputs.shape[1], summaries.may_miss, config.clip)
        inputs = prepared.fit_transform(train.inputs)
        for strength in config.strengths:
            score = LINEAR[kind](inputs, train.truth, strength)
            yield {"C": strength}, partial(_after, prepared, score)


class LightGBM(Tabular):
    """Gradient-boosted trees with native missing values, stopped early on tuning."""

    name = "LightGBM"

    def _candidates(
        self, kind: str, summaries: Summaries, train: Table, tuning: Table, seed: int
    ) -> Iterator[tuple[dict[str, Any], Score]]:
        config = self._config.lightgbm
        fixed = {
            "objective": kind, "metric": OBJECTIVE_METRIC[kind], "verbosity": -1, "seed": seed,
            "deterministic": True, "force_row_wise": True, "num_threads": torch.get_num_threads(),
            "feature_fraction": config.feature_share, "bagging_fraction": config.row_share, "bagging_freq": 1,
            "lambda_l2": config.l2, "feature_pre_filter": False,
        }  # fmt: skip
        data = lightgbm.Dataset(train.inputs, train.truth, params=fixed)
        watched = data.create_valid(tuning.inputs, tuning.truth, params=fixed)
        for rate, leaves, rows in product(config.learning_rates, config.leaves, config.leaf_rows):
            settings = {"learning_rate": rate, "num_leaves": leaves, "min_data_in_leaf": rows}
            stop = lightgbm.early_stopping(config.patience, verbose=False)
            model = lightgbm.train(fixed | settings, data, config.rounds, [watched], callbacks=[stop])
            yield settings | {"trees": model.best_iteration}, model.predict


OBJECTIVE_METRIC = {"binary": "binary_logloss", "regression": "l2"}


def _logistic(inputs: np.ndarray, truth: np.ndarray, strength: float) -> Score:
    model = LogisticRegression(C=strength, max_iter=1000).fit(inputs, truth)
    return lambda rows: model.predict_proba(rows)[:, 1]


def _ridge(inputs: np.ndarray, truth: np.ndarray, strength: float) -> Score:
    return Ridge(alpha=1 / (2 * strength)).fit(inputs, truth).predict


LINEAR: dict[str, Callable[[np.ndarray, np.ndarray, float], Score]] = {"binary": _logistic, "regression": _ridge}


def _preparation(columns: int, may_miss: np.ndarray, clip: float) -> ColumnTransformer:
    clipped = FunctionTransformer(partial(np.clip, a_min=-clip, a_max=clip))
    values = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), clipped)
    absent = make_pipeline(MissingIndicator(features="all"), StandardScaler())
    return ColumnTransformer([("values", values, np.arange(columns)), ("absent", absent, may_miss)])


def _after(prepared: ColumnTransformer, score: Score, inputs: np.ndarray) -> np.ndarray:
    return score(prepared.transform(inputs))
