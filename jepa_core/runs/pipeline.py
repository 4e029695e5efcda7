"""From a recipe to a report: the steps of a run, in order. Each one finds what an interrupted run had finished, and
goes on from it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from jepa_core.config import EncoderConfig, LearnerShape, ObjectiveConfig, SourceConfig, Split, StreamConfig
from jepa_core.contracts import Encoder, Evaluation, Listener
from jepa_core.data.dataset import Dataset, refuse_empty_splits, trained_on
from jepa_core.data.observations import Observer
from jepa_core.data.preparation import describe_store, facts, open_dataset, prepare_data, recorded_data
from jepa_core.data.rendering import ChannelRendering, check_rendered_alike, rendering_digest
from jepa_core.data.windows import Windows
from jepa_core.ensemble import ensemble_of
from jepa_core.errors import DataError, RunError
from jepa_core.io.files import disk_errors, write_atomically, write_json
from jepa_core.io.records import Shape, read_sealed, write_sealed
from jepa_core.io.tensor_files import TensorFolder, read_tensors, same_layout, write_tensors
from jepa_core.io.ticker import Ticker
from jepa_core.model.folder import OBSERVATIONS
from jepa_core.recipe import PhaseUse, Recipe, Use
from jepa_core.report.page import write_report
from jepa_core.results.evaluated import evaluation_digests
from jepa_core.results.findings import Findings
from jepa_core.results.heads import heads_folder, write_heads
from jepa_core.results.meaning import MEANING
from jepa_core.results.predictions import write_predictions
from jepa_core.results.record import logged_lines, read_findings, record_digests
from jepa_core.results.samples import write_kept
from jepa_core.runs.cost import Stopwatch
from jepa_core.runs.kept_model import component_record, save_model
from jepa_core.runs.memory import check_disk, check_memory
from jepa_core.runs.plan import make_plan
from jepa_core.runs.process import device_of, process_state
from jepa_core.runs.run import Run, command, now
from jepa_core.runs.sharing import control_name, shared_folder
from jepa_core.training.checkpoint import restore_checkpoint
from jepa_core.training.curriculum import BuiltPhase, Progress, build_modules, run_curriculum
from jepa_core.training.latent_cache import TYPES
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

    Raises DataError if the data break their contract, or are not those that the run began on.
    """
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


# --- learner ----------------------------------------------------------------------------------------------------------


def build_learner(run: Run, dataset: Dataset, processes: Peers = ALONE) -> tuple[Learner, EncoderUnder]:
    """The learner with its weights as the seed draws them, and the encoder as it is before training."""
    recipe = run.recipe
    device = device_of(recipe.runtime)
    plan = make_plan(recipe)
    check_memory(plan, device)
    check_disk(plan, run.folder)
    torch.manual_seed(recipe.seed)
    with memory_errors("building the models"):
        encoder = recipe.encoder.build(recipe.item_shape())
        _fit(encoder, dataset, run.folder / "fitted.json")
        if recipe.runtime.divide_weights and processes.count > 1:
            from jepa_core.training.divided_weights import divide_frozen  # torch's FSDP takes a second to import

            divided = divide_frozen(encoder, processes, device)
            log.info("the weights of %d frozen maps are divided among %d processes", len(divided), processes.count)
        learner = new_learner(run, encoder, dataset, device, run.scratch, _observer(run, dataset))
    learner.processes = processes
    untrained = EncoderUnder(encoder, learner.trainable)
    learner.share(_shared(run, learner, untrained))
    if any(objective.config.observes for use in recipe.curriculum for objective in use.objectives):
        assert learner.observer is not None, "validation refuses such an objective without numbers"
        learner.observer.prepare()
    return learner, untrained


def _shared(run: Run, learner: Learner, untrained: EncoderUnder) -> TensorFolder | None:
    if learner.processes.in_lockstep:  # of divided weights nobody has all, to tell what they are
        return None
    return shared_folder(run, learner.encoder, untrained.weights(), learner.dataset, learner.device)


def _observer(run: Run, dataset: Dataset) -> Observer | None:
    """What reads states as numbers, or None where the source renders none."""
    opens, config = _channels_opener(run, dataset), run.recipe.source.config
    assert isinstance(config, SourceConfig)
    return Observer(opens, config.observations(), run.folder / OBSERVATIONS) if opens else None


def new_learner(
    run: Run,
    encoder: Encoder,
    dataset: Dataset,
    device: torch.device,
    scratch: Path,
    observer: Observer | None,
    belief_gradient: bool = True,
) -> Learner:
    """A learner of an encoder and a new predictor, whose weights depend on the seed alone."""
    torch.manual_seed(run.recipe.seed + 1)
    runtime = run.recipe.runtime
    use = run.recipe.predictor
    predictor = ensemble_of(lambda: use.build(encoder.latent_dim), use.config.members)
    cache_bytes = int(runtime.latent_cache_gib * 2**30)
    return Learner(
        encoder, predictor, dataset, device, scratch, cache_bytes,
        autocast=runtime.precision == "bf16", cached_as=TYPES[runtime.latent_cache_type],
        observer=observer, belief_gradient=belief_gradient,
    )  # fmt: skip


def _fit(encoder: Encoder, dataset: Dataset, path: Path) -> None:
    """Fit the encoder on the train split, or take up what it fitted when the run began."""
    if path.is_file():
        encoder.load_fitted(read_sealed(path, Shape, "delete it and resume: it is fitted again"))
        return
    encoder.fit(dataset.training_items())
    encoder.forget_rare(dataset.owned_items())
    write_sealed(path, encoder.fitted())


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


def built_phase(use: PhaseUse) -> BuiltPhase:
    """A phase of the recipe as the curriculum runs it, its objectives with it."""
    objectives = {objective.name: objective.build() for objective in use.objectives}
    return BuiltPhase(use.name, use.build(), objectives, use.optimizer.build(), use.schedule.build())


def windows_of(run: Run, dataset: Dataset, split: Split, stream: StreamConfig = StreamConfig()) -> Windows:  # noqa: B008
    """Windows of a split as a stream or the recipe cuts them; of train, those of the share of it that is trained on."""
    cut = run.recipe.windows
    trajectories = trained_on(dataset, cut.share) if split == "train" else dataset.trajectories(split)
    length, stride = stream.length or cut.length, stream.stride or cut.stride
    windows = dataset.windows_of(trajectories, length, stride, cut.min_length)
    if len(windows) == 0:
        raise DataError(
            f"no trajectory of the {split} split has the {cut.min_length} steps of windows.min_length; lower it"
        )
    return windows


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
        untrained=_control_maker(run, learner, untrained),
        channels=_channels_opener(run, learner.dataset),
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


def _channels_opener(run: Run, dataset: Dataset) -> Callable[[], Dataset] | None:
    """How to open the trajectories as numbers, or None where the source cannot render them."""
    config = run.recipe.source.config
    assert isinstance(config, SourceConfig)
    if "channels" not in config.modalities:
        return None
    if isinstance(dataset.rendering, ChannelRendering):
        return lambda: dataset
    return cache(lambda: open_dataset(dataset.store, run.recipe.source.build(), "channels"))


def _control_maker(run: Run, learner: Learner, untrained: EncoderUnder) -> Callable[[], Learner] | None:
    """How to make the untrained control, or None where no phase trains the predictor alone.

    Its predictor is trained by the last such phase. The modules of that phase's objectives that are kept learn to read
    its beliefs, and change none of them: so what they read of the control is what anybody could.
    """
    chosen = [use for use in run.recipe.curriculum if use.config.trains == {"predictor"} and use.config.steps]
    if not chosen:
        return None
    steps = sum(use.config.steps for use in run.recipe.curriculum if "predictor" in use.config.trains)
    kept = tuple(objective for objective in chosen[-1].objectives if objective.config.keep and _has_module(objective))
    use = replace(chosen[-1], config=chosen[-1].config.model_copy(update={"steps": steps}), objectives=kept)

    @cache
    def make() -> Learner:
        control = _control(run, learner, untrained)
        _take_up_or_train(run, control, use, _shared(run, learner, untrained))
        control.freeze()
        return control

    return make


def _control(run: Run, learner: Learner, untrained: EncoderUnder) -> Learner:
    """The untrained control before its predictor trains."""
    control = new_learner(
        run, untrained, learner.dataset, learner.device, run.scratch / "control", learner.observer,
        belief_gradient=False,
    )  # fmt: skip
    control.processes = learner.processes
    control.share(_shared(run, learner, untrained))
    control.freeze()
    return control


def _has_module(use: Use) -> bool:
    config = use.config
    assert isinstance(config, ObjectiveConfig)
    return config.module_size(LearnerShape(1, 1, 1)) is not None


class _ControlSteps(Listener):
    """Says how far the training of the control has come."""

    def __init__(self, steps: int) -> None:
        self._ticker = Ticker("untrained control", steps)

    def step_ended(self, progress: Progress) -> None:
        self._ticker.add(steps=1)


def _take_up_or_train(run: Run, control: Learner, use: PhaseUse, shared: TensorFolder | None) -> None:
    """Give the control what this run trained for it before, or else another run, or else train it."""
    built = replace(built_phase(use), name="untrained_control")
    build_modules([built], control, run.recipe.seed, built.objectives)
    processes, drawn = control.processes, dict(control.weights())
    own, name = run.folder / "control.safetensors", control_name(run, use)
    if _taken_up(control, read_tensors(own), drawn):
        return
    if _taken_up(control, shared.read(name) if shared else None, drawn):
        log.info("control: taking the predictor that another run trained on the same untrained encoder")
    else:
        log.info("control: training a predictor on the untrained encoder, %d steps", use.config.steps)
        cut = partial(windows_of, run, control.dataset)
        run_curriculum([built], control, cut("train"), run.recipe.seed, [_ControlSteps(use.config.steps)], cut=cut)
        if shared and processes.count == 1:  # others may not find what depends by rounding on a number of processes
            shared.write(name, dict(control.weights()))
    if processes.first:
        write_tensors(own, dict(control.weights()))


def _taken_up(control: Learner, kept: Mapping[str, Tensor] | None, drawn: Mapping[str, Tensor]) -> bool:
    """Give the control weights that were kept, if every process finds them whole."""
    fits = kept is not None and same_layout(kept, drawn)
    if control.processes.any(not fits):
        return False
    assert kept is not None
    control.load_weights(dict(kept))
    return True
