"""Keys of the objective my_component."""

from pydantic import Field

from jepa_core.config import ObjectiveConfig


class MyComponentConfig(ObjectiveConfig):
    """Keeps every dimension of the states spread out."""

    least: float = Field(1.0, gt=0, description="standard deviation below which a dimension is penalised")
