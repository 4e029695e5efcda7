"""Event files for TensorBoard: curves by step, and the plan as a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from jepa_core.libraries import library
from jepa_trackers.config import TensorboardConfig
from jepa_trackers.tracker import Tracker

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Tensorboard(Tracker[TensorboardConfig]):
    """Writes to `<folder>/<run>`; a resumed run hides what it does again (`purge_step`)."""

    def open(self, identity: str | None, step: int) -> str:
        with library("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter
        folder = Path(self.config.folder) if self.config.folder else self.run.folder.parent / "tensorboard"
        event_folder = folder / self.run.folder.name
        self._writer: SummaryWriter = SummaryWriter(str(event_folder), purge_step=None if identity is None else step)
        if identity is None:
            rows = "\n".join(f"| {name} | {value} |" for name, value in self.run.plan.items())
            self._writer.add_text("plan", f"| | |\n|---|---|\n{rows}")
        return self.run.folder.name

    def write(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def end(self, whole: bool) -> None:
        self._writer.close()
