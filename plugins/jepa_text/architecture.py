"""The sizes that fix a Qwen3 backbone, and the arithmetic of its parameters. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """Sizes of a Qwen3 backbone (Qwen3 technical report, arXiv 2505.09388), without the language-model head."""

    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate_size: int
    vocabulary: int
    attention_bias: bool = False

    def projections(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of each linear map of a layer."""
        hidden, queries, keys = self.hidden_size, self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "q_proj": (hidden, queries),
            "k_proj": (hidden, keys),
            "v_proj": (hidden, keys),
            "o_proj": (queries, hidden),
            "gate_proj": (hidden, self.intermediate_size),
            "up_proj": (hidden, self.intermediate_size),
            "down_proj": (self.intermediate_size, hidden),
        }

    def parameters(self) -> int:
        """Parameters of the backbone: token table, layers, final norm."""
        matrices = sum(inputs * outputs for inputs, outputs in self.projections().values())
        norms = 2 * self.hidden_size + 2 * self.head_dim
        biases = self.hidden_size + (self.heads + 2 * self.kv_heads) * self.head_dim if self.attention_bias else 0
        return self.vocabulary * self.hidden_size + self.layers * (matrices + norms + biases) + self.hidden_size

    def lora_parameters(self, rank: int, modules: Iterable[str]) -> int:
        """Parameters of low-rank adapters on some of the linear maps of every layer: rank x (inputs + outputs) each."""
        projections = self.projections()
        return self.layers * rank * sum(sum(projections[module]) for module in modules)

    def weight_multiply_adds(self) -> int:
        """Multiply-adds of one token with the weights of all layers."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.projections().values())

    def attention_multiply_adds(self, tokens: int) -> int:
        """Multiply-adds of one text's attention, scores and values, counted in full (a causal kernel does half)."""
        return self.layers * 2 * tokens**2 * self.heads * self.head_dim

    def saved_values_per_token(self) -> int:
        """Values that one layer keeps of a token for its backward pass.

        6 of the hidden size around the two norms, 6 of the queries' and 5 of the keys' size in the attention, 4 of the
        MLP's.
        """
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return 6 * self.hidden_size + 6 * queries + 5 * keys + 4 * self.intermediate_size


PUBLISHED: dict[str, Architecture] = {
    "Qwen3-0.6B": Architecture(1024, 28, 16, 8, 128, 3072, 151_936),
    "Qwen3-1.7B": Architecture(2048, 28, 16, 8, 128, 6144, 151_936),
    "Qwen3-4B": Architecture(2560, 36, 32, 8, 128, 9728, 151_936),
    "Qwen3-8B": Architecture(4096, 36, 32, 8, 128, 12_288, 151_936),
}
"""Sizes of the published models, to plan with before the weights are here (Qwen3 technical report, table 1)."""
