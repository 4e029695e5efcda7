"""What a recipe may say about prediction tasks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from jepa_core.config import BatchSize, Config, Draws, EvaluatorConfig, LearnerShape, Threads
from jepa_downstream.baseline_config import BaselineName, BaselineSearchConfig, LightGBMConfig, TreeCount

Positive = Annotated[int, Field(gt=0)]


Kind = Literal["binary", "regression"]
StepChoice = Literal["every", "last", "stride"]

BELONGS = {
    "outcome": ("after", "not_yet", "kind"),
    "event": ("horizon", "switches_only", "ready"),
    "label": ("rows", "fit_rows", "stride", "kind", "asymmetric_score", "utility"),
}
"""Keys that each of the three sorts of task may have."""
NEEDS = {"outcome": "after", "event": "horizon"}
TREES_BYTES = 6
"""Bytes of an input while trees are boosted: itself, and its bin among the rows that are fitted and those that
choose."""
BIN_BYTES = 2**30
"""Bytes that finding the bins may take besides: LightGBM holds each value that it finds them on as a number of 64 bits
and its place."""
CHANNEL_INPUTS = 22
"""Inputs that a tabular baseline makes of a channel, at the most: ten statistics of states and as many of actions, and
whether it was ever seen."""
SHARE_OF_A_TASK = 0.3
"""Of the seconds that one task takes by itself, what each further one adds: latents and rollouts are made once. 0.2 to
0.35 on the tasks of clin_jepa, one, two and all of them, on 13 to 85 stays."""


class UtilityConfig(Config):
    """What an alarm at a row is worth, by when an event begins: `best` steps after a trajectory's first positive row.

    The defaults are those of the PhysioNet/CinC Challenge 2019 (Reyna et al., Critical Care Medicine 2020).
    """

    early: Positive = Field(12, description="steps before the event from which an alarm is worth something")
    best: Positive = Field(6, description="steps before the event at which an alarm is worth most")
    late: Positive = Field(3, description="steps after it up to which an alarm is worth something, and silence costs")
    true_alarm: float = Field(1.0, gt=0, description="utility of an alarm at the best time")
    missed: float = Field(-2.0, lt=0, description="utility of silence at the latest time")
    false_alarm: float = Field(-0.05, lt=0, description="utility of an alarm where no event comes, or far too early")

    @model_validator(mode="after")
    def _in_order(self) -> UtilityConfig:
        if self.early <= self.best:
            raise ValueError(f"early ({self.early}) must be more steps before the event than best ({self.best})")
        return self


class TaskConfig(Config):
    """One thing to predict: an outcome of a trajectory, an event ahead, or a label of a step.

    An event is known by its series, the label event_<name> of the store. A label must tell what its step does not show,
    such as the life that remains.
    """

    outcome: str | None = Field(None, description="name of an outcome: one row a trajectory")
    after: Positive | None = Field(None, description="outcome: steps that are seen; shorter trajectories are left out")
    not_yet: str | None = Field(
        None, description="outcome: an event; trajectories in which it is on within the steps seen are left out"
    )
    event: str | None = Field(None, description="name of an event: a row at every step that can be judged")
    horizon: Positive | None = Field(None, description="event: steps ahead within which it begins")
    switches_only: bool = Field(True, description="event: leave out steps whose last known state is on")
    ready: bool = Field(False, description="event: the series is already the label, 1 within the horizon")
    label: str | None = Field(None, description="name of a label of steps")
    rows: StepChoice = Field("every", description="label: which steps are rows")
    fit_rows: StepChoice | None = Field(
        None, description="label: which steps are rows of the splits that are not measured; those of rows if null"
    )
    stride: Positive = Field(10, description="label: steps between two rows where rows or fit_rows says stride")
    kind: Kind | None = Field(
        None, description="binary or regression; if not given, outcomes are binary, and so are labels of 1 and 0 alone"
    )
    asymmetric_score: bool = Field(False, description="label: also the score of PHM 2008, for remaining life in cycles")
    utility: UtilityConfig | None = Field(
        None, description="label of 1 and 0: what alarms are worth; tuning chooses the threshold that is worth most"
    )
    name: str | None = Field(None, description="name of the task; made of its keys if not given")

    @model_validator(mode="after")
    def _one_sort(self) -> TaskConfig:
        sorts = [sort for sort in BELONGS if getattr(self, sort) is not None]
        if len(sorts) != 1:
            raise ValueError(f"a task has one of the keys {', '.join(BELONGS)}; this one has {len(sorts)} of them")
        others = self.model_fields_set - {*sorts, "name", *BELONGS[sorts[0]]}
        # A resolved recipe holds every key with its default, and must be a recipe that means the same.
        stray = {key for key in others if getattr(self, key) != type(self).model_fields[key].default}
        if stray:
            raise ValueError(f"a task of the sort {sorts[0]} has no key {', '.join(sorted(stray))}")
        needed = NEEDS.get(sorts[0])
        if needed and getattr(self, needed) is None:
            raise ValueError(f"a task of the sort {sorts[0]} needs the key {needed}")
        if self.utility and {self.rows, self.fit_rows or self.rows} != {"every"}:
            raise ValueError("utility counts every step of a trajectory; leave out rows and fit_rows")
        if self.utility and self.kind == "regression":
            raise ValueError("utility is of alarms, so its label is binary; leave out kind")
        return self

    @property
    def asked(self) -> str:
        """What is asked, in words."""
        if self.name or self.label:
            return self.title.replace("_", " ")
        sort, count, how = (self.outcome, self.after, "after") if self.outcome else (self.event, self.horizon, "within")
        return f"{sort} {how} {count} {'step' if count == 1 else 'steps'}".replace("_", " ")

    @property
    def title(self) -> str:
        """What the tables call it."""
        name = f"{self.outcome}_after_{self.after}" if self.outcome else f"{self.event}_within_{self.horizon}"
        return self.name or self.label or name


Family = Literal["linear", "boosted"]
Strength = Annotated[float, Field(gt=0)]
MethodName = Literal[
    "latents", "latents_and_rollout", "decoded_latents", "belief", "decoded_belief", "decoded_belief_and_lightgbm",
    "untrained_latents", "decoded_untrained_latents", "untrained_belief", "decoded_untrained_belief", "train_mean",
    "last_value",
]  # fmt: skip


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
    rounds: TreeCount = Field(400, description="most boosted trees")
    patience: TreeCount = Field(30, description="trees without a better loss on tuning after which boosting stops")
    threads: Threads = Field(1, description="threads of boosting")


class AlarmsConfig(Config):
    """Alarms of an event task, after circEWS (Hyland et al., Nature Medicine 2020)."""

    precision: float = Field(
        0.5, gt=0, lt=1, description="share of true alarms that the threshold must reach on tuning"
    )
    silence: int = Field(6, ge=0, description="steps after an alarm in which no other is raised")
    thresholds: int = Field(200, gt=0, description="thresholds that are tried on tuning")


class TasksConfig(EvaluatorConfig):
    """What is predicted, and by which methods: the keys of every evaluator of tasks."""

    tasks: tuple[TaskConfig, ...] = Field(description="what is predicted, each task with heads of its own")
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
    components: int = Field(
        128, gt=0, description="principal directions that larger latents are projected on before they are summarised"
    )
    recent_beliefs: tuple[Positive, ...] = Field(
        (), description="steps over which the last beliefs are averaged, beside the last one and the mean of all"
    )
    decoded_components: Positive | None = Field(
        None,
        description="principal directions that what decoders read of a belief is projected on; all of it counts if "
        "null, which is many numbers where there are many channels",
    )
    rollout_horizons: tuple[Positive, ...] = Field(
        (1, 6, 12), min_length=1, description="steps ahead at which the rollout is read"
    )
    rollout_context: Positive | None = Field(
        None,
        description="steps that the predictor sees before it rolls out; all that fit a training window if null",
    )
    train_rows: int = Field(
        50_000, gt=0, description="most rows of a split that heads are fitted and selected on; more are drawn at random"
    )
    step_seconds: float | None = Field(
        None,
        gt=0,
        description="seconds of a step, for alarms a day and the times of predictions; 1 for the latter if null",
    )
    batch_size: BatchSize = Field(64, description="windows encoded or rolled out at once")
    bootstrap: Draws = Field(1000, description="draws of subjects behind every interval")

    def memory_bytes(self, shape: LearnerShape) -> int:
        """The widest inputs of `train_rows` rows, or those of a baseline, with what a head is fitted by. Those that
        choose lie in files."""
        size, recent = min(shape.latent, self.components), 2 + len(self.recent_beliefs)
        rolled = len(self.rollout_horizons) * size if "latents_and_rollout" in self.methods else 0
        wide = [8 * size + 2 * rolled]
        wide += [shape.latent + recent * shape.belief] if any("belief" in name for name in self.methods) else []
        trees, values = "boosted" in self.heads.families, any(_may_be_of_values(task) for task in self.tasks)
        inputs, channels = self.train_rows * max(wide), self.train_rows * CHANNEL_INPUTS * shape.channels
        own = inputs * TREES_BYTES + min(BIN_BYTES, 16 * inputs) if trees else inputs * 4
        moments = 40 * max(wide) ** 2 if values else 0
        copies = 6 if "linear" in self.baselines else 0
        boosted = channels * 10 + min(BIN_BYTES, 16 * channels) if "lightgbm" in self.baselines else 0
        return max(own, inputs * 4 + moments, copies * channels, boosted)

    @model_validator(mode="after")
    def _distinct(self) -> TasksConfig:
        names = [task.title for task in self.tasks]
        if not names:
            raise ValueError("tasks is empty; name at least one outcome, event or label")
        alike = [name.casefold() for name in names]  # files are called by them
        twice = sorted({name for name in names if alike.count(name.casefold()) > 1})
        if twice:
            raise ValueError(f"two tasks are called {', '.join(twice)}; give one of them a `name`")
        return self


def _may_be_of_values(task: TaskConfig) -> bool:
    return task.kind == "regression" or (task.label is not None and task.kind is None)


class PredictionTasksConfig(TasksConfig):
    """Heads on frozen latents: fitted on train, selected on tuning, measured once on the split, beside floors."""

    alarms: AlarmsConfig = AlarmsConfig()
    subgroups: tuple[str, ...] = Field(
        (), description="static channels whose values divide the rows; numeric ones are cut at the median of train"
    )

    def piece(self) -> tuple[PredictionTasksConfig, float]:
        return self.model_copy(update={"tasks": self.tasks[:1]}), 1 + SHARE_OF_A_TASK * (len(self.tasks) - 1)


class LabelEfficiencyConfig(TasksConfig):
    """The same methods with few labels: fitted on some subjects of train, drawn again and again, and on all of them."""

    methods: tuple[MethodName, ...] = Field(
        ("latents", "decoded_latents", "untrained_latents", "decoded_untrained_latents"),
        min_length=1,
        description="what is measured beside the baselines, in the order of the tables",
    )
    baseline_search: BaselineSearchConfig = Field(
        BaselineSearchConfig(lightgbm=LightGBMConfig(models=1)),
        description="as of prediction_tasks, with one model of boosted trees: the mean of five fits counts anyway",
    )
    subjects: tuple[Annotated[int, Field(ge=10)], ...] = Field(
        (100, 300, 1000), description="labelled subjects; all of train comes after them"
    )
    labellings: int = Field(5, ge=2, description="times that the labelled subjects are drawn")
    averaged_with: BaselineName | None = Field(
        "lightgbm", description="one of the baselines: its scores are also averaged with those of every method"
    )
    references: tuple[MethodName | BaselineName, ...] = Field(
        ("lightgbm", "untrained_latents"),
        description="methods and baselines that every other is compared with, on the same rows and labels",
    )

    @model_validator(mode="after")
    def _asked_for(self) -> LabelEfficiencyConfig:
        beside = set() if self.averaged_with is None else {self.averaged_with}
        given: dict[str, set[str]] = {"references": set(self.references), "averaged_with": {*beside}}
        known: dict[str, set[str]] = {
            "references": {*self.methods, *self.baselines},
            "averaged_with": set(self.baselines),
        }
        for key, names in given.items():
            lacking = ", ".join(sorted(map(str, names - known[key])))
            if lacking:
                raise ValueError(f"{key} names {lacking}, which is not among what is measured")
        if list(self.subjects) != sorted(set(self.subjects)):
            raise ValueError("subjects must be different numbers in ascending order")
        return self
