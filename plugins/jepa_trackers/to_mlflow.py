"""A run in an MLflow store: parameters from the plan, metrics by step."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping

from jepa_core.libraries import library
from jepa_trackers.config import MlflowConfig
from jepa_trackers.tracker import Tracker

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
"""What MLflow reads: nothing is sent to its makers, and a server that is away is given up soon."""


class Mlflow(Tracker[MlflowConfig]):
    """Talks to the store by MLflow's client alone, so that nothing of the process's own MLflow state changes."""

    def open(self, identity: str | None, step: int) -> str:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        with library("mlflow"):
            from mlflow import MlflowClient
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        uri = self.config.uri or f"sqlite:///{self.run.folder.parent.absolute() / 'mlflow.db'}"
        self._client = MlflowClient(tracking_uri=uri)
        if identity is None:
            return self._begun()
        self._client.update_run(identity, status="RUNNING")
        self._run = identity
        return identity

    def _begun(self) -> str:
        experiment = self._client.get_experiment_by_name(self.config.experiment)
        known = experiment.experiment_id if experiment else self._client.create_experiment(self.config.experiment)
        tags = {"mlflow.runName": self.run.folder.name}
        self._run = self._client.create_run(known, tags=tags).info.run_id
        for name, value in self.run.plan.items():
            self._client.log_param(self._run, name, value)
        return self._run

    def write(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        self._client.log_batch(self._run, [Metric(name, value, now, step) for name, value in values.items()])

    def end(self, whole: bool) -> None:
        self._client.set_terminated(self._run, "FINISHED" if whole else "KILLED")
