"""Latent collapse: the latents of states compared with what they could be and with those before training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jepa_core.contracts import Evaluation, Evaluator
from jepa_core.findings import Findings, Headline, Verdict
from jepa_latent_eval.collapse_findings import describe
from jepa_latent_eval.geometry import Geometry, geometry
from jepa_latent_eval.states import Cover, all_states_of, cover

if TYPE_CHECKING:
    from jepa_core.learner import Learner
    from jepa_latent_eval.config import LatentCollapseConfig


class LatentCollapse(Evaluator):
    """Effective rank and spread of the states of a split, one latent a step.

    Low error alone rewards latents that hold little, so this stands beside every error in latent units.
    """

    config: LatentCollapseConfig

    def evaluate(self, evaluation: Evaluation) -> Findings:
        length, steps, seed = evaluation.window_length, self.config.steps, evaluation.seed
        part = cover(evaluation.dataset, self.config.split, length, steps, seed)
        if len(part.index) == 0:
            reason = f"the split {self.config.split} has no step"
            return Findings(
                headlines=[Headline("effective rank", None, note=reason)],
                verdicts=[Verdict("bad", f"Collapse could not be judged: {reason}.")],
            )
        trained = self._geometry(evaluation.learner, evaluation, part)
        wanted = self.config.untrained and evaluation.untrained is not None
        untrained = self._geometry(evaluation.untrained(), evaluation, part) if wanted else None
        return describe(trained, untrained, self.config)

    def _geometry(self, learner: Learner, evaluation: Evaluation, part: Cover) -> Geometry:
        states = all_states_of(learner, evaluation.dataset, part, self.config.batch_size)
        subjects = np.asarray(evaluation.dataset.subject)[states.trajectory]
        return geometry(states, subjects, self.config.bootstrap, evaluation.seed)
