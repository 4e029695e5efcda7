"""What evaluators return: tidy tables with n, intervals and units, figures as data, and verdicts in words.

Findings are plain values. They are written as JSON with sorted keys, so that two runs that found the same wrote the
same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, overload

if TYPE_CHECKING:
    import numpy as np

Cell = str | int | float | None


@dataclass(frozen=True)
class Column:
    """A column of a table. unit: such as "steps" or "latent l1"; empty for none. digits: significant digits in the
    report."""

    name: str
    unit: str = ""
    digits: int = 3


@dataclass(frozen=True)
class Table:
    """A tidy table: one row an observation. None is a value that could not be measured; `note` then says why."""

    name: str
    title: str
    columns: list[Column]
    rows: list[list[Cell]]
    note: str = ""

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"table '{self.name}': every row needs {len(self.columns)} cells, one a column")


@dataclass(frozen=True)
class Series:
    """One line or cloud of a figure. low and high: bounds of the 95 % interval, or empty."""

    label: str
    x: Sequence[float]
    y: Sequence[float | None]
    low: Sequence[float | None] = field(default_factory=list)
    high: Sequence[float | None] = field(default_factory=list)
    control: bool = False
    """Drawn as a reference (grey, dashed) rather than as a result."""


@dataclass(frozen=True)
class Mark:
    """A place in a figure to look at: the point (x, y), or the vertical line at x where there is no y.

    It says y where there is one, the label, then value, unit and bounds where there is a value.
    """

    label: str
    x: float
    y: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure as data; the report draws it.

    headline: the one figure that stands for the evaluator, understood without the text: it comes first, its lines are
    labelled where they end, and a study shows its mean over the seeds of the reference. It should be in a unit that
    runs share. x_scale: `log` where equal ratios of x are to be equally far apart; every x is then above 0.
    """

    name: str
    title: str
    x_label: str
    y_label: str
    series: list[Series]
    kind: Literal["line", "scatter"] = "line"
    note: str = ""
    band: str = ""
    """What bands and bounds are; for a headline figure, where a study may put others."""
    marks: list[Mark] = field(default_factory=list)
    headline: bool = False
    x_scale: Literal["linear", "log"] = "linear"


FEW_POSITIVES = 20
"""Subjects of the rarer class below which a figure is shown grey and small: an interval over so few says next to
nothing, however many rows each of them has."""


@dataclass(frozen=True)
class Headline:
    """A figure for the first screen of the report, with everything needed to read it. metric: the key of the samples
    that it is the weighted mean of, or of its redrawn values; empty if there are none. better: which way is better for
    any learner whatever its latents; empty where neither is."""

    label: str
    value: float | None
    unit: str = ""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    n_unit: str = "subjects"
    note: str = ""
    metric: str = ""
    better: Literal["", "lower", "higher"] = ""
    positives: int | None = None

    @property
    def is_thin(self) -> bool:
        """Whether too few positives stand behind it to be read as a figure."""
        return self.positives is not None and self.positives < FEW_POSITIVES


@dataclass(frozen=True)
class Side:
    """A method of a claim, on the same rows as the others. The first of a claim is ours.

    name: as in the tables. words: what a reader who knows none of the tables calls it, such as "the untrained encoder".
    value, low, high: with the 95 % interval. gain, gain_low, gain_high: by how much ours is better, paired, so that
    above 0 is always better whichever way the measure goes; None of ours itself.
    """

    name: str
    words: str
    value: float | None
    low: float | None = None
    high: float | None = None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None


@dataclass(frozen=True)
class Claim:
    """What an evaluator answers to one question: a method of ours beside what it is compared with.

    about: what is asked, such as the name of a task. measure, unit, better: of the values. n: how many stand behind it.
    positives: subjects with a row of the rarer class, at least, where there are classes. note: why nothing was
    measured, or what must be known to read it.
    """

    about: str
    measure: str
    better: Literal["lower", "higher"]
    compared: list[Side]
    n: int | None
    n_unit: str = "subjects"
    positives: int | None = None
    unit: str = ""
    note: str = ""

    @property
    def is_thin(self) -> bool:
        """Whether too few positives stand behind it to conclude anything."""
        return self.positives is not None and self.positives < FEW_POSITIVES


@dataclass(frozen=True)
class Samples:
    """What a metric is the weighted mean of, one row a subject, so that runs can be compared on the same subjects.

    A ratio of sums over subjects is one too: its value is a subject's own ratio, its weight the subject's denominator.
    metric: with `at` names the metric uniquely within the findings. at: the place on an axis (a horizon, say) that the
    metric belongs to, axis: what that axis is. subjects: (S,) numbers as `samples.subject_numbers` gives them, distinct
    and ascending, never identifiers. values: (S,), finite. weights: (S,), not negative.
    """

    metric: str
    subjects: np.ndarray
    values: np.ndarray
    weights: np.ndarray
    unit: str = ""
    axis: str = ""
    at: float | None = None

    @property
    def key(self) -> str:
        return _key(self.metric, self.axis, self.at)


@dataclass(frozen=True)
class Redrawn:
    """A metric under redrawn subjects, for one that is no weighted mean over subjects: a rank, a horizon, a median.

    It lets runs be compared on the same subjects as `Samples` do, if its draws are those of
    `jepa_core.results.paired.redraw`: draw i is then of the same subjects in every run. metric, unit, axis, at,
    subjects: as of Samples; the subjects are those drawn from. value: with every subject once. draws: (DRAWS,), NaN
    where a draw does not define the metric.
    """

    metric: str
    subjects: np.ndarray
    value: float
    draws: np.ndarray
    unit: str = ""
    axis: str = ""
    at: float | None = None

    @property
    def key(self) -> str:
        return _key(self.metric, self.axis, self.at)


def _key(metric: str, axis: str, at: float | None) -> str:
    return metric if at is None else f"{metric}, {axis} = {at:g}"


@dataclass(frozen=True)
class Verdict:
    """A judgement in one sentence. level: good, warning (read with care) or bad (the result means nothing, such as
    collapse)."""

    level: Literal["good", "warning", "bad"]
    text: str


@dataclass(frozen=True)
class Predictions:
    """What one method said of every row of one task; a file of its own, since it tells whose the rows are.

    task, method: as in the tables. kind: `boolean` where the truth is 1 or 0, `float` where it is a value. subject,
    trajectory, step: (R,) int64. seconds: (R,) float64 since the trajectory's origin, up to which everything may have
    been seen. truth, score: (R,) float64; score is a probability where kind is boolean. extra: further columns (R,).
    """

    task: str
    method: str
    kind: Literal["boolean", "float"]
    subject: np.ndarray
    trajectory: np.ndarray
    step: np.ndarray
    seconds: np.ndarray
    truth: np.ndarray
    score: np.ndarray
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class KeptHead:
    """Something that an evaluator fitted on latents, in a form that files hold; `Evaluator.head` makes it work again.

    name: unique within the evaluator. kind: `boolean` scores are probabilities and `float` ones values, as of
    Predictions; a `readout` reads values off states; `intervals` stand around what a decoder reads of forecasts. task,
    method: as of Predictions; empty for the last two. target: what a task is about, such as the name of an outcome.
    state: plain values that JSON holds, numpy arrays and texts, nested by keys.
    """

    name: str
    kind: Literal["boolean", "float", "readout", "intervals"]
    task: str = ""
    method: str = ""
    target: str = ""
    state: Mapping[str, Any] = field(default_factory=dict)

    def about(self) -> dict[str, Any]:
        """Everything but the state."""
        return {part.name: getattr(self, part.name) for part in fields(self) if part.name != "state"}


class MadeWhenRead(Sequence[Predictions]):
    """Predictions that are made whenever one is asked for, so that their columns are held one method at a time."""

    def __init__(self, makers: Sequence[Callable[[], Predictions]]) -> None:
        self._makers = makers

    def __len__(self) -> int:
        return len(self._makers)

    @overload
    def __getitem__(self, index: int) -> Predictions: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Predictions]: ...
    def __getitem__(self, index: int | slice) -> Predictions | Sequence[Predictions]:
        if isinstance(index, slice):
            return MadeWhenRead(self._makers[index])
        return self._makers[index]()


_BESIDE = ("predictions", "samples", "redrawn", "heads")


@dataclass(frozen=True)
class Findings:
    """Everything that one evaluator found.

    claims: its answers; the first is what it concludes, in which the others may be averaged. terms: words that it uses
    and a reader may not know, each with what it means. predictions, samples, redrawn, heads: written beside, and no
    part of the plain form.
    """

    headlines: list[Headline] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    terms: dict[str, str] = field(default_factory=dict)
    predictions: Sequence[Predictions] = field(default_factory=list)
    samples: list[Samples] = field(default_factory=list)
    redrawn: list[Redrawn] = field(default_factory=list)
    heads: list[KeptHead] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        parts = [part.name for part in fields(self) if part.name not in (*_BESIDE, "terms")]
        return {part: [asdict(entry) for entry in getattr(self, part)] for part in parts} | {"terms": self.terms}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Findings:
        return cls(
            claims=[_claim(item) for item in plain.get("claims", [])],
            headlines=[Headline(**item) for item in plain["headlines"]],
            verdicts=[Verdict(**item) for item in plain["verdicts"]],
            tables=[
                Table(**{**item, "columns": [Column(**column) for column in item["columns"]]})
                for item in plain["tables"]
            ],
            figures=[_figure(item) for item in plain["figures"]],
            terms=dict(plain.get("terms", {})),
        )


def _claim(plain: dict[str, Any]) -> Claim:
    return Claim(**{**plain, "compared": [Side(**method) for method in plain["compared"]]})


def _figure(plain: dict[str, Any]) -> Figure:
    series = [Series(**entry) for entry in plain["series"]]
    return Figure(**{**plain, "series": series, "marks": [Mark(**mark) for mark in plain.get("marks", [])]})
