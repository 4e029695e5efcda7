"""An action-conditioned predictor of selective state-space blocks, whose cost is linear in the steps of a window.

Symbols: B windows, T steps, D latent size, W width, H heads, P head size, N state size, M origins a window, Q steps of
a chunk, K chunks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jepa_clin.further_config import StateSpaceConfig
from jepa_clin.steps import at_steps
from jepa_core.contracts import Latents, Prediction, Predictor, Rollout

FASTEST = 16.0
STEP_SIZES = (1e-3, 1e-1)
"""Rates of forgetting are drawn from 1 to FASTEST, step sizes between these, evenly in their logarithm, as in Mamba."""


@dataclass(frozen=True)
class Past:
    """What a block keeps of the real steps.

    decay: (B, T, H) sums of log decays up to each step. values: (B, T, H, P), keys: (B, T, N), what each step adds to
    the state. state: (B, H, P, N) after the last step.
    """

    decay: Tensor
    values: Tensor
    keys: Tensor
    state: Tensor

    def states_at(self, origins: Tensor) -> Tensor:
        """The state after each of the steps (B, M): (B, M, H, P, N)."""
        since = at_steps(self.decay, origins)[:, :, None] - self.decay[:, None]
        seen = torch.arange(self.decay.shape[1], device=origins.device) <= origins[..., None]
        left = since.masked_fill(~seen[..., None], -torch.inf).exp()
        weighted = left[..., None] * self.values[:, None]
        return torch.einsum("bmthp,btn->bmhpn", weighted, self.keys)


@dataclass(frozen=True)
class Memory:
    """next_states: (B, T, D), belief: (B, T, W), and the past of each block."""

    next_states: Tensor
    belief: Tensor
    blocks: tuple[Past, ...]


@dataclass(frozen=True)
class ScanInputs:
    """What a block makes of steps (..., W). values: (..., H, P), scaled by the step size. gate: (..., H P). keys,
    queries: (..., N). decay: (..., H) log decay of the state at the step, below 0."""

    values: Tensor
    gate: Tensor
    keys: Tensor
    queries: Tensor
    decay: Tensor


class StateSpace(Predictor):
    """Blocks of a selective scan (Mamba-2: Dao & Gu, arXiv 2405.21060) over a token a step, its state and its action
    and the static facts added up.

    Each head keeps a state (P, N) that decays at a rate which the step itself decides, and to which the step adds; the
    scan is computed in chunks, by matrix products within one and a recurrence from one to the next. The belief is the
    last block's normalised output. There is no convolution in front of the scan, so that its state is all that a
    rollout goes on from: a step of it costs the same however long the past is. Nor is there a path around the scan but
    the residual one.
    """

    def __init__(self, config: StateSpaceConfig, latent_dim: int) -> None:
        super().__init__()
        self.config = config
        self.belief_dim = config.width
        self.static_in = nn.Linear(latent_dim, config.width)
        self.state_in = nn.Linear(latent_dim, config.width)
        self.action_in = nn.Linear(latent_dim, config.width)
        self.blocks = nn.ModuleList(ScanBlock(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.output = nn.Linear(config.width, latent_dim)

    def forward(self, latents: Latents) -> Prediction:
        """Predict the state at t + 1 for every t; actions beyond the states are left to the rollout."""
        actions = latents.actions[:, : latents.states.shape[1]]
        hidden, pasts = self._tokens(latents.static[:, None], latents.states, actions), []
        for block in self._blocks():
            hidden, past = block(hidden)
            pasts.append(past)
        belief = self.norm(hidden)
        next_states = self._read(belief, latents.states)
        return Prediction(next_states, belief, Memory(next_states, belief, tuple(pasts)))

    def extend(self, step: Latents, memory: Memory) -> Prediction:
        """One more step, from the states after the last."""
        hidden, pasts = self._tokens(step.static[:, None], step.states, step.actions), []
        for block, past in zip(self._blocks(), memory.blocks, strict=True):
            hidden, longer = block.extend(hidden, past)
            pasts.append(longer)
        belief = self.norm(hidden)
        next_states = self._read(belief, step.states)
        told = torch.cat((memory.next_states, next_states), dim=1), torch.cat((memory.belief, belief), dim=1)
        return Prediction(next_states, belief, Memory(*told, tuple(pasts)))

    def rollout(self, latents: Latents, memory: Memory, origins: Tensor, horizon: int) -> Rollout:
        """Roll out H steps from each of M origins a window: states (B, M, H, D) and their beliefs (B, M, H, W)."""
        origins = origins.to(latents.states.device)
        state, belief = at_steps(memory.next_states, origins), at_steps(memory.belief, origins)
        kept = [past.states_at(origins) for past in memory.blocks] if horizon > 1 else []
        states, beliefs = [state], [belief]
        for ahead in range(1, horizon):
            hidden = self._tokens(latents.static[:, None], state, at_steps(latents.actions, origins + ahead))
            for index, block in enumerate(self._blocks()):
                hidden, kept[index] = block.step(hidden, kept[index])
            belief = self.norm(hidden)
            state = self._read(belief, state)
            states.append(state)
            beliefs.append(belief)
        return Rollout(torch.stack(states, dim=2), torch.stack(beliefs, dim=2))

    def _blocks(self) -> list[ScanBlock]:
        return [cast(ScanBlock, block) for block in self.blocks]

    def _tokens(self, static: Tensor, states: Tensor, actions: Tensor) -> Tensor:
        return self.static_in(static) + self.state_in(states) + self.action_in(actions)

    def _read(self, belief: Tensor, states: Tensor) -> Tensor:
        """Next states from the beliefs of these."""
        predicted = self.output(belief)
        return states + predicted if self.config.output == "residual" else predicted


class ScanBlock(nn.Module):
    """Pre-norm, a selective scan, a gate, and a residual connection."""

    def __init__(self, config: StateSpaceConfig) -> None:
        super().__init__()
        self.config = config
        self.norm = nn.LayerNorm(config.width)
        self.project = nn.Linear(config.width, config.projected, bias=False)
        self.output = nn.Linear(config.inner, config.width, bias=False)
        low, high = map(math.log, STEP_SIZES)
        sizes = torch.empty(config.heads).uniform_(low, high).exp()
        self.step_bias = nn.Parameter(sizes + (-torch.expm1(-sizes)).log())  # softplus gives the sizes back
        self.log_rate = nn.Parameter(torch.empty(config.heads).uniform_(1, FASTEST).log())

    def forward(self, hidden: Tensor) -> tuple[Tensor, Past]:
        """The next block's input (B, T, W), and what a rollout goes on from."""
        inputs = self._project(hidden)
        with torch.autocast(hidden.device.type, enabled=False):
            scanned, state = scan(inputs.decay, inputs.values, inputs.keys, inputs.queries, self.config.chunk)
        past = Past(inputs.decay.cumsum(1), inputs.values, inputs.keys, state)
        return self._finish(hidden, inputs, scanned), past

    def extend(self, hidden: Tensor, past: Past) -> tuple[Tensor, Past]:
        """The same of one step (B, 1, W) behind those of a past."""
        inputs = self._project(hidden)
        scanned, state = _advance(inputs, past.state[:, None])
        longer = Past(
            torch.cat((past.decay, past.decay[:, -1:] + inputs.decay), dim=1),
            torch.cat((past.values, inputs.values), dim=1),
            torch.cat((past.keys, inputs.keys), dim=1),
            state[:, 0],
        )
        return self._finish(hidden, inputs, scanned), longer

    def step(self, hidden: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The next block's input (B, M, W) of one step of M rollouts each, and their states (B, M, H, P, N)."""
        inputs = self._project(hidden)
        scanned, state = _advance(inputs, state)
        return self._finish(hidden, inputs, scanned), state

    def _project(self, hidden: Tensor) -> ScanInputs:
        config = self.config
        sizes = (config.inner, config.inner, config.state_size, config.state_size, config.heads)
        values, gate, keys, queries, step = self.project(self.norm(hidden)).float().split(sizes, dim=-1)
        step = F.softplus(step + self.step_bias)
        by_head = F.silu(values).unflatten(-1, (config.heads, config.head_size))
        return ScanInputs(by_head * step[..., None], gate, keys, queries, -self.log_rate.exp() * step)

    def _finish(self, hidden: Tensor, inputs: ScanInputs, scanned: Tensor) -> Tensor:
        return hidden + self.output(scanned.flatten(-2) * F.silu(inputs.gate))


def scan(decay: Tensor, values: Tensor, keys: Tensor, queries: Tensor, chunk: int) -> tuple[Tensor, Tensor]:
    """Outputs (B, T, H, P) of the recurrence s[t] = exp(decay[t]) s[t-1] + values[t] keys[t]^T, read by queries[t] at
    every t, and the last s: (B, H, P, N).

    decay: (B, T, H), not above 0. values: (B, T, H, P). keys, queries: (B, T, N). Steps that fill the last chunk up add
    nothing and let nothing decay.
    """
    steps = decay.shape[1]
    chunk = min(chunk, steps)
    short = -steps % chunk
    decay, keys, queries = (
        F.pad(tensor, (0, 0, 0, short)).unflatten(1, (-1, chunk)) for tensor in (decay, keys, queries)
    )
    values = F.pad(values, (0, 0, 0, 0, 0, short)).unflatten(1, (-1, chunk)).transpose(2, 3)  # (B, K, H, Q, P)
    sums = decay.cumsum(2).transpose(2, 3)  # (B, K, H, Q)
    before, last = _carried(sums, values, keys)
    causal = torch.ones(chunk, chunk, dtype=torch.bool, device=sums.device).tril()
    between = (sums[..., :, None] - sums[..., None, :]).masked_fill(~causal, -torch.inf).exp()
    seen = (queries @ keys.transpose(2, 3))[:, :, None] * between
    outputs = seen @ values + sums.exp()[..., None] * (queries[:, :, None] @ before.transpose(3, 4))
    return outputs.transpose(2, 3).flatten(1, 2)[:, :steps], last


def _carried(sums: Tensor, values: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    """The states that each chunk begins with, (B, K, H, P, N), and the one that the last ends with, (B, H, P, N)."""
    total = sums[..., -1]
    left = (total[..., None] - sums).exp()[..., None]
    added = (left * values).transpose(3, 4) @ keys[:, :, None]
    state = torch.zeros_like(added[:, 0])
    begins = []
    for kept, new in zip(total.exp().unbind(1), added.unbind(1), strict=True):
        begins.append(state)
        state = kept[..., None, None] * state + new
    return torch.stack(begins, dim=1), state


def _advance(inputs: ScanInputs, state: Tensor) -> tuple[Tensor, Tensor]:
    """One step of the recurrence for each of M rollouts: what is read (B, M, H, P), and the states (B, M, H, P, N)."""
    added = inputs.values[..., None] * inputs.keys[..., None, None, :]
    state = inputs.decay.exp()[..., None, None] * state + added
    return (state * inputs.queries[..., None, None, :]).sum(-1), state
