"""Forecasts of the channels themselves, as a decoder that the model keeps reads them off imagined beliefs.

Symbols: N windows, K context, H horizons, C channels. All values are normal scores of the train split, so that no
channel's unit weighs more than another's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from jepa_core.contracts import Batch, Decoder, Evaluation, Evaluator, Intervals, Latents
from jepa_core.ensemble import member_decoder, members_of
from jepa_core.results.findings import Findings, KeptHead
from jepa_core.training.shares import windows_on_disk
from jepa_latent_eval.channel_findings import channel_findings, no_channels
from jepa_latent_eval.config import ChannelForecastConfig
from jepa_latent_eval.example import Asked, example_figures
from jepa_latent_eval.intervals import conformal_widths
from jepa_latent_eval.rollout import Cohort, find_cohort, imagine_by, imagined_states

if TYPE_CHECKING:
    from jepa_core.training.learner import Learner

ROLLOUT = "rollout"
LAST_VALUE = "last value"
MEAN = "train mean"
VARIANCE = "variance"


@dataclass(frozen=True)
class Forecasts:
    """Absolute errors (N, H, C) of each forecast, NaN where a channel is not observed. variance: (N, H, C) over the
    members of an ensemble, 0 where there is one. subjects: (N,).

    They are many numbers, so they lie in files, and are gone through horizon by horizon.
    """

    errors: dict[str, np.ndarray]
    variance: np.ndarray
    subjects: np.ndarray

    def noise(self) -> np.ndarray:
        """Standard deviation (H, C) of what no member foresees: by the law of total variance, the mean squared error of
        the rollout less the mean variance over the members, at the same values; NaN where there are none."""
        errors = self.errors[ROLLOUT]
        return np.stack([_noise(errors[:, ahead], self.variance[:, ahead]) for ahead in range(errors.shape[1])])


@dataclass(frozen=True)
class MeasuredForecasts:
    """What is known of forecasts. held_out: their errors on the measured split. widths: half-widths (H, C) of intervals
    for each forecast, from tuning. names: (C,) of channels. acts: whether the data have actions."""

    held_out: Forecasts
    widths: dict[str, np.ndarray]
    names: list[str]
    acts: bool


class ChannelForecast(Evaluator[ChannelForecastConfig]):
    """Rolls out from every window of a split, decodes what is imagined, and holds it against what was observed.

    Intervals are fitted on the tuning split; the last value that was observed, and the mean of train, have intervals of
    their own. One trajectory is shown as an example, imagined under its recorded actions and if nothing is done.
    """

    def evaluate(self, evaluation: Evaluation) -> Findings:
        learner = evaluation.learner
        decoders = list(learner.decoders().values())
        if not decoders or learner.observer is None:
            return no_channels("no objective of the curriculum keeps a decoder of channels")
        cohorts = {split: self._cohort(evaluation, split) for split in ("tuning", self.config.split)}
        for reason in cohorts.values():
            if isinstance(reason, str):
                return no_channels(reason)
        names = list(learner.observer.names)
        widths, kept = self._intervals(self._forecasts(evaluation, cohorts["tuning"], decoders[0], names), names)
        acts = evaluation.dataset.store.event_count("action") > 0
        held_out = self._forecasts(evaluation, cohorts[self.config.split], decoders[0], names)
        measured = MeasuredForecasts(held_out, widths, names, acts)
        findings = channel_findings(measured, self.config, evaluation.seed)
        asked = Asked(self.config.split, self.config.context, widths[ROLLOUT], self.config.level)
        example = example_figures(evaluation, asked)
        return replace(findings, figures=findings.figures + example, heads=[kept])

    def head(self, kept: KeptHead) -> Intervals:
        """The intervals around forecasts."""
        state = kept.state
        return Intervals(float(state["level"]), list(state["names"]), state["widths"], state["noise"])

    def _cohort(self, evaluation: Evaluation, split: str) -> Cohort | str:
        config = self.config
        horizon = min(config.horizon, evaluation.window_length - config.context)
        return find_cohort(evaluation.dataset, split, config.context, horizon, config.stride, evaluation.seed)

    def _intervals(self, tuning: Forecasts, names: list[str]) -> tuple[dict[str, np.ndarray], KeptHead]:
        """Half-widths by forecast, and what is kept of them. The forecasts end here: their files go before others are
        made."""
        level = self.config.level
        widths = {name: conformal_widths(errors, level) for name, errors in tuning.errors.items()}
        state = {"level": level, "names": names, "widths": widths[ROLLOUT], "noise": tuning.noise()}
        return widths, KeptHead("intervals", "intervals", target="channels", state=state)

    def _forecasts(self, evaluation: Evaluation, cohort: Cohort | str, decoder: Decoder, names: list[str]) -> Forecasts:
        assert isinstance(cohort, Cohort)
        learner, context, shape = evaluation.learner, cohort.context, (cohort.horizon, len(names))

        def forecast(batch: Batch) -> dict[str, np.ndarray]:
            latents, observations = learner.latents(batch), learner.observations(batch)
            said = decoder.next_values(imagined_states(learner, latents, context).belief[:, 0]).float().cpu().numpy()
            seen = torch.where(observations.observed, observations.values, torch.nan).cpu().numpy()
            errors = _errors(said, seen[:, :context], seen[:, context:])
            return errors | {VARIANCE: _variance(learner, latents, context, decoder)}

        columns = dict.fromkeys((ROLLOUT, LAST_VALUE, MEAN, VARIANCE), shape[0] * shape[1])
        rows = windows_on_disk(learner, cohort.windows, self.config.batch_size, columns, evaluation.scratch, forecast)
        errors = {name: values.reshape(-1, *shape) for name, values in rows.items()}
        return Forecasts(errors, errors.pop(VARIANCE), cohort.subjects)


def _variance(learner: Learner, latents: Latents, context: int, decoder: Decoder) -> np.ndarray:
    """(N, H, C) variance over what the members of an ensemble read of what each imagines by itself."""
    members, own = members_of(learner.predictor), member_decoder(decoder)
    beliefs = [imagine_by(member, latents, context).belief[:, 0] for member in members]
    read = torch.stack([own.next_values(belief).float() for belief in beliefs])
    return read.var(dim=0, correction=min(1, len(members) - 1)).cpu().numpy()


def _noise(errors: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """(C,) of the errors (N, C) at a horizon, and of the variance over members."""
    squared = errors.astype(np.float64) ** 2
    there = np.isfinite(squared)
    count = there.sum(axis=0)
    left = np.where(there, squared - variance, 0.0).sum(axis=0) / np.maximum(count, 1)
    return np.where(count > 0, np.sqrt(np.maximum(left, 0.0)), np.nan)


def _errors(said: np.ndarray, past: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Absolute errors (N, H, C). said: (N, H, C). past: (N, K, C) and truth: (N, H, C), NaN where not observed."""
    forecasts = {ROLLOUT: said, LAST_VALUE: _last(past)[:, None], MEAN: np.zeros((1, 1, truth.shape[2]))}
    return {name: np.abs(forecast - truth) for name, forecast in forecasts.items()}


def _last(past: np.ndarray) -> np.ndarray:
    """(N, C) last observed value, the mean of train where there is none."""
    steps = np.arange(past.shape[1])[None, :, None]
    last = np.where(np.isfinite(past), steps, -1).max(axis=1)
    values = np.take_along_axis(past, np.maximum(last, 0)[:, None], axis=1)[:, 0]
    return np.where(last >= 0, values, 0.0)
