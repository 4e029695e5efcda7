"""Networks over the steps of a trajectory: one output at every step, from that step and those before it.

Symbols: B trajectories, T steps, K inputs of a step, K0 static facts, W width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from jepa_downstream.baseline_config import SequenceConfig
from jepa_downstream.sequence_batches import Sequences


class SequenceModel(nn.Module):
    """Base of the networks: `hidden` makes a state at every step, from which one linear layer makes the output."""

    def __init__(self, static: int, config: SequenceConfig, dropout: float) -> None:
        """static: K0."""
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.facts = 2 * static
        self.head = nn.Linear(config.width, 1)

    def forward(self, sequences: Sequences) -> Tensor:
        """(B, T): a logit, or a value in standard deviations from the mean, at every step."""
        return self.head(self.dropout(self.hidden(sequences))).squeeze(-1)

    def hidden(self, sequences: Sequences) -> Tensor:
        """(B, T, W)."""
        raise NotImplementedError

    def told(self, sequences: Sequences, values: Tensor) -> Tensor:
        """Values (B, T, K) with the mask, and the static facts with theirs at every step: (B, T, 2 K + 2 K0)."""
        facts = torch.cat([sequences.static, sequences.known], dim=-1)[:, None].expand(-1, values.shape[1], -1)
        return torch.cat([values, sequences.observed, facts], dim=-1)


class LSTM(SequenceModel):
    """LSTM (Hochreiter & Schmidhuber 1997) on values carried forward, their mask, and the time since each.

    The published comparison fills in medians and gives no mask.
    """

    def __init__(self, inputs: int, static: int, config: SequenceConfig, dropout: float) -> None:
        super().__init__(static, config, dropout)
        self.lstm = nn.LSTM(
            3 * inputs + self.facts, config.width, config.layers, batch_first=True,
            dropout=dropout if config.layers > 1 else 0.0,
        )  # fmt: skip

    def hidden(self, sequences: Sequences) -> Tensor:
        return self.lstm(_with_age(self.told(sequences, sequences.values), sequences))[0]


class TCN(SequenceModel):
    """Temporal convolutional network (Bai, Kolter & Koltun, arXiv 1803.01271) on what the LSTM is given.

    Block b has two causal convolutions with weight norm, 2 ** b steps between the steps they see, ReLU and dropout,
    around which the input is added. The state at a step sees 1 + 2 (kernel - 1) (2 ** blocks - 1) steps.
    """

    def __init__(self, inputs: int, static: int, config: SequenceConfig, dropout: float) -> None:
        super().__init__(static, config, dropout)
        sizes = [3 * inputs + self.facts] + config.blocks * [config.width]
        self.blocks = nn.Sequential(
            *(_Block(sizes[b], config.width, config.kernel, 2**b, dropout) for b in range(config.blocks))
        )

    def hidden(self, sequences: Sequences) -> Tensor:
        told = _with_age(self.told(sequences, sequences.values), sequences)
        return self.blocks(told.transpose(1, 2)).transpose(1, 2)


class _Block(nn.Module):
    def __init__(self, inputs: int, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.before = (kernel - 1) * dilation
        self.first = weight_norm(nn.Conv1d(inputs, width, kernel, dilation=dilation))
        self.second = weight_norm(nn.Conv1d(width, width, kernel, dilation=dilation))
        self.skip = nn.Identity() if inputs == width else nn.Conv1d(inputs, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, steps: Tensor) -> Tensor:
        """(B, inputs, T) to (B, W, T)."""
        taken = steps
        for convolution in (self.first, self.second):
            taken = self.dropout(F.relu(convolution(F.pad(taken, (self.before, 0)))))
        return F.relu(taken + self.skip(steps))


class GRUD(SequenceModel):
    """GRU-D (Che et al. 2018, Scientific Reports 8:6085): what is missing decays towards the mean, and the state
    towards 0, at rates that are learnt.

    Decay exp(-max(0, w d + b)) of the time d since a value was seen; w is a vector for the inputs, and a matrix for
    the state. Everything that does not depend on the state is computed for all steps at once. Static facts, which the
    paper has not, stand beside the inputs.
    """

    def __init__(self, inputs: int, static: int, config: SequenceConfig, dropout: float) -> None:
        super().__init__(static, config, dropout)
        self.input_decay = nn.Parameter(torch.full((inputs,), 0.1))
        self.input_decay_bias = nn.Parameter(torch.zeros(inputs))
        self.state_decay = nn.Linear(inputs, config.width)
        self.gates = nn.Linear(2 * inputs + self.facts, 3 * config.width)
        self.from_state = nn.Linear(config.width, 2 * config.width, bias=False)
        self.from_reset = nn.Linear(config.width, config.width, bias=False)

    def hidden(self, sequences: Sequences) -> Tensor:
        decay = torch.exp(-F.relu(sequences.since * self.input_decay + self.input_decay_bias))
        values = sequences.values * torch.where(sequences.observed > 0, 1.0, decay)
        kept = torch.exp(-F.relu(self.state_decay(sequences.since)))
        given = self.gates(self.told(sequences, values))
        state, states = torch.zeros_like(kept[:, 0]), []
        for gate, candidate, decay in zip(
            *(part.unbind(1) for part in self._split(given)), kept.unbind(1), strict=True
        ):
            state = decay * state
            update, reset = torch.sigmoid(gate + self.from_state(state)).chunk(2, dim=-1)
            state = torch.lerp(state, torch.tanh(candidate + self.from_reset(reset * state)), update)
            states.append(state)
        return torch.stack(states, dim=1)

    def _split(self, given: Tensor) -> tuple[Tensor, Tensor]:
        """What the two gates, and the candidate state, are given."""
        width = given.shape[-1] // 3
        return given[..., : 2 * width], given[..., 2 * width :]


def _with_age(told: Tensor, sequences: Sequences) -> Tensor:
    """With log(1 + steps since each input was seen), so that a day and an hour are of one size."""
    return torch.cat([told, torch.log1p(sequences.since)], dim=-1)


Network = Callable[[int, int, SequenceConfig, float], SequenceModel]
"""Makes a network for K inputs and K0 static facts, under a config, with a dropout."""
