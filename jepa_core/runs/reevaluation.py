"""Evaluating a finished run again, or in new ways, without training."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jepa_core.errors import DataError, RecipeError, RunError
from jepa_core.io.cores import too_many_threads
from jepa_core.io.files import disk_errors
from jepa_core.io.records import parse_json
from jepa_core.model.folder import read_record
from jepa_core.recipe import Recipe, Use, load_recipe
from jepa_core.recipe.threads import threads_asked
from jepa_core.results.meaning import other_meaning
from jepa_core.runs.process import process_state
from jepa_core.runs.run import Run

if TYPE_CHECKING:
    from jepa_core.contracts import Evaluation, Listener
    from jepa_core.data.dataset import Dataset
    from jepa_core.training.learner import Learner
    from jepa_core.training.processes import Peers
    from jepa_core.training.target import EncoderUnder

log = logging.getLogger("jepa")


def evaluators_asked_for(run: Run, overrides: Sequence[str], other: str | None) -> Recipe:
    """The run's recipe with the evaluators that are to run now: those of another recipe, else those that the overrides
    name, else all of the run's.

    Raises RecipeError if an override is about anything but evaluators, or if nothing is left to do.
    """
    strange = [override for override in overrides if not override.startswith("evaluators.")]
    if strange:
        raise RecipeError(
            f"{strange[0]}: a finished run can only be evaluated in another way (evaluators.NAME.KEY=VALUE); "
            "start a new run for anything else"
        )
    asked = load_recipe(other or run.folder / "recipe.resolved.yaml", overrides, run.registry).evaluators
    named = {override.removeprefix("evaluators.").partition("=")[0].partition(".")[0] for override in overrides}
    chosen = tuple(use for use in asked if other or not overrides or use.name in named)
    if not chosen:
        raise RecipeError("no evaluator is left to run; name one, such as evaluators.NAME.KEY=VALUE")
    recipe = replace(run.recipe, evaluators=chosen)
    missing = [f"  evaluator {use.name}: {sentence}" for use in chosen for sentence in use.config.missing()]
    missing += [f"  {sentence}" for sentence in too_many_threads(threads_asked(recipe))]
    if missing:
        raise DataError("the run cannot be evaluated here:\n" + "\n".join(missing))
    return recipe


def evaluate_again(run: Run, listeners: Sequence[Listener] = (), processes: Peers | None = None) -> None:
    """Run the evaluators of the run's recipe, in place of what they found before, and write the report again.

    The learner is the trained one, and the untrained control is the run's, which is made as in the run itself if it is
    not there: an evaluator with equal settings finds the same, byte for byte, and it is told where it does not. Other
    findings are left as they are.

    Raises RunError if the run has not finished training, DataError if its data or its model are not what they were.
    """
    from jepa_core.data.preparation import recorded_data
    from jepa_core.report.page import write_report
    from jepa_core.runs.kept_model import has_record, keep_record
    from jepa_core.runs.pipeline import evaluation_of
    from jepa_core.training.processes import ALONE

    recorded, together = dataset_of_trained(run), processes or ALONE
    held = run.locked() if together.first else nullcontext()
    with process_state(run.recipe.runtime), held, disk_errors(run.folder):
        kept = together.any(together.first and has_record(run))
        if kept:
            read_record(run.folder)  # refuses what is not as it was written
        if together.first:
            _tell_other_meaning(run)
        learner, untrained = trained_learner(run, recorded_data(run.recipe, run.stores, recorded), together)
        if not kept and together.first:
            keep_record(run, learner)
        measure_all(run, evaluation_of(run, learner, untrained), listeners)
        if together.first:
            write_report(run.folder)
            shutil.rmtree(run.scratch, ignore_errors=True)


def dataset_of_trained(run: Run) -> dict[str, Any]:
    """The facts of the data that a run trained on. Raises RunError if it has not finished training."""
    recorded: dict[str, Any] | None = run.manifest().get("dataset")
    if not (run.folder / "model.safetensors").is_file() or recorded is None:
        raise RunError(f"{run.folder} has not finished training; go on with: jepa resume {run.folder}")
    return recorded


def trained_learner(
    run: Run, dataset: Dataset, processes: Peers | None = None
) -> tuple[Learner, EncoderUnder]:  # fmt: skip
    """The learner of a run on a dataset, with its trained weights, and the encoder as it was before training.
    processes: that have it together; this one alone, if not given."""
    from jepa_core.runs.learners import build_learner
    from jepa_core.training.processes import ALONE

    learner, untrained = build_learner(run, dataset, processes or ALONE)
    load_model(run.folder / "model.safetensors", learner, run.recipe)
    return learner, untrained


def measure_all(run: Run, evaluation: Evaluation, listeners: Sequence[Listener]) -> None:
    """Run every evaluator of a run's recipe, in place of what it found before."""
    from jepa_core.runs.pipeline import measure

    for index, use in enumerate(run.recipe.evaluators):
        for listener in listeners:
            listener.evaluation_started(use.name, index, len(run.recipe.evaluators))
        before = _values(run, use)
        findings = measure(run, evaluation, use)
        if evaluation.learner.processes.first:
            _tell_other_values(use, before, _values(run, use))
        for listener in listeners:
            listener.evaluation_ended(use.name, findings)


def _tell_other_meaning(run: Run) -> None:
    if told := other_meaning(run.manifest()):
        log.warning(
            "%s %s: its model keeps its own scales; what is found now is not to be compared with runs of this version",
            run.folder, told,
        )  # fmt: skip


def _values(run: Run, use: Use) -> list[Any] | None:
    """What was found in numbers, if the evaluator measured with the settings that it has now."""
    path = run.folder / "findings" / f"{use.name}.json"
    noted = run.manifest().get("evaluated", {}).get(use.name, {})
    if noted.get("settings") != use.resolved() or not path.is_file():
        return None
    try:
        return list(_numbers(parse_json(path.read_bytes())))
    except ValueError:
        return None


def _numbers(findings: Any) -> Iterator[Any]:
    """All that is no text, in order."""
    if isinstance(findings, dict | list):
        for part in findings.values() if isinstance(findings, dict) else findings:
            yield from _numbers(part)
    elif not isinstance(findings, str):
        yield findings


def _tell_other_values(use: Use, before: list[Any] | None, after: list[Any] | None) -> None:
    """With equal settings an evaluator finds the same bytes; where it does not, versions or machines differ."""
    if before is not None and before != after:
        log.warning(
            "%s found other values than before with the same settings: this version, or this machine, computes "
            "otherwise; evaluate again what it is compared with", use.name,
        )  # fmt: skip


def load_model(path: Path, learner: Learner, recipe: Recipe) -> None:
    """Set a learner to the trained weights of a recipe's run.

    Raises DataError if they are damaged, or another model's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from jepa_core.runs.learners import built_phase
    from jepa_core.training.checkpoint import load_trained

    try:
        load_trained(learner, [built_phase(use) for use in recipe.curriculum], recipe.seed, load_file(path))
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise DataError(f"{path} is damaged or does not fit the recipe of its run ({error}); run again") from error
