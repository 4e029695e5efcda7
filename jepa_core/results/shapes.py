"""What the files of a run hold for those who read them again: shapes, each with what it is of."""

from __future__ import annotations

from typing import ClassVar

from jepa_core.io.records import Shape
from jepa_core.results.findings import Figure, Headline, Table, Verdict
from jepa_core.results.meaning import UNSAID


class DatasetShape(Shape):
    """Which data a run is on, as `jepa_core.data.preparation.facts` says it."""

    source: str
    fingerprint: str
    content: str
    rendering: str | None = None


class ComponentShape(Shape):
    """A component as a recipe names it, with its settings."""

    use: str = ""
    name: str | None = None


class EvaluatedShape(Shape):
    """How the findings of an evaluator were made."""

    settings: ComponentShape
    meaning: int = UNSAID
    files: dict[str, str] = {}


class ManifestShape(Shape):
    """`manifest.json`: what a run was started with, and how far it came."""

    name: str = ""
    description: str | None = None
    command: str | list[str] = ""
    seed: int = 0
    recipe_sha256: str = ""
    started: str | None = None
    ended: str | None = None
    meaning: int = UNSAID
    versions: dict[str, str | None] = {}
    dataset: DatasetShape | None = None
    evaluated: dict[str, EvaluatedShape] = {}
    files: dict[str, str] = {}


class PlannedPhaseShape(Shape):
    """A phase as it was planned."""

    name: str = ""
    steps: int = 0
    batch_size: int = 0
    flops: int | float | None = None


class PlannedModelShape(Shape):
    """An encoder or a predictor as it was planned."""

    use: str = ""
    parameters: int | None = None
    trainable: int | None = None


class PlanShape(Shape):
    """`plan.json`: what `jepa plan` said when the run began."""

    phases: list[PlannedPhaseShape] = []
    evaluators: list[str] = []
    encoder: PlannedModelShape | None = None
    predictor: PlannedModelShape | None = None


class CountsShape(Shape):
    """A row of attrition, or of the splits."""

    trajectories: int | None = None
    subjects: int | None = None
    steps: int | None = None


class DataShape(Shape):
    """`data.json`: counts of the data."""

    attrition: list[CountsShape] = []
    splits: list[CountsShape] = []
    channels: int | None = None


class CostShape(Shape):
    """What a phase cost."""

    seconds: float = 0.0
    steps: int = 0
    peak_bytes: int = 0
    windows: int | None = None
    steps_per_second: float | None = None


class CostsShape(Shape):
    """`costs.json`: what each phase cost, by name."""

    __pydantic_extra__: dict[str, CostShape]


class ValidationShape(Shape):
    """A validation, and the best up to it of what is watched."""

    loss: float
    terms: dict[str, float | None] = {}
    metrics: dict[str, float | None] = {}
    best: float | None = None
    best_step: int | None = None


class LoggedShape(Shape):
    """A line of `metrics.jsonl`: a logged step. A loss that diverged is NaN there."""

    finite: ClassVar = False
    phase: str
    step: int
    total_step: int
    steps: int = 0
    loss: float | None = None
    terms: dict[str, float | None] = {}
    metrics: dict[str, float | None] = {}
    rank: float | None = None
    learning_rate: float | None = None
    seconds: float | None = None
    steps_per_second: float | None = None
    validation: ValidationShape | None = None


class FailureShape(Shape):
    """How a run of a study failed."""

    code: int
    said: str


class FindingsShape(Shape):
    """`findings/<evaluator>.json`: what an evaluator found, as `Findings.to_dict` says it."""

    headlines: list[Headline]
    verdicts: list[Verdict]
    tables: list[Table]
    figures: list[Figure]
