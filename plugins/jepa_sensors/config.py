"""What a recipe may say about a table of sensor readings."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from jepa_core.config import Config, Input, ItemShape, Role, SourceConfig, StepLength, SubjectSplitConfig
from jepa_core.errors import DataError, RecipeError
from jepa_sensors.files import Format, find, format_of, header, is_table, not_found, separator_of

FILE = "@file"
"""A column that every table has: which of the recipe's files a row stands in."""

HISTORY = {"last": ":last", "age": ":age"}
"""What is added to the name of a state for each channel that is made of its past."""

CALENDAR_CHANNELS = {part: (f"{part}_sin", f"{part}_cos") for part in ("hour_of_day", "day_of_week", "day_of_year")}


def _several(value: object) -> object:
    # Recipes are validated strictly, where a list that has passed through here would be no tuple.
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _identifier(name: str) -> str:
    if not name.isidentifier():
        raise ValueError(f"the name {name} must be a plain identifier, such as remaining_life")
    return name


Names = Annotated[tuple[str, ...], BeforeValidator(_several)]
"""One name, or a list of them."""
TargetName = Annotated[str, AfterValidator(_identifier)]


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

    file: str = Field(min_length=1, description="a number for each trajectory")
    column: str = Field("", description="column of that number; the file's only one if not given")
    id: Names = Field((), description="columns that name the trajectory; without them the rows are in order of the ids")
    of: Group = Field(
        "files", description="which trajectories the file is about: those of `files`, `split.tuning`, `split.held_out`"
    )


class SplitConfig(SubjectSplitConfig):
    """How subjects, or the pieces of one series, are divided."""

    tuning: Names = Field((), description="files of the tuning split, which then takes no share of `files`")
    held_out: Names = Field((), description="files of the held_out split, which then takes no share of `files`")
    pieces: int = Field(24, ge=3, description="equal pieces that one series (no `id`) is cut into, in order of time")
    gap: int = Field(1, ge=0, description="steps of one series left out between two splits")

    @model_validator(mode="after")
    def _folds_hold_out(self) -> SplitConfig:
        if self.folds is not None and (self.tuning or self.held_out):
            raise ValueError("folds divide the subjects of `files`, so no split has files of its own")
        return self


@dataclass(frozen=True)
class Column:
    """A column that encoders see. categories: its values, if they are words; each is a channel then."""

    name: str
    role: Role
    unit: str = ""
    categories: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Channels that the column makes."""
        return len(self.categories) or 1


class TableConfig(SourceConfig):
    """Sensor readings in CSV, Parquet or blank-separated files, wide (a column a channel) or long (a row a reading)."""

    files: Names = Field(
        min_length=1, description="files or wildcards; package:NAME/PATH is a file of an installed package"
    )
    format: Literal["auto"] | Format = Field("auto", description="auto goes by the ending of the name")
    separator: str = Field("", max_length=1, description="between the cells of CSV; by the name if not given")
    columns: tuple[str, ...] = Field((), description="names of the columns, for files without a header")
    empty_values: tuple[str, ...] = Field(
        ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"), description="cells that hold no value"
    )
    layout: Literal["wide", "long"] = Field("wide", description="wide: a column a channel; long: a row a reading")
    channel: str = Field("channel", description="column of a long table that names the channel")
    value: str = Field("value", description="column of a long table that holds the value")
    id: Names = Field((), description=f"columns that name the trajectory ({FILE}: each file is one); none: one series")
    subject: str = Field("", description="column of what a split must not tear apart; the id if not given")
    time: str = Field("", description="column of numbers or timestamps; the rows stand in order if not given")
    time_format: str = Field("", description="of timestamps that are not ISO 8601, such as %d.%m.%Y %H:%M")
    time_unit: Literal["us", "ms", "s", "min", "h", "d"] = Field("s", description="unit of a `time` of numbers")
    repeats: Literal["refuse", "mean"] = Field(
        "refuse", description="several values of a channel at one id and time: an error, or their mean is taken"
    )
    states: Names | None = Field(None, description="channels of the state; if not given, all columns left over")
    actions: Names = Field((), description="channels of the action: settings, controls, known inputs")
    statics: Names = Field((), description="columns that are constant in a trajectory")
    ignore: Names = Field((), description="columns that are no channel, where `states` are those left over")
    calendar: tuple[Literal["hour_of_day", "day_of_week", "day_of_year"], ...] = Field(
        (), description="parts of the timestamp that join the action, each as sine and cosine"
    )
    categories: dict[str, tuple[str, ...]] = Field(
        {}, description="values of each column of words; each becomes a channel of 0 and 1"
    )
    ranges: dict[str, tuple[float | None, float | None]] = Field(
        {}, description="least and largest value of a column (null: no limit); a value outside counts as not recorded"
    )
    history: tuple[Literal["last", "age"], ...] = Field(
        (),
        description="channels made of each state that is a number: <name>:last, its last known value, and <name>:age, "
        "the steps since",
    )
    units: dict[str, str] = Field({}, description="units of columns, for texts and reports")
    labels: dict[TargetName, ColumnTarget | RemainingTarget] = Field(
        {}, description="what evaluators predict at each step; never seen by an encoder"
    )
    outcomes: dict[TargetName, ColumnTarget | FileTarget] = Field(
        {}, description="what evaluators predict for each trajectory; never seen by an encoder"
    )
    step: StepConfig = Field(StepConfig(), description="what a step is")
    split: SplitConfig | None = Field(
        SplitConfig(), description="how trajectories are divided into the splits; null: all are held_out"
    )

    @model_validator(mode="after")
    def _keys_fit(self) -> TableConfig:
        if self.layout == "long" and not self.states:
            raise ValueError("states: a long table needs the names of its channels, such as [temperature, pressure]")
        if self.states == ():
            raise ValueError("states: at least one channel")
        if self.subject and not self.id:
            raise ValueError("subject: one series (no `id`) has no subjects; name the `id` too")
        if not self.id and self.split and self.split.folds is not None:
            raise ValueError("split: without an `id` there is one series, cut in order of time; leave out folds")
        if not self.id and self.split and (self.split.tuning or self.split.held_out):
            raise ValueError("split: without an `id` all files are one series, so a split cannot have files of its own")
        needs_time = [key for key, given in (("calendar", self.calendar), ("step.seconds", self.step.seconds)) if given]
        needs_time += ["layout: long"] if self.layout == "long" else []
        if needs_time and not self.time:
            raise ValueError(f"{needs_time[0]}: needs the column `time`")
        if self.repeats == "mean" and self.layout == "wide" and self.step.seconds is None:
            raise ValueError("repeats: a mean over rows of a wide table is taken within step.seconds; set it")
        roles = [*(self.states or ()), *self.actions, *self.statics]
        twice = sorted({name for name in roles if roles.count(name) > 1 or name in (*self.id, self.time)})
        if twice:
            raise ValueError(f"the column {twice[0]} has two roles; it is one of states, actions, statics, id and time")
        for name, target in self.labels.items():
            self._check_remaining(name, target)
        self._check_ranges()
        self._check_span()
        return self

    def _check_ranges(self) -> None:
        for name, (low, high) in self.ranges.items():
            if name in self.categories:
                raise ValueError(f"ranges.{name}: a column of words has no least and largest value")
            if low is not None and high is not None and low > high:
                raise ValueError(f"ranges.{name}: the least value, {low:g}, is above the largest, {high:g}")
            known = (*(self.states or ()), *self.actions, *self.statics, *self.target_columns())
            if self.states is not None and name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
                raise ValueError(f"ranges.{name}: no such column{f'; did you mean {near[0]}?' if near else ''}")

    def _check_span(self) -> None:
        for key in ("begin", "count"):
            if getattr(self.step, key) is None:
                continue
            if self.step.seconds is None:
                raise ValueError(f"step.{key}: steps of equal time begin and end together; set step.seconds too")
            if not self.id:
                raise ValueError(f"step.{key}: one series (no `id`) is cut by split.pieces; leave the key out")
        remaining = [name for name, target in self.labels.items() if isinstance(target, RemainingTarget)]
        if self.step.count is not None and remaining:
            raise ValueError(f"step.count: rows that are left out would be missing in labels.{remaining[0]}")

    def _check_remaining(self, name: str, target: ColumnTarget | RemainingTarget) -> None:
        if not isinstance(target, RemainingTarget):
            return
        if not self.id:
            raise ValueError(f"labels.{name}: nothing remains of one series; name the `id` of the trajectories")
        if target.ends_at and not isinstance(self.outcomes.get(target.ends_at), FileTarget):
            raise ValueError(f"labels.{name}.ends_at: {target.ends_at} is no outcome with a file")

    @property
    def step_length(self) -> StepLength:
        return StepLength() if self.step.seconds is None else StepLength(self.step.seconds, "s")

    def at(self, paths: Sequence[Path]) -> Self:
        """The config for other files (or the tables in a folder), none of which is divided; one series is one
        trajectory. Labels and outcomes are left out but those of columns that the files have.

        Raises DataError if there is no table, or one cannot be read.
        """
        inside = [sorted(filter(is_table, path.iterdir())) if path.is_dir() else [path] for path in paths]
        files = tuple(str(path.resolve()) for group in inside for path in group)
        if not files:
            raise DataError(f"no table is in {', '.join(map(str, paths))}; give files of readings")
        moved = self.model_copy(update={"files": files, "split": None, "labels": {}, "outcomes": {}})
        absent = moved.missing()
        if absent:
            raise DataError(absent[0])
        known = None if self.layout == "long" else set.intersection(*(set(moved.header(Path(one))) for one in files))
        labels, outcomes = (
            {name: one for name, one in targets.items()
             if isinstance(one, ColumnTarget) and (known is None or one.column in known)}
            for targets in (self.labels, self.outcomes)
        )  # fmt: skip
        return moved.model_copy(update={"labels": labels, "outcomes": outcomes})

    def groups(self) -> dict[Group, tuple[str, ...]]:
        """The places of `files` and of the splits that have files of their own."""
        own: dict[Group, tuple[str, ...]] = (
            {"tuning": self.split.tuning, "held_out": self.split.held_out} if self.split else {}
        )
        return {"files": self.files, **own}

    def table_files(self) -> list[tuple[str, Path]]:
        """Every file of readings with its group."""
        return [(group, path) for group, places in self.groups().items() for path in find(places)]

    def outcome_files(self) -> dict[str, FileTarget]:
        return {name: one for name, one in self.outcomes.items() if isinstance(one, FileTarget)}

    def inputs(self) -> list[Input]:
        """The files of readings and of outcomes."""
        paths = [path for _, path in self.table_files()]
        paths += [path for one in self.outcome_files().values() for path in find([one.file])]
        return [Input(path, path.stat().st_size) for path in paths]

    def missing(self) -> list[str]:
        """Every place where no file is."""
        return not_found(
            [*(place for places in self.groups().values() for place in places)]
            + [one.file for one in self.outcome_files().values()]
        )

    def format_of(self, path: Path) -> Format:
        return format_of(path) if self.format == "auto" else self.format

    def separator_of(self, path: Path) -> str:
        return self.separator or separator_of(path)

    def header(self, path: Path) -> list[str]:
        """Names of a file's columns. Raises DataError if it cannot be read."""
        return header(path, self.format_of(path), self.separator_of(path), self.columns)

    def seen_columns(self) -> list[Column]:
        """What encoders see: the statics, the states, the actions. Reads the first file's header where `states` are all
        columns left over.

        Raises DataError if that file is not there or cannot be read, RecipeError if no column is left over.
        """
        states = self._left_over() if self.states is None else self.states
        calendar = [name for part in self.calendar for name in CALENDAR_CHANNELS[part]]
        roles: list[tuple[Role, Sequence[str]]] = [
            ("static", self.statics), ("state", states), ("action", (*self.actions, *calendar))
        ]  # fmt: skip
        return [
            Column(name, role, self.units.get(name, ""), self.categories.get(name, ()))
            for role, names in roles
            for name in names
        ]

    def calendar_columns(self) -> frozenset[str]:
        """Names of the columns that are made of the time."""
        return frozenset(name for part in self.calendar for name in CALENDAR_CHANNELS[part])

    def target_columns(self) -> list[str]:
        """Columns that labels and outcomes read."""
        return list(
            dict.fromkeys(
                one.column for one in (*self.labels.values(), *self.outcomes.values()) if isinstance(one, ColumnTarget)
            )
        )

    def item_shape(self) -> ItemShape:
        """Channels of states, actions, statics and history together, and the samples of a step."""
        seen = sum(column.width for column in self.seen_columns())
        return ItemShape(seen + len(self.history) * len(self.remembered()), self.step.samples)

    def remembered(self) -> list[int]:
        """Places, among the channels that encoders see, of those whose past makes channels (`history`)."""
        places, place = [], 0
        for column in self.seen_columns():
            if column.role == "state" and not column.categories:
                places.append(place)
            place += column.width
        return places

    def _left_over(self) -> list[str]:
        missing = self.missing()
        if missing:
            raise DataError(missing[0])
        path = find(self.files)[0]
        names = self.header(path)
        refuse_unknown([*self.id, self.subject, self.time, *self.actions, *self.statics, *self.ignore], names, path)
        taken = {*self.id, self.subject, self.time, *self.actions, *self.statics, *self.ignore, *self.target_columns()}
        left = [name for name in names if name not in taken]
        if not left:
            raise RecipeError(f"source.states: no column of {path.name} is left over to be a state")
        return left


def refuse_unknown(wanted: Iterable[str], names: Sequence[str], path: Path) -> None:
    """Refuse a column that the recipe names and a file does not have.

    Raises RecipeError naming the nearest column.
    """
    for name in wanted:
        if name and name != FILE and name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(names)}"
            raise RecipeError(f"{path} has no column '{name}', which the recipe's source names; {hint}")
