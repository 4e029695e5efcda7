from __future__ import annotations

from typing import ClassVar

import torch

from jepa_core.config import ModelSize
from jepa_core.testing.oscillator_parts import TinyChannels
from jepa_core.testing.oscillators import TinyChannelsConfig
from wrong import fails


class WrongSizeConfig(TinyChannelsConfig):
    """Counts one parameter."""

    def size(self, shape=None):
        return ModelSize(1, 1)


class TalkativeConfig(TinyChannelsConfig):
    """Offers what the encoder has not."""

    offers: ClassVar = frozenset({"next_token_loss"})


@fails("check_shape_and_dtype", "encoder", TinyChannelsConfig)
class Float64(TinyChannels):
    def forward(self, items):
        return super().forward(items).double()


@fails("check_patches_of_samples", "encoder", TinyChannelsConfig)
class FirstLatentOfASample(TinyChannels):
    def forward(self, items):
        return super().forward(items).repeat(1, items.values.shape[2])


@fails("check_item_independent", "encoder", TinyChannelsConfig)
class CentresTheBatch(TinyChannels):
    def forward(self, items):
        latents = super().forward(items)
        return latents - latents.mean(0)


@fails("check_items_told_apart", "encoder", TinyChannelsConfig)
class Constant(TinyChannels):
    def forward(self, items):
        return super().forward(items)[:1].expand(len(items.values), -1) * 0 + 1


@fails("check_empty_items_finite", "encoder", TinyChannelsConfig)
class MeanOfObserved(TinyChannels):
    def forward(self, items):
        return super().forward(items) / items.observed.flatten(1).sum(1, keepdim=True)


@fails("check_rare_values_are_forgotten", "encoder", TinyChannelsConfig)
class KeepsTheLargest(TinyChannels):
    def fit(self, items):
        kept = list(items)
        super().fit(kept)
        self.largest = max(float(chunk.values.max()) for chunk in kept)

    def fitted(self):
        return super().fitted() | {"largest": self.largest}

    def load_fitted(self, fitted):
        super().load_fitted(fitted)
        self.largest = fitted["largest"]


@fails("check_fit_roundtrip_bitwise", "encoder", TinyChannelsConfig)
class Rounds(TinyChannels):
    def fitted(self):
        return {"mean": [round(value, 1) for value in self.mean.tolist()]}


@fails("check_size_reported", "encoder", WrongSizeConfig)
class MiscountedBy(TinyChannels):
    pass


@fails("check_offers_are_methods", "encoder", TalkativeConfig)
class Mute(TinyChannels):
    pass


@fails("check_trainable_params_get_gradients", "encoder", TinyChannelsConfig)
class HasAnIdleLayer(TinyChannels):
    def __init__(self, config, shape):
        super().__init__(config, shape)
        self.idle = torch.nn.Linear(2, 2)


@fails("check_target_weights_are_used", "encoder", TinyChannelsConfig)
class KeepsACopy(TinyChannels):
    def forward(self, items):
        if not hasattr(self, "kept"):
            self.kept = {name: parameter.detach().clone() for name, parameter in self.net.named_parameters()}
        inputs = (items.values.flatten(1) - self.mean) * items.observed.flatten(1)
        return torch.func.functional_call(self.net, self.kept, (inputs,))


@fails("check_deterministic_in_evaluation", "encoder", TinyChannelsConfig)
class NoisyAlways(TinyChannels):
    def forward(self, items):
        latents = super().forward(items)
        return latents + 1e-3 * torch.randn_like(latents)


@fails("check_bf16", "encoder", TinyChannelsConfig)
class ThroughNumpy(TinyChannels):
    def forward(self, items):
        return torch.from_numpy(self.net(items.values.flatten(1)).detach().numpy())


@fails("check_no_prints", "encoder", TinyChannelsConfig)
class Prints(TinyChannels):
    def fit(self, items):
        print("fitting")
        super().fit(items)
