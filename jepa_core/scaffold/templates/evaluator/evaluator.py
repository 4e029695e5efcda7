"""The evaluator my_component."""

from __future__ import annotations

import numpy as np
import torch

from jepa_core.contracts import Evaluation, Evaluator, Latents
from jepa_core.results.findings import Column, Findings, Headline, Table
from jepa_core.results.statistics import bootstrap_subjects, percentile_interval
from jepa_core.training.learner import Learner
from jepa_core.training.shares import end_to_end, over_windows
from jepa_my_component.config import MyComponentConfig

FORECASTS = ("predictor", "persistence")
UNIT = "latent l1"


class MyComponent(Evaluator[MyComponentConfig]):
    """One-step error over the windows of a split, each window counting once, with intervals over subjects."""

    def evaluate(self, evaluation: Evaluation) -> Findings:
        """A headline for the predictor and a row for each forecast; null, with the reason, if there is no window."""
        dataset, length = evaluation.dataset, evaluation.window_length
        windows = dataset.windows(self.config.split, length, stride=length, min_length=2)
        if len(windows) == 0:
            reason = f"the split {self.config.split} has no trajectory of two steps"
            return Findings([Headline("one-step error", None, UNIT, note=reason)])
        errors = end_to_end(over_windows(
            evaluation.learner, windows, np.arange(len(windows)), self.config.batch_size,
            lambda _, batch: {"errors": _errors(evaluation.learner, evaluation.learner.latents(batch))},
        ))["errors"]  # fmt: skip
        subjects = dataset.subject[windows.trajectory]
        draws = bootstrap_subjects(errors, subjects, self.config.bootstrap, evaluation.seed)
        low, high = percentile_interval(draws)
        return _findings(errors.mean(0), low, high, len(np.unique(subjects)))


@torch.no_grad()
def _errors(learner: Learner, latents: Latents) -> np.ndarray:
    """Mean error of each window, (B, forecasts) float64."""
    wanted, real = latents.states[:, 1:], latents.mask[:, 1:]
    predictions = {"predictor": learner.predictor(latents).next_states[:, :-1], "persistence": latents.states[:, :-1]}
    errors = [((predictions[name] - wanted).abs().mean(-1) * real).sum(1) / real.sum(1) for name in FORECASTS]
    return torch.stack(errors, 1).double().cpu().numpy()


def _findings(mean: np.ndarray, low: np.ndarray, high: np.ndarray, subjects: int) -> Findings:
    bounds = [[None if np.isnan(bound) else float(bound) for bound in pair] for pair in zip(low, high, strict=True)]
    rows = [[name, float(mean[number]), *bounds[number], subjects] for number, name in enumerate(FORECASTS)]
    columns = [Column("forecast"), *(Column(name, UNIT) for name in ("error", "low", "high")), Column("subjects")]
    return Findings(
        headlines=[Headline("one-step error", rows[0][1], UNIT, rows[0][2], rows[0][3], n=subjects)],
        tables=[Table("errors", "One-step errors", columns, rows, note="95 % intervals over subjects, of two or more")],
    )
