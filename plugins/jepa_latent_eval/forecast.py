"""Decoded forecasts: labels read off rolled-out latents by linear probes, beside what needs no model."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np
import torch

from jepa_core.contracts import Batch, Evaluation, Evaluator, Latents
from jepa_core.results.findings import Findings, KeptHead
from jepa_core.results.samples import subject_numbers
from jepa_core.training.shares import end_to_end, over_windows
from jepa_latent_eval.config import DecodedForecastConfig
from jepa_latent_eval.decoding import (
    DECODED_PERSISTENCE,
    ENCODED,
    HELD,
    RECORDED,
    Probe,
    Probes,
    absolute_errors,
    fit_probes,
    score,
)
from jepa_latent_eval.forecast_draws import redrawn_errors
from jepa_latent_eval.forecast_findings import forecast_findings, no_forecasts, rollouts_of
from jepa_latent_eval.rollout import ROLLOUT, Cohort, find_cohort, roll_out_windows
from jepa_latent_eval.states import States, all_states_of, cover

if TYPE_CHECKING:
    from jepa_core.data.dataset import Dataset


class DecodedForecast(Evaluator[DecodedForecastConfig]):
    """Fits a probe a label on train, chooses its penalty on tuning, and applies it to rollouts of a split."""

    def check(self, dataset: Dataset) -> None:
        for name in self.config.labels:
            dataset.store.label(name)

    def evaluate(self, evaluation: Evaluation) -> Findings:
        names = self._labels(evaluation.dataset)
        horizons = [h for h in sorted(set(self.config.horizons)) if h <= evaluation.window_length - self.config.context]
        cohort = self._cohort(evaluation, horizons)
        if isinstance(cohort, str):
            return no_forecasts(cohort)
        probes, reasons = self._probes(evaluation, names)
        if not probes:
            return no_forecasts("; ".join(reasons) or "the store has no label to decode")
        readout = Probes.of(probes, evaluation.dataset.store.channels)
        decoded = self._decoded(evaluation, cohort, readout, horizons)
        scores, all_errors = [], []
        for index, probe in enumerate(probes):
            said = {name: values[:, :, index] for name, values in decoded.items()}
            errors = absolute_errors(evaluation.dataset, cohort, probe, said, horizons)
            scores.append(score(errors, cohort.subjects, self.config.bootstrap, evaluation.seed))
            all_errors.append(errors)
        everyone = evaluation.dataset.subject[evaluation.dataset.trajectories(self.config.split)]
        numbers = subject_numbers(cohort.subjects, everyone)
        acts = _have_actions(evaluation.dataset)
        redrawn = list(redrawn_errors(all_errors, numbers, horizons, rollouts_of(acts)))
        findings = forecast_findings(probes, scores, horizons, reasons, cohort, self.config, acts)
        return replace(findings, redrawn=redrawn, heads=[readout.kept()])

    def head(self, kept: KeptHead) -> Probes:
        return Probes.from_state(kept.state)

    def _labels(self, dataset: Dataset) -> list[str]:
        names = self.config.labels or dataset.store.label_names
        return [name for name in names if not any(fnmatchcase(name, pattern) for pattern in self.config.exclude)]

    def _cohort(self, evaluation: Evaluation, horizons: list[int]) -> Cohort | str:
        if not horizons:
            return "the windows of training end before the first horizon"
        config, dataset = self.config, evaluation.dataset
        return find_cohort(dataset, config.split, config.context, horizons[-1], config.stride, evaluation.seed)

    def _probes(self, evaluation: Evaluation, names: list[str]) -> tuple[list[Probe], list[str]]:
        """A probe of every label that enough train and tuning steps show, and why the others have none."""
        empty = [name for name in ("train", "tuning") if len(evaluation.dataset.trajectories(name)) == 0]
        if empty:
            return [], [f"the split {empty[0]} is empty, and a probe is fitted on train and chosen on tuning"]
        train, tuning = (self._states(evaluation, name) for name in ("train", "tuning"))
        fitted = list(fit_probes(names, evaluation.dataset, train, tuning, self.config.strengths))
        probes = [fit for fit in fitted if isinstance(fit, Probe)]
        return probes, [fit for fit in fitted if isinstance(fit, str)]

    def _states(self, evaluation: Evaluation, split: str) -> States:
        part = cover(evaluation.dataset, split, evaluation.window_length, self.config.probe_steps, evaluation.seed)
        return all_states_of(evaluation.learner, evaluation.dataset, part, self.config.batch_size)

    def _decoded(
        self, evaluation: Evaluation, cohort: Cohort, readout: Probes, horizons: list[int]
    ) -> dict[str, np.ndarray]:
        """What each forecast of states decodes to: (N, H, L) float64, or (N, 1, L) for one that stands still.

        A batch is decoded at once, so that no more states than its own are held.
        """
        learner, context, batch_size = evaluation.learner, cohort.context, self.config.batch_size
        acts = _have_actions(evaluation.dataset)
        places = torch.tensor(horizons) - 1

        def decoded(part: np.ndarray, batch: Batch) -> dict[str, np.ndarray]:
            latents = learner.latents(batch)
            given = {RECORDED: latents, HELD: _held(latents, context)} if acts else {ROLLOUT: latents}
            states = {
                **{name: roll_out_windows(learner, told, context)[:, places] for name, told in given.items()},
                DECODED_PERSISTENCE: latents.states[:, context - 1 : context],
                ENCODED: latents.states[:, context + places],
            }
            return {name: readout.decode(values.double().cpu().numpy()) for name, values in states.items()}

        return end_to_end(over_windows(learner, cohort.windows, cohort.index, batch_size, decoded))


def _have_actions(dataset: Dataset) -> bool:
    return dataset.store.event_count("action") > 0


def _held(latents: Latents, context: int) -> Latents:
    """The same steps with the action of the last seen one kept up."""
    actions = latents.actions.clone()
    actions[:, context:] = actions[:, context - 1 : context]
    return replace(latents, actions=actions)
