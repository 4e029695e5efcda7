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

    def weight_multiply_adds(self, tokens: int) -> int:
        """Multiply-adds of one text with the weights of all layers."""
        sides, seen = self.projections(), self._tokens_seen(tokens)
        return sum(seen[name] * inputs * outputs for name, (inputs, outputs) in sides.items())

    def lora_multiply_adds(self, tokens: int, rank: int, modules: Iterable[str]) -> int:
        """Multiply-adds of one text with low-rank adapters on some of the linear maps of every layer."""
        sides, seen = self.projections(), self._tokens_seen(tokens)
        return sum(seen[module] * rank * sum(sides[module]) for module in modules)

    def attention_multiply_adds(self, tokens: int) -> int:
        """Multiply-adds of one text's attention, scores and values, counted in full (a causal kernel does half); in the
        last layer one token asks. What fills up the text's row is counted with it."""
        row = row_length(tokens)
        asking = (self.layers - 1) * row + 1
        return 2 * asking * row * self.heads * self.head_dim

    def saved_values(self, tokens: int) -> int:
        """Values that are kept for the backward pass of texts of `tokens` tokens together.

        A layer keeps of a token 4 of the hidden size around the two norms, 6 of the queries' and 3 of the keys' size in
        the attention, and 4 of the MLP's; the last one little more than keys and values. What turns heads is kept once.
        """
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        layer = 4 * self.hidden_size + 6 * queries + 3 * keys + 4 * self.intermediate_size
        return tokens * ((self.layers - 1) * layer + 2 * self.hidden_size + 2 * queries + 3 * keys)

    def _tokens_seen(self, tokens: int) -> dict[str, int]:
        """How many tokens of one text pass each linear map, over all layers.

        In the last layer one token asks and is carried on. The first layer's queries, keys and values are made once for
        each distinct token of many texts, which is next to nothing, and not counted.
        """
        between = max(self.layers - 2, 0) * tokens
        carried = (self.layers - 1) * tokens + 1
        return {
            "q_proj": between + 1,
            "k_proj": between + tokens,
            "v_proj": between + tokens,
            **dict.fromkeys(("o_proj", "gate_proj", "up_proj", "down_proj"), carried),
        }


def row_length(tokens: int) -> int:
    """The length of the row that attention on a processor takes least time for, for a text of so many tokens.

    Its kernel works on multiples of 16 (a text of 27 tokens took 1.5 times as long as one of 32, forward and backward),
    and on multiples of 4 faster than on others; a row is not filled up by more than a fifth.
    """
    by_four, by_sixteen = -(-tokens // 4) * 4, -(-tokens // 16) * 16
    return by_sixteen if 5 * (by_sixteen - tokens) <= by_sixteen else by_four


PUBLISHED: dict[str, Architecture] = {
    "Qwen3-0.6B": Architecture(1024, 28, 16, 8, 128, 3072, 151_936),
    "Qwen3-1.7B": Architecture(2048, 28, 16, 8, 128, 6144, 151_936),
    "Qwen3-4B": Architecture(2560, 36, 32, 8, 128, 9728, 151_936),
    "Qwen3-8B": Architecture(4096, 36, 32, 8, 128, 12_288, 151_936),
}
"""Sizes of the published models, to plan with before the weights are here (Qwen3 technical report, table 1)."""
