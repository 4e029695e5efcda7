"""Keys of the evaluator my_component."""

from pydantic import Field

from jepa_core.config import EvaluatorConfig


class MyComponentConfig(EvaluatorConfig):
    """Error of the next state, beside that of taking the present one."""

    batch_size: int = Field(64, gt=0, description="windows encoded at once")
    bootstrap: int = Field(500, ge=100, description="draws of subjects behind the intervals")
