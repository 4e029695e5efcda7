"""Masked prediction: what is hidden, what is seen of it, what the loss is, and what becomes of the predictor."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from jepa_clin.config import MaskedPredictionConfig, MaskedPredictorConfig
from jepa_clin.masked import MaskedPrediction, draw_hidden
from jepa_clin.masked_predictor import MaskedPredictor, sines_and_cosines
from jepa_clin.steps import batch_at, marked_steps
from jepa_core.contracts import Batch, Latents

LATENT_DIM = 4
SMALL = MaskedPredictorConfig(width=8, layers=2, heads=2, feedforward=16, dropout=0.0, attention_dropout=0.0)


class Learner:
    """One table of items for an encoder and another for its target; notes which items each was asked for."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.encoder = nn.Embedding(60, LATENT_DIM)
        self.target = torch.randn(60, LATENT_DIM)
        self.encoded: list[int] = []
        self.taus: list[float] = []

    def latents(self, batch: Batch) -> Latents:
        self.encoded = batch.items.tolist()
        return self._place(self.encoder(batch.items), batch)

    def target_latents(self, batch: Batch) -> Latents:
        return self._place(self.target[batch.items], batch)

    def update_target(self, tau: float) -> None:
        self.taus.append(tau)

    @staticmethod
    def _place(encoded: Tensor, batch: Batch) -> Latents:
        return Latents(encoded[batch.static], encoded[batch.states], encoded[batch.actions], batch.mask)


def make_batch(lengths: tuple[int, ...] = (10, 6, 3)) -> Batch:
    """Every step has a state and an action of its own."""
    windows, steps = len(lengths), max(lengths)
    states = torch.arange(windows * steps).view(windows, steps)
    static, actions = torch.full((windows,), 59), states // 2 + 30
    mask = torch.arange(steps) < torch.tensor(lengths)[:, None]
    return Batch(torch.arange(60), static, states, actions, states, mask)


def make_phase(**keys: object) -> MaskedPrediction:
    phase = MaskedPrediction(MaskedPredictionConfig(**{"predictor": SMALL, "steps": 5} | keys))
    torch.manual_seed(1)
    phase.module = phase.build_module(LATENT_DIM)
    return phase


def hide(lengths: tuple[int, ...], ratio: float, block_length: int = 1, seed: int = 0) -> Tensor:
    return draw_hidden(make_batch(lengths).mask, ratio, block_length, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("block_length", [1, 3, 100])
def test_the_share_of_hidden_steps_is_exact_and_two_steps_stay_visible(block_length: int) -> None:
    lengths = (20, 10, 7, 3, 2, 1)
    for seed in range(20):
        hidden = hide(lengths, 0.4, block_length, seed)
        assert hidden.sum(1).tolist() == [8, 4, 3, 1, 0, 0]
        assert not (hidden & ~make_batch(lengths).mask).any()
    assert hide((20, 3), 0.99).sum(1).tolist() == [18, 1]
    assert hide((20, 3), 0.01).sum(1).tolist() == [1, 1]


def test_every_step_is_hidden_as_often_as_any_other() -> None:
    hidden = draw_hidden(torch.ones(4000, 10).bool(), 0.4, 1, torch.Generator().manual_seed(0))
    assert ((hidden.float().mean(0) - 0.4).abs() < 0.03).all()


def test_blocks_hide_steps_in_a_row() -> None:
    def borders(block_length: int) -> float:
        hidden = draw_hidden(torch.ones(500, 40).bool(), 0.5, block_length, torch.Generator().manual_seed(0))
        return (hidden[:, 1:] != hidden[:, :-1]).sum(1).float().mean().item()

    # 20 of 40 steps drawn singly change 39 * 2 * 20 / 40 * 20 / 39 = 20 times; in blocks of 8 about an eighth of that.
    assert borders(1) == pytest.approx(20, abs=0.5)
    assert borders(8) < 4


def test_the_mask_depends_on_the_generator_alone() -> None:
    first = hide((20, 12), 0.4, 3, seed=1)
    torch.manual_seed(9)
    assert torch.equal(first, hide((20, 12), 0.4, 3, seed=1))
    assert not torch.equal(first, hide((20, 12), 0.4, 3, seed=2))


def test_marked_steps_lists_them_in_order_and_repeats_the_first_where_there_is_none() -> None:
    steps, exists = marked_steps(torch.tensor([[False, True, False, True], [False, False, True, False]]))
    assert steps.tolist() == [[1, 3], [2, 2]] and exists.tolist() == [[True, True], [True, False]]
    steps, exists = marked_steps(torch.zeros(2, 3, dtype=torch.bool))
    assert steps.tolist() == [[0], [0]] and not exists.any()


def test_a_batch_at_some_steps_holds_their_items_and_no_other() -> None:
    batch = make_batch()
    steps, exists = torch.tensor([[1, 7], [0, 5], [2, 2]]), torch.tensor([[True] * 2, [True] * 2, [True, False]])
    part = batch_at(batch, steps, exists)
    assert torch.equal(part.items[part.states], batch.states.gather(1, steps))
    assert torch.equal(part.items[part.actions], batch.actions.gather(1, steps))
    assert torch.equal(part.items[part.static], batch.static)
    used = {*part.states.flatten().tolist(), *part.actions.flatten().tolist(), *part.static.tolist()}
    assert used == set(range(len(part.items))) and torch.equal(part.mask, exists)


class Constant(nn.Module):
    """Predicts 1 for every state and 5 for every action."""

    def forward(self, visible: Latents, steps: Tensor, hidden: Tensor, exists: Tensor) -> Tensor:
        return torch.tensor([1.0, 5.0])[:, None, None].expand(len(hidden), 2, hidden.shape[1], LATENT_DIM)


def test_the_loss_is_the_mean_over_hidden_states_and_actions() -> None:
    learner, batch, phase = Learner(), make_batch(), make_phase()
    phase.module = Constant()
    terms = phase.loss(learner, batch, torch.Generator().manual_seed(3))
    hidden = draw_hidden(batch.mask, 0.4, 1, torch.Generator().manual_seed(3))
    states, actions = (learner.target[ids[hidden]] for ids in (batch.states, batch.actions))
    assert len(states) == len(actions) == 4 + 2 + 1
    expected = torch.cat(((1 - states).abs(), (5 - actions).abs())).mean()
    torch.testing.assert_close(terms, {"masked_prediction": expected})


def test_only_what_is_visible_is_encoded_and_gets_a_gradient() -> None:
    learner, batch, phase = Learner(), make_batch((20,)), make_phase()
    phase.loss(learner, batch, torch.Generator().manual_seed(3))["masked_prediction"].backward()
    visible = batch.mask & ~draw_hidden(batch.mask, 0.4, 1, torch.Generator().manual_seed(3))
    wanted = {59, *batch.states[visible].tolist(), *batch.actions[visible].tolist()}
    assert set(learner.encoded) == wanted
    moved = learner.encoder.weight.grad.abs().sum(1).nonzero().flatten().tolist()
    assert set(moved) == wanted
    assert all(parameter.grad.abs().sum() > 0 for parameter in phase.module.parameters())


def predict(predictor: MaskedPredictor, visible: Latents, steps: Tensor, hidden: Tensor, exists: Tensor) -> Tensor:
    with torch.no_grad():
        return predictor.eval()(visible, steps, hidden, exists)


@pytest.fixture
def predictor() -> MaskedPredictor:
    torch.manual_seed(2)
    return MaskedPredictor(SMALL, LATENT_DIM)


def make_visible(windows: int = 2, steps: int = 3) -> Latents:
    draw = torch.Generator().manual_seed(4)
    static, states, actions = (
        torch.randn(*shape, LATENT_DIM, generator=draw) for shape in ((windows,), (windows, steps), (windows, steps))
    )
    return Latents(static, states, actions, torch.ones(windows, steps).bool())


def test_padding_changes_no_prediction(predictor: MaskedPredictor) -> None:
    visible, steps = make_visible(), torch.tensor([[0, 3, 9], [1, 2, 4]])
    hidden, exists = torch.tensor([[1, 2], [3, 3]]), torch.tensor([[True, True], [True, False]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    visible = Latents(visible.static, visible.states, visible.actions, mask)
    both = predict(predictor, visible, steps, hidden, exists)
    alone = Latents(visible.static[1:], visible.states[1:, :2], visible.actions[1:, :2], mask[1:, :2])
    expected = predict(predictor, alone, steps[1:, :2], hidden[1:, :1], exists[1:, :1])
    torch.testing.assert_close(both[1:, :, :1], expected)


def test_a_prediction_depends_on_its_step_its_role_and_everything_visible(predictor: MaskedPredictor) -> None:
    visible, steps = make_visible(1), torch.tensor([[0, 3, 9]])
    exists = torch.ones(1, 1).bool()
    base = predict(predictor, visible, steps, torch.tensor([[5]]), exists)
    assert base.shape == (1, 2, 1, LATENT_DIM)
    assert not torch.allclose(base[:, 0], base[:, 1])
    assert not torch.allclose(base, predict(predictor, visible, steps, torch.tensor([[6]]), exists))
    assert not torch.allclose(base, predict(predictor, visible, steps + 1, torch.tensor([[5]]), exists))
    for part in ("static", "states", "actions"):
        parts = {name: getattr(visible, name) for name in ("static", "states", "actions", "mask")}
        changed = Latents(**parts | {part: parts[part] + 1})
        assert not torch.allclose(base, predict(predictor, changed, steps, torch.tensor([[5]]), exists))


def test_steps_have_positions_of_their_own_however_many_there_are() -> None:
    positions = sines_and_cosines(torch.arange(500), 16)
    assert positions.shape == (500, 16)
    assert torch.cdist(positions, positions).add(torch.eye(500)).min() > 1e-2
    torch.testing.assert_close(positions[3, 0], torch.tensor(3.0).sin())
    torch.testing.assert_close(positions[3, 15], torch.tensor(3.0 * 10_000 ** (-7 / 8)).cos())


@pytest.mark.parametrize("config", [SMALL, MaskedPredictorConfig(width=16, layers=1, heads=4, feedforward=8)])
def test_the_plan_counts_the_parameters_that_there_are(config: MaskedPredictorConfig) -> None:
    count = sum(parameter.numel() for parameter in MaskedPredictor(config, 24).parameters())
    size = MaskedPredictionConfig(predictor=config).module_size(24)
    assert size.parameters == size.trainable == count


def test_tau_goes_linearly_from_its_start_to_its_end_and_on_after_a_resume() -> None:
    learner, phase = Learner(), make_phase(tau_start=0.9, tau_end=1.0)
    for _ in range(2):
        phase.after_step(learner)
    resumed = make_phase(tau_start=0.9, tau_end=1.0)
    resumed.load_state_dict(phase.state_dict())
    for _ in range(3):
        resumed.after_step(learner)
    assert learner.taus == pytest.approx([0.9, 0.925, 0.95, 0.975, 1.0])
    assert MaskedPredictionConfig().tau_start == 0.996 and MaskedPredictionConfig().mask_ratio == 0.4


@pytest.mark.parametrize("lengths", [(1,), (2, 1), (1, 9)])
def test_short_windows_give_a_finite_loss_with_gradients(lengths: tuple[int, ...]) -> None:
    learner, phase = Learner(), make_phase()
    loss = phase.loss(learner, make_batch(lengths), torch.Generator())["masked_prediction"]
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(parameter.grad).all() for parameter in phase.module.parameters())


def test_training_lowers_the_loss() -> None:
    learner, batch, phase = Learner(), make_batch((20, 20)), make_phase(block_length=4)
    optimizer = torch.optim.Adam([*phase.module.parameters(), *learner.encoder.parameters()], 1e-2)
    losses = []
    for _ in range(60):
        loss = phase.loss(learner, batch, torch.Generator().manual_seed(0))["masked_prediction"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
