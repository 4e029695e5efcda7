"""The action-conditioned transformer predictor of Clin-JEPA (arXiv 2605.10840), with a rollout that computes no real
step twice.

Symbols: B windows, T steps, D latent size, W width, M origins a window, H horizon, K tokens of a step: 2 interleaved,
1 joined. Steps count from 0. The static token has position 0. Interleaved, the state of step t has position 1 + 2 t
and its action 2 + 2 t; joined, both are in the token at position 1 + t.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from jepa_clin.attention import Asking, KeysValues, Layer, Layers, asked, for_scores, of_few_rows
from jepa_clin.config import ActionTransformerConfig
from jepa_clin.products import Linear
from jepa_clin.steps import at_steps
from jepa_core.contracts import Latents, Prediction, Predictor, Rollout
from jepa_core.errors import RunError

AskingT = TypeVar("AskingT", bound=Asking)


class OutOfReach(RunError, ValueError):
    """A window or a rollout goes beyond what the predictor has positions, states or actions for."""


@dataclass(frozen=True)
class KeptSteps:
    """What a rollout needs of the real steps.

    next_states: (B, T, D). belief: (B, T, W). layers: keys and values of the 1 + K T tokens in each layer.
    visible: (B, 1 + K T) bool, false for padding.
    """

    next_states: Tensor
    belief: Tensor
    layers: tuple[KeysValues, ...]
    visible: Tensor


class ActionTransformer(Predictor):
    """Transformer over `[d, s_1, a_1, ..., s_T, a_T]` whose output at s_t is the state at t + 1; or, `joined`, over
    `[d, s_1 + a_1, ..., s_T + a_T]`, with half the tokens.

    The belief at t is what the last layer puts out at s_t, before the projection to latents. Nothing else is asked of
    the last layer, which therefore carries on no other token.

    The static token sees itself alone and is seen by all; a state and its action see each other and every earlier step.
    So keys and values of a step never depend on a later one, and those of one teacher-forced pass serve rollouts from
    every origin.

    Pre-norm layers without a norm at the end, learned absolute positions, one input projection for each kind of token.
    Initialization as in the reference: Xavier-uniform matrices, zero biases, N(0, 0.02^2) for positions and output.
    """

    def __init__(self, config: ActionTransformerConfig, latent_dim: int) -> None:
        super().__init__()
        self.config = config
        self.belief_dim = config.width
        self.static_in = Linear(latent_dim, config.width)
        self.state_in = Linear(latent_dim, config.width)
        self.action_in = Linear(latent_dim, config.width)
        self.positions = nn.Embedding(config.positions, config.width)
        self.layers = Layers(Layer(config) for _ in range(config.layers))
        self.output = Linear(config.width, latent_dim)
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.positions.weight, std=0.02)
        nn.init.normal_(self.output.weight, std=0.02)

    def forward(self, latents: Latents) -> Prediction:
        """Predict the state at t + 1 for every t: `next_states` (B, T, D), `belief` (B, T, W), `memory` for rollouts.

        Actions beyond the states are left to the rollout.
        Raises OutOfReach if the windows are longer than the position table.
        """
        belief, layers, visible = self._pass(latents, self._states(first=1))
        next_states = self._read(belief, latents.states)
        return Prediction(next_states, belief, KeptSteps(next_states, belief, layers, visible))

    def memory_for(self, latents: Latents, origins: Tensor) -> KeptSteps:
        """The last layer carries on the states of the origins alone; next states and beliefs of others are 0."""
        origins = origins.to(latents.states.device)
        at_origins, layers, visible = self._pass(latents, 1 + self.config.tokens_per_step * origins)
        windows = torch.arange(len(origins), device=origins.device)[:, None]
        next_states = torch.zeros_like(latents.states)
        next_states[windows, origins] = self._read(at_origins, at_steps(latents.states, origins))
        belief = at_origins.new_zeros(*latents.states.shape[:2], self.belief_dim)
        belief[windows, origins] = at_origins
        return KeptSteps(next_states, belief, layers, visible)

    def _pass(self, latents: Latents, asking_last: Asking) -> tuple[Tensor, tuple[KeysValues, ...], Tensor]:
        """What the last layer puts out for the tokens that ask there (B, Q, W), keys and values of all tokens in each
        layer, and which tokens are no padding."""
        steps = latents.states.shape[1]
        if steps > self.config.reach:
            raise OutOfReach(
                f"the windows have {steps} steps, and the predictor has positions for {self.config.reach}; "
                f"raise its max_steps (now {self.config.max_steps}) or shorten the windows"
            )
        visible = _visible(latents.mask, self.config.tokens_per_step)
        hidden, layers = self._embed(latents), []
        mask = for_scores(_block_causal(visible, self.config.tokens_per_step), hidden)
        for layer, asking in zip(self.layers, self._asking(asking_last), strict=True):
            queries, keys_values = layer.project(hidden, layer.divided(), asking)
            seen = asked(mask[:, 0], asking)[:, None]
            hidden = layer.attend(asked(hidden, asking), queries, keys_values, seen)
            layers.append(keys_values)
        return hidden, tuple(layers), visible

    def extend(self, step: Latents, memory: KeptSteps) -> Prediction:
        """One more step: its tokens alone are computed, and see those that the memory holds.

        Raises OutOfReach if the position table ends before it.
        """
        number, per_step = memory.next_states.shape[1], self.config.tokens_per_step
        if number >= self.config.reach:
            raise OutOfReach(f"step {number + 1} is beyond the predictor's positions for {self.config.reach} steps")
        position = torch.tensor([number], device=step.states.device)
        hidden, layers = self._step_tokens(step.states, step.actions, position), []
        visible = torch.cat((memory.visible, step.mask.repeat_interleave(per_step, dim=1)), dim=1)
        seen = for_scores(visible[:, None, None].expand(-1, 1, per_step, -1), hidden)
        for layer, past, asking in zip(self.layers, memory.layers, self._asking(self._states(first=0)), strict=True):
            queries, new = layer.project(hidden, layer.divided(), asking, of_few_rows)
            layers.append(past.append(new.keys, new.values))
            hidden = layer.attend(hidden[:, asking], queries, layers[-1], seen[:, :, asking], of_few_rows)
        next_states = self._read(hidden, step.states)
        predicted = torch.cat((memory.next_states, next_states), dim=1)
        beliefs = torch.cat((memory.belief, hidden), dim=1)
        return Prediction(next_states, hidden, KeptSteps(predicted, beliefs, tuple(layers), visible))

    def rollout(self, latents: Latents, memory: KeptSteps, origins: Tensor, horizon: int) -> Rollout:
        """Roll out H steps from each of M origins a window: states (B, M, H, D) and their beliefs (B, M, H, W).

        The first entry is the teacher-forced prediction at the origin. Each later one costs the tokens of one step an
        origin, the predicted state and the given action, which see the real steps up to the origin, the generated steps
        of the same origin and each other.

        Origins on the CPU are checked without waiting for an accelerator.
        Raises OutOfReach if an origin is no step of the memory, or if actions or positions end before origin + H - 1.
        """
        self._check_reach(latents, memory, origins, horizon)
        origins = origins.to(latents.states.device)
        state, belief = at_steps(memory.next_states, origins), at_steps(memory.belief, origins)
        mask = for_scores(_rollout_mask(memory.visible, origins, horizon, self.config.tokens_per_step), state)
        tokens = self.config.tokens_per_step * origins.shape[1]
        pasts = [layer.growable(tokens * (horizon - 1)) for layer in memory.layers]
        divided, asking = [layer.divided() for layer in self.layers], self._asking(self._states(first=0))
        steps = origins[..., None] + torch.arange(1, horizon, device=origins.device)
        positions, actions = self._state_positions(steps), self._action_tokens(at_steps(latents.actions, steps), steps)
        states, beliefs = [state], [belief]
        for ahead, (position, action) in enumerate(zip(positions.unbind(2), actions.unbind(2), strict=True), start=1):
            hidden = self._side_by_side(self.state_in(state) + position, action)
            seen = mask[..., : memory.visible.shape[1] + tokens * ahead]
            for number, layer in enumerate(self.layers):
                queries, keys_values = layer.project(hidden, divided[number], asking[number])
                pasts[number] = pasts[number].append(keys_values.keys, keys_values.values)
                hidden = layer.attend(hidden[:, asking[number]], queries, pasts[number], seen[:, :, asking[number]])
            belief = hidden
            state = self._read(belief, state)
            states.append(state)
            beliefs.append(belief)
        return Rollout(torch.stack(states, dim=2), torch.stack(beliefs, dim=2))

    def _states(self, first: int) -> slice:
        """The tokens of states, of which `first` is the first."""
        return slice(first, None, self.config.tokens_per_step)

    def _asking(self, last: AskingT) -> list[slice | AskingT]:
        """The tokens that each layer carries on: all, and in the last layer those that are asked there."""
        return [*[slice(None)] * (len(self.layers) - 1), last]

    def _embed(self, latents: Latents) -> Tensor:
        """All tokens of the windows: (B, 1 + K T, W)."""
        count = latents.states.shape[1]  # no len(): it would fix the number of steps of an exported program
        steps = torch.arange(count, device=latents.states.device)
        static = self.static_in(latents.static) + self.positions.weight[0]
        tokens = self._step_tokens(latents.states, latents.actions[:, :count], steps)
        return torch.cat((static[:, None], tokens), dim=1)

    def _step_tokens(self, states: Tensor, actions: Tensor, steps: Tensor) -> Tensor:
        """Tokens of N steps: (B, K N, W); interleaved, each state is followed by its action. steps: (N,) or (B, N)."""
        return self._side_by_side(
            self.state_in(states) + self._state_positions(steps), self._action_tokens(actions, steps)
        )

    def _state_positions(self, steps: Tensor) -> Tensor:
        """(..., W) of steps (...)."""
        return self.positions(1 + self.config.tokens_per_step * steps)

    def _action_tokens(self, actions: Tensor, steps: Tensor) -> Tensor:
        """(..., W) of actions (..., D) at steps (...); joined, without a position of their own."""
        tokens = self.action_in(actions)
        return tokens if self.config.layout == "joined" else tokens + self.positions(2 + 2 * steps)

    def _side_by_side(self, states: Tensor, actions: Tensor) -> Tensor:
        """Tokens of N states and of their actions, (B, N, W) each: (B, K N, W)."""
        if self.config.layout == "joined":
            return states + actions
        return torch.stack((states, actions), dim=2).flatten(1, 2)

    def _read(self, hidden: Tensor, states: Tensor) -> Tensor:
        """Next states from the outputs at state tokens."""
        predicted = self.output(hidden)
        return states + predicted if self.config.output == "residual" else predicted

    def _check_reach(self, latents: Latents, memory: KeptSteps, origins: Tensor, horizon: int) -> None:
        first, last = int(origins.min()), int(origins.max())
        known, actions = memory.next_states.shape[1], latents.actions.shape[1]
        if horizon < 1:
            raise OutOfReach(f"a rollout has at least 1 step, not {horizon}")
        if first < 0 or last >= known:
            raise OutOfReach(f"origins run from {first} to {last}, and the memory holds the steps 0 to {known - 1}")
        if last + horizon > actions:
            raise OutOfReach(
                f"a rollout of {horizon} steps from step {last} needs {last + horizon} actions; {actions} are given"
            )
        if last + horizon > self.config.reach:
            raise OutOfReach(
                f"a rollout of {horizon} steps from step {last} needs positions for {last + horizon} steps, and the "
                f"predictor has {self.config.reach}; raise its max_steps (now {self.config.max_steps})"
            )


def _visible(mask: Tensor, per_step: int) -> Tensor:
    """Tokens that are no padding, from the mask of the steps: (B, 1 + K T)."""
    return torch.cat((torch.ones_like(mask[:, :1]), mask.repeat_interleave(per_step, dim=1)), dim=1)


def _token_steps(tokens: int, per_step: int, device: torch.device) -> Tensor:
    """Step of each token, the static one coming before all: -1, 0, 0, 1, 1, ... if a step has two."""
    return (torch.arange(tokens, device=device) + per_step - 1) // per_step - 1


def _block_causal(visible: Tensor, per_step: int) -> Tensor:
    """What each token of the windows may see: (B, 1, S, S)."""
    steps = _token_steps(visible.shape[1], per_step, visible.device)
    return (steps[:, None] >= steps) & visible[:, None, None, :]


def _rollout_mask(visible: Tensor, origins: Tensor, horizon: int, per_step: int) -> Tensor:
    """What the tokens of a step of each origin may see of the real tokens, then of the generated ones:
    (B, 1, K M, S + K M (H - 1)).

    Generated tokens lie step by step, within a step origin by origin. Those of steps to come are not there yet, so only
    the origin counts.
    """
    windows, per_window = origins.shape
    steps = _token_steps(visible.shape[1], per_step, visible.device)
    real = (steps <= origins[..., None]) & visible[:, None]
    same_origin = torch.eye(per_window, dtype=torch.bool, device=visible.device).repeat_interleave(per_step, dim=1)
    generated = same_origin.repeat(1, horizon - 1).expand(windows, -1, -1)
    seen = torch.cat((real, generated), dim=2)
    return seen.repeat_interleave(per_step, dim=1)[:, None]
