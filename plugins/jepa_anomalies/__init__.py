"""Anomalies: how far each step is from what the model foresaw of it, and what alarms that raises."""

from collections.abc import Iterator

from jepa_anomalies.config import AnomaliesConfig
from jepa_core.plugin import Component, hookimpl


@hookimpl
def jepa_components() -> Iterator[Component]:
    yield Component(
        "evaluator",
        "anomalies",
        config=AnomaliesConfig,
        implementation="jepa_anomalies.evaluator:Anomalies",
        example={"label": "event_far", "horizons": [1, 2], "span": 2, "trees": 10, "bootstrap": 200, "rate": 0.05},
    )
