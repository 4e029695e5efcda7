"""What a recipe may say about a MEDS data set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from jepa_core.config import Config, Input, Modality, PathText, SourceConfig, StepLength, SubjectSplitConfig
from jepa_core.errors import RecipeError
from jepa_core.io.files import real_path
from jepa_meds.layout import CODES, DATASET, SPLITS, label_files, shards


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_compiles)]
"""A regular expression that must match a code from its beginning to its end."""


class EpisodeConfig(Config):
    """A trajectory for each episode: from a code that begins it to the next code that ends it."""

    start: Pattern = Field(description="codes that begin an episode, such as ICU_ADMISSION//.*")
    end: Pattern = Field(description="codes that end it, such as ICU_DISCHARGE//.*")


class MedsSplitConfig(SubjectSplitConfig):
    """How subjects are divided. All but `from` is read only where that says `seed`."""

    origin: Literal["file", "seed"] = Field(
        "file", alias="from", description="`file` is metadata/subject_splits.parquet; `seed` deals the subjects anew"
    )

    @model_validator(mode="after")
    def _folds_are_dealt(self) -> MedsSplitConfig:
        if self.origin == "file" and self.folds is not None:
            raise ValueError("folds deal the subjects anew; write `from: seed`")
        return self


class MedsConfig(SourceConfig):
    """A data set in the Medical Event Data Standard (MEDS 0.4 or 0.5), as its ETL wrote it."""

    modalities: ClassVar[tuple[Modality, ...]] = ("text",)

    path: Annotated[str, PathText()] = Field(min_length=1, description="folder that holds data/ and metadata/")
    step_hours: float = Field(1.0, ge=1e-6, le=1e6, description="hours of a step")
    max_steps: int = Field(336, gt=0, description="steps after which a trajectory is cut off")
    trajectory: Literal["subject"] | EpisodeConfig = Field(
        "subject",
        description="`subject` makes one trajectory of a subject's record, from its first event with a time; "
        "`{start: CODES, end: CODES}` makes one of every episode",
    )
    actions: tuple[Pattern, ...] = Field((), description="codes that are actions; all others are observations")
    exclude: tuple[Pattern, ...] = Field(
        (), description="codes that are never shown, such as diagnoses coded after discharge"
    )
    units: tuple[Pattern, ...] = Field(
        (), description=r"where a code holds its unit: an expression with one group, such as LAB//\d+//(.+)"
    )
    text_columns: tuple[str, ...] = Field(
        ("text_value",), description="columns whose words are written after the number, in this order"
    )
    allow_empty: tuple[Pattern, ...] = Field(
        (), description="expressions of `actions`, `exclude` and `units` that may match no code of the data"
    )
    labels: dict[str, Annotated[str, PathText()]] = Field(
        {}, description="task labels by name: for each a folder (or file) of parquet in the MEDS label schema"
    )
    names: Literal["description", "code"] = Field(
        "description", description="how the texts call a code: its description in metadata/codes.parquet, or itself"
    )
    split: MedsSplitConfig | None = Field(
        MedsSplitConfig(),
        description="how subjects are divided into train, tuning and held_out; null: all are held_out",
    )

    @model_validator(mode="after")
    def _expressions_fit(self) -> MedsConfig:
        for pattern in self.units:
            if re.compile(pattern).groups != 1:
                raise ValueError(f"units: {pattern} must have one group, which is the unit")
        for name in self.labels:
            if not name.isidentifier():
                raise ValueError(f"labels: the name {name} must be a plain identifier, such as mortality")
        strangers = set(self.allow_empty) - {*self.actions, *self.exclude, *self.units}
        if strangers:
            raise ValueError(f"allow_empty: {min(strangers)} is none of the expressions of actions, exclude and units")
        return self

    @property
    def folder(self) -> Path:
        return Path(self.path).expanduser()

    @property
    def subject_noun(self) -> str:
        return "patient"

    @property
    def in_retrospect(self) -> bool:
        """Actions are treatment."""
        return True

    @property
    def step_length(self) -> StepLength:
        return StepLength(self.step_hours, "h")

    def at(self, paths: Sequence[Path]) -> Self:
        """The config for another data set, which need not have every code that the expressions are about."""
        if len(paths) != 1 or not paths[0].is_dir():
            raise RecipeError("the source meds reads one folder, which holds data/ and metadata/; give that")
        absent = tuple(dict.fromkeys([*self.actions, *self.exclude, *self.units]))
        changes: dict[str, Any] = {"path": str(real_path(paths[0])), "split": None, "labels": {}, "allow_empty": absent}
        return self.model_copy(update=changes)

    def inputs(self) -> list[Input]:
        """The shards, and the metadata that there are."""
        metadata = (self.folder / name for name in (DATASET, CODES, SPLITS))
        files = [*shards(self.folder), *(path for path in metadata if path.is_file())]
        files += [path for _, path in self.label_inputs()]
        return [Input(path, path.stat().st_size) for path in files]

    def label_inputs(self) -> list[tuple[str, Path]]:
        """Every label file with the name of its label."""
        return [(name, path) for name, given in self.labels.items() for path in label_files(Path(given).expanduser())]

    def missing(self) -> list[str]:
        """What is not there: the folder, any shard in it, or the files of a label."""
        if not self.folder.is_dir():
            return [f"the folder {self.folder} is not there; set `path` to the folder that holds data/ and metadata/"]
        if not shards(self.folder):
            return [f"{self.folder} has no data/**/*.parquet; set `path` to the folder that holds data/ and metadata/"]
        named = {name for name, _ in self.label_inputs()}
        return [
            f"no label file is at {given}; set `labels.{name}` to a folder with *.parquet in the MEDS label schema"
            for name, given in self.labels.items()
            if name not in named
        ]
