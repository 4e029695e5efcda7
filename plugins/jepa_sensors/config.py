"""What a recipe may say about a table of sensor readings."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from jepa_core.config import Input, ItemShape, Role, SourceConfig, StepLength
from jepa_core.errors import DataError, RecipeError, some_of
from jepa_core.io.files import real_path
from jepa_sensors.config_checks import broken_rules
from jepa_sensors.config_parts import (
    HEADER,
    ROW,
    ColumnTarget,
    Encoding,
    FileTarget,
    Group,
    Names,
    Places,
    RemainingTarget,
    SeenColumn,
    StepConfig,
    TableSplitConfig,
    TargetName,
    TimeFormat,
)
from jepa_sensors.files import (
    Format,
    Header,
    find,
    format_of,
    header,
    is_table,
    not_found,
    refuse_other_kinds,
    separator_of,
)
from jepa_sensors.series_files import Axis
from jepa_sensors.target_names import one_hot_names

FILE = "@file"
"""A column that every table has: which of the recipe's files a row stands in."""

SAMPLE, CHANNEL, VALUE = "@sample", "@channel", "@value"
"""Columns of the long table that a table across is turned into."""

HISTORY = {"last": ":last", "age": ":age"}
"""What is added to the name of a state for each channel that is made of its past."""

SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""Seconds of a `time_unit`."""

OTHER_FILE = (
    "it has none that the recipe names: give the file that is meant, or, if its first line is no header, name its "
    "columns in source.columns"
)

CALENDAR_CHANNELS = {part: (f"{part}_sin", f"{part}_cos") for part in ("hour_of_day", "day_of_week", "day_of_year")}


class TableConfig(SourceConfig):
    """Sensor readings in CSV, Parquet or blank-separated files, wide (a column a channel) or long (a row a reading)."""

    files: Places = Field(
        min_length=1, description="files or wildcards; package:NAME/PATH is a file of an installed package"
    )
    format: Literal["auto"] | Format = Field("auto", description="auto goes by the ending of the name")
    separator: str = Field("", max_length=1, description="between the cells of CSV; by the name if not given")
    columns: tuple[str, ...] = Field((), description="names of the columns, for files without a header")
    encoding: Encoding = Field("utf-8", description="of text files, such as latin-1, cp1252 or utf-16")
    decimal: Literal[".", ","] = Field(".", description="sign before the decimals of numbers in text")
    empty_values: tuple[str, ...] = Field(
        ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"), description="cells that hold no value"
    )
    axes: tuple[Axis, ...] = Field((), description="of an array (.npy), in order; its last ones if not given")
    layout: Literal["wide", "long", "across"] = Field(
        "wide", description="wide: a column a channel; long: a row a reading; across: a row the samples of a series"
    )
    channel: str = Field(
        "channel", description="column of a long table, or one across, that names the channel; empty: all are `value`"
    )
    value: str = Field(
        "value", description="column of a long table that holds the value; the channel of a table across without one"
    )
    across: Names = Field(
        (),
        description="columns that hold the samples of a row side by side, in order; wildcards such as t*, which leave "
        "out what other keys name",
    )
    id: Names = Field(
        (),
        description=f"columns that name the trajectory ({FILE}: each file is one; {ROW}: each row of a table across); "
        "none: one series",
    )
    subject: str = Field("", description="column of what a split must not tear apart; the id if not given")
    noun: str = Field(
        "series",
        pattern="^[a-z]+( [a-z]+)*$",
        description="what one subject is called in reports, such as engine, pump or player",
    )
    time: str = Field(
        "",
        description="column of numbers or timestamps; the rows stand in order if not given "
        f"({HEADER}: the names of the columns `across`)",
    )
    time_format: TimeFormat = Field(
        "", description="of times in text or digits that are not ISO 8601, such as %d.%m.%Y %H:%M or %Y%m%d"
    )
    time_unit: Literal["ns", "us", "ms", "s", "min", "h", "d"] = Field("s", description="unit of a `time` of numbers")
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
    offsets: dict[str, float] = Field(
        {},
        description="number that is subtracted from a column in double precision, where its values are too large for "
        "the single precision of the store to tell their changes",
    )
    lower: Names = Field((), description="columns whose words are read in lower case, so that Up and UP are one")
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
    split: TableSplitConfig | None = Field(
        TableSplitConfig(), description="how trajectories are divided into the splits; null: all are held_out"
    )

    @model_validator(mode="after")
    def _keys_fit(self) -> TableConfig:
        rule = next(broken_rules(self), None)
        if rule:
            raise ValueError(rule)
        return self

    def words(self, column: str) -> tuple[str, ...]:
        """The values of a column of words, as they are read; none for a column of numbers."""
        given = self.categories.get(column, ())
        return tuple(word.lower() for word in given) if column in self.lower else given

    def target_names(self, target: str, column: str) -> list[str]:
        """Names of the labels or outcomes that a target makes of a column: one, or one for each of its words."""
        words = self.words(column)
        return one_hot_names(target, words) if words else [target]

    @property
    def is_long(self) -> bool:
        """Whether the table is a long one as it is staged."""
        return self.layout != "wide"

    @property
    def time_column(self) -> str:
        """The column of the time as the table is staged; empty if the rows stand in order."""
        return SAMPLE if self.layout == "across" else self.time

    @property
    def channel_column(self) -> str:
        """The column of a long table that names the channel, as it is staged."""
        return CHANNEL if self.layout == "across" else self.channel

    @property
    def value_column(self) -> str:
        """The column of a long table that holds the value, as it is staged."""
        return VALUE if self.layout == "across" else self.value

    @property
    def subject_noun(self) -> str:
        return self.noun

    @property
    def step_length(self) -> StepLength:
        return StepLength() if self.step.seconds is None else StepLength(self.step.seconds, "s")

    def at(self, paths: Sequence[Path]) -> Self:
        """The config for other files (or the tables in a folder), none of which is divided; one series is one
        trajectory. Labels and outcomes are left out but those of columns that the files have.

        Raises DataError if there is no table, or one cannot be read.
        """
        inside = [sorted(filter(is_table, path.iterdir())) if path.is_dir() else [path] for path in paths]
        files = tuple(str(real_path(path)) for group in inside for path in group)
        if not files:
            raise DataError(f"no table is in {some_of(paths)}; give files of readings")
        moved = self.model_copy(update={"files": files, "split": None, "labels": {}, "outcomes": {}})
        absent = moved.missing()
        if absent:
            raise DataError(absent[0])
        known = None if self.is_long else set.intersection(*(set(moved.header(Path(file)).names) for file in files))
        labels, outcomes = (
            {name: target for name, target in targets.items()
             if isinstance(target, ColumnTarget) and (known is None or target.column in known)}
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
        return {name: target for name, target in self.outcomes.items() if isinstance(target, FileTarget)}

    def read_files(self) -> list[Path]:
        """The files of readings and of outcomes."""
        paths = [path for _, path in self.table_files()]
        return paths + [path for target in self.outcome_files().values() for path in find([target.file])]

    def inputs(self) -> list[Input]:
        """The files that are read; their folders where each file is a trajectory, which its name may tell."""
        paths = self.read_files()
        if FILE not in self.id:
            return [Input(path, path.stat().st_size) for path in paths]
        folders = dict.fromkeys((path.parent for path in paths), 0)
        for path in paths:
            folders[path.parent] += path.stat().st_size
        return [Input(folder, size) for folder, size in folders.items()]

    def missing(self) -> list[str]:
        """Every place where no file is."""
        return not_found(
            [*(path for places in self.groups().values() for path in places)]
            + [target.file for target in self.outcome_files().values()]
        )

    def format_of(self, path: Path) -> Format:
        return format_of(path) if self.format == "auto" else self.format

    def separator_of(self, path: Path) -> str:
        return self.separator or separator_of(path)

    def header(self, path: Path) -> Header:
        """A file's columns. Raises DataError if it cannot be read."""
        if self.format == "auto":
            refuse_other_kinds([path])
        return header(path, self.format_of(path), self.separator_of(path), self.columns, self.encoding, self.axes)

    def seen_columns(self) -> list[SeenColumn]:
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
            SeenColumn(name, role, self.units.get(name, ""), self.words(name), name in self.lower)
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
                target.column
                for target in (*self.labels.values(), *self.outcomes.values())
                if isinstance(target, ColumnTarget)
            )
        )

    def item_shape(self) -> ItemShape:
        """Channels of states, actions, statics and history together, and the samples of a step."""
        seen = sum(column.width for column in self.seen_columns())
        return ItemShape(seen + len(self.history) * len(self.remembered()), self.step.samples)

    def observations(self) -> dict[str, int]:
        """Channels of the state columns; what is made of the past (`history`) is not among them."""
        names = [(name, column.role) for column in self.seen_columns() for name in column.channels()]
        return {name: index for index, (name, role) in enumerate(names) if role == "state"}

    def remembered(self) -> list[int]:
        """Places, among the channels that encoders see, of those whose past makes channels (`history`)."""
        places, position = [], 0
        for column in self.seen_columns():
            if column.role == "state" and not column.categories:
                places.append(position)
            position += column.width
        return places

    def named_columns(self) -> list[str]:
        """Columns that something else than `states` names."""
        named = [*self.id, self.subject, self.time, *self.actions, *self.statics, *self.ignore]
        return [*named, *self.target_columns()]

    def _left_over(self) -> list[str]:
        missing = self.missing()
        if missing:
            raise DataError(missing[0])
        path = find(self.files)[0]
        its_header = self.header(path)
        names = its_header.names
        refuse_unknown([*self.id, self.subject, self.time, *self.actions, *self.statics, *self.ignore], names, path)
        taken = self.named_columns()
        left = [name for name in names if name not in taken and name not in its_header.indexes]
        if not left:
            raise RecipeError(f"source.states: no column of {path.name} is left over to be a state")
        return left


def refuse_unknown(wanted: Iterable[str], names: Sequence[str], path: Path) -> None:
    """Refuse a column that the recipe names and a file does not have.

    Raises RecipeError naming the nearest column, or some of those that there are.
    """
    sought = [name for name in wanted if name and name not in (FILE, ROW)]
    absent = [name for name in sought if name not in names]
    if not absent:
        return
    near = difflib.get_close_matches(absent[0], names, n=1, cutoff=0.5)
    hint = f"did you mean '{some_of(near)}'?" if near else columns_told(names, known=len(absent) < len(sought))
    raise RecipeError(f"{path} has no column '{absent[0]}', which the recipe's source names; {hint}")


def columns_told(names: Sequence[str], known: bool) -> str:
    """Names of columns in a message, if any of them is known: else they may be the cells of a first record."""
    return f"there are: {some_of(names)}" if known else OTHER_FILE
