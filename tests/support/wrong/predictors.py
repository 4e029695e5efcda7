from __future__ import annotations

from dataclasses import replace

import torch

from jepa_core.config import ModelSize
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
        return replace(prediction, next_states=prediction.next_states[:, :-1])


@fails("check_shape", "predictor", TinyRecurrentConfig)
class BelievesLess(TinyRecurrent):
    def forward(self, latents):
        prediction = super().forward(latents)
        return replace(prediction, belief=prediction.belief[..., :-1])


@fails("check_terms_finite_and_named", "predictor", TinyRecurrentConfig)
class CountsPadding(TinyRecurrent):
    def forward(self, latents):
        prediction = super().forward(latents)
        return replace(prediction, terms={"size": prediction.belief.square().mean()})


@fails("check_causal", "predictor", TinyRecurrentConfig)
class LooksAhead(TinyRecurrent):
    def forward(self, latents):
        prediction = super().forward(latents)
        real = latents.states * latents.mask[..., None]
        return replace(prediction, next_states=prediction.next_states + real.mean(1, keepdim=True))


@fails("check_causal", "predictor", TinyRecurrentConfig)
class BelievesTheFuture(TinyRecurrent):
    def forward(self, latents):
        prediction = super().forward(latents)
        return replace(prediction, belief=prediction.belief.flip(1).cumsum(1).flip(1))


@fails("check_mask_respected", "predictor", TinyRecurrentConfig)
class ReadsPadding(TinyRecurrent):
    def forward(self, latents):
        prediction = super().forward(latents)
        return replace(prediction, next_states=prediction.next_states + latents.states[:, -1:])


@fails("check_mask_respected", "predictor", TinyRecurrentConfig)
class BelievesPadding(TinyRecurrent):
    def forward(self, latents):
        prediction = super().forward(latents)
        return replace(prediction, belief=prediction.belief + latents.states[:, -1:])


@fails("check_rollout_equals_recomputing", "predictor", TinyRecurrentConfig)
class ReadsTheWrongAction(TinyRecurrent):
    def rollout(self, latents, memory, origins, horizon):
        late = replace(latents, actions=latents.actions.roll(1, 1))
        return super().rollout(late, memory, origins, horizon)


@fails("check_rollout_equals_recomputing", "predictor", TinyRecurrentConfig)
class BelievesWhatItSawLast(TinyRecurrent):
    def rollout(self, latents, memory, origins, horizon):
        rolled = super().rollout(latents, memory, origins, horizon)
        return replace(rolled, belief=rolled.belief[:, :, :1].expand_as(rolled.belief))


@fails("check_rollout_beyond_the_window", "predictor", TinyRecurrentConfig)
class CannotLeaveTheWindow(TinyRecurrent):
    def rollout(self, latents, memory, origins, horizon):
        inside = replace(latents, actions=latents.actions[:, : memory.shape[1]])
        return super().rollout(inside, memory, origins, horizon)


@fails("check_extend_equals_forward", "predictor", TinyRecurrentConfig)
class ForgetsAtEveryStep(TinyRecurrent):
    def extend(self, step, memory):
        return super().extend(step, torch.zeros_like(memory))


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


@fails("check_gradient_flows", "predictor", TinyRecurrentConfig)
class DetachesBeliefs(TinyRecurrent):
    def forward(self, latents):
        prediction = super().forward(latents)
        return replace(prediction, belief=prediction.belief.detach())


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
        return replace(prediction, next_states=prediction.next_states + noise)


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
