"""Evaluators of latents: how far a rollout drifts, whether they have collapsed, how they move before an event, and what
a rollout says when it is decoded."""

from collections.abc import Iterator

from jepa_core.plugin import Component, hookimpl
from jepa_latent_eval.config import (
    ChannelForecastConfig,
    DecodedForecastConfig,
    ImaginationConfig,
    LatentCollapseConfig,
    LatentDisplacementConfig,
    RolloutDriftConfig,
)


@hookimpl
def jepa_components() -> Iterator[Component]:
    yield Component(
        "evaluator",
        "rollout_drift",
        config=RolloutDriftConfig,
        implementation="jepa_latent_eval.drift:RolloutDrift",
        example={"contexts": [3, 6], "horizon": 4, "headline_context": 6, "stride": 3, "bootstrap": 200},
    )
    yield Component(
        "evaluator",
        "latent_collapse",
        config=LatentCollapseConfig,
        implementation="jepa_latent_eval.collapse:LatentCollapse",
        example={"bootstrap": 200},
    )
    yield Component(
        "evaluator",
        "latent_displacement",
        config=LatentDisplacementConfig,
        implementation="jepa_latent_eval.displacement:LatentDisplacement",
        example={"events": ["event_far"], "outcomes": ["pushed"], "horizons": [2, 4], "bootstrap": 200},
    )
    yield Component(
        "evaluator",
        "decoded_forecast",
        config=DecodedForecastConfig,
        implementation="jepa_latent_eval.forecast:DecodedForecast",
        example={"context": 4, "horizons": [1, 4], "stride": 3, "bootstrap": 200},
    )
    yield Component(
        "evaluator",
        "channel_forecast",
        config=ChannelForecastConfig,
        implementation="jepa_latent_eval.channel_forecast:ChannelForecast",
        example={"context": 4, "horizon": 4, "stride": 3, "least_values": 10, "bootstrap": 200},
    )
    yield Component(
        "evaluator",
        "imagination",
        config=ImaginationConfig,
        implementation="jepa_latent_eval.imagination:Imagination",
        example={
            "acts": [{"channel": "push", "value": 2.0, "against": 0.0, "steps": 2}],
            "at": [4],
            "horizon": 4,
            "turns": 2,
            "bootstrap": 200,
        },
    )
