"""The entry module."""

from __future__ import annotations

import subprocess
import sys

import jepa_clin
from jepa_core.config import ObjectiveConfig, PhaseConfig, PredictorConfig
from jepa_core.contracts import Objective, Phase, Predictor

CONTRACTS = {
    "predictor": (PredictorConfig, Predictor),
    "phase": (PhaseConfig, Phase),
    "objective": (ObjectiveConfig, Objective),
}


def test_importing_the_plugin_does_not_import_torch() -> None:
    code = "import sys, jepa_clin; list(jepa_clin.jepa_components()); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_components_are_those_of_clin_jepa() -> None:
    assert [(component.kind, component.name) for component in jepa_clin.jepa_components()] == [
        ("predictor", "action_transformer"),
        ("predictor", "gru"),
        ("predictor", "state_space"),
        ("predictor", "rssm"),
        ("phase", "predictor_warmup"),
        ("phase", "joint_refinement"),
        ("phase", "ema_alignment"),
        ("phase", "hard_sync"),
        ("phase", "predictor_finalization"),
        ("phase", "next_token"),
        ("phase", "cotraining"),
        ("phase", "masked_prediction"),
        ("objective", "variance_covariance"),
        ("objective", "grounding"),
        ("objective", "pooled_future"),
        ("objective", "hidden_channels"),
        ("objective", "reconstruction"),
        ("objective", "sigreg"),
    ]


def test_every_component_follows_its_contract_and_explains_its_keys() -> None:
    for component in jepa_clin.jepa_components():
        config, contract = CONTRACTS[component.kind]
        implementation = component.load()
        assert issubclass(component.config, config)
        assert issubclass(implementation, contract)
        assert component.summary and implementation.__doc__
        own = component.config.model_fields.keys() - {"optimizer", "schedule", "validation"}
        assert all(component.config.model_fields[key].description for key in own)
