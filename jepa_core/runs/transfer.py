"""A finished run measured on other data: its evaluators on all trajectories that another source reads, as held out.

What evaluators fit (heads, baselines, scales, thresholds) they fit on the run's own train and tuning splits, as in the
run. What they find lies in a folder of its own within that of the run, which has files as a run has:

    transfer/<name>/    manifest.json, plan.json, data.json (of the other data), findings, predictions, samples, heads,
                        tables, report.html
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jepa_core.config import EncoderConfig, SourceConfig
from jepa_core.data.joining import join_stores
from jepa_core.data.preparation import build_store, describe_store, facts, open_dataset, recorded_data
from jepa_core.data.source import Source
from jepa_core.data.store import Store
from jepa_core.data.trajectories import Channel
from jepa_core.errors import DataError, RecipeError, some_of
from jepa_core.io.files import disk_errors, write_json
from jepa_core.io.records import write_sealed
from jepa_core.model.folder import read_record
from jepa_core.recipe import Recipe, Use
from jepa_core.results.record import transfers_folder
from jepa_core.runs.process import process_state
from jepa_core.runs.reevaluation import dataset_of_trained, measure_all, trained_learner
from jepa_core.runs.run import Run, command, now, plugin_versions, versions

if TYPE_CHECKING:
    from jepa_core.contracts import Listener
    from jepa_core.data.dataset import Dataset

log = logging.getLogger("jepa")


@dataclass(frozen=True)
class OtherData:
    """Data that a run is measured on. source: name of what reads them, None for the run's own. paths: where they lie.
    name: of what is found on them; that of the source if None."""

    source: str | None
    paths: Sequence[Path]
    name: str | None = None

    def source_name(self, run: Run) -> str:
        return self.source or run.recipe.source.component.name


def evaluate_elsewhere(run: Run, other: OtherData, listeners: Sequence[Listener] = ()) -> Path:
    """Run the evaluators of a run's recipe on other data, in place of what they found there before. Gives the path of
    the transfer's report; the run's own report, which shows it, is written again.

    Raises RecipeError where the source cannot read the paths, or the name is that of other data; DataError where the
    other data have no channel, or no label and outcome, of those of the run, or what it was trained on is among them;
    and what `evaluate_again` raises.
    """
    from jepa_core.report.page import write_report
    from jepa_core.runs.pipeline import evaluation_of

    recorded = dataset_of_trained(run)
    transfer = Run(_folder(run, other), held_out(run.recipe), run.registry)
    with process_state(run.recipe.runtime), run.locked(), disk_errors(run.folder), _scratch(transfer):
        record = read_record(run.folder)
        source: Source = run.recipe.source.build()
        source.load_fitted(record["source_fitted"])
        own = recorded_data(run.recipe, run.stores, recorded).store
        dataset = _joint_dataset(transfer, run, own, _other_store(transfer, run, other, record, own.channels), source)
        for use in transfer.recipe.evaluators:
            use.build().check(dataset)
        learner, untrained = trained_learner(run, dataset)
        asked = None if source.simulator() else source  # what made the run's data did not make these
        evaluation = replace(evaluation_of(run, learner, untrained), source=asked, scratch=transfer.scratch)
        measure_all(transfer, evaluation, listeners)
        transfer.note(ended=now())
        report = write_report(transfer.folder)
        write_report(run.folder)
        shutil.rmtree(run.scratch, ignore_errors=True)
    return report


def held_out(recipe: Recipe) -> Recipe:
    """A recipe whose evaluators all measure the held-out split."""
    return replace(recipe, evaluators=tuple(_on_held_out(use) for use in recipe.evaluators))


def _on_held_out(use: Use) -> Use:
    return replace(use, config=use.config.model_copy(update={"split": "held_out"}))


def _folder(run: Run, other: OtherData) -> Path:
    name = other.name or other.source_name(run)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise RecipeError(f"--name {name}: a name has letters, digits, _ and -, such as site_b")
    return transfers_folder(run.folder) / name


@contextmanager
def _scratch(transfer: Run) -> Iterator[None]:
    """An empty folder for the stores of the other data, which go when all is done."""
    shutil.rmtree(transfer.scratch, ignore_errors=True)
    transfer.scratch.mkdir(parents=True, mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(transfer.scratch, ignore_errors=True)
        if not any(transfer.folder.iterdir()):  # nothing was found, and nothing is shown
            transfer.folder.rmdir()


# --- data -------------------------------------------------------------------------------------------------------------


def _other_store(
    transfer: Run, run: Run, other: OtherData, record: Mapping[str, Any], channels: Sequence[Channel]
) -> Store:
    """The other data as their source reads them. channels: of the run's data. Raises DataError where they have none of
    these."""
    from jepa_core.model.data import meet_channels, refuse_empty, source_of, warn_left_out

    name, config = other.source_name(run), run.recipe.source.config
    assert isinstance(config, SourceConfig)
    if name == run.recipe.source.component.name:
        reader: Source = run.recipe.source.component.load()(config.at(other.paths))
        reader.load_fitted(record["source_fitted"])
    else:
        reader = source_of(run.registry, name, other.paths, config.step_length)
    store = build_store(reader, name, transfer.scratch)
    refuse_empty(store)
    warn_left_out(store.record("attrition"))
    meet_channels(name, store.channels, channels)
    return store


def _joint_dataset(transfer: Run, run: Run, own: Store, other: Store, source: Source) -> Dataset:
    """The run's train and tuning splits, and the other data as held out, rendered as the run's own data are."""
    _meet_targets(own, other)
    _refuse_other_data(transfer, other)
    joint = join_stores(own, other, transfer.scratch / "joint")
    _begin(transfer, run, other)
    encoder = run.recipe.encoder.config
    assert isinstance(encoder, EncoderConfig)
    return open_dataset(joint, source, encoder.modality)


def _meet_targets(own: Store, other: Store) -> None:
    """Say which labels and outcomes of the run's the other data lack. Raises DataError where they have none of them."""
    wanted = {"label": (own.label_names, other.label_names), "outcome": (own.outcome_names, other.outcome_names)}
    lacking = [f"{kind} {name}" for kind, (mine, theirs) in wanted.items() for name in mine if name not in theirs]
    name = other.attributes["source"]
    if lacking and len(lacking) == len(own.label_names) + len(own.outcome_names):
        raise DataError(f"the source {name} has no label and no outcome of the run's: no {some_of(lacking)}")
    if lacking:
        log.warning(
            "the source %s has no %s; what is asked of them is not measured, and the findings say so",
            name, some_of(lacking),
        )  # fmt: skip


# --- what is written down ---------------------------------------------------------------------------------------------


def _before(transfer: Run) -> dict[str, Any]:
    """The manifest of what was found under that name before; empty if nothing was."""
    return transfer.manifest() if (transfer.folder / "manifest.json").is_file() else {}


def _refuse_other_data(transfer: Run, other: Store) -> None:
    """Raises RecipeError if what was found on other data has the name."""
    before = _before(transfer)
    if before and before["dataset"]["content"] != other.content:
        raise RecipeError(
            f"{transfer.folder} has what was found on other data; give these a name of their own: --name NAME"
        )


def _begin(transfer: Run, run: Run, other: Store) -> None:
    """Write down what is measured on what."""
    recipe, source = run.recipe, other.attributes["source"]
    trained_on = recipe.source.component.name
    write_sealed(transfer.folder / "manifest.json", {
        "name": f"{recipe.name} on {transfer.folder.name}",
        "description": f"Trained on {trained_on} in the run {run.folder.name}, measured on {source}. Whatever was "
        "fitted, was fitted on the run's own train and tuning splits.",
        "command": command(),
        "seed": recipe.seed,
        "started": now(),
        "versions": versions(),
        "plugins": plugin_versions(run.registry, (use.component for use in recipe.uses())),
        "dataset": facts(other),
        "evaluated": _before(transfer).get("evaluated", {}),
    })  # fmt: skip
    write_json(transfer.folder / "data.json", describe_store(other) | {"subject": _noun(run, source)})
    write_json(transfer.folder / "plan.json", {"evaluators": [use.name for use in recipe.evaluators]})


def _noun(run: Run, source: str) -> str:
    """What the source of that name calls a subject."""
    own = run.recipe.source
    config = own.config if source == own.component.name else run.registry.component("source", source).config()
    assert isinstance(config, SourceConfig)
    return config.subject_noun
