"""Surprise on new data, as the run scored its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jepa_anomalies.detectors import Standardised, reader, surprise_of
from jepa_core.contracts import Surprise
from jepa_core.data.observations import Observer
from jepa_core.data.trajectories import Channel
from jepa_core.errors import DataError
from jepa_core.model.view import View


class SurpriseHead(Surprise):
    """The surprise of channels, as an evaluator fitted it."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        """state: see `kept_state`."""
        self._state = state
        self.channels = [Channel(name, unit) for name, unit in zip(state["names"], state["units"], strict=True)]
        self.threshold = np.inf if state["threshold"] is None else float(state["threshold"])
        self._latest: tuple[View, Standardised] | None = None

    def steps(self, length: int) -> np.ndarray:
        """Every step but the first, which nothing foresees."""
        return np.arange(1, length)

    def scores(self, view: View, trajectory: np.ndarray, step: np.ndarray) -> np.ndarray:
        surprise, scores = self._before(view), np.full(len(trajectory), np.nan)
        for number in np.unique(trajectory).tolist():
            rows = trajectory == number
            scores[rows] = surprise(number)[step[rows]]
        return scores

    def by_channel(self, view: View, trajectory: int) -> np.ndarray:
        return self._before(view).by_channel(trajectory)

    def _before(self, view: View) -> Standardised:
        """The surprise of what a view shows; of the last one it is kept."""
        if self._latest is None or self._latest[0] is not view:
            if view.channels is None:
                raise DataError("the source does not render its steps as numbers, which surprise is about")
            dataset = view.channels()
            places = dict(zip(self._state["names"], self._state["places"], strict=True))
            observed = reader(Observer(lambda: dataset, places), dataset)
            self._latest = view, surprise_of(self._state, view, observed)
        return self._latest[1]


def kept_state(surprise: Mapping[str, Any], observer: Observer, units: Mapping[str, str], threshold: float) -> dict:
    """What a head is made of. surprise: its state. units: of channels by name."""
    return {
        **surprise,
        "names": observer.names,
        "places": list(observer.channels.values()),
        "units": [units.get(name, "") for name in observer.names],
        "threshold": float(threshold) if np.isfinite(threshold) else None,
    }
