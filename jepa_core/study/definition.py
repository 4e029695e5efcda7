"""What a study is, and what its file may say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field, field_validator

from jepa_core.config import Config, Folds
from jepa_core.recipe import Recipe
from jepa_core.recipe.settings import Seed

Budget = Literal["as_written", "as_reference"]
VARIANT_NAME = re.compile(r"[A-Za-z0-9_]{1,60}")


class VariantConfig(Config):
    """A variant of a study."""

    base: str = Field("", description="the recipe that it changes; the study's if not given")
    change: dict[str, Any] = Field({}, description="keys of a recipe, as a layer on top of the base")
    steps: Budget = Field(
        "as_written",
        description="as_written gives up the steps of a removed phase, as_reference gives them to the others",
    )
    description: str = Field("", description="one line about the variant")


class StudyConfig(Config):
    """The keys of a study besides its variants."""

    description: str = Field("", description="one line about the study")
    base: str = Field("", description="the recipe that the variants change")
    seeds: tuple[Seed, ...] = Field((0,), description="seeds that every variant runs under")
    folds: Folds | None = Field(
        None, description="folds of the split: variants run on each of them, and what they hold out is pooled"
    )
    reference: str = Field("", description="the variant that the others are compared with; the first if not given")
    against: tuple[str, ...] = Field(
        (), description="methods that every other method of a run is compared with, as the tables name them"
    )
    common: dict[str, Any] = Field({}, description="keys of a recipe that every variant changes")

    @field_validator("seeds")
    @classmethod
    def _differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds or len(set(seeds)) != len(seeds):
            raise ValueError("a study takes different seeds, one at least, such as [0, 1, 2]")
        return seeds


@dataclass(frozen=True)
class Cell:
    """One run of a study: a variant under a seed, on one of the folds of its split where there are any."""

    variant: str
    seed: int
    recipe: Recipe
    fold: int | None = None

    @property
    def name(self) -> str:
        return f"{self.variant}-{self.seed}" + ("" if self.fold is None else f"-{self.fold}")


@dataclass(frozen=True)
class Study:
    """A valid study. texts: description of each variant, by name. cells: variant after variant, seed after seed, fold
    after fold. against: methods that the others are compared with, as the tables of a run name them."""

    name: str
    description: str
    reference: str
    seeds: tuple[int, ...]
    texts: Mapping[str, str]
    cells: Sequence[Cell]
    against: tuple[str, ...] = ()

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the variants, the reference first."""
        return (self.reference, *(name for name in self.texts if name != self.reference))


def with_steps_of(recipe: Recipe, reference: Recipe) -> Recipe | None:
    """The recipe with as many optimizer steps in all as the reference; None where no phase has any.

    What the phases have is scaled by one factor; rounding goes to those it costs most (largest remainders).
    """
    steps = [use.config.steps for use in recipe.curriculum]
    wanted = sum(use.config.steps for use in reference.curriculum)
    if not sum(steps):
        return None
    exact = [share * wanted / sum(steps) for share in steps]
    given = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda number: given[number] - exact[number])
    for index in by_remainder[: wanted - sum(given)]:
        given[index] += 1
    curriculum = [
        replace(use, config=use.config.model_copy(update={"steps": count}))
        for use, count in zip(recipe.curriculum, given, strict=True)
    ]
    return replace(recipe, curriculum=tuple(curriculum))
