"""The samples of the rollout drift give the figures of the report."""

from __future__ import annotations

import numpy as np
import pytest

from jepa_latent_eval.curves import mean_curves
from jepa_latent_eval.drift_samples import drift_name, drift_samples, key, over_name
from jepa_latent_eval.rollout import MEAN, PERSISTENCE, ROLLOUT


def test_the_weighted_means_over_subjects_are_the_ratios_over_windows() -> None:
    random = np.random.default_rng(0)
    errors = {name: random.random((40, 5)) + 0.1 for name in (ROLLOUT, PERSISTENCE, MEAN)}
    subjects = random.integers(0, 9, 40)
    samples = {one.key: one for one in drift_samples(6, errors, subjects)}
    curves = mean_curves(errors, subjects, 100, 0)
    wanted = {
        drift_name(6): curves.drift(ROLLOUT),
        over_name(PERSISTENCE, 6): curves.over(PERSISTENCE),
        over_name(MEAN, 6): curves.over(MEAN),
        "l1 / latent scale, context 6": curves.scaled(ROLLOUT),
    }
    assert len(samples) == 5 * len(wanted)
    for metric, estimate in wanted.items():
        for horizon in range(1, 6):
            one = samples[key(metric, horizon)]
            assert (one.subjects == np.unique(subjects)).all()
            assert np.average(one.values, weights=one.weights) == pytest.approx(estimate.value[horizon - 1], abs=1e-12)
