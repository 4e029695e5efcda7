"""Imagined effects of acts, held against the generator of the data."""

from __future__ import annotations

from dataclasses import replace

from jepa_core.contracts import Evaluation, Evaluator
from jepa_core.data.dataset import Dataset
from jepa_core.errors import DataError, RecipeError
from jepa_core.model.acts import known_acts
from jepa_core.results.findings import Findings
from jepa_latent_eval.config import ImaginationConfig
from jepa_latent_eval.imagination_findings import imagination_findings, nothing_imagined
from jepa_latent_eval.imagined_effects import Question, acts_from, compare, find_starts


class Imagination(Evaluator[ImaginationConfig]):
    """Imagines every trajectory of a split under acts that were chosen, and has the generator of the data run on under
    the same: direction and size of what an act does, and how much worse the model imagines than it forecasts.

    An effect is the difference of two futures from one step, one with the act and one without. The generator's is taken
    in equal turns of chance, so that nothing but the act is in it. It takes data that were made, and an objective that
    keeps a decoder of channels.
    """

    def check(self, dataset: Dataset) -> None:
        """Raises DataError for an act on a channel that the data have not, or in another unit."""
        for act in self.config.acts:
            try:
                known_acts(acts_from(act, 0, act.value), dataset.store.channels)
            except RecipeError as error:
                raise DataError(f"the evaluator imagination: {error}") from error

    def evaluate(self, evaluation: Evaluation) -> Findings:
        question = self._question(evaluation)
        if isinstance(question, str):
            return nothing_imagined(question)
        units = {channel.name: channel.unit for channel in evaluation.dataset.store.channels}
        compared = list(compare(question, [units.get(name, "") for name in question.names]))
        return imagination_findings(compared, question)

    def _question(self, evaluation: Evaluation) -> Question | str:
        """What is asked, or why nothing can be."""
        learner, source = evaluation.learner, evaluation.source
        if source is None or (simulator := source.simulator()) is None:
            return "the data were recorded, and nobody can say what other acts would have done"
        if not learner.decoders() or learner.observer is None:
            return "no objective of the curriculum keeps a decoder of channels"
        if self.config.horizon > evaluation.window_length:
            return f"the horizon of {self.config.horizon} steps is longer than the windows of training"
        starts, left_out = find_starts(evaluation, source, self.config)
        question = Question(self.config, evaluation, source, simulator, starts, [], left_out)
        if len(set(question.subjects.tolist() if starts else [])) < 2:
            return f"fewer than 2 subjects of the split go on for {self.config.horizon} steps and can do the acts"
        return self._judging(question, learner.observer.names)

    def _judging(self, question: Question, decoded: list[str]) -> Question | str:
        """The question with the channels that are judged."""
        act, start = self.config.acts[0], question.starts[0]
        identifier = question.evaluation.dataset.store.identifier[start.chosen[:1]]
        run_on = question.simulator.simulate(identifier, [acts_from(act, start.at, act.value)], start.at, 1)
        both = [name for name in decoded if name in run_on]
        unknown = [name for name in self.config.channels if name not in both]
        if unknown or not both:
            told = f"not {', '.join(unknown)}" if unknown else "nothing in common"
            return f"the generator makes, and the decoder reads, {', '.join(both) or 'no channel'}; {told}"
        return replace(question, names=list(self.config.channels) or both)
