"""What a recipe may say about a table of sensor readings."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from jepa_core.config import Input, ItemShape, Role, SourceConfig, StepLength
from jepa_core.errors import DataError, RecipeError
from jepa_sensors.config_parts import (
    Column,
    ColumnTarget,
    Encoding,
    FileTarget,
    Group,
    Names,
    RemainingTarget,
    SplitConfig,
    StepConfig,
    TargetName,
    TimeFormat,
)
from jepa_sensors.files import Format, Header, find, format_of, header, is_table, not_found, separator_of
from jepa_sensors.target_names import one_hot_names

FILE = "@file"
"""A column that every table has: which of the recipe's files a row stands in."""

HISTORY = {"last": ":last", "age": ":age"}
"""What is added to the name of a state for each channel that is made of its past."""

SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""Seconds of a `time_unit`."""

CALENDAR_CHANNELS = {part: (f"{part}_sin", f"{part}_cos") for part in ("hour_of_day", "day_of_week", "day_of_year")}


class TableConfig(SourceConfig):
    """Sensor readings in CSV, Parquet or blank-separated files, wide (a column a channel) or long (a row a reading)."""

    files: Names = Field(
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
    layout: Literal["wide", "long"] = Field("wide", description="wide: a column a channel; long: a row a reading")
    channel: str = Field("channel", description="column of a long table that names the channel")
    value: str = Field("value", description="column of a long table that holds the value")
    id: Names = Field((), description=f"columns that name the trajectory ({FILE}: each file is one); none: one series")
    subject: str = Field("", description="column of what a split must not tear apart; the id if not given")
    time: str = Field("", description="column of numbers or timestamps; the rows stand in order if not given")
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
        self._check_offsets()
        self._check_span()
        self._check_words()
        return self

    def _check_words(self) -> None:
        """Refuse words that would be one channel, and labels or outcomes that would have one name."""
        for name in self.lower:
            if name not in self.categories:
                raise ValueError(f"lower: {name} is no column of words; name it in categories")
        for name, given in self.categories.items():
            words = [word.lower() for word in given] if name in self.lower else list(given)
            again = sorted({word for word in words if words.count(word) > 1})
            if again:
                raise ValueError(f"categories.{name}: the word {again[0]} stands there twice")
        for key, targets in (("labels", self.labels), ("outcomes", self.outcomes)):
            owner: dict[str, str] = {}
            for target, one in targets.items():
                column = one.column if isinstance(one, ColumnTarget) else ""
                for name in self.target_names(target, column):
                    if name in owner:
                        other = "two words of " if owner[name] == target else f"{owner[name]} and "
                        raise ValueError(f"{key}: {other}{target} make one called {name}; rename one of them")
                    owner[name] = target

    def words(self, column: str) -> tuple[str, ...]:
        """The values of a column of words, as they are read; none for a column of numbers."""
        given = self.categories.get(column, ())
        return tuple(word.lower() for word in given) if column in self.lower else given

    def target_names(self, target: str, column: str) -> list[str]:
        """Names of the labels or outcomes that a target makes of a column: one, or one for each of its words."""
        words = self.words(column)
        return one_hot_names(target, words) if words else [target]

    def _check_ranges(self) -> None:
        for name, (low, high) in self.ranges.items():
            if name in self.categories:
                raise ValueError(f"ranges.{name}: a column of words has no least and largest value")
            if low is not None and high is not None and low > high:
                raise ValueError(f"ranges.{name}: the least value, {low:g}, is above the largest, {high:g}")
            known = (*(self.states or ()), *self.actions, *self.statics, *self.target_columns())
            if self.states is not None and name not in known:
                raise ValueError(f"ranges.{name}: {_no_column_of_numbers(name, known)}")

    def _check_offsets(self) -> None:
        known = (*(self.states or ()), *self.actions, *self.statics, *self.target_columns())
        for name in self.offsets:
            if name in self.categories or self.states is not None and name not in known:
                raise ValueError(f"offsets.{name}: {_no_column_of_numbers(name, known)}")

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
        known = (
            None if self.layout == "long" else set.intersection(*(set(moved.header(Path(one)).names) for one in files))
        )
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

    def header(self, path: Path) -> Header:
        """A file's columns. Raises DataError if it cannot be read."""
        return header(path, self.format_of(path), self.separator_of(path), self.columns, self.encoding)

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
            Column(name, role, self.units.get(name, ""), self.words(name), name in self.lower)
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

    def observations(self) -> dict[str, int]:
        """Channels of the state columns; what is made of the past (`history`) is not among them."""
        names = [(name, column.role) for column in self.seen_columns() for name in column.channels()]
        return {name: place for place, (name, role) in enumerate(names) if role == "state"}

    def remembered(self) -> list[int]:
        """Places, among the channels that encoders see, of those whose past makes channels (`history`)."""
        places, place = [], 0
        for column in self.seen_columns():
            if column.role == "state" and not column.categories:
                places.append(place)
            place += column.width
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
        found = self.header(path)
        names = found.names
        refuse_unknown([*self.id, self.subject, self.time, *self.actions, *self.statics, *self.ignore], names, path)
        taken = self.named_columns()
        left = [name for name in names if name not in taken and name not in found.indexes]
        if not left:
            raise RecipeError(f"source.states: no column of {path.name} is left over to be a state")
        return left


def _no_column_of_numbers(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"no such column of numbers{f'; did you mean {near[0]}?' if near else ''}"


def refuse_unknown(wanted: Iterable[str], names: Sequence[str], path: Path) -> None:
    """Refuse a column that the recipe names and a file does not have.

    Raises RecipeError naming the nearest column.
    """
    for name in wanted:
        if name and name != FILE and name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(names)}"
            raise RecipeError(f"{path} has no column '{name}', which the recipe's source names; {hint}")
