"""What one streamed step costs beside computing 48 steps again, on one thread.

    python benchmarks/streaming.py

Texts of some 100 tokens through the encoder and the predictor of the recipe clin_jepa, and numbers through the encoder
mlp and the predictor at the paper's size. Weights are as they are drawn: cost does not depend on them. Processor
seconds of the quickest of several rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from jepa_channels.config import MlpConfig
from jepa_channels.mlp import Mlp
from jepa_clin.config import ActionTransformerConfig
from jepa_clin.predictor import ActionTransformer
from jepa_core.config import ItemShape
from jepa_core.contracts import Channels, Encoder, Items, Latents
from jepa_core.model.frozen import Frozen
from jepa_core.model.streaming import Item, begin, step
from jepa_text.config import Qwen3Config, RandomQwen3Config
from jepa_text.encoder import Qwen3Encoder

HOURS, CHANNELS, ROUNDS = 48, 100, 10


def main() -> None:
    """Print the cost of an hour each way, and their ratio."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with torch.inference_mode():
        texts, numbers = some_texts(), some_numbers()
        tell("texts, as clin_jepa", Frozen(*with_texts(texts), torch.device("cpu"), nullcontext), texts)
        tell("numbers, predictor of the paper", Frozen(*with_numbers(), torch.device("cpu"), nullcontext), numbers)


def some_texts() -> list[str]:
    """Static facts, then state and action of every hour."""
    random = np.random.default_rng(0)
    said = [". ".join(f"Reading {random.integers(300)}: {random.normal():.2f} mmHg" for _ in range(count))
            for count in HOURS * (25, 6)]  # fmt: skip
    return ["Age: 63 years.", *(f"t={number // 2}h | {text}" for number, text in enumerate(said))]


def some_numbers() -> list[np.ndarray]:
    """The same, in numbers."""
    return list(np.random.default_rng(0).normal(size=(1 + 2 * HOURS, CHANNELS, 1)).astype(np.float32))


def with_texts(texts: list[str]) -> tuple[Encoder, ActionTransformer]:
    sizes = RandomQwen3Config(
        hidden_size=64, layers=2, heads=4, kv_heads=2, head_dim=16, intermediate_size=192, vocabulary=2048
    )
    encoder = Qwen3Encoder(Qwen3Config(weights="random", random=sizes))
    encoder.fit([texts])
    config = ActionTransformerConfig(width=128, layers=3, heads=4, feedforward=512, max_steps=72)
    return encoder.eval(), ActionTransformer(config, encoder.latent_dim).eval()


def with_numbers() -> tuple[Encoder, ActionTransformer]:
    encoder = Mlp(MlpConfig(), ItemShape(CHANNELS))
    encoder.fit([Channels(torch.randn(8, CHANNELS, 1), torch.ones(8, CHANNELS, 1, dtype=torch.bool))])
    return encoder.eval(), ActionTransformer(ActionTransformerConfig(), encoder.latent_dim).eval()


def tell(name: str, frozen: Frozen, items: list[Any]) -> None:
    before = begin(frozen, items[0])
    for hour in range(HOURS - 1):
        before = step(frozen, before, *hour_of(items, hour))
    streamed, alone = best(lambda: step(frozen, before, *hour_of(items, HOURS - 1)).next_state)
    again, other = best(lambda: whole(frozen, items))
    print(
        f"{name:32} one step {1000 * streamed:7.2f} ms, {HOURS} again {1000 * again:7.2f} ms, "
        f"1 / {again / streamed:.1f}, largest difference {np.abs(alone - other).max():.1e}"
    )


def hour_of(items: list[Item], hour: int) -> tuple[Item, Item]:
    return items[1 + 2 * hour], items[2 + 2 * hour]


def whole(frozen: Frozen, items: list[Any]) -> np.ndarray:
    """The state that is foreseen after all steps, from all of them at once: (D,)."""
    given: Items = items
    if not isinstance(items[0], str):
        values = torch.from_numpy(np.stack(items))
        given = Channels(values, torch.ones_like(values, dtype=torch.bool))
    encoded = frozen.encode(given)
    mask = torch.ones((1, HOURS), dtype=torch.bool)
    latents = Latents(encoded[:1], encoded[None, 1::2], encoded[None, 2::2], mask)
    return frozen.predictor(latents).next_states[0, -1].numpy()


def best(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Processor seconds of the quickest of some rounds, and what came out."""
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        outcome = work()
        times.append(time.process_time() - began)
    return min(times), outcome


if __name__ == "__main__":
    main()
