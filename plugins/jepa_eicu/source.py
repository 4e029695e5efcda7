"""The source `eicu`: distributed tables to a store of hourly trajectories in the channels of `mimic_iv`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jepa_core.data.source import Assurance, Source
from jepa_core.data.store import StoreWriter
from jepa_core.data.trajectories import Channel, Rendered, Trajectories
from jepa_core.errors import RecipeError
from jepa_core.io.files import digest_pieces
from jepa_core.io.workspace import Tables, Workspace
from jepa_eicu import cohort, render, staging, synthetic
from jepa_eicu.assembly import assemble_stays
from jepa_eicu.config import EICUConfig
from jepa_eicu.layout import EICU
from jepa_eicu.mapping import CHANNELS

EXTRACTION_VERSION = 1
"""Raised when the same tables and options give another store."""


class EICUSource(Source):
    """Unit stays of eICU, hour by hour. Each table is read once with DuckDB; stays are then read a block at a time."""

    def __init__(self, config: EICUConfig) -> None:
        self.config = config

    def fingerprint(self) -> str:
        """Digest of the table files, of the options that change the store, and of the extraction's version."""
        ignored = {"tables", "synthetic", "memory_limit", "threads"}
        options = json.dumps(self.config.model_dump(mode="json", exclude=ignored), sort_keys=True)
        digest = hashlib.sha256(f"{options} extraction {EXTRACTION_VERSION}".encode())
        if self.config.is_synthetic:
            wanted = self.config.synthetic
            digest.update(f"synthetic {synthetic.VERSION} {wanted.stays} {wanted.seed}".encode())
        else:
            for table, path in sorted(Tables(EICU, self.config.folder).paths.items()):
                digest.update(f"{table} {path.name} ".encode())
                digest_pieces(path, digest)
        return digest.hexdigest()

    def build(self, writer: StoreWriter, scratch: Path) -> None:
        """Write the trajectories to `writer`, and the table `attrition` about them."""
        folder = self.config.folder
        if self.config.is_synthetic:
            folder = scratch / "tables"
            synthetic.write_eicu_tables(folder, self.config.synthetic.stays, self.config.synthetic.seed)
        with Workspace.staging(Tables(EICU, folder), scratch, self.config.memory_limit, self.config.threads) as work:
            staging.declare(work)
            attrition = cohort.select_stays(work, self.config)
            staging.stage(work, self.config)
            attrition = cohort.select_observed(work, self.config, attrition)
            writer.channels(list(CHANNELS))
            for block in assemble_stays(work):
                writer.append(block)
        writer.record("attrition", attrition)

    def render(self, trajectories: Trajectories, channels: Sequence[Channel], modality: str) -> Rendered:
        """Values of static facts and hours on a grid. Raises RecipeError for another modality."""
        if modality != "channels":
            raise RecipeError(f"the source eicu renders the modality channels, not {modality}; choose an encoder of it")
        return render.render_hours(trajectories, channels)

    def begins(self, steps: np.ndarray) -> np.ndarray:
        """Hours since admission to the unit."""
        return steps.astype(np.float64)

    def assurances(self, channels: Sequence[Channel]) -> list[Assurance]:
        """Of laboratory results, of infusions, and of diagnoses."""
        stored = self.config.lab_visibility == "stored"
        tests = () if stored else tuple(channel.name for channel in channels if 200 <= channel.order < 400)
        when = "when they were last entered or revised" if stored else "when the specimen was drawn"
        return [
            Assurance("availability", stored, f"laboratory results are shown {when}", tests),
            Assurance("intervals", True, "a rate holds from its charting on, and is not known to end before it does"),
            Assurance("hindsight", True, "no diagnosis is read"),
        ]

    def rendering_fingerprint(self, modality: str) -> str:
        return f"eicu {modality} {render.VERSION}"
