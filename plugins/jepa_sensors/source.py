"""The source `table`: files of sensor readings to a store of trajectories, and their items."""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jepa_core.data.source import Assurance, Source
from jepa_core.data.store import Store, StoreWriter
from jepa_core.data.trajectories import Channel, Rendered, Trajectories
from jepa_core.errors import DataError, RecipeError, some_of
from jepa_core.io.files import digest_pieces
from jepa_sensors import precision, render
from jepa_sensors.assembly import RowAssembly, channels_of
from jepa_sensors.config import TableConfig
from jepa_sensors.cutting import Cuts, cut
from jepa_sensors.staging import Database, StagedRows, Staging
from jepa_sensors.targets import Targets

EXTRACTION_VERSION = 3
"""Raised when the same files and options give another store."""

_NOT_STORED: dict[str, bool | set[str]] = {
    "files": True, "noun": True, "split": {"tuning", "held_out"}, "history": True
}  # fmt: skip
"""Options that do not change the store: places of files, words, and what is made of it when it is rendered."""

log = logging.getLogger("jepa")


class TableSource(Source):
    """Readings of sensors, step by step.

    The files are read once, typed and checked, into a scratch file, which is brought into the order of trajectory and
    time and read once more. Memory holds a block of rows (or one trajectory, if that is more) and a few numbers a
    trajectory. Values keep their units: the encoders over channels fit means and scales on the train split.
    """

    def __init__(self, config: TableConfig) -> None:
        self.config = config

    def fingerprint(self) -> str:
        """Digest of the files, of the options that change the store, and of the extraction's version."""
        self._refuse_missing()
        options = self.config.model_dump(mode="json", exclude=dict(_NOT_STORED))
        options["seen"] = [column.name for column in self.config.seen_columns()]
        digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
        digest.update(f"extraction {EXTRACTION_VERSION}".encode())
        for group, path in self.config.table_files():
            digest.update(f"{group} {path.name} ".encode())
        for path in self.config.read_files():
            digest_pieces(path, digest)
        return digest.hexdigest()

    def build(self, writer: StoreWriter, scratch: Path) -> None:
        """Write the trajectories to `writer`, and the table `attrition` about them."""
        self._refuse_missing()
        with Database(scratch) as database:
            staged = Staging(self.config, scratch).run(database)
            self._judge_columns(database, staged)
            cuts = cut(staged, self.config, database)
        writer.channels(channels_of(self.config.seen_columns()))
        for block in RowAssembly(self.config, staged, cuts, Targets(self.config, staged, cuts)).blocks():
            writer.append(block)
        writer.record("attrition", _attrition(staged, cuts))

    def fitted(self, store: Store, shared: Sequence[Channel]) -> dict[str, Any]:
        """`states`: the columns that were left over, where the config does not name them. All of them: a heading stands
        over everybody's rows, and the encoder has a place for each."""
        taken = {*self.config.statics, *self.config.actions, *self.config.calendar_columns()}
        names = dict.fromkeys(channel.group or channel.name for channel in store.channels)
        return {"states": [name for name in names if name not in taken]}

    def load_fitted(self, fitted: dict[str, Any]) -> None:
        self.config = self.config.model_copy(update={"states": tuple(fitted["states"])})

    def render(self, trajectories: Trajectories, channels: Sequence[Channel], modality: str) -> Rendered:
        """Items of the trajectories and their steps. Raises RecipeError for another modality than the config's."""
        samples = self.config.step.samples
        if modality == "text":
            return render.render_text(trajectories, channels, samples)
        if modality != "channels":
            raise RecipeError(f"the source table renders channels and text, not {modality}; choose another encoder")
        rendered = render.render_channels(trajectories, channels, samples)
        return render.with_history(rendered, trajectories, self.config.remembered(), self.config.history)

    def begins(self, steps: np.ndarray) -> np.ndarray:
        """The number of each step's first sample."""
        return steps * float(self.config.step.samples)

    def assurances(self, channels: Sequence[Channel]) -> list[Assurance]:
        """Rows are points in time, as the files have them."""
        return [
            Assurance("availability", None, "a row is shown at its time; whether it was there then, no file says"),
            Assurance("intervals", True, "a row is a point in time; the source reads no intervals"),
        ]

    def rendering_fingerprint(self, modality: str) -> str:
        history = self.config.history if modality == "channels" else ()
        return " ".join([f"table {modality} {render.VERSION}", *history])

    def _judge_columns(self, database: Database, staged: StagedRows) -> None:
        """Refuse a channel without any value, and tell of one that never changes, or whose changes are lost."""
        for number, column in enumerate(staged.columns):
            held = precision.held(database, staged.path, number)
            if held.count == 0:
                self._judge_empty(column.name, staged.skipped)
            elif held.low == held.high:
                if self.config.split is not None:
                    log.warning("the column %s never changes; it tells an encoder nothing", column.name)
            elif held.lost and not column.categories:
                log.warning("%s", precision.say_what_is_lost(column.name, held))
        if staged.skipped:
            log.info("%d channels that the recipe does not name were left out", len(staged.skipped))
        self._tell_left_out()

    def _tell_left_out(self) -> None:
        """Name the row labels that are no channel because `states` are all columns left over."""
        if self.config.states is None:
            left_out = self.config.header(self.config.table_files()[0][1]).indexes - set(self.config.named_columns())
            for name in sorted(left_out):
                log.info(
                    "%s was left out: row labels of whoever wrote the file; name it in source.states to keep it", name
                )

    def _judge_empty(self, name: str, skipped: list[str]) -> None:
        """Where nothing is fitted on the rows, a few of them may well lack a channel."""
        near = difflib.get_close_matches(name, skipped, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else "leave it out"
        message = f"{some_of(self.config.files)}: {name} has no value in any row"
        if self.config.split is not None:
            raise DataError(f"{message}; {hint}")
        log.warning("%s%s", message, f"; the files have '{near[0]}' instead" if near else "")

    def _refuse_missing(self) -> None:
        missing = self.config.missing()
        if missing:
            raise DataError(missing[0])


def _attrition(staged: StagedRows, cuts: Cuts) -> list[dict[str, str | int | float]]:
    rows = [("ids in the files", len(staged.names), len(set(staged.subject.tolist())))]
    rows.append(("trajectories", len(cuts), len(set(cuts.subject.tolist()))))
    return [{"step": step, "trajectories": count, "subjects": subjects} for step, count, subjects in rows]
