"""Keys of the schedule my_component."""

from pydantic import Field

from jepa_core.config import ScheduleConfig


class MyComponentConfig(ScheduleConfig):
    """Linear warm-up, then a fall with the inverse square root of the step (Vaswani et al., arXiv 1706.03762)."""

    warmup: float = Field(0.1, ge=0, le=1, description="share of the phase's steps over which the rate rises")
