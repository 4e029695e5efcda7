"""What a recipe may say about prediction tasks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from jepa_core.config import Config, EvaluatorConfig
from jepa_downstream.baseline_config import BaselineName, BaselineSearchConfig

Positive = Annotated[int, Field(gt=0)]


class OutcomeTask(Config):
    """A trajectory's outcome from what its first steps show: one row a trajectory."""

    outcome: str = Field(min_length=1, description="name of an outcome of the store")
    after: int = Field(gt=0, description="steps that are seen; trajectories that are shorter are left out")
    not_yet: str | None = Field(
        None, description="an event; trajectories in which it is on within the steps that are seen are left out"
    )
    kind: Literal["binary", "regression"] = Field("binary", description="whether the outcome is 1 or 0, or a value")
    name: str | None = Field(None, description="name of the task; made of its keys where it is not given")


class EventTask(Config):
    """Whether an event begins within so many steps: a row at every step that can be judged."""

    event: str = Field(min_length=1, description="an event; its series is the label event_<name> of the store")
    horizon: int = Field(gt=0, description="steps ahead")
    switches_only: bool = Field(True, description="leave out steps whose last known state is on")
    ready: bool = Field(False, description="the series is already the label: 1 within the horizon of the event")
    name: str | None = Field(None, description="name of the task; made of its keys where it is not given")


class LabelTask(Config):
    """A step's label, which tells what the step does not show, such as the life that remains."""

    label: str = Field(min_length=1, description="name of a label of the store")
    rows: Literal["every", "last", "stride"] = Field("every", description="which steps of a trajectory are rows")
    stride: int = Field(10, gt=0, description="steps between two rows where rows says stride")
    kind: Literal["binary", "regression"] = Field("regression", description="whether the label is 1 or 0, or a value")
    asymmetric_score: bool = Field(
        False, description="also the score of the PHM 2008 challenge, for remaining life in cycles"
    )
    name: str | None = Field(None, description="name of the task; made of its keys where it is not given")


def _kind_of_task(task: Any) -> str:
    keys = task if isinstance(task, dict) else type(task).model_fields
    return next((key for key in ("outcome", "event") if key in keys), "label")


TaskConfig = Annotated[
    Annotated[OutcomeTask, Tag("outcome")] | Annotated[EventTask, Tag("event")] | Annotated[LabelTask, Tag("label")],
    Discriminator(_kind_of_task),
]

MethodName = Literal["latents", "latents_and_rollout", "untrained_latents", "constant", "last_value"]


class PredictionTasksConfig(EvaluatorConfig):
    """Heads on frozen latents: fitted on train, selected on tuning, measured once on the split, beside floors."""

    tasks: tuple[TaskConfig, ...] = Field(min_length=1, description="what is predicted, each task with its own heads")
    methods: tuple[MethodName, ...] = Field(
        ("latents", "latents_and_rollout", "untrained_latents", "constant", "last_value"),
        min_length=1,
        description="what is measured, in the order of the tables",
    )
    baselines: tuple[BaselineName, ...] = Field(
        ("linear", "lightgbm"),
        description="supervised methods on the channels themselves, beside those on latents: also lstm, gru_d, tcn",
    )
    baseline_search: BaselineSearchConfig = BaselineSearchConfig()
