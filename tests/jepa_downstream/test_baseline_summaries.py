"""Summaries of channels: what they are, and what they do not see."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_downstream.baseline_channels import Columns, Histories, Observed, Profile, carry_on
from jepa_downstream.baseline_summaries import RECENT, STATISTICS, TabularInputs, step_statistics
from tests.jepa_downstream import baseline_fakes as fakes

NAN = float("nan")


def series(seed, steps, per_step, channels=3):
    random = np.random.default_rng(seed)
    values = 70 + 5 * random.normal(size=(steps * per_step, channels))
    values[random.random(values.shape) < 0.6] = NAN
    return values.astype(np.float32)


def by_definition(values, per_step):
    """The statistics of one channel (T * per_step,) up to its end."""
    at = np.flatnonzero(~np.isnan(values))
    share = len(at) / len(values)
    if not len(at):
        return {name: share if name == "share" else NAN for name in STATISTICS}
    seen, recent = values[at].astype(np.float64), at[at >= len(values) - RECENT * per_step]
    return {
        "last": seen[-1],
        "recent": values[recent].mean(dtype=np.float64) if len(recent) else NAN,
        "mean": seen.mean(),
        "minimum": seen.min(),
        "maximum": seen.max(),
        "deviation": seen.std(),
        "first": seen[0],
        "share": share,
        "since": (len(values) - 1 - at[-1]) / per_step,
        "slope": np.polyfit(recent / per_step, values[recent], 1)[0] if len(recent) > 1 else NAN,
    }


def test_of_three_readings():
    values = np.array([NAN, 4.0, NAN, 8.0, 9.0, NAN], dtype=np.float32)[:, None]
    found = dict(zip(STATISTICS, step_statistics(values, 1, np.array([5]))[0, :, 0], strict=True))
    expected = {"last": 9, "recent": 7, "mean": 7, "minimum": 4, "maximum": 9, "first": 4, "share": 0.5, "since": 1}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert found["deviation"] == pytest.approx(np.std([4, 8, 9]))
    assert found["slope"] == pytest.approx(np.polyfit([1, 3, 4], [4, 8, 9], 1)[0])


@pytest.mark.parametrize("per_step", [1, 3])
def test_every_step_has_what_the_definitions_give_for_its_past(per_step):
    values = series(0, 20, per_step)
    found = step_statistics(values, per_step, np.arange(20))
    for step in range(20):
        for channel in range(values.shape[1]):
            expected = by_definition(values[: (step + 1) * per_step, channel], per_step)
            np.testing.assert_allclose(found[step, :, channel], [expected[name] for name in STATISTICS], 1e-4, 1e-4)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), st.integers(1, 12), st.sampled_from([1, 2]), st.data())
def test_noise_after_the_step_changes_nothing(seed, steps, per_step, data):
    step = data.draw(st.integers(0, steps - 1))
    values = series(seed, steps, per_step)
    noisy = values.copy()
    after = noisy[(step + 1) * per_step :]
    after[:] = np.random.default_rng(seed).normal(scale=1e6, size=after.shape)
    found, expected = (step_statistics(one, per_step, np.array([step])) for one in (noisy, values))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("samples", [1, 2])
def test_rows_get_their_own_inputs_in_any_order(samples):
    data = fakes.many(samples=samples)
    histories = Histories(data)
    rows = fakes.rows(data, np.zeros(data.steps.sum()), 0, 30)
    summaries = TabularInputs(histories, Observed.of(histories, data, 0))
    order = np.random.default_rng(1).permutation(len(rows))
    together = summaries(rows)
    np.testing.assert_array_equal(summaries(rows.take(order)), together[order])
    alone = np.concatenate([summaries(rows.take(np.array([row]))) for row in range(40)])
    np.testing.assert_array_equal(alone, together[:40])


def test_inputs_begin_with_the_steps_seen_and_the_static_facts():
    data = fakes.many()
    histories = Histories(data)
    rows = fakes.rows(data, np.zeros(data.steps.sum()), 0, 30)
    inputs = TabularInputs(histories, Observed.of(histories, data, 0))(rows)
    assert inputs.shape == (len(rows), 2 + 2 * len(STATISTICS)), "one static fact, a state, and an action"
    np.testing.assert_array_equal(inputs[:, 0], rows.step + 1)
    np.testing.assert_array_equal(inputs[:, 1], data.values[rows.trajectory, fakes.STATIC, 0])


def test_a_trajectory_is_read_once_for_all_of_its_rows():
    data = fakes.many()
    histories = Histories(data)
    rows = fakes.rows(data, np.zeros(data.steps.sum()), 0, 30)
    summaries = TabularInputs(histories, Observed.of(histories, data, 0))
    data.items_read = 0
    summaries(rows)
    assert data.items_read == 30 + 2 * data.steps[:30].sum()


def test_a_column_that_only_carries_another_on_is_left_out_and_the_other_stays():
    data = fakes.many()
    count, total = len(data.steps), int(data.steps.sum())
    states = data.values[count : count + total, :, 0]
    carried = [carry_on(part) for part in np.split(states, data.store.first_step[1:])]
    data.values[count : count + total, fakes.NEVER, 0] = np.concatenate(carried)[:, fakes.STATE]
    observed = Observed.of(Histories(data), data, 0)
    assert observed.dynamic.tolist() == [fakes.STATE, 4 + fakes.ACTION], "of states, then of actions"
    assert observed.static.tolist() == [fakes.STATIC]


def test_what_was_last_seen_is_carried_on_and_nothing_is_before_the_first():
    samples = np.array([[NAN, 1.0], [2.0, NAN], [NAN, NAN], [-3.0, 4.0]], dtype=np.float32)
    np.testing.assert_array_equal(carry_on(samples), [[NAN, 1], [2, 1], [2, 1], [-3, 4]])


def test_a_profile_reads_nothing_after_the_last_row():
    data = fakes.many()
    rows = fakes.rows(data, np.zeros(data.steps.sum()), 0, 30)
    rows = rows.take(np.flatnonzero(rows.step < 2))
    noisy = data.with_noise_after(np.full(len(data.steps), 1))
    profiles = [Profile.of(Histories(one), rows, 0) for one in (data, noisy)]
    for field in ("chosen", "mean", "deviation"):
        np.testing.assert_array_equal(*(getattr(profile.dynamic, field) for profile in profiles))


def test_a_slipped_decimal_point_does_not_set_the_scale():
    values = np.random.default_rng(0).normal(7.4, 0.1, (1000, 1)).astype(np.float32)
    values[0] = 740.0
    columns = Columns.of(values, np.arange(1000))
    assert columns.mean[0] == pytest.approx(7.4, abs=0.02) and columns.deviation[0] == pytest.approx(0.1, abs=0.02)
    assert columns.standardised(values, 5.0)[0] == 5.0


def test_two_readings_have_moments_too():
    columns = Columns.of(np.array([[3.0], [NAN], [5.0]]), np.zeros(3))
    assert columns.mean.tolist() == [4.0] and columns.deviation.tolist() == [1.0]


def test_channels_that_are_never_observed_are_left_out():
    assert Columns.of(np.array([[NAN, 1.0], [NAN, NAN]]), np.zeros(2)).chosen.tolist() == [1]


def test_channels_that_few_subjects_show_are_left_out_however_many_rows_they_have():
    values, subject = np.arange(80.0).reshape(40, 2), np.repeat(np.arange(10), 4)
    values[subject >= 4, 0] = NAN
    assert Columns.of(values, subject).chosen.tolist() == [1]
    values[16, 0] = 1.0
    assert Columns.of(values, subject).chosen.tolist() == [0, 1]
