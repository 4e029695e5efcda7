"""Phases of the curricula that Clin-JEPA is compared with, besides masked prediction (jepa_clin.masked)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from jepa_clin.config import CotrainingConfig, NextTokenConfig
from jepa_clin.phases import NextStatePrediction
from jepa_core.contracts import Batch, Latents, Phase

if TYPE_CHECKING:
    from jepa_core.training.learner import Learner


class NextToken(Phase[NextTokenConfig]):
    """Trains the encoder to predict the next token of the texts: the supervised fine-tuning that the paper starts from.

    Loss: mean cross-entropy over the tokens of the batch's distinct texts. Its end makes the EMA target equal to the
    encoder, so that a later phase does not predict what the encoder was before.
    Departures: the reference draws texts, two an hour; we draw windows, as every phase does, and take each distinct
    text of a batch once, the static one too. It ends each text with an end token, which it leaves out again when it
    encodes; here the latents never meet one.
    """

    def loss(self, learner: Learner, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Term `next_token`, in nats a token."""
        return {"next_token": learner.next_token_loss(batch)}

    def finish(self, learner: Learner) -> None:
        learner.sync_target()


class Cotraining(NextStatePrediction[CotrainingConfig]):
    """Naive co-training: encoder and predictor on one loss, in one phase, against the encoder's own states.

    Context and targets: the online encoder. The gradient flows through both, so nothing but a regularizer forbids
    latents that all are alike; with one this is co-training without heuristics, as in LeJEPA (arXiv 2511.08544). Loss:
    L_TF + L_R, as in the predictor's phases. What the paper's naive co-training does beyond "one phase" is published
    nowhere; for a target that is the encoder too, but without gradient, take `joint_refinement` with `tau: 0`.
    Its end makes the EMA target, which it does not read, equal to the encoder.
    """

    def targets(self, learner: Learner, batch: Batch, latents: Latents) -> Tensor:
        return latents.states

    def finish(self, learner: Learner) -> None:
        learner.sync_target()
