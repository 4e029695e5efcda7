"""The source `mimic_iv`: distributed tables to a store of hourly trajectories, and their texts."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from jepa_core.data.source import Act, Assurance, PartitionedSource, Simulator, Staged
from jepa_core.data.trajectories import Channel, Rendered, Trajectories
from jepa_core.errors import RecipeError
from jepa_core.io.files import digest_pieces
from jepa_core.io.workspace import Tables, Workspace
from jepa_mimic_iv import cohort, definitions, numeric_grid, render, staging
from jepa_mimic_iv.acting import recorded_as
from jepa_mimic_iv.assembly import BLOCK, assemble
from jepa_mimic_iv.config import MimicIVConfig
from jepa_mimic_iv.layout import MIMIC_IV
from jepa_mimic_iv.synthetic import write_tables
from jepa_mimic_iv.synthetic.simulator import SyntheticStays
from jepa_mimic_iv.templates import TEMPLATES, Template

EXTRACTION_VERSION = 10
"""Raised when the same tables and options give another store."""

PARTITION = 8 * BLOCK
"""Stays of a partition: some seconds of work."""


class MimicIVSource(PartitionedSource):
    """Intensive care stays of MIMIC-IV, hour by hour.

    Tables are read once each with DuckDB; what belongs to the cohort is sorted by stay on disk and then read in blocks
    of whole stays, so that memory does not grow with the cohort. A partition is a range of stays: the tables are not
    sorted by stay or subject, and a compressed file can only be read from its beginning, so cutting any earlier would
    read everything once a partition. Times become hours since admission to intensive care.
    """

    def __init__(self, config: MimicIVConfig) -> None:
        self.config = config

    def fingerprint(self) -> str:
        """Digest of the table files, of the options that change the store, and of the extraction's version.

        A file counts by its name, its size and 64 pieces of 64 KiB spread over it, its beginning and end among them (a
        small file is read whole): the end of a gzip file holds the checksum and length of all its content, that of a
        parquet file its directory, so any change shows, and 8 GB of tables are not read to find out that nothing
        changed.
        """
        ignored = {"tables", "synthetic", "memory_limit", "threads", "template", "hidden_groups"}
        digest = hashlib.sha256(
            json.dumps(self.config.model_dump(mode="json", exclude=ignored), sort_keys=True).encode()
        )
        digest.update(f"extraction {EXTRACTION_VERSION}".encode())
        if self.config.is_synthetic:
            _digest_generator(self.config, digest)
        else:
            for table, path in sorted(Tables(MIMIC_IV, self.config.folder).paths.items()):
                digest.update(f"{table} {path.name} ".encode())
                digest_pieces(path, digest)
        return digest.hexdigest()

    def stage(self, scratch: Path) -> Staged:
        """Read every table once, and sort by stay what belongs to the cohort, in a database in `scratch`."""
        tables = Tables(MIMIC_IV, self._folder(scratch))
        with Workspace.staging(tables, scratch, self.config.memory_limit, self.config.threads) as work:
            definitions.make_definitions(work, len(staging.STATIC_CHANNELS), staging.GIVEN)
            attrition = cohort.select_candidates(work, self.config)
            staging.stage_vital_signs(work, self.config)
            attrition = cohort.select_members(work, self.config, attrition)
            staging.stage_the_rest(work, self.config)
            channels = staging.declare_channels(work)
            members = attrition[-1]
            told = [*attrition, {**members, "step": staging.tell_orders(work)}]
            work.commit()
        return Staged(math.ceil(int(members["trajectories"]) / PARTITION), channels, {"attrition": told})

    def partition(self, scratch: Path, number: int, channels: Sequence[Channel]) -> Iterator[Trajectories]:
        """Stays number * PARTITION and on. channels: drugs and fluids among them depend on the data."""
        numbers = {channel.name: position for position, channel in enumerate(channels)}
        with Workspace.staged(scratch) as work:
            members = cohort.read_members(work, number * PARTITION, PARTITION)
            yield from assemble(work, members, numbers, self.config)

    def render(self, trajectories: Trajectories, channels: Sequence[Channel], modality: str) -> Rendered:
        """Texts of the trajectories and their hours, or their values on a grid (modality `channels`).

        Raises RecipeError for any other modality.
        """
        if modality == "text":
            template = self._template(channels)
            return render.render_text(trajectories, channels, self.config.step_hours, template)
        if modality == "channels":
            return numeric_grid.render_grid(trajectories, channels, self.config.step_hours)
        raise RecipeError(
            f"the source mimic_iv renders the modalities text and channels, not {modality}; choose an encoder of these"
        )

    def begins(self, steps: np.ndarray) -> np.ndarray:
        """Hours since admission to intensive care."""
        return steps * float(self.config.step_hours)

    def acting(self, act: Act, trajectory: Trajectories, channels: Sequence[Channel]) -> list[Act]:
        """An act as it is charted; see `recorded_as`."""
        return recorded_as(act, trajectory, channels, self.config.step_hours)

    def assurances(self, channels: Sequence[Channel]) -> list[Assurance]:
        """Of laboratory results, of infusions, and of what is coded after discharge."""
        stored = self.config.lab_visibility == "stored"
        labs = () if stored else tuple(channel.name for channel in channels if channel.group.startswith("lab"))
        when = "when they were stored" if stored else "when the specimen was drawn, hours before they were there"
        return [
            Assurance("availability", stored, f"laboratory results are shown {when}", labs),
            Assurance("intervals", True, "of an infusion a step shows what ran within it, and not when it ends"),
            Assurance(
                "hindsight", True, "comorbidities are those of earlier admissions; no diagnosis of this one shows"
            ),
        ]

    def simulator(self) -> Simulator | None:
        """The invented patients, where there are such and a step is one of their hours."""
        if not self.config.is_synthetic or self.config.step_hours != 1:
            return None
        wanted = self.config.synthetic
        return SyntheticStays(wanted.stays, wanted.seed, wanted.illness)

    def rendering_fingerprint(self, modality: str) -> str:
        if modality == "channels":
            return f"mimic_iv channels {numeric_grid.VERSION}"
        hidden = ",".join(sorted(self.config.hidden_groups))
        return f"mimic_iv {modality} {self.config.template} hidden {hidden} {render.VERSION}"

    def _template(self, channels: Sequence[Channel]) -> Template:
        """The template with the recipe's hidden groups left out.

        Raises RecipeError if the store has no such group.
        """
        groups = {channel.group for channel in channels}
        unknown = sorted(set(self.config.hidden_groups) - groups)
        if unknown:
            raise RecipeError(
                f"source.hidden_groups names {', '.join(unknown)}, and the store has no such group; "
                f"it has {', '.join(sorted(groups))}"
            )
        hidden = {channel.name for channel in channels if channel.group in self.config.hidden_groups}
        template = TEMPLATES[self.config.template]
        return replace(template, hidden=template.hidden | hidden)

    def _folder(self, scratch: Path) -> Path:
        if not self.config.is_synthetic:
            return self.config.folder
        folder = scratch / "tables"
        wanted = self.config.synthetic
        write_tables(folder, wanted.stays, wanted.seed, illness=wanted.illness)
        return folder


def _digest_generator(config: MimicIVConfig, digest: hashlib._Hash) -> None:
    """The generator is its own version: its code, its arguments, and the library that draws its random numbers."""
    wanted = config.synthetic
    digest.update(f"synthetic {wanted.stays} {wanted.seed} {wanted.illness} numpy {np.__version__}".encode())
    for path in sorted((Path(__file__).parent / "synthetic").glob("*.py")):
        digest.update(path.read_bytes())
