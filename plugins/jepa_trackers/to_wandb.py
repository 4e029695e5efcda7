"""A run of Weights & Biases: the plan as its config, metrics by step."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from jepa_core.libraries import library
from jepa_trackers.config import WandbConfig
from jepa_trackers.tracker import Tracker

WAIT_SECONDS = 30
"""For a server, before it is given up."""


class Wandb(Tracker[WandbConfig]):
    """Hands W&B numbers alone: no code, no console, no statistics of the machine, no list of packages, no command
    line."""

    def open(self, identity: str | None, step: int) -> str:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        with library("wandb"):
            import wandb
        folder = Path(self.config.folder) if self.config.folder else self.run.folder.parent
        folder.mkdir(parents=True, exist_ok=True)
        identity = identity or uuid4().hex[:12]
        self._run = wandb.init(
            project=self.config.project, name=self.run.folder.name, id=identity, dir=str(folder),
            mode=self.config.mode, resume="allow", config=dict(self.run.plan), reinit="create_new",
            settings=wandb.Settings(
                silent=True, console="off", disable_git=True, disable_code=True, save_code=False,
                x_disable_stats=True, x_disable_meta=True, x_save_requirements=False, disable_job_creation=True,
                init_timeout=WAIT_SECONDS,
            ),
        )  # fmt: skip
        return identity

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def end(self, whole: bool) -> None:
        self._run.finish(exit_code=0 if whole else 1)
