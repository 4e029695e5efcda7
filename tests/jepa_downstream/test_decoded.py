"""Channels read off latents that mix them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from jepa_downstream.decoded import LinearReadings
from jepa_downstream.encoded import Projected, Projections, causal_summaries
from jepa_downstream.latent_methods import LatentMethods
from jepa_downstream.methods import CannotFit
from jepa_downstream.rows import Rows
from tests.jepa_downstream import baseline_fakes, fakes

SIZE = 6


def mixed(seed: int = 0) -> tuple[baseline_fakes.Dataset, SimpleNamespace]:
    """Trajectories as numbers, and latents that are a rotation of the state's value, of its mask, and of noise."""
    made, random = baseline_fakes.many(80), np.random.default_rng(seed)
    count, total = len(made.steps), int(made.steps.sum())
    made.trajectories = lambda split: np.arange(60)
    state = made.values[count : count + total, baseline_fakes.STATE, 0]
    observed = ~np.isnan(state)
    inside = random.normal(size=(total, SIZE))
    inside[:, 0], inside[:, 1] = np.where(observed, (state - 40) / 3, 0), observed
    rotation = np.linalg.qr(random.normal(size=(SIZE, SIZE)))[0]
    arrays = {
        "static": random.normal(size=(count, SIZE)), "states": inside @ rotation,
        "actions": random.normal(size=(total, SIZE)),
    }  # fmt: skip
    arrays = {name: value.astype(np.float32) for name, value in arrays.items()}
    first = made.store.first_step

    def of(trajectory: int) -> Projected:
        part = slice(first[trajectory], first[trajectory] + made.steps[trajectory])
        return Projected(arrays["static"][trajectory], arrays["states"][part], arrays["actions"][part])

    projections = Projections(SIZE, dict.fromkeys(("static", "states", "actions")))
    return made, SimpleNamespace(arrays=arrays, first=first, projections=projections, of=of)


def at(made: baseline_fakes.Dataset, trajectories: np.ndarray, steps: np.ndarray) -> Rows:
    return Rows(trajectories, steps, np.zeros(len(steps)), trajectories)


def test_a_linear_map_undoes_the_mixture() -> None:
    made, encoded = mixed()
    readings = LinearReadings.fit(encoded, made, 0)
    read = encoded.arrays["states"] @ readings.weights + readings.bias
    count = len(made.steps)
    state = made.values[count : count + len(read), baseline_fakes.STATE, 0]
    seen = ~np.isnan(state)
    assert read.shape[1] == 2  # the value and the mask of the only channel that a state shows
    assert np.corrcoef(read[seen, 0], state[seen])[0, 1] > 0.98 and np.corrcoef(read[:, 1], seen)[0, 1] > 0.98


def test_summaries_are_those_of_what_is_read_up_to_the_row_in_the_order_of_the_rows() -> None:
    made, encoded = mixed()
    readings = LinearReadings.fit(encoded, made, 0)
    rows = at(made, np.array([7, 3, 7]), np.array([2, 1, 0]))
    found = readings(rows)
    assert found.shape == (3, 2 * SIZE + 6 * 2)
    for row, (trajectory, step) in enumerate(zip(rows.trajectory, rows.step, strict=True)):
        first = encoded.first[trajectory]
        part = slice(first, first + step + 1)
        read = (encoded.arrays["states"][part] @ readings.weights + readings.bias).astype(np.float32)
        actions = encoded.arrays["actions"][first : first + step + 1]
        wanted = causal_summaries(read, actions, np.array([step]))[0]
        assert np.allclose(found[row], np.concatenate([encoded.arrays["static"][trajectory], wanted]), atol=1e-5)
    before = found.copy()
    last = encoded.first[7] + 3
    encoded.arrays["states"][last : encoded.first[8]] = 99
    assert np.array_equal(readings(rows), before)
    assert readings(rows.take(np.array([], dtype=int))).shape == (0, found.shape[1])


def test_a_source_of_texts_alone_has_nothing_to_be_read() -> None:
    made = fakes.dataset()
    evaluation = fakes.evaluation(made, fakes.table(made))
    config = SimpleNamespace(components=8, batch_size=8, heads=None)
    with pytest.raises(CannotFit, match="does not render its steps as numbers"):
        LatentMethods(evaluation, config).decoded()
