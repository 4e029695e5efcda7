"""What one streamed step costs beside computing 48 steps again, on one thread.

    python benchmarks/streaming.py

An encoder of numbers and the action transformer at the size of the paper's predictor, with weights as they are drawn:
cost does not depend on them. Processor seconds of the best of several rounds.
"""

from __future__ import annotations

import time
from contextlib import nullcontext

import numpy as np
import torch

from jepa_channels.config import MlpConfig
from jepa_channels.mlp import Mlp
from jepa_clin.config import ActionTransformerConfig
from jepa_clin.predictor import ActionTransformer
from jepa_core.config import ItemShape
from jepa_core.contracts import Channels
from jepa_core.model.frozen import Frozen
from jepa_core.model.streaming import begin, step

HOURS, CHANNELS, ROUNDS = 48, 100, 5


def main() -> None:
    """Print the cost of an hour each way, and their ratio."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    encoder = Mlp(MlpConfig(), ItemShape(CHANNELS)).eval()
    encoder.fit([Channels(torch.randn(8, CHANNELS, 1), torch.ones(8, CHANNELS, 1, dtype=torch.bool))])
    predictor = ActionTransformer(ActionTransformerConfig(), encoder.latent_dim).eval()
    frozen = Frozen(encoder, predictor, torch.device("cpu"), nullcontext)
    items = np.random.default_rng(0).normal(size=(HOURS + 1, 2, CHANNELS, 1)).astype(np.float32)

    def history(hours: int):
        state = begin(frozen, items[0, 0])
        for observation, action in items[:hours]:
            state = step(frozen, state, observation, action)
        return state

    with torch.inference_mode():
        before = history(HOURS - 1)
        streamed = best(lambda: step(frozen, before, *items[HOURS - 1]))
        again = best(lambda: whole(frozen, items[:HOURS]))
        difference = np.abs(step(frozen, before, *items[HOURS - 1]).next_state - whole(frozen, items[:HOURS])).max()
    print(f"one streamed step    {1000 * streamed:8.2f} ms")
    print(f"{HOURS} steps again       {1000 * again:8.2f} ms")
    print(f"ratio                1 / {again / streamed:.1f}, largest difference {difference:.1e}")


def whole(frozen: Frozen, items: np.ndarray) -> np.ndarray:
    """The state that is foreseen after all steps, from all of them at once: (D,)."""
    from jepa_core.contracts import Latents

    values = torch.from_numpy(np.concatenate([items[:1, 0], items[:, 0], items[:, 1]]))
    encoded = frozen.encode(Channels(values, torch.ones_like(values, dtype=torch.bool)))
    count = len(items)
    states, actions = encoded[None, 1 : count + 1], encoded[None, count + 1 :]
    latents = Latents(encoded[:1], states, actions, torch.ones((1, count), dtype=torch.bool))
    return frozen.predictor(latents).next_states[0, -1].numpy()


def best(work) -> float:
    """Processor seconds of the quickest of some rounds."""
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


if __name__ == "__main__":
    main()
