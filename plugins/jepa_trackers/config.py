"""What a recipe may say about a tracker."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from jepa_core.config import ListenerConfig, PathText


class TrackerConfig(ListenerConfig):
    """Keys of every tracker."""

    library: ClassVar[str]
    """What it is called in Python and by pip; it comes with the extra of that name."""

    def missing(self) -> list[str]:
        if find_spec(self.library):
            return []
        install = f"pip install 'jepa-core[{self.library}]'"
        return [f"the library {self.library} is not installed; install it with: {install}"]


class TensorboardConfig(TrackerConfig):
    """Metrics and plan as event files that TensorBoard shows."""

    library: ClassVar[str] = "tensorboard"

    folder: Annotated[str, PathText()] = Field(
        "", description="folder of event files, one folder a run in it; `tensorboard` beside the run's, if not given"
    )


class MlflowConfig(TrackerConfig):
    """Metrics and plan in an MLflow store: a local one, unless a server is named."""

    library: ClassVar[str] = "mlflow"

    uri: str = Field(
        "",
        description="of the store, as MLflow writes it, such as sqlite:////data/mlflow.db or a server's address; the "
        "file `mlflow.db` beside the run's folder, if not given",
    )
    experiment: str = Field("jepa", min_length=1, description="experiment that the run belongs to")


class WandbConfig(TrackerConfig):
    """Metrics and plan as a run of Weights & Biases: kept in a folder, unless `online` is asked for."""

    library: ClassVar[str] = "wandb"

    project: str = Field("jepa", min_length=1, description="project that the run belongs to")
    mode: Literal["offline", "online"] = Field(
        "offline", description="`offline` keeps the run in a folder, for `wandb sync`; `online` sends it at once"
    )
    folder: Annotated[str, PathText()] = Field(
        "", description="folder in which W&B makes its folder `wandb`; that of the run's folder, if not given"
    )
