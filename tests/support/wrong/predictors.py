from __future__ import annotations

from dataclasses import replace

import torch

from jepa_core.config import ModelSize
from jepa_core.contracts import Prediction
from jepa_core.testing.oscillator_parts import TinyRecurrent
from jepa_core.testing.oscillators import TinyRecurrentConfig
from wrong import fails


class WrongSizeConfig(TinyRecurrentConfig):
    """Counts one parameter."""

    def size(self, latent_dim):
        return ModelSize(1, 1)


class ShortConfig(TinyRecurrentConfig):
    """Promises windows of 20 steps."""

    @property
    def longest_window(self):
        return 20


@fails("check_shape", "predictor", TinyRecurrentConfig)
class LeavesOutTheLast(TinyRecurrent):
    def forward(self, latents):
        prediction = super().forward(latents)
        return Prediction(prediction.next_states[:, :-1], prediction.memory)


@fails("check_causal", "predictor", TinyRecurrentConfig)
class LooksAhead(TinyRecurrent):
    def forward(self, latents):
        prediction = super().forward(latents)
        real = latents.states * latents.mask[..., None]
        return Prediction(prediction.next_states + real.mean(1, keepdim=True), prediction.memory)


@fails("check_mask_respected", "predictor", TinyRecurrentConfig)
class ReadsPadding(TinyRecurrent):
    def forward(self, latents):
        prediction = super().forward(latents)
        return Prediction(prediction.next_states + latents.states[:, -1:], prediction.memory)


@fails("check_rollout_equals_recomputing", "predictor", TinyRecurrentConfig)
class ReadsTheWrongAction(TinyRecurrent):
    def rollout(self, latents, memory, origins, horizon):
        late = replace(latents, actions=latents.actions.roll(1, 1))
        return super().rollout(late, memory, origins, horizon)


@fails("check_rollout_beyond_the_window", "predictor", TinyRecurrentConfig)
class CannotLeaveTheWindow(TinyRecurrent):
    def rollout(self, latents, memory, origins, horizon):
        inside = replace(latents, actions=latents.actions[:, : memory.shape[1]])
        return super().rollout(inside, memory, origins, horizon)


@fails("check_memory_untouched", "predictor", TinyRecurrentConfig)
class WritesOnMemory(TinyRecurrent):
    def rollout(self, latents, memory, origins, horizon):
        rolled = super().rollout(latents, memory, origins, horizon)
        memory.add_(1)
        return rolled


@fails("check_gradient_flows", "predictor", TinyRecurrentConfig)
class DetachesRollouts(TinyRecurrent):
    def rollout(self, latents, memory, origins, horizon):
        return super().rollout(latents, memory.detach(), origins, horizon)


@fails("check_size_reported", "predictor", WrongSizeConfig)
class Miscounted(TinyRecurrent):
    pass


@fails("check_longest_window", "predictor", ShortConfig)
class Shorter(TinyRecurrent):
    def forward(self, latents):
        if latents.states.shape[1] > 12:
            raise IndexError("no position for step 13")
        return super().forward(latents)


@fails("check_deterministic_in_evaluation", "predictor", TinyRecurrentConfig)
class NoisyAlways(TinyRecurrent):
    def forward(self, latents):
        prediction = super().forward(latents)
        noise = 1e-3 * torch.randn_like(prediction.next_states)
        return Prediction(prediction.next_states + noise, prediction.memory)


@fails("check_bf16", "predictor", TinyRecurrentConfig)
class ThroughNumpy(TinyRecurrent):
    def forward(self, latents):
        (latents.states @ latents.states.transpose(1, 2)).detach().numpy()
        return super().forward(latents)


@fails("check_no_prints", "predictor", TinyRecurrentConfig)
class Prints(TinyRecurrent):
    def forward(self, latents):
        print(latents.states.shape)
        return super().forward(latents)
