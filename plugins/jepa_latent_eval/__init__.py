"""Evaluators that look at latents alone: how far a rollout drifts, and whether the latents have collapsed."""

from collections.abc import Iterator

from jepa_core.plugin import Component, hookimpl
from jepa_latent_eval.config import LatentCollapseConfig, RolloutDriftConfig


@hookimpl
def jepa_components() -> Iterator[Component]:
    yield Component(
        "evaluator", "rollout_drift", config=RolloutDriftConfig, implementation="jepa_latent_eval.drift:RolloutDrift"
    )
    yield Component(
        "evaluator",
        "latent_collapse",
        config=LatentCollapseConfig,
        implementation="jepa_latent_eval.collapse:LatentCollapse",
    )
