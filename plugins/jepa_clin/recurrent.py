"""What recurrent predictors share: they go on from a belief, a step at a time.

Symbols: B windows, D latent size, W width, M origins a window, H horizon.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from jepa_clin.steps import at_steps
from jepa_core.contracts import Latents, Prediction, Predictor, Rollout


class Recurrent(Predictor):
    """A predictor whose belief is all that it keeps of the past. Its memory is the next states (B, T, D) and beliefs
    (B, T, W) of every step so far."""

    @abstractmethod
    def step(self, states: Tensor, actions: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Next states (B, M, D) and beliefs (B, M, W) after one more step, from the beliefs before it (B, M, W)."""

    def extend(self, step: Latents, memory: tuple[Tensor, Tensor]) -> Prediction:
        """One more step, from the belief at the last."""
        prediction = self.step(step.states, step.actions, memory[1][:, -1:])
        joined = tuple(torch.cat(pair, dim=1) for pair in zip(memory, prediction, strict=True))
        return Prediction(*prediction, memory=joined)

    def rollout(self, latents: Latents, memory: tuple[Tensor, Tensor], origins: Tensor, horizon: int) -> Rollout:
        """Roll out H steps from each of M origins a window: states (B, M, H, D) and their beliefs (B, M, H, W)."""
        origins = origins.to(latents.states.device)
        state, belief = (at_steps(part, origins) for part in memory)
        states, beliefs = [state], [belief]
        for ahead in range(1, horizon):
            state, belief = self.step(state, at_steps(latents.actions, origins + ahead), belief)
            states.append(state)
            beliefs.append(belief)
        return Rollout(torch.stack(states, dim=2), torch.stack(beliefs, dim=2))
