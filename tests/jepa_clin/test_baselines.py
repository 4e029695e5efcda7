"""Next-token training and co-training, on losses that are small enough to compute by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jepa_clin.baselines import Cotraining, NextToken
from jepa_clin.config import CotrainingConfig, NextTokenConfig
from jepa_core.contracts import Batch, Latents, Prediction, Rollout


class Learner:
    """Latents of size 1 out of a table; a predictor that adds one number to a state."""

    def __init__(self) -> None:
        self.encoder = nn.Embedding.from_pretrained(torch.tensor([[1.0], [2.0], [4.0], [8.0]]), freeze=False)
        self.predictor = AddOne()
        self.synced = 0

    def latents(self, batch: Batch) -> Latents:
        return Latents(*(self.encoder(one) for one in (batch.static, batch.states, batch.actions)), batch.mask)

    def prediction(self, batch: Batch) -> Prediction:
        return self.predictor(self.latents(batch))

    def target_states(self, batch: Batch) -> Tensor:
        raise AssertionError("co-training reads no target")

    def next_token_loss(self, batch: Batch) -> Tensor:
        return 0.5 * self.encoder(batch.items).sum()

    def sync_target(self) -> None:
        self.synced += 1


class AddOne(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.tensor(1.0))

    def forward(self, latents: Latents) -> Prediction:
        return Prediction(latents.states + self.number, latents.states, memory=latents.states + self.number)

    def rollout(self, latents: Latents, memory: Tensor, origins: Tensor, horizon: int) -> Rollout:
        first = memory.gather(1, origins[..., None])
        states = torch.stack([first + ahead * self.number for ahead in range(horizon)], dim=2)
        return Rollout(states, states)


def make_batch() -> Batch:
    """One window of three steps, with the states 1, 2 and 8."""
    states = torch.tensor([[0, 1, 3]])
    return Batch(
        torch.arange(4), torch.tensor([2]), states, torch.full_like(states, 2), states, torch.ones(1, 3).bool()
    )


def test_cotraining_predicts_the_encoders_own_states_and_moves_both_sides() -> None:
    learner = Learner()
    terms = Cotraining(CotrainingConfig(rollout_horizon=2)).loss(learner, make_batch(), torch.Generator())
    # Predicted 2 and 3 where 2 and 8 came; rolled out from the first step alone, 2 and 3 again.
    assert {name: term.item() for name, term in terms.items()} == {"teacher_forcing": 2.5, "rollout": 2.5}
    terms["teacher_forcing"].backward()
    # |1 + n - 2| has its kink there and gives 0; d|2 + n - 8| / 2 is -1/2 for 2 and for n, 1/2 for 8.
    assert learner.encoder.weight.grad.flatten().tolist() == [0.0, -0.5, 0.0, 0.5]
    assert learner.predictor.number.grad == -0.5


def test_the_rollout_of_cotraining_has_its_weight_and_can_be_left_out() -> None:
    half = Cotraining(CotrainingConfig(rollout_horizon=2, rollout_weight=0.5))
    assert half.loss(Learner(), make_batch(), torch.Generator())["rollout"] == 1.25
    without = Cotraining(CotrainingConfig(rollout_horizon=0))
    assert set(without.loss(Learner(), make_batch(), torch.Generator())) == {"teacher_forcing"}


def test_next_token_training_asks_the_encoder_for_its_loss_on_the_texts_of_the_batch() -> None:
    learner = Learner()
    terms = NextToken(NextTokenConfig()).loss(learner, make_batch(), torch.Generator())
    assert set(terms) == {"next_token"} and terms["next_token"] == 7.5
    terms["next_token"].backward()
    assert learner.encoder.weight.grad.eq(0.5).all()


def test_phases_that_leave_the_target_behind_fetch_it_at_their_end() -> None:
    for phase in (NextToken(NextTokenConfig()), Cotraining(CotrainingConfig())):
        learner = Learner()
        phase.after_step(learner)
        assert learner.synced == 0
        phase.finish(learner)
        assert learner.synced == 1


def test_each_phase_says_what_it_trains_updates_and_needs() -> None:
    said = [(set(one.trains), one.updates, set(one.needs)) for one in (NextTokenConfig, CotrainingConfig)]
    assert said == [({"encoder"}, "target", {"next_token_loss"}), ({"encoder", "predictor"}, "target", set())]
