"""Anomalies: what surprises the model, and what that is worth as an alarm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from jepa_anomalies.config import AnomaliesConfig
from jepa_anomalies.detectors import SURPRISE, UNTRAINED, Standardised, fit_detectors, surprise_state
from jepa_anomalies.findings import ChannelMeans, anomaly_findings, not_measured, unlabelled
from jepa_anomalies.head import SurpriseHead, kept_state
from jepa_anomalies.judged import judge
from jepa_anomalies.scored import ScoredSteps, conformal_threshold, score_split
from jepa_core.contracts import Evaluation, Evaluator
from jepa_core.data.dataset import Dataset
from jepa_core.data.observations import Observer
from jepa_core.results.findings import Findings, KeptHead
from jepa_core.training.processes import Peers
from jepa_core.training.shares import over_trajectories


class Anomalies(Evaluator[AnomaliesConfig]):
    """Scores every step by how far it is from what was foreseen of it, and raises alarms at a threshold that no label
    chose; the label, where there is one, only judges them."""

    def check(self, dataset: Dataset) -> None:
        if self.config.label is not None:
            dataset.store.label(self.config.label)

    def evaluate(self, evaluation: Evaluation) -> Findings:
        observer = evaluation.learner.observer
        if observer is None:
            return not_measured("the source does not render its steps as numbers")
        fitted = fit_detectors(evaluation, observer, self.config)
        if isinstance(fitted, str):
            return not_measured(fitted)
        detectors, surprise = fitted
        label = self.config.label
        tuning, rows = (
            score_split(evaluation.dataset, split, label, detectors, evaluation.learner.processes)
            for split in ("tuning", self.config.split)
        )
        means = _channel_means(rows, surprise, observer.names, evaluation.learner.processes)
        kept = self._kept(evaluation, observer, surprise, tuning)
        judged = [judge(rows, tuning, name, self.config, evaluation.seed) for name in detectors]
        if label is None:
            return replace(unlabelled(judged[0], len(rows), means, self.config), heads=[kept])
        missing = "" if UNTRAINED in detectors or not self.config.untrained else "No untrained control could be made."
        samples = [sample for each in judged for sample in each.samples]
        return replace(anomaly_findings(judged, means, self.config, missing), heads=[kept], samples=samples)

    def head(self, kept: KeptHead) -> SurpriseHead:
        """The surprise of channels."""
        return SurpriseHead(kept.state)

    def _kept(
        self, evaluation: Evaluation, observer: Observer, surprise: Standardised, tuning: ScoredSteps
    ) -> KeptHead:
        units = {channel.name: channel.unit for channel in evaluation.dataset.store.channels}
        threshold = conformal_threshold(tuning.scores[SURPRISE], self.config.rate)
        fitted = surprise_state(surprise, sorted(set(self.config.horizons)))
        state = kept_state(fitted, observer, units, threshold)
        return KeptHead("surprise", "float", SURPRISE, "channels", self.config.label or "", state)


def _channel_means(
    rows: ScoredSteps, surprise: Standardised, names: list[str], processes: Peers
) -> ChannelMeans:  # fmt: skip
    """Mean surprise of each channel, trajectory by trajectory, so that few are held at a time."""
    sums, counts = np.zeros((2, len(names))), np.zeros((2, len(names)))
    trajectories, first, steps = np.unique(rows.trajectory, return_index=True, return_counts=True)

    def surprises(trajectory: int) -> dict[str, np.ndarray]:
        return {"values": surprise.by_channel(trajectory)}

    of_each = over_trajectories(processes, trajectories, surprises)
    for begin, count, arrays in zip(first, steps, of_each, strict=True):
        truth, values = rows.truth[begin : begin + count], arrays["values"]
        for side, chosen in enumerate((truth == 1, truth != 1)):
            known = np.isfinite(values) & chosen[:, None]
            sums[side] += np.where(known, values, 0.0).sum(axis=0)
            counts[side] += known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        within, outside = sums / counts
    return ChannelMeans(list(names), within, outside)
