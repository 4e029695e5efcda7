"""What a recipe may say about the MIMIC-IV source."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from jepa_core.config import Config, ItemShape, StepLength, SubjectSplitConfig, Threads
from jepa_core.data.distributed import SYNTHETIC, DistributedTablesConfig, MemoryLimit, TablesFolder
from jepa_core.io.distribution import Distribution
from jepa_mimic_iv.layout import MIMIC_IV


class SyntheticConfig(Config):
    """Size of the synthetic MIMIC-IV that is made when `tables` says `synthetic`."""

    stays: int = Field(200, ge=10, le=1_000_000, description="intensive care stays to make")
    seed: int = Field(0, ge=0, description="seed of the generator; the same seed makes the same tables")
    illness: float = Field(
        1.0, gt=0, le=3, description="how ill the patients are, relative to the generator's own mix: more die of more"
    )


class StaySplitConfig(SubjectSplitConfig):
    """Split by subject, stratified by death in hospital."""


class MimicIVConfig(DistributedTablesConfig):
    """Intensive care stays of MIMIC-IV, hour by hour, from the tables as they are distributed."""

    distribution: ClassVar[Distribution] = MIMIC_IV

    tables: TablesFolder = Field(
        SYNTHETIC,
        description="folder that holds hosp/ and icu/ (each table as .csv.gz, .csv or .parquet), "
        "or the word `synthetic` to make tables of invented patients",
    )
    synthetic: SyntheticConfig = Field(
        SyntheticConfig(), description="the synthetic tables; read only where `tables` says `synthetic`"
    )
    min_age: int = Field(18, ge=0, description="least age in years at admission to intensive care")
    min_hours: float = Field(6.0, gt=0, description="shortest stay that is kept, in hours")
    first_icu_stay: bool = Field(True, description="keep only the first intensive care stay of each hospital admission")
    step_hours: float = Field(1.0, ge=1e-6, le=1e6, description="hours of a step")
    max_steps: int = Field(336, gt=0, description="steps after which a stay is cut off (336 hours are two weeks)")
    lab_visibility: Literal["stored", "charted"] = Field(
        "stored",
        description="when a laboratory result is seen: `stored` is when it became available, "
        "`charted` is when the specimen was drawn (as in the published reference, which shows results too early)",
    )
    saturation_fallback: bool = Field(
        False,
        description="whether respiratory failure is told by an arterial saturation of 90 % at most where there is no "
        "PaO2/FiO2; the cited definition does so only for data without any",
    )
    reversed_stays: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="share of stays whose outtime lies before their intime, above which the tables are refused; "
        "fewer are left out and counted",
    )
    template: Literal["default", "reference"] = Field(
        "default",
        description="how an hour is put into words: `reference` as in the published reference, `default` where ours is "
        "better (small doses are not rounded to 0, nothing stands twice); the store is the same",
    )
    hidden_groups: tuple[str, ...] = Field(
        (),
        description="groups of channels (such as sofa, kdigo_stages, urine_output_rate) that the texts leave out; "
        "the store is the same",
    )
    split: StaySplitConfig | None = Field(
        StaySplitConfig(),
        description="how subjects are divided into train, tuning and held_out; null: all are held_out",
    )
    memory_limit: MemoryLimit = Field(
        "2GB",
        description="memory that reading and sorting the tables may use before it works on disk, such as 2GB",
    )
    threads: Threads = Field(2, description="threads that read and sort the tables")

    @field_validator("tables")
    @classmethod
    def _not_empty(cls, tables: str) -> str:
        if not tables.strip():
            raise ValueError("give the folder that holds hosp/ and icu/, or the word synthetic")
        return tables

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

    def item_shape(self) -> ItemShape:
        """Shape of an hour as numbers; its columns are the same for any data."""
        from jepa_mimic_iv.numeric_grid import COLUMNS as GRID  # numpy comes with it, which most commands do without

        return ItemShape(channels=len(GRID))

    def observations(self) -> dict[str, int]:
        """Numeric observations and scores of an hour; their ages are not among them."""
        from jepa_mimic_iv.numeric_grid import COLUMNS as GRID
        from jepa_mimic_iv.numeric_grid import OBSERVED

        return {name: GRID.index(name) for name in OBSERVED}
