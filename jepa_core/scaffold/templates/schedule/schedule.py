"""The schedule my_component."""

from __future__ import annotations

from jepa_core.contracts import Schedule
from jepa_my_component.config import MyComponentConfig


class MyComponent(Schedule[MyComponentConfig]):
    """Up to the peak, then down ever more slowly."""

    def factor(self, step: int, steps: int) -> float:
        """Share of the peak rate at a step, counted from 0."""
        warm = max(1.0, self.config.warmup * steps)
        return min((step + 1) / warm, (warm / (step + 1)) ** 0.5)
