"""The listener my_component."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jepa_core.contracts import Listener, RunFacts
from jepa_my_component.config import MyComponentConfig


class MyComponent(Listener):
    """Appends a line to a CSV file for every step that the run writes down; a resumed run goes on with it."""

    def __init__(self, config: MyComponentConfig, run: RunFacts) -> None:
        self._path = run.folder / config.file

    def logged(self, record: Mapping[str, Any]) -> None:
        with self._path.open("a") as file:
            file.write(f"{record['phase']},{record['step']},{record['loss']}\n")
