"""Clin-JEPA (arXiv 2605.10840): the action-conditioned transformer predictor, the five phases of its curriculum, the
phases of the curricula that it is compared with, further predictors, terms against collapse, and objectives that tie
beliefs to the data. Nothing here depends on the kind of trajectory."""

from __future__ import annotations

from collections.abc import Iterator

from jepa_clin.config import (
    ActionTransformerConfig,
    CotrainingConfig,
    EmaAlignmentConfig,
    GroundingConfig,
    GruConfig,
    HardSyncConfig,
    JointRefinementConfig,
    MaskedPredictionConfig,
    NextTokenConfig,
    PredictorFinalizationConfig,
    PredictorWarmupConfig,
    SigregConfig,
    VarianceCovarianceConfig,
)
from jepa_clin.further_config import (
    HiddenChannelsConfig,
    PooledFutureConfig,
    ReconstructionConfig,
    RssmConfig,
    StateSpaceConfig,
)
from jepa_core.plugin import Component, hookimpl


@hookimpl
def jepa_components() -> Iterator[Component]:
    """The components of this plugin."""
    small = {"width": 32, "layers": 2, "heads": 2, "feedforward": 64, "max_steps": 24}
    yield Component(
        "predictor", "action_transformer", ActionTransformerConfig, "jepa_clin.predictor:ActionTransformer", small
    )
    yield Component("predictor", "gru", GruConfig, "jepa_clin.gru:Gru", {"width": 16})
    small_scan = {"width": 16, "layers": 2, "heads": 2, "head_size": 4, "state_size": 4, "chunk": 3}
    yield Component("predictor", "state_space", StateSpaceConfig, "jepa_clin.state_space:StateSpace", small_scan)
    small_draw = {"width": 16, "variables": 3, "classes": 4}
    yield Component("predictor", "rssm", RssmConfig, "jepa_clin.rssm:Rssm", small_draw)
    yield Component("phase", "predictor_warmup", PredictorWarmupConfig, "jepa_clin.phases:PredictorWarmup")
    yield Component("phase", "joint_refinement", JointRefinementConfig, "jepa_clin.phases:JointRefinement")
    yield Component("phase", "ema_alignment", EmaAlignmentConfig, "jepa_clin.phases:EmaAlignment")
    yield Component("phase", "hard_sync", HardSyncConfig, "jepa_clin.phases:HardSync")
    yield Component(
        "phase", "predictor_finalization", PredictorFinalizationConfig, "jepa_clin.phases:PredictorFinalization"
    )
    yield Component("phase", "next_token", NextTokenConfig, "jepa_clin.baselines:NextToken")
    yield Component("phase", "cotraining", CotrainingConfig, "jepa_clin.baselines:Cotraining")
    yield Component(
        "phase",
        "masked_prediction",
        MaskedPredictionConfig,
        "jepa_clin.masked:MaskedPrediction",
        example={"predictor": {"width": 32, "layers": 1, "heads": 2, "feedforward": 64}},
    )
    yield Component(
        "objective", "variance_covariance", VarianceCovarianceConfig, "jepa_clin.regularizers:VarianceCovariance"
    )
    yield Component("objective", "grounding", GroundingConfig, "jepa_clin.grounding:Grounding")
    yield Component("objective", "pooled_future", PooledFutureConfig, "jepa_clin.futures:PooledFuture")
    yield Component("objective", "hidden_channels", HiddenChannelsConfig, "jepa_clin.futures:HiddenChannels")
    yield Component("objective", "reconstruction", ReconstructionConfig, "jepa_clin.futures:Reconstruction")
    yield Component("objective", "sigreg", SigregConfig, "jepa_clin.regularizers:Sigreg")
