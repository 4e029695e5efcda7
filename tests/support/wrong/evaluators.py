from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from jepa_core.config import EvaluatorConfig
from jepa_core.contracts import Evaluator, Head
from jepa_core.results.findings import Findings, Headline, KeptHead, Predictions
from jepa_core.results.statistics import bootstrap_subjects, percentile_interval
from toy.parts import l1
from wrong import fails


class ErrorConfig(EvaluatorConfig):
    """One-step error."""


class Error(Evaluator):
    """Right: one-step error by window, with an interval over subjects."""

    def evaluate(self, evaluation):
        dataset = evaluation.dataset
        windows = dataset.windows(self.config.split, evaluation.window_length, 3, 3)
        if not len(windows):
            return Findings([Headline("error", None, note="no window has 3 steps")])
        errors = self.errors(evaluation, windows)
        subjects = dataset.subject[windows.trajectory]
        low, high = percentile_interval(bootstrap_subjects(errors, self.units(subjects), 200, self.seed(evaluation)))
        headline = Headline("error", float(errors.mean()), "l1", float(low), float(high), n=len(np.unique(subjects)))
        return Findings([headline])

    def errors(self, evaluation, windows):
        latents = evaluation.learner.latents(evaluation.dataset.batch(windows, np.arange(len(windows))))
        with torch.no_grad():
            predicted = evaluation.learner.predictor(latents).next_states
        parts = zip(predicted, latents.states, latents.mask, strict=True)
        return np.array([float(l1(prediction[:-1], wanted[1:], mask[1:])) for prediction, wanted, mask in parts])

    def units(self, subjects):
        return subjects

    def seed(self, evaluation):
        return evaluation.seed


def changed(findings, **fields):
    return Findings([replace(findings.headlines[0], **fields)])


@fails("check_returns_findings", "evaluator", ErrorConfig)
class FindsNothing(Error):
    def evaluate(self, evaluation):
        return Findings()


@fails("check_json_serialisable", "evaluator", ErrorConfig)
class NotANumber(Error):
    def evaluate(self, evaluation):
        return changed(super().evaluate(evaluation), value=float("nan"))


class Ranked(Head):
    """Scores a row by its place among those that are asked for."""

    def steps(self, length):
        return np.arange(length)

    def scores(self, view, trajectory, step):
        return np.linspace(0.0, 1.0, len(step))


@fails("check_kept_heads", "evaluator", ErrorConfig)
class ScoresRowsByTheirNeighbours(Error):
    def evaluate(self, evaluation):
        dataset = evaluation.dataset
        trajectory = dataset.trajectories(self.config.split)
        nothing = np.zeros(len(trajectory))
        told = Predictions(
            "far", "rank", "float", dataset.subject[trajectory], trajectory, nothing.astype(np.int64), nothing, nothing,
            np.linspace(0.0, 1.0, len(trajectory)),
        )  # fmt: skip
        kept = KeptHead("far by rank", "float", "far", "rank", "far")
        return replace(super().evaluate(evaluation), predictions=[told], heads=[kept])

    def head(self, kept):
        return Ranked()


@fails("check_learner_unchanged", "evaluator", ErrorConfig)
class LeavesTrainingOn(Error):
    def evaluate(self, evaluation):
        evaluation.learner.begin(frozenset({"predictor"}))
        return super().evaluate(evaluation)


@fails("check_data_unchanged", "evaluator", ErrorConfig)
class SortsInPlace(Error):
    def evaluate(self, evaluation):
        evaluation.dataset.subject[::-1].sort()
        return super().evaluate(evaluation)


@fails("check_deterministic_by_seed", "evaluator", ErrorConfig)
class DrawsItsSeed(Error):
    def seed(self, evaluation):
        return np.random.randint(1000)


@fails("check_null_has_reason", "evaluator", ErrorConfig)
class NullWithoutReason(Error):
    def evaluate(self, evaluation):
        return changed(super().evaluate(evaluation), note="")


@fails("check_collapsed_learner_survived", "evaluator", ErrorConfig)
class DividesBySpread(Error):
    def errors(self, evaluation, windows):
        latents = evaluation.learner.latents(evaluation.dataset.batch(windows, np.arange(len(windows))))
        return super().errors(evaluation, windows) / float(latents.states.std())


@fails("check_untrained_control_is_optional", "evaluator", ErrorConfig)
class NeedsTheControl(Error):
    def evaluate(self, evaluation):
        evaluation.untrained()
        return super().evaluate(evaluation)


@fails("check_n_beside_figures", "evaluator", ErrorConfig)
class WithoutN(Error):
    def evaluate(self, evaluation):
        return changed(super().evaluate(evaluation), n=None)


@fails("check_intervals_by_subject", "evaluator", ErrorConfig)
class ResamplesWindows(Error):
    def units(self, subjects):
        return np.arange(len(subjects))


@fails("check_shared_alike", "evaluator", ErrorConfig)
class CountsItsOwnPart(Error):
    def evaluate(self, evaluation):
        findings = super().evaluate(evaluation)
        return changed(findings, n=findings.headlines[0].n + evaluation.learner.processes.number)


@fails("check_no_prints", "evaluator", ErrorConfig)
class Prints(Error):
    def evaluate(self, evaluation):
        print("evaluating")
        return super().evaluate(evaluation)
