"""Tabular baselines on hand-made summaries: a linear model and boosted trees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import torch
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from jepa_downstream.baseline_channels import Histories, Observed
from jepa_downstream.baseline_search import INFORMATION, LOSSES, best, refuse_unfit
from jepa_downstream.baseline_summaries import Summaries
from jepa_downstream.config import HeadsConfig, Kind
from jepa_downstream.heads import Examples, Head, select_head
from jepa_downstream.kept import Inputs, Kept
from jepa_downstream.rows import Rows, blocks

if TYPE_CHECKING:
    from jepa_core.contracts import Evaluation
    from jepa_downstream.config import TasksConfig
    from jepa_downstream.rows import Task


@dataclass(frozen=True)
class FittedTabular:
    """A chosen tabular method; rows are scored a block at a time. columns: of the inputs, those that the head reads."""

    chosen: dict[str, Any]
    inputs: Inputs
    columns: np.ndarray
    head: Head

    def scores(self, rows: Rows) -> np.ndarray:
        scores = [self.head(self.inputs(part)[:, self.columns]) for part in blocks(rows)]
        return np.concatenate(scores or [np.empty(0)])


class Tabular(ABC):
    """A method on summaries, chosen on tuning among a few settings."""

    information = f"{INFORMATION}, summarised"

    def __init__(self, evaluation: Evaluation, config: TasksConfig) -> None:
        """Raises CannotFit where the source renders no channels."""
        histories = Histories.of(evaluation)
        self._summaries = Summaries(histories, Observed.of(histories, evaluation.dataset, evaluation.seed))
        self._inputs = Kept(self._summaries, evaluation.dataset.store, evaluation.scratch)
        self._config = config.baseline_search

    def fit(self, task: Task, train: Rows, tuning: Rows, seed: int) -> FittedTabular:
        refuse_unfit(train, tuning)
        inputs = self._inputs(train)
        columns = self._summaries.known(inputs)
        examples = Examples(inputs[:, columns], train.truth), Examples(self._inputs(tuning)[:, columns], tuning.truth)
        head, chosen = self._select(task.kind, self._summaries.may_miss[columns], *examples, seed)
        return FittedTabular(chosen, self._inputs, columns, head)

    @abstractmethod
    def _select(
        self, kind: Kind, may_miss: np.ndarray, train: Examples, tuning: Examples, seed: int
    ) -> tuple[Head, dict[str, Any]]:
        """The head with the least loss on tuning, on inputs as they are, and what was selected. may_miss: (F,) inputs
        whose absence is a fact of its own."""


class Linear(Tabular):
    """Logistic regression for a task of yes or no, ridge regression for a value.

    Medians of the train rows fill in what is missing, and indicators say so; inputs are scaled and clipped. The heads
    are those that latents have. Classes are not weighted, so that the scores are probabilities.
    """

    name = "logistic / ridge"

    def _select(
        self, kind: Kind, may_miss: np.ndarray, train: Examples, tuning: Examples, seed: int
    ) -> tuple[Head, dict[str, Any]]:
        config = self._config.linear
        prepared = _preparation(may_miss, config.clip).fit(train.inputs)
        examples = (Examples(prepared.transform(one.inputs), one.truth) for one in (train, tuning))
        heads = HeadsConfig(families=("linear",), strengths=config.strengths, iterations=config.iterations)
        head, chosen = select_head(kind, *examples, heads, seed)
        return lambda inputs: head(prepared.transform(inputs)), chosen


class LightGBM(Tabular):
    """Gradient-boosted trees with native missing values, stopped early on tuning."""

    name = "LightGBM"

    def _select(
        self, kind: Kind, may_miss: np.ndarray, train: Examples, tuning: Examples, seed: int
    ) -> tuple[Head, dict[str, Any]]:
        chosen, model = best(self._candidates(kind, train, tuning, seed))
        return model.predict, chosen

    def _candidates(
        self, kind: Kind, train: Examples, tuning: Examples, seed: int
    ) -> Iterator[tuple[float, dict[str, Any], lightgbm.Booster]]:
        """Loss on tuning, settings and trees of every setting."""
        config = self._config.lightgbm
        fixed = {
            "objective": kind, "verbosity": -1, "seed": seed, "deterministic": True, "force_row_wise": True,
            "num_threads": torch.get_num_threads(), "feature_fraction": config.feature_share,
            "bagging_fraction": config.row_share, "bagging_freq": 1, "lambda_l2": config.l2,
            "feature_pre_filter": False,
        }  # fmt: skip
        data = lightgbm.Dataset(train.inputs, train.truth, params=fixed)
        watched = data.create_valid(tuning.inputs, tuning.truth, params=fixed)
        for rate, leaves, rows in product(config.learning_rates, config.leaves, config.leaf_rows):
            settings = {"learning_rate": rate, "num_leaves": leaves, "min_data_in_leaf": rows}
            stop = lightgbm.early_stopping(config.patience, verbose=False)
            model = lightgbm.train(fixed | settings, data, config.rounds, [watched], callbacks=[stop])
            loss = LOSSES[kind](tuning.truth, model.predict(tuning.inputs))
            yield loss, settings | {"trees": model.best_iteration}, model


def _preparation(may_miss: np.ndarray, clip: float) -> ColumnTransformer:
    clipped = FunctionTransformer(partial(np.clip, a_min=-clip, a_max=clip))
    values = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), clipped)
    as_numbers = FunctionTransformer(partial(np.asarray, dtype=np.float32))  # else the whole would become float64
    absent = make_pipeline(MissingIndicator(features="all"), as_numbers, StandardScaler())
    return ColumnTransformer(
        [("values", values, np.arange(len(may_miss))), ("absent", absent, np.flatnonzero(may_miss))]
    )
