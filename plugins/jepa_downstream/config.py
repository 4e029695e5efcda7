"""What a recipe may say about prediction tasks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

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

    @property
    def label_of_task(self) -> str:
        return self.name or f"{self.outcome}_after_{self.after}"


class EventTask(Config):
    """Whether an event begins within so many steps: a row at every step that can be judged."""

    event: str = Field(min_length=1, description="an event; its series is the label event_<name> of the store")
    horizon: int = Field(gt=0, description="steps ahead")
    switches_only: bool = Field(True, description="leave out steps whose last known state is on")
    ready: bool = Field(False, description="the series is already the label: 1 within the horizon of the event")
    name: str | None = Field(None, description="name of the task; made of its keys where it is not given")

    @property
    def label_of_task(self) -> str:
        return self.name or f"{self.event}_within_{self.horizon}"


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

    @property
    def label_of_task(self) -> str:
        return self.name or self.label


def _kind_of_task(task: Any) -> str:
    keys = task if isinstance(task, dict) else type(task).model_fields
    return next((key for key in ("outcome", "event") if key in keys), "label")


TaskConfig = Annotated[
    Annotated[OutcomeTask, Tag("outcome")] | Annotated[EventTask, Tag("event")] | Annotated[LabelTask, Tag("label")],
    Discriminator(_kind_of_task),
]

Family = Literal["linear", "boosted"]
Strength = Annotated[float, Field(gt=0)]
MethodName = Literal["latents", "latents_and_rollout", "untrained_latents", "train_mean", "last_value"]


class HeadsConfig(Config):
    """Heads on latents: every family and strength is tried, and the one with the least loss on tuning is taken."""

    families: tuple[Family, ...] = Field(
        ("linear", "boosted"), min_length=1, description="logistic or ridge regression, and boosted trees"
    )
    strengths: tuple[Strength, ...] = Field(
        (1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
        min_length=1,
        description="inverse strengths C of the penalty: C * loss + |w|^2 / 2, on the summed loss of the rows",
    )
    iterations: int = Field(100, gt=0, description="most iterations of logistic regression")
    rounds: int = Field(400, gt=0, description="most boosted trees")
    patience: int = Field(30, gt=0, description="trees without a better loss on tuning after which boosting stops")
    threads: int = Field(1, gt=0, description="threads of boosting")


class AlarmsConfig(Config):
    """Alarms of an event task, after circEWS (Hyland et al., Nature Medicine 2020)."""

    precision: float = Field(
        0.5, gt=0, lt=1, description="share of true alarms that the threshold must reach on tuning"
    )
    silence: int = Field(6, ge=0, description="steps after an alarm in which no other is raised")
    thresholds: int = Field(200, gt=0, description="thresholds that are tried on tuning")


class PredictionTasksConfig(EvaluatorConfig):
    """Heads on frozen latents: fitted on train, selected on tuning, measured once on the split, beside floors."""

    tasks: tuple[TaskConfig, ...] = Field(
        min_length=1, description="what is predicted, each task with heads of its own"
    )
    methods: tuple[MethodName, ...] = Field(
        ("latents", "latents_and_rollout", "untrained_latents", "train_mean", "last_value"),
        min_length=1,
        description="what is measured, in the order of the tables",
    )
    baselines: tuple[BaselineName, ...] = Field(
        ("linear", "lightgbm"),
        description="supervised methods on the channels themselves, after the others: also lstm, gru_d, tcn",
    )
    heads: HeadsConfig = HeadsConfig()
    baseline_search: BaselineSearchConfig = BaselineSearchConfig()
    alarms: AlarmsConfig = AlarmsConfig()
    subgroups: tuple[str, ...] = Field(
        (), description="static channels whose values divide the rows; numeric ones are cut at the median of train"
    )
    components: int = Field(
        128, gt=0, description="principal directions that larger latents are projected on before they are summarised"
    )
    rollout_horizons: tuple[Positive, ...] = Field(
        (1, 6, 12), min_length=1, description="steps ahead at which the rollout is read"
    )
    train_rows: int = Field(
        50_000, gt=0, description="most rows of a split that heads are fitted and selected on; more are drawn at random"
    )
    step_seconds: float | None = Field(
        None,
        gt=0,
        description="seconds of a step, for alarms a day and the times of predictions; 1 for the latter if null",
    )
    batch_size: int = Field(32, gt=0, description="windows encoded or rolled out at once")
    bootstrap: int = Field(1000, ge=100, description="draws of subjects behind every interval")

    @model_validator(mode="after")
    def _distinct(self) -> PredictionTasksConfig:
        names = [task.label_of_task for task in self.tasks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two tasks are called {', '.join(twice)}; give one of them a `name`")
        return self
