"""Several predictors on the latents of one encoder: their mean predicts, and where they differ the data left it open.

Deep ensembles (Lakshminarayanan et al., arXiv 1612.01474): K members of equal size, drawn apart, each trained on its
own loss. Symbols: B windows, T steps, D latent size, W belief size of a member, M origins a window, R rows of a
rollout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from jepa_core.contracts import Decoder, Latents, Prediction, Predictor, Rollout


@dataclass(frozen=True)
class EnsembleMemory:
    """What members keep of the real steps, one memory each, and those steps. made: what was predicted at them, without
    a memory."""

    members: tuple[Any, ...]
    seen: Latents
    made: Prediction


class Ensemble(Predictor):
    """Predictors side by side. The next state is the mean of theirs, the belief all of theirs in a row (K W).

    A rollout gives every member the mean state back, as `forward` would; what each member imagines by itself is
    `members_of(ensemble)[k].rollout`. Trained member by member (`Learner.each_member`), never through the mean.
    """

    def __init__(self, members: Sequence[Predictor]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.belief_dim = sum(member.belief_dim for member in members)

    def forward(self, latents: Latents) -> Prediction:
        """Predict the state at t + 1 for every t."""
        steps = latents.states.shape[1]
        seen = replace(latents, actions=latents.actions[:, :steps])
        return _joined([member(seen) for member in members_of(self)], seen)

    def extend(self, step: Latents, memory: EnsembleMemory) -> Prediction:
        """One more step of every member; a member without an `extend` takes all steps again."""
        seen = _behind(memory.seen, step)
        pairs = zip(members_of(self), memory.members, strict=True)
        taken = [_extended(member, step, kept, seen) for member, kept in pairs]
        now = _joined(taken, step)
        next_states = torch.cat((memory.made.next_states, now.next_states), dim=1)
        belief = torch.cat((memory.made.belief, now.belief), dim=1)
        prediction = Prediction(next_states, belief, None)
        return replace(now, memory=EnsembleMemory(now.memory.members, seen, prediction))

    def rollout(self, latents: Latents, memory: EnsembleMemory, origins: Tensor, horizon: int) -> Rollout:
        """Roll out H steps from each of M origins a window: states (B, M, H, D) and beliefs (B, M, H, K W).

        Rows of one origin are rolled out together, from a memory that ends there: the one that is given where it does,
        else one of their real steps up to there.
        """
        starts = origins.to(latents.states.device)
        rolled: list[tuple[Tensor, Tensor, Tensor]] = []
        for origin in torch.unique(starts).tolist():
            rows = (starts == origin).nonzero()
            whole = origin == memory.seen.states.shape[1] - 1 and origins.shape[1] == 1 and len(rows) == len(starts)
            begun = memory if whole else self(_rows(memory.seen, rows[:, 0], origin + 1)).memory
            states, beliefs = self._imagined(begun, latents.actions[rows[:, 0]], horizon)
            rolled.append((rows[:, 0] * origins.shape[1] + rows[:, 1], states, beliefs))
        order = torch.argsort(torch.cat([number for number, _, _ in rolled]))
        shape = (*origins.shape, horizon, -1)
        return Rollout(*(torch.cat([piece[part] for piece in rolled])[order].view(shape) for part in (1, 2)))

    def _imagined(self, memory: EnsembleMemory, actions: Tensor, horizon: int) -> tuple[Tensor, Tensor]:
        """States (R, H, D) and beliefs (R, H, K W) behind the last step of a memory."""
        last = memory.seen.states.shape[1] - 1
        steps = [(memory.made.next_states[:, last], memory.made.belief[:, last])]
        for ahead in range(1, horizon):
            state, action = steps[-1][0][:, None], actions[:, last + ahead, None]
            mask = torch.ones(len(state), 1, dtype=torch.bool, device=state.device)
            now = self.extend(Latents(memory.seen.static, state, action, mask), memory)
            memory = now.memory
            steps.append((now.next_states[:, 0], now.belief[:, 0]))
        states, beliefs = (torch.stack(part, dim=1) for part in zip(*steps, strict=True))
        return states, beliefs


class EnsembleDecoder(Decoder):
    """A decoder before the beliefs of several members in a row: the mean of what it reads of each."""

    def __init__(self, decoder: Decoder, members: int) -> None:
        super().__init__()
        self.decoder, self._members = decoder, members

    def forward(self, belief: Tensor) -> Tensor:
        """The same numbers as the decoder: (..., F), from beliefs (..., K W)."""
        return self._mean(self.decoder, belief)

    def next_values(self, belief: Tensor) -> Tensor:
        return self._mean(self.decoder.next_values, belief)

    def _mean(self, read: Callable[[Tensor], Tensor], belief: Tensor) -> Tensor:
        return torch.stack([read(own) for own in belief.chunk(self._members, dim=-1)]).mean(dim=0)


def ensemble_of(make: Callable[[], Predictor], members: int) -> Predictor:
    """A predictor, or an ensemble of so many, drawn one after another."""
    return make() if members == 1 else Ensemble([make() for _ in range(members)])


def members_of(predictor: Predictor) -> list[Predictor]:
    """The members of an ensemble; a predictor that is none has itself as its one member."""
    return cast(list[Predictor], list(predictor.members)) if isinstance(predictor, Ensemble) else [predictor]


def decoder_for(predictor: Predictor, decoder: Decoder) -> Decoder:
    """A decoder of a member's beliefs, before those of the predictor."""
    members = len(members_of(predictor))
    return decoder if members == 1 else EnsembleDecoder(decoder, members)


def member_decoder(decoder: Decoder) -> Decoder:
    """What reads the belief of one member: `decoder_for` backwards."""
    return decoder.decoder if isinstance(decoder, EnsembleDecoder) else decoder


def _joined(predictions: Sequence[Prediction], seen: Latents) -> Prediction:
    """Predictions of members on the same steps as one."""
    next_states = torch.stack([prediction.next_states for prediction in predictions]).mean(dim=0)
    belief = torch.cat([prediction.belief for prediction in predictions], dim=-1)
    bare = Prediction(next_states, belief, None)
    return replace(bare, memory=EnsembleMemory(tuple(prediction.memory for prediction in predictions), seen, bare))


def _extended(member: Predictor, step: Latents, memory: Any, seen: Latents) -> Prediction:
    """A member's prediction at one more step. seen: all of them."""
    if type(member).extend is not Predictor.extend:
        return member.extend(step, memory)
    prediction = member(seen)
    return Prediction(prediction.next_states[:, -1:], prediction.belief[:, -1:], prediction.memory)


def _behind(seen: Latents, step: Latents) -> Latents:
    """Steps, and one more behind them."""
    pairs = ((seen.states, step.states), (seen.actions, step.actions), (seen.mask, step.mask))
    return Latents(seen.static, *(torch.cat(pair, dim=1) for pair in pairs))


def _rows(seen: Latents, rows: Tensor, steps: int) -> Latents:
    """The first steps of some windows."""
    first = (tensor[rows, :steps] for tensor in (seen.states, seen.actions, seen.mask))
    return Latents(seen.static[rows], *first)
