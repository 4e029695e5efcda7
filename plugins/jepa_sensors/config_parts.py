"""The parts of what a recipe may say about a table: steps, splits, what is predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from jepa_core.config import Config, PathText, Role, SubjectSplitConfig
from jepa_sensors.files import PACKAGE
from jepa_sensors.time_formats import pattern_of

ROW = "@row"
"""A column that every table has in which time runs across: which of the rows."""
HEADER = "@header"
"""The time of such a table where the names of its columns are the times."""


def _several(value: object) -> object:
    # Recipes are validated strictly, where a list that has passed through here would be no tuple.
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _identifier(name: str) -> str:
    if not name.isidentifier():
        raise ValueError(f"the name {name} must be a plain identifier, such as remaining_life")
    return name


def _known_encoding(name: str) -> str:
    try:
        "".encode(name)
    except (LookupError, ValueError):
        raise ValueError(f"{name} is no encoding; there are utf-8, latin-1, cp1252, utf-16 and others") from None
    return name


def _readable_format(form: str) -> str:
    if form:
        pattern_of(form)
    return form


Names = Annotated[tuple[str, ...], BeforeValidator(_several)]
"""One name, or a list of them."""
Place = Annotated[str, PathText(other=f"{PACKAGE}.*")]
Places = Annotated[tuple[Place, ...], BeforeValidator(_several)]
"""One place of files, or a list of them."""
TargetName = Annotated[str, AfterValidator(_identifier)]
Encoding = Annotated[str, AfterValidator(_known_encoding)]
TimeFormat = Annotated[str, AfterValidator(_readable_format)]


class StepConfig(Config):
    """What a step is: so many rows, or so long a time."""

    samples: int = Field(1, ge=1, description="samples of every channel in one step")
    seconds: float | None = Field(
        None,
        gt=0,
        description="length of a step; each of its samples is the mean of the readings in its share of that time. "
        "Without it every row is a sample, whatever its time",
    )
    begin: float | None = Field(
        None, description="time at which every trajectory begins, earlier rows left out; at its first row if not given"
    )
    count: int | None = Field(
        None, ge=1, description="steps of every trajectory, later rows left out; up to its last row if not given"
    )


class ColumnTarget(Config):
    """A column that is predicted: its last value in a step (labels) or in a trajectory (outcomes)."""

    column: str = Field(min_length=1, description="column of the table")


class RemainingTarget(Config):
    """What remains at the end of a step until the trajectory's last row, in the unit of `time` (rows without one)."""

    remaining: Literal[True] = Field(description="true")
    cap: float | None = Field(None, gt=0, description="largest value; what is more counts as this")
    ends_at: str = Field("", description="outcome that says what remains at the last row; 0 where it says nothing")


Group = Literal["files", "tuning", "held_out"]
"""Which files a trajectory comes from: those of `files`, `split.tuning` or `split.held_out`."""


class FileTarget(Config):
    """A number for each trajectory out of a file of its own."""

    file: Place = Field(min_length=1, description="a number for each trajectory")
    column: str = Field("", description="column of that number; the file's only one if not given")
    id: Names = Field((), description="columns that name the trajectory; without them the rows are in order of the ids")
    of: Group = Field(
        "files", description="which trajectories the file is about: those of `files`, `split.tuning`, `split.held_out`"
    )


class TableSplitConfig(SubjectSplitConfig):
    """How subjects, or the pieces of one series, are divided."""

    tuning: Places = Field((), description="files of the tuning split, which then takes no share of `files`")
    held_out: Places = Field((), description="files of the held_out split, which then takes no share of `files`")
    pieces: int = Field(24, ge=3, description="equal pieces that one series (no `id`) is cut into, in order of time")
    gap: int = Field(1, ge=0, description="steps of one series left out between two splits")

    @model_validator(mode="after")
    def _folds_hold_out(self) -> TableSplitConfig:
        if self.folds is not None and (self.tuning or self.held_out):
            raise ValueError("folds divide the subjects of `files`, so no split has files of its own")
        return self


@dataclass(frozen=True)
class SeenColumn:
    """A column that encoders see. categories: its values, if they are words; each is a channel then. lower: whether
    its words are read in lower case."""

    name: str
    role: Role
    unit: str = ""
    categories: tuple[str, ...] = ()
    lower: bool = False

    @property
    def width(self) -> int:
        """Channels that the column makes."""
        return len(self.categories) or 1

    def channels(self) -> list[str]:
        """Names of the channels that the column makes."""
        return [f"{self.name}={word}" for word in self.categories] or [self.name]
