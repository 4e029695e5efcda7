"""What all trackers do: numbers by name and step, out of what a run writes down; one identity over all resumes.

Nothing else of a run is looked at. A tracker gets the numbers that `metrics.jsonl` holds, the headline figures of
evaluators, and what the plan says of models and phases.
"""

from __future__ import annotations

import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from jepa_core.contracts import Listener, RunFacts
from jepa_core.io.files import write_json
from jepa_core.results.findings import Findings
from jepa_trackers.config import TrackerConfig

TrackerC = TypeVar("TrackerC", bound=TrackerConfig)


class Tracker(Listener, ABC, Generic[TrackerC]):
    """A listener that hands numbers on. To write one, `open` and `write` are enough, and `end` where something has to
    be closed."""

    def __init__(self, config: TrackerC, run: RunFacts) -> None:
        self.config = config
        self.run = run
        self._open = self._whole = False
        self._step = 0

    @abstractmethod
    def open(self, identity: str | None, step: int) -> str:
        """Begin a run, or go on with that of an identity; returns the identity. step: from which on numbers come."""

    @abstractmethod
    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Hand on numbers of a step, counted over the whole curriculum."""

    def end(self, whole: bool) -> None:
        """The run is over. whole: or else it was stopped, and may go on one day."""

    def logged(self, record: Mapping[str, Any]) -> None:
        self._hand_on(int(record["total_step"]), dict(_numbers(record)))

    def evaluation_ended(self, name: str, findings: Findings) -> None:
        values = {f"{name}/{headline.label}": headline.value for headline in findings.headlines}
        self._hand_on(self._step, {label: value for label, value in values.items() if value is not None})

    def run_ended(self) -> None:
        self._whole = True

    def close(self) -> None:
        if self._open:
            self.end(self._whole)

    def _hand_on(self, step: int, values: Mapping[str, float]) -> None:
        path = self.run.folder / "trackers" / f"{self.config.library}.json"
        if not self._open:
            before = json.loads(path.read_text())["identity"] if path.is_file() else None
            identity = self.open(before, step)
            path.parent.mkdir(exist_ok=True)
            write_json(path, {"identity": identity})
            self._open = True
        self._step = step
        self.write(step, {metric_name(name): value for name, value in values.items() if math.isfinite(value)})


def metric_name(name: str) -> str:
    """A name of letters, digits and the few signs that every tracker takes."""
    return re.sub(r"[^\w\-. /]", "_", name, flags=re.ASCII)


def _numbers(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of a logged step, under its phase's name."""
    values = {**record["terms"], **record["metrics"]}
    values |= {key: record[key] for key in ("loss", "rank", "learning_rate", "steps_per_second")}
    validation = record.get("validation", {})
    values |= {f"validation/{name}": value for name, value in validation.get("terms", {}).items()}
    values |= {f"validation/{name}": value for name, value in validation.get("metrics", {}).items()}
    values |= {f"validation/{key}": validation[key] for key in ("loss", "best") if key in validation}
    yield from ((f"{record['phase']}/{name}", float(value)) for name, value in values.items() if value is not None)
