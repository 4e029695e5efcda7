"""Latent collapse: the latents of states compared with what they could be and with those before training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from jepa_core.contracts import Evaluation, Evaluator
from jepa_core.results.findings import Findings, Headline, Redrawn, Verdict
from jepa_core.results.samples import subject_numbers
from jepa_latent_eval.collapse_findings import collapse_findings
from jepa_latent_eval.config import LatentCollapseConfig
from jepa_latent_eval.geometry import Geometry, geometry, redrawn_geometry
from jepa_latent_eval.states import Cover, States, all_states_of, cover

if TYPE_CHECKING:
    from jepa_core.training.learner import Learner


class LatentCollapse(Evaluator[LatentCollapseConfig]):
    """Effective rank and spread of the states of a split, one latent a step.

    Low error alone rewards latents that hold little, so this stands beside every error in latent units.
    """

    def evaluate(self, evaluation: Evaluation) -> Findings:
        length, steps, seed = evaluation.window_length, self.config.steps, evaluation.seed
        part = cover(evaluation.dataset, self.config.split, length, steps, seed)
        if len(part.index) == 0:
            reason = f"the split {self.config.split} has no step"
            return Findings(
                headlines=[Headline("effective rank", None, note=reason)],
                verdicts=[Verdict("bad", f"Collapse could not be judged: {reason}.")],
            )
        trained, redrawn = self._trained(evaluation, part)
        return replace(collapse_findings(trained, self._untrained(evaluation, part), self.config), redrawn=redrawn)

    def _trained(self, evaluation: Evaluation, part: Cover) -> tuple[Geometry, list[Redrawn]]:
        """The geometry, and what runs are compared by. The states end here, before those of the control are encoded."""
        states, data = self._states(evaluation.learner, evaluation, part), evaluation.dataset
        geometry_of = self._geometry(states, evaluation)
        everyone = data.subject[data.trajectories(self.config.split)]
        numbers = subject_numbers(self._subjects(states, evaluation), everyone)
        return geometry_of, redrawn_geometry(states, numbers, geometry_of)

    def _untrained(self, evaluation: Evaluation, part: Cover) -> Geometry | None:
        if not self.config.untrained or evaluation.untrained is None:
            return None
        return self._geometry(self._states(evaluation.untrained(), evaluation, part), evaluation)

    def _states(self, learner: Learner, evaluation: Evaluation, part: Cover) -> States:
        return all_states_of(learner, evaluation.dataset, part, self.config.batch_size)

    def _subjects(self, states: States, evaluation: Evaluation) -> np.ndarray:
        return np.asarray(evaluation.dataset.subject)[states.trajectory]

    def _geometry(self, states: States, evaluation: Evaluation) -> Geometry:
        return geometry(states, self._subjects(states, evaluation), self.config.bootstrap, evaluation.seed)
