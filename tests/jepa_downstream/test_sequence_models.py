"""Batches of sequences, and the networks on them: padding, causality, and the equations of GRU-D."""

import numpy as np
import pytest
import torch

from jepa_downstream.baseline_channels import Histories, Profile
from jepa_downstream.baseline_config import SequenceConfig
from jepa_downstream.sequence_batches import Batches
from jepa_downstream.sequence_models import GRUD, LSTM, TCN
from tests.jepa_downstream import baseline_fakes as fakes

NETWORKS = [LSTM, GRUD, TCN]
CONFIG = SequenceConfig(width=6, layers=2, blocks=2, kernel=3)
CLIP = 5.0


def prepared(samples=1, size=7, last=14):
    data = fakes.many(samples=samples)
    rows = fakes.rows(data, fakes.sums(data), 0, 30)
    rows = rows.take(np.flatnonzero(rows.step <= last))
    histories = Histories(data)
    return histories, Profile.of(histories, rows, 0), rows, size


def batches(histories, profile, rows, size):
    return Batches(histories, profile, CLIP, size, rows)


def network(made, profile, samples=1):
    torch.manual_seed(0)
    return made(samples * len(profile.dynamic.chosen), len(profile.static.chosen), CONFIG, 0.5).eval()


def outputs(model, found, rows):
    scores = np.full(len(rows), np.nan)
    with torch.no_grad():
        for sequences in found.in_order():
            scores[sequences.index] = model(sequences)[sequences.row, sequences.step]
    return scores


@pytest.mark.parametrize("samples", [1, 2])
def test_sequences_carry_forward_and_count_the_steps_since(samples):
    histories, profile, rows, _ = prepared(samples)
    (one,) = batches(histories, profile, rows.take(np.flatnonzero(rows.trajectory == 4)), 1).in_order()
    _, values = histories.read(4, one.values.shape[1])
    channels = profile.dynamic.standardised(values, CLIP)
    for channel in range(channels.shape[1]):
        last, seen_at = 0.0, 0
        for place, value in enumerate(channels[:, channel]):
            at = 0, place // samples, (place % samples) * channels.shape[1] + channel
            assert one.since[at] == pytest.approx((place - seen_at) / samples)
            if not np.isnan(value):
                last, seen_at = value, place
            assert one.observed[at] == (not np.isnan(value))
            assert one.values[at] == pytest.approx(last)


def test_every_row_stands_in_one_batch_at_its_own_step():
    histories, profile, rows, size = prepared()
    for order in ("in_order", "shuffled"):
        found = batches(histories, profile, rows, size)
        made = list(found.in_order() if order == "in_order" else found.shuffled(np.random.default_rng(0)))
        index = torch.cat([one.index for one in made]).numpy()
        assert sorted(index) == list(range(len(rows)))
        np.testing.assert_array_equal(torch.cat([one.step for one in made]), rows.step[index])
        assert max(one.values.shape[0] for one in made) == size


@pytest.mark.parametrize("made", NETWORKS)
def test_the_trajectories_beside_change_no_output(made):
    histories, profile, rows, _ = prepared()
    model = network(made, profile)
    alone, together = (outputs(model, batches(histories, profile, rows, size), rows) for size in (1, 30))
    np.testing.assert_allclose(alone, together, atol=1e-5)


@pytest.mark.parametrize("made", NETWORKS)
def test_an_output_sees_no_later_step_and_its_own(made):
    histories, profile, rows, size = prepared()
    model = network(made, profile)
    (one,) = batches(histories, profile, rows.take(np.flatnonzero(rows.trajectory == 4)), 1).in_order()
    steps = one.values.shape[1]
    before = model(one).detach()
    changed = steps // 2
    one.values[:, changed:] += 1.0
    one.since[:, changed:] += 3.0
    one.observed[:, changed:] = 1 - one.observed[:, changed:]
    after = model(one).detach()
    torch.testing.assert_close(after[:, :changed], before[:, :changed], rtol=0, atol=0)
    assert not torch.allclose(after[:, changed], before[:, changed])


def test_the_tcn_sees_as_many_steps_as_it_says():
    model = TCN(2, 0, CONFIG, 0.0).eval()
    told = torch.randn(1, 3 * 2, 20, requires_grad=True)
    model.blocks(told)[0, :, -1].sum().backward()
    reached = told.grad.abs().sum(dim=(0, 1)) > 0
    assert 20 - int(reached.nonzero().min()) == 1 + 2 * (CONFIG.kernel - 1) * (2**CONFIG.blocks - 1)


def test_gru_d_follows_the_equations_of_the_paper():
    """Che et al. 2018, equations 3 to 14, one step at a time, with a mean of 0."""
    histories, profile, rows, _ = prepared()
    model = network(GRUD, profile)
    with torch.no_grad():
        model.input_decay_bias.fill_(0.2)
        model.input_decay.copy_(torch.linspace(0.1, 0.5, len(model.input_decay)))
    (one,) = batches(histories, profile, rows.take(np.flatnonzero(rows.trajectory == 4)), 1).in_order()
    facts = torch.cat([one.static, one.known], dim=1)
    width = CONFIG.width
    state = torch.zeros(1, width)
    for t in range(one.values.shape[1]):
        last, mask, time = one.values[:, t], one.observed[:, t], one.since[:, t]
        gamma_x = torch.exp(-torch.clamp(model.input_decay * time + model.input_decay_bias, min=0))
        gamma_h = torch.exp(-torch.clamp(model.state_decay(time), min=0))
        x = mask * last + (1 - mask) * gamma_x * last
        state = gamma_h * state
        given = torch.cat([x, mask, facts], dim=1)
        weights, bias = model.gates.weight, model.gates.bias
        into = [given @ weights[k * width : (k + 1) * width].T + bias[k * width : (k + 1) * width] for k in range(3)]
        recurrent = model.from_state.weight
        z = torch.sigmoid(into[0] + state @ recurrent[:width].T)
        r = torch.sigmoid(into[1] + state @ recurrent[width:].T)
        candidate = torch.tanh(into[2] + (r * state) @ model.from_reset.weight.T)
        state = (1 - z) * state + z * candidate
        torch.testing.assert_close(model.hidden(one)[:, t], state)


def test_the_decays_of_gru_d_are_learnt():
    histories, profile, rows, size = prepared()
    model = network(GRUD, profile)
    for sequences in batches(histories, profile, rows, size).in_order():
        model(sequences).square().sum().backward()
    for parameter in (model.input_decay, model.state_decay.weight):
        assert parameter.grad.abs().max() > 0
