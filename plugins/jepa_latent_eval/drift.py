"""Rollout drift: how the error of a rollout grows with the horizon, and up to where it is worth anything."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from jepa_core.contracts import Evaluation, Evaluator
from jepa_core.results.findings import Findings
from jepa_core.results.samples import subject_numbers
from jepa_latent_eval.config import RolloutDriftConfig
from jepa_latent_eval.curves import MeasuredContext, UnmeasuredContext, mean_curves
from jepa_latent_eval.drift_findings import drift_findings
from jepa_latent_eval.drift_samples import drift_samples, redrawn_skill
from jepa_latent_eval.rollout import Cohort, find_cohort, rollout_errors
from jepa_latent_eval.states import cover, mean_state

if TYPE_CHECKING:
    from jepa_core.training.learner import Learner


class RolloutDrift(Evaluator[RolloutDriftConfig]):
    """Rolls out from several contexts on fixed cohorts, with controls and intervals over subjects."""

    def evaluate(self, evaluation: Evaluation) -> Findings:
        learners = {"trained": evaluation.learner}
        cohorts = [self._cohort(evaluation, context) for context in sorted(set(self.config.contexts))]
        wanted = self.config.untrained and any(isinstance(cohort, Cohort) for cohort in cohorts)
        if wanted and evaluation.untrained is not None:
            learners["untrained"] = evaluation.untrained()
        means = {name: self._mean(evaluation, learner) for name, learner in learners.items()}
        contexts = [self._measure(evaluation, cohort, learners, means) for cohort in cohorts]
        measured = [context for context in contexts if isinstance(context, MeasuredContext)]
        samples = [sample for context in measured for sample in context.samples]
        skill = [context.skill for context in measured if context.skill is not None]
        return replace(drift_findings(contexts, self.config), samples=samples, redrawn=skill)

    def _cohort(self, evaluation: Evaluation, context: int) -> Cohort | UnmeasuredContext:
        horizon = min(self.config.horizon, evaluation.window_length - context)
        cohort = find_cohort(
            evaluation.dataset, self.config.split, context, horizon, self.config.stride, evaluation.seed
        )
        return cohort if isinstance(cohort, Cohort) else UnmeasuredContext(context, cohort)

    def _mean(self, evaluation: Evaluation, learner: Learner) -> torch.Tensor:
        """Of the train split, whatever split is measured: the mean is a forecast, so it may not see the targets."""
        part = cover(evaluation.dataset, "train", evaluation.window_length, self.config.mean_steps, evaluation.seed)
        mean = mean_state(learner, evaluation.dataset, part, self.config.batch_size)
        return torch.from_numpy(mean).to(learner.device)

    def _measure(
        self,
        evaluation: Evaluation,
        cohort: Cohort | UnmeasuredContext,
        learners: dict[str, Learner],
        means: dict[str, torch.Tensor],
    ) -> MeasuredContext | UnmeasuredContext:
        if isinstance(cohort, UnmeasuredContext):
            return cohort
        curves, samples, skill = {}, [], None
        data = evaluation.dataset
        numbers = subject_numbers(cohort.subjects, data.subject[data.trajectories(self.config.split)])
        acts = data.store.event_count("action") > 0
        for name, learner in learners.items():
            shuffled = self.config.shuffled_actions and acts and name == "trained"
            errors = rollout_errors(learner, evaluation.dataset, cohort, means[name], self.config.batch_size, shuffled)
            curves[name] = mean_curves(errors, cohort.subjects, self.config.bootstrap, evaluation.seed)
            if name == "trained":
                samples = drift_samples(cohort.context, errors, numbers)
                skill = redrawn_skill(cohort.context, errors, numbers)
        return MeasuredContext(
            cohort.context,
            cohort.horizon,
            len(cohort.index),
            len(np.unique(cohort.subjects)),
            curves["trained"],
            curves.get("untrained"),
            samples,
            skill,
            acts,
        )
