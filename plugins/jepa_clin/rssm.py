"""An action-conditioned stochastic predictor: a recurrent state-space model with discrete latent variables.

Symbols: B windows, T steps, D latent size, W width, V variables of C classes each, M origins a window, H horizon.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jepa_clin.further_config import RssmConfig
from jepa_clin.recurrent import Recurrent
from jepa_clin.steps import masked_mean
from jepa_core.contracts import Latents, Prediction
from jepa_core.training.precision import full


class Rssm(Recurrent):
    """A recurrent state-space model (RSSM) with categorical variables, after DreamerV2 (Hafner et al., arXiv
    2010.02193).

        seen      z[t]  ~ q(z | h[t], s[t])         of the state and the deterministic state before it
        guessed   z'[t] ~ p(z | h[t])               without the state
        h[t + 1] = GRU(h[t]; z[t], a[t])            h[0] is made of the static facts
        s[t + 1] is read from h[t + 1] and z'[t + 1]

    Belief and memory at t are h[t + 1]. The divergence KL(q || p) at every real step is a term of the prediction
    (`Prediction.terms`), balanced: `kl_balance` of it trains p towards q, the rest q towards p. While it trains the
    variables are drawn, with straight-through gradients; else each has its most likely class.

    Departures: in a rollout the next z is seen in the state that was predicted, instead of guessed once more, so that a
    rollout is what `forward` makes of its own predictions; every distribution has `uniform` of a uniform one in it
    (DreamerV3, arXiv 2301.04104), so that no divergence is infinite.
    """

    def __init__(self, config: RssmConfig, latent_dim: int) -> None:
        super().__init__()
        self.config = config
        self.belief_dim = width = config.width
        self.start = nn.Linear(latent_dim, width)
        self.cell = nn.GRUCell(config.drawn + latent_dim, width)
        self.state_seen = nn.Linear(latent_dim, width)
        self.belief_seen = nn.Linear(width, width, bias=False)
        self.seen = nn.Linear(width, config.drawn)
        self.guess = nn.Sequential(nn.Linear(width, width), nn.ELU(), nn.Linear(width, config.drawn))
        self.output = nn.Linear(width + config.drawn, latent_dim)

    def forward(self, latents: Latents) -> Prediction:
        """Predict the state at t + 1 for every t; actions beyond the states are left to the rollout."""
        steps = latents.states.shape[1]
        before = torch.tanh(self.start(latents.static))
        states, started, seen = self.state_seen(latents.states), before, []
        beliefs: list[Tensor] = []
        for step in range(steps):
            logits = self.seen(F.elu(states[:, step] + self.belief_seen(before)))
            seen.append(logits)
            before = self._moved(logits, latents.actions[:, step], before)
            beliefs.append(before)
        belief = torch.stack(beliefs, dim=1)
        guessed = self._log_chances(self.guess(belief))
        next_states = self._read(belief, guessed, latents.states)
        first = self._log_chances(self.guess(started))[:, None]
        known = torch.cat((first, guessed[:, :-1]), dim=1)
        divergence = self._divergence(self._log_chances(torch.stack(seen, dim=1)), known, latents.mask)
        return Prediction(next_states, belief, (next_states, belief), {"kl": self.config.kl_weight * divergence})

    def step(self, states: Tensor, actions: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.seen(F.elu(self.state_seen(states) + self.belief_seen(before)))
        moved = self._moved(logits.flatten(0, 1), actions.flatten(0, 1), before.flatten(0, 1))
        belief = moved.view(before.shape)
        return self._read(belief, self._log_chances(self.guess(belief)), states), belief

    def _moved(self, logits: Tensor, actions: Tensor, before: Tensor) -> Tensor:
        """The deterministic state (N, W) after a step whose variables have these logits (N, V C)."""
        drawn = self._draw(self._log_chances(logits)).to(actions.dtype)
        return self.cell(torch.cat((drawn, actions), dim=-1), before.to(actions.dtype))

    def _read(self, belief: Tensor, guessed: Tensor, states: Tensor) -> Tensor:
        """Next states from the beliefs at these, and what is guessed of the variables there."""
        predicted = self.output(torch.cat((belief, self._draw(guessed).to(belief.dtype)), dim=-1))
        return states + predicted if self.config.output == "residual" else predicted

    def _log_chances(self, logits: Tensor) -> Tensor:
        """Logarithms of the chances of each class: (..., V, C)."""
        chances = full(logits).unflatten(-1, (self.config.variables, self.config.classes)).softmax(-1)
        uniform = self.config.uniform
        return ((1 - uniform) * chances + uniform / self.config.classes).log()

    def _draw(self, log_chances: Tensor) -> Tensor:
        """One class of each variable, as ones and zeros through which the gradient reaches the chances: (..., V C)."""
        chances = log_chances.exp()
        scores = log_chances
        if self.training:
            scores = log_chances - torch.empty_like(log_chances).exponential_().log()
        chosen = F.one_hot(scores.argmax(-1), self.config.classes).to(chances.dtype)
        return (chosen + (chances - chances.detach())).flatten(-2)

    def _divergence(self, seen: Tensor, guessed: Tensor, mask: Tensor) -> Tensor:
        """Mean balanced KL of the real steps, in nats."""
        balance = self.config.kl_balance
        return balance * _kl(seen.detach(), guessed, mask) + (1 - balance) * _kl(seen, guessed.detach(), mask)


def _kl(seen: Tensor, guessed: Tensor, mask: Tensor) -> Tensor:
    """Mean KL(seen || guessed) over the steps of `mask` (B, T), the variables of a step added up."""
    return masked_mean((seen.exp() * (seen - guessed)).sum(dim=(-2, -1)), mask)
