"""What a recipe may say about the eICU source."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from jepa_core.config import Config, ItemShape, Modality, StepLength, SubjectSplitConfig, Threads
from jepa_core.data.distributed import SYNTHETIC, DistributedTablesConfig, MemoryLimit, TablesFolder
from jepa_core.io.distribution import Distribution
from jepa_eicu.layout import EICU


class SyntheticEICUConfig(Config):
    """Size of the synthetic eICU that is made when `tables` says `synthetic`."""

    stays: int = Field(100, ge=10, le=100_000, description="stays to make")
    seed: int = Field(0, ge=0, description="seed of the generator; the same seed makes the same tables")


class EICUConfig(DistributedTablesConfig):
    """Intensive care stays of eICU, hour by hour, from the tables as they are distributed, in the channels, units and
    outcomes of `mimic_iv`."""

    modalities: ClassVar[tuple[Modality, ...]] = ("channels",)
    distribution: ClassVar[Distribution] = EICU

    tables: TablesFolder = Field(
        SYNTHETIC,
        description="folder that holds patient.csv.gz, lab.csv.gz and the others (or .csv), "
        "or the word `synthetic` to make tables of invented patients",
    )
    synthetic: SyntheticEICUConfig = Field(
        SyntheticEICUConfig(), description="the synthetic tables; read only where `tables` says `synthetic`"
    )
    min_age: int = Field(18, ge=0, description="least age in years at admission; '> 89' counts as 91")
    min_hours: float = Field(6.0, gt=0, description="shortest stay that is kept, in hours")
    first_icu_stay: bool = Field(True, description="keep only the first unit stay of each hospital stay")
    max_steps: int = Field(336, gt=0, description="hours after which a stay is cut off")
    lab_visibility: Literal["stored", "charted"] = Field(
        "stored",
        description="when a laboratory result is seen: `stored` is when it was last entered or revised, `charted` is "
        "when the specimen was drawn",
    )
    split: SubjectSplitConfig | None = Field(
        SubjectSplitConfig(), description="how subjects are divided; null: all are held_out"
    )
    memory_limit: MemoryLimit = Field("2GB", description="memory of the database, such as 2GB")
    threads: Threads = Field(2, description="threads that read and sort the tables")

    @property
    def subject_noun(self) -> str:
        return "patient"

    @property
    def in_retrospect(self) -> bool:
        """Actions are treatment."""
        return True

    @property
    def step_length(self) -> StepLength:
        return StepLength(1.0, "h")

    def item_shape(self) -> ItemShape:
        """Shape of an hour as numbers; its columns are the same for any data."""
        from jepa_eicu.mapping import GRID

        return ItemShape(channels=len(GRID))

    def observations(self) -> dict[str, int]:
        """Numeric observations of an hour."""
        from jepa_eicu.mapping import GRID, VARIABLES

        observed = [variable.channel for variable in VARIABLES if variable.role == "state"]
        return {name: GRID.index(name) for name in observed}
