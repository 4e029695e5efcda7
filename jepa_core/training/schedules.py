"""The schedules that come with the framework; jepa_core.rates has their keys. A warm-up never starts at 0."""

from __future__ import annotations

import math

from jepa_core.contracts import Schedule
from jepa_core.rates import ConstantConfig, CosineConfig, WarmupStableDecayConfig


def _warm_up(share: float, steps: int) -> int:
    """Steps of the warm-up."""
    return math.ceil(share * steps)


class Cosine(Schedule[CosineConfig]):
    """Up, then down along half a cosine."""

    def factor(self, step: int, steps: int) -> float:
        warm = _warm_up(self.config.warmup, steps)
        if step < warm:
            return (step + 1) / warm
        share = (step - warm) / max(1, steps - warm)
        return self.config.final + (1.0 - self.config.final) * 0.5 * (1.0 + math.cos(math.pi * share))


class Constant(Schedule[ConstantConfig]):
    """Up, and then on."""

    def factor(self, step: int, steps: int) -> float:
        warm = _warm_up(self.config.warmup, steps)
        return (step + 1) / warm if step < warm else 1.0


class WarmupStableDecay(Schedule[WarmupStableDecayConfig]):
    """Up, on, and down."""

    def factor(self, step: int, steps: int) -> float:
        warm = _warm_up(self.config.warmup, steps)
        falling = min(math.ceil(self.config.decay * steps), steps - warm)
        if step < warm:
            return (step + 1) / warm
        if step < steps - falling:
            return 1.0
        share = (step - (steps - falling)) / falling
        fallen = math.sqrt(share) if self.config.shape == "root" else share
        return self.config.final + (1.0 - self.config.final) * (1.0 - fallen)
