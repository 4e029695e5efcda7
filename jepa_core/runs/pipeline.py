"""From a recipe to a report: the steps of a run, in order. Each one finds what an interrupted run had finished, and
goes on from it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jepa_core.config import EncoderConfig, SourceConfig
from jepa_core.contracts import Evaluation, Listener
from jepa_core.data.dataset import Dataset, refuse_empty_splits
from jepa_core.data.preparation import describe_store, facts, prepare_data, recorded_data
from jepa_core.data.rendering import check_rendered_alike, rendering_digest
from jepa_core.errors import RunError
from jepa_core.io.cores import require_threads
from jepa_core.io.files import disk_errors, write_atomically, write_json
from jepa_core.recipe import Recipe, Use
from jepa_core.recipe.threads import threads_asked
from jepa_core.report.page import write_report
from jepa_core.results.evaluated import evaluation_digests
from jepa_core.results.findings import Findings
from jepa_core.results.heads import heads_folder, write_heads
from jepa_core.results.meaning import MEANING
from jepa_core.results.predictions import write_predictions
from jepa_core.results.record import logged_lines, read_findings, record_digests
from jepa_core.results.samples import write_kept
from jepa_core.runs.control import control_maker
from jepa_core.runs.cost import Stopwatch
from jepa_core.runs.kept_model import component_record, save_model
from jepa_core.runs.learners import build_learner, built_phase, channels_opener, windows_of
from jepa_core.runs.plan import make_plan
from jepa_core.runs.process import process_state
from jepa_core.runs.run import Run, command, now
from jepa_core.training.checkpoint import restore_checkpoint
from jepa_core.training.curriculum import Progress, run_curriculum
from jepa_core.training.learner import Learner
from jepa_core.training.memory import memory_errors
from jepa_core.training.processes import ALONE, Peers
from jepa_core.training.target import EncoderUnder

log = logging.getLogger("jepa")
waiting = logging.getLogger("jepa.waiting")
"""Is heard of every process; of what else they say, that of the first is."""


def execute(run: Run, listeners: Sequence[Listener] = (), processes: Peers = ALONE) -> None:
    """Do everything that a recipe asks for: data, curriculum, evaluation, report.

    listeners: are told how it goes on; without `jepa_core.runs.listeners` no metrics and no checkpoints are written.
    processes: that train and evaluate together; the first prepares and writes, and holds the run for all of them.
    """
    held = run.locked() if processes.first else nullcontext()
    with process_state(run.recipe.runtime), held, disk_errors(run.folder):
        run.refuse_other_meaning()
        learner, untrained = _prepared(run, processes)
        for listener in listeners:
            listener.run_started()
        train(run, learner, listeners)
        _conclude(run, learner, untrained, listeners)
        for listener in listeners:
            listener.run_ended()


def _conclude(run: Run, learner: Learner, untrained: EncoderUnder, listeners: Sequence[Listener]) -> None:
    """What comes after training: the model is kept, evaluated, and reported on."""
    if learner.processes.first:
        save_model(run, learner)
    run_evaluators(run, learner, untrained, listeners)
    if not learner.processes.first:
        return
    run.note(ended=now(), files=record_digests(run.folder))
    write_report(run.folder)
    shutil.rmtree(run.scratch, ignore_errors=True)


def _prepared(run: Run, processes: Peers) -> tuple[Learner, EncoderUnder]:
    """The learner on its data, and the encoder before training. What is made once and written is made by the first
    process, and taken up by the others, which wait for it."""
    if processes.first:
        dataset = dataset_of(run)
        refuse_empty_splits(dataset, _splits_used(run.recipe))
        for use in run.recipe.evaluators:
            use.build().check(dataset)
        built = build_learner(run, dataset, processes)
        processes.wait()
        return built
    waiting.info("process %d of %d waits for process 0, which prepares the data", processes.number, processes.count)
    processes.wait()
    return build_learner(run, recorded_data(run.recipe, run.stores, run.manifest()["dataset"]), processes)


def _splits_used(recipe: Recipe) -> list[str]:
    """What is trained on, looked at while training, and measured on."""
    tuning = ["tuning"] if any(use.config.validates for use in recipe.curriculum) else []
    return ["train", *tuning, *(use.config.split for use in recipe.evaluators)]


# --- data -------------------------------------------------------------------------------------------------------------


def dataset_of(run: Run) -> Dataset:
    """The dataset of a run; its store and its rendering are made first if they are not there.

    Raises DataError if the data break their contract, or are not those that the run began on, RunError if this process
    cannot start as many threads as the recipe asks for.
    """
    require_threads(max(threads_asked(run.recipe).values(), default=1))
    config, encoder = run.recipe.source.config, run.recipe.encoder.config
    assert isinstance(config, SourceConfig) and isinstance(encoder, EncoderConfig)
    began_on, source = run.manifest().get("dataset") or {}, run.recipe.source.build()
    check_rendered_alike(source, encoder.modality, began_on.get("rendering"), str(run.folder))
    prepared = prepare_data(run.recipe, run.stores)
    store = prepared.store
    run.note_dataset(facts(store) | {"rendering": rendering_digest(source, encoder.modality)})
    write_json(run.folder / "data.json", describe_store(store) | {"subject": config.subject_noun})
    write_json(run.folder / "plan.json", make_plan(run.recipe).to_dict())
    log.info("data: %d trajectories, %d steps", len(store), int(store.steps.sum()))
    return prepared.dataset()


# --- training ---------------------------------------------------------------------------------------------------------


def train(run: Run, learner: Learner, listeners: Sequence[Listener]) -> None:
    """Run the curriculum, from the newest checkpoint if there is one."""
    phases = [built_phase(use) for use in run.recipe.curriculum]
    run_curriculum(
        phases,
        learner,
        windows_of(run, learner.dataset, "train"),
        run.recipe.seed,
        listeners,
        lambda progress: _restore(run, progress),
        partial(windows_of, run, learner.dataset),
    )


def _restore(run: Run, progress: Progress) -> None:
    processes = progress.learner.processes
    checkpoint = restore_checkpoint(run.checkpoints, progress)
    if checkpoint is not None and progress.index < len(progress.phases):
        log.info("going on with phase '%s' after step %d", progress.current.name, progress.step)
    name = checkpoint.name if checkpoint else ""
    if processes.any(name != processes.tell(name)):  # and nobody goes on before all have read
        raise RunError(
            f"the processes of this run see other checkpoints in {run.checkpoints}; it must lie on a file system that "
            "all of them share, whole on each"
        )
    if processes.first:
        _drop_metrics_after(run.folder / "metrics.jsonl", progress)


def _drop_metrics_after(path: Path, progress: Progress) -> None:
    """Forget the lines of steps that will be done again."""
    if not path.is_file():
        return
    kept = [line for line, logged in logged_lines(path) if logged["total_step"] <= progress.total_step]
    write_atomically(path, b"".join(line for line in kept if line.endswith(b"\n")))


# --- evaluation -------------------------------------------------------------------------------------------------------


def run_evaluators(run: Run, learner: Learner, untrained: EncoderUnder, listeners: Sequence[Listener]) -> None:
    """Run every evaluator whose findings are not there yet."""
    evaluation, first = evaluation_of(run, learner, untrained), learner.processes.first
    for index, use in enumerate(run.recipe.evaluators):
        path = run.findings / f"{use.name}.json"
        done = learner.processes.any(first and path.is_file())
        if not done:
            for listener in listeners:
                listener.evaluation_started(use.name, index, len(run.recipe.evaluators))
        findings = read_findings(path) if done else measure(run, evaluation, use)
        for listener in listeners:
            listener.evaluation_ended(use.name, findings)


def evaluation_of(run: Run, learner: Learner, untrained: EncoderUnder) -> Evaluation:
    """What the evaluators of a run may use; the learner is frozen."""
    learner.freeze()
    return Evaluation(
        learner=learner,
        window_length=run.recipe.windows.length,
        seed=run.recipe.seed,
        untrained=control_maker(run, learner, untrained),
        channels=channels_opener(run, learner.dataset),
        scratch=run.scratch,
        source=run.recipe.source.build(),
    )


def measure(run: Run, evaluation: Evaluation, use: Use) -> Findings:
    """Run an evaluator, put its findings in place of any earlier ones, and note in the manifest how they were made.

    All processes run it; the first writes."""
    cost = Stopwatch()
    with memory_errors(f"the evaluation '{use.name}'"):
        findings = use.build().evaluate(evaluation)
    if not evaluation.learner.processes.first:
        return findings
    evaluated = run.manifest().get("evaluated", {})
    if use.name in evaluated:  # a kill must not leave the digests of other files than those that lie there
        run.note(evaluated=evaluated | {use.name: evaluated[use.name] | {"files": {}}})
    write_findings(run.folder, use.name, findings, component_record(run, use))
    record = {"settings": use.resolved(), "ended": now(), "command": command(), "meaning": MEANING, **cost.read()}
    record["files"] = evaluation_digests(run.folder, use.name)
    run.note(evaluated=evaluated | {use.name: record})
    return findings


def write_findings(
    folder: Path, name: str, findings: Findings, evaluator: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Write what an evaluator found: predictions, samples, heads, then its findings as JSON. When the JSON is there,
    everything is. evaluator: its component with its config, which heads are of no use without.

    Earlier findings are withdrawn first, so that no JSON ever stands beside the predictions of another evaluation.
    """
    path = folder / "findings" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    write_predictions(folder / "predictions", name, findings.predictions)
    write_kept(folder, name, findings.samples, findings.redrawn)
    write_heads(heads_folder(folder, name), findings.heads, evaluator)
    write_json(path, findings.to_dict())
