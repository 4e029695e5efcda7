"""Keys of the listener my_component."""

from pydantic import Field

from jepa_core.config import ListenerConfig


class MyComponentConfig(ListenerConfig):
    """Writes the loss of a run, step by step, as a CSV file."""

    file: str = Field("my_component.csv", min_length=1, description="name of the file, in the run's folder")
