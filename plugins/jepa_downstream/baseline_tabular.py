"""Tabular baselines on hand-made summaries: a linear model and boosted trees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import torch

from jepa_core.training.aside import room_aside
from jepa_downstream.baseline_channels import Histories, Observed
from jepa_downstream.baseline_search import INFORMATION, LOSSES, best, refuse_unfit
from jepa_downstream.baseline_summaries import TabularInputs
from jepa_downstream.config import HeadsConfig, Kind
from jepa_downstream.heads import Examples, Mean, Scorer, Trees, bin_sample, bins_told, head_of, select_head
from jepa_downstream.kept import Inputs, Kept
from jepa_downstream.methods import CannotFit
from jepa_downstream.preparation import Filling, Preparation, ReadiedHead
from jepa_downstream.rows import BLOCK, Rows, blocks

if TYPE_CHECKING:
    from jepa_core.contracts import Evaluation
    from jepa_core.model.view import View
    from jepa_downstream.baseline_config import LightGBMConfig
    from jepa_downstream.config import TasksConfig
    from jepa_downstream.rows import Task


@dataclass(frozen=True)
class FittedTabular:
    """A chosen tabular method; rows are scored a block at a time. columns: of the inputs, those that the head reads."""

    chosen: dict[str, Any]
    inputs: Inputs
    columns: np.ndarray
    head: Scorer

    def scores(self, rows: Rows) -> np.ndarray:
        scores = [self.head(self.inputs(part)[:, self.columns]) for part in blocks(rows)]
        return np.concatenate(scores or [np.empty(0)])

    def to_state(self) -> dict[str, Any]:
        return {
            "kind": "tabular", "chosen": self.chosen, "inputs": self.inputs.to_state(), "columns": self.columns,
            "head": self.head.to_state(),
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any], view: View) -> FittedTabular:
        """Raises CannotFit where the source renders no channels."""
        inputs = TabularInputs(Histories.of(view), Observed(**state["inputs"]["observed"]))
        return cls(
            state["chosen"], inputs, state["columns"], ReadiedHead.from_state(state["head"]) or head_of(state["head"])
        )


class Tabular(ABC):
    """A method on summaries, chosen on tuning among a few settings."""

    information = f"{INFORMATION}, summarised"

    def __init__(self, evaluation: Evaluation, config: TasksConfig) -> None:
        """Raises CannotFit where the source renders no channels."""
        histories = Histories.of(evaluation)
        self._summaries = TabularInputs(histories, Observed.of(histories, evaluation.dataset, evaluation.seed))
        self._inputs = Kept(self._summaries, evaluation.dataset.store, evaluation.scratch)
        self._config, self._scratch = config.baseline_search, evaluation.scratch

    def fit(self, task: Task, train: Rows, tuning: Rows, seed: int) -> FittedTabular:
        refuse_unfit(train, tuning)
        columns, inputs = self._known(train)
        examples = Examples(inputs, train.truth), Examples(self._of_columns(tuning, columns), tuning.truth)
        head, chosen = self._select(task.kind, self._summaries.may_miss[columns], *examples, train.subject, seed)
        return FittedTabular(chosen, self._inputs, columns, head)

    def _known(self, train: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Columns (K,) that enough of the subjects show, and those of the inputs (R, K)."""
        inputs = self._inputs(train)
        columns = self._summaries.known(inputs, train.subject)
        known = room_aside((len(train), len(columns)), self._scratch)
        for first in range(0, len(train), BLOCK):
            known[first : first + BLOCK] = inputs[first : first + BLOCK, columns]
        return columns, known

    def _of_columns(self, rows: Rows, columns: np.ndarray) -> np.ndarray:
        """Some columns of the inputs of rows: (R, K)."""
        inputs, first = room_aside((len(rows), len(columns)), self._scratch), 0
        for part in blocks(rows):
            inputs[first : first + len(part)] = self._inputs(part)[:, columns]
            first += len(part)
        return inputs

    @abstractmethod
    def _select(
        self, kind: Kind, may_miss: np.ndarray, train: Examples, tuning: Examples, subject: np.ndarray, seed: int
    ) -> tuple[Scorer, dict[str, Any]]:
        """The head with the least loss on tuning, on inputs as they are, and what was selected. may_miss: (F,) inputs
        whose absence is a fact of its own. subject: (R,) of the rows of train."""


class LinearBaseline(Tabular):
    """Logistic regression for a task of yes or no, ridge regression for a value.

    Medians of the train rows fill in what is missing, and indicators say so; inputs are scaled and clipped. The heads
    are those that latents have. Classes are not weighted, so that the scores are probabilities.
    """

    name = "logistic / ridge"

    def _select(
        self, kind: Kind, may_miss: np.ndarray, train: Examples, tuning: Examples, subject: np.ndarray, seed: int
    ) -> tuple[Scorer, dict[str, Any]]:
        config = self._config.linear
        preparation = Preparation.of(train.inputs, subject, may_miss, config.clip)
        prepared = Examples(preparation(train.inputs), train.truth)
        watched = Examples(preparation.aside(tuning.inputs, self._scratch), tuning.truth)
        heads = HeadsConfig(families=("linear",), strengths=config.strengths, iterations=config.iterations)
        head, chosen = select_head(kind, prepared, watched, heads, seed)
        return ReadiedHead(preparation, head), chosen


class LightGBM(Tabular):
    """Gradient-boosted trees with native missing values, where train rows have them, stopped early on tuning.

    Of the settings that are chosen several models are grown, each under a seed of its own, and their mean score counts.
    """

    name = "LightGBM"

    def _select(
        self, kind: Kind, may_miss: np.ndarray, train: Examples, tuning: Examples, subject: np.ndarray, seed: int
    ) -> tuple[Scorer, dict[str, Any]]:
        config = self._config.lightgbm
        filling = Filling.of(train.inputs, subject)
        filled, watched = (Examples(filling(examples.inputs), examples.truth) for examples in (train, tuning))
        boosting = _Boosting(kind, filled, watched, config)
        chosen, first = best(boosting.candidates(seed))
        settings = {name: chosen[name] for name in SETTINGS}
        grown = [first, *(boosting.grow(settings, seed + number) for number in range(1, config.models))]
        texts = [booster.model_to_string(num_iteration=booster.best_iteration) for booster in grown]
        head = ReadiedHead(filling, Mean(tuple(map(Trees, texts))))
        trees = float(np.mean([model.best_iteration for model in grown]))
        loss = LOSSES[kind](tuning.truth, head(tuning.inputs))
        return head, settings | {"trees": trees, **bins_told(bin_sample(filled.inputs)), "tuning_loss": loss}


SETTINGS = ("learning_rate", "num_leaves", "min_data_in_leaf")
"""What is searched, as LightGBM calls it."""


class _Boosting:
    """Grows models on the same examples under any settings and seed."""

    def __init__(self, kind: Kind, train: Examples, tuning: Examples, config: LightGBMConfig) -> None:
        """Raises CannotFit where a tree would see no row."""
        if config.row_share * len(train.truth) < 1:
            raise CannotFit(f"row_share leaves a tree none of {len(train.truth)} rows")
        self._config, self._loss, self._tuning = config, LOSSES[kind], tuning
        self._fixed = {
            "objective": kind, "verbosity": -1, "deterministic": True, "force_row_wise": True,
            "num_threads": torch.get_num_threads(), "feature_fraction": config.feature_share,
            "bagging_fraction": config.row_share, "bagging_freq": 1, "lambda_l2": config.l2,
            "feature_pre_filter": False, **bin_sample(train.inputs),
        }  # fmt: skip
        self._data = lightgbm.Dataset(train.inputs, train.truth, params=self._fixed)
        self._watched = self._data.create_valid(tuning.inputs, tuning.truth, params=self._fixed)

    def candidates(self, seed: int) -> Iterator[tuple[float, dict[str, Any], lightgbm.Booster]]:
        """Loss on tuning, settings and model of every setting."""
        config = self._config
        for values in product(config.learning_rates, config.leaves, config.leaf_rows):
            settings = dict(zip(SETTINGS, values, strict=True))
            model = self.grow(settings, seed)
            scores = np.asarray(model.predict(self._tuning.inputs))
            yield self._loss(self._tuning.truth, scores), settings, model

    def grow(self, settings: dict[str, Any], seed: int) -> lightgbm.Booster:
        """A model, stopped early on tuning."""
        given = self._fixed | settings | {"seed": seed}
        stop = lightgbm.early_stopping(self._config.patience, verbose=False)
        return lightgbm.train(given, self._data, self._config.rounds, [self._watched], callbacks=[stop])
