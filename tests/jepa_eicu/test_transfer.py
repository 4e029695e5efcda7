"""What eICU and MIMIC-IV have in common, and a model of the one on the other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

import jepa_core
from commands import environment
from jepa_core.errors import RecipeError
from jepa_eicu.config import EICUConfig
from jepa_eicu.labels import OUTCOMES, RAISING_PRESSURE, TARGETS
from jepa_eicu.mapping import ANTIBIOTIC, CHANNELS, GIVEN, GRID, READINGS, STATIC_CHANNELS, VARIABLES
from jepa_eicu.source import EICUSource
from jepa_eicu.synthetic import write_eicu_tables
from jepa_mimic_iv import labels as other_labels
from jepa_mimic_iv import numeric_grid, staging
from jepa_mimic_iv.derived import VARIABLES as OTHER_VARIABLES
from jepa_mimic_iv.synthetic import write_tables
from warm import WarmProcess

RECIPE = """\
extends: five_phases
source: {use: mimic_iv, tables: synthetic, synthetic: {stays: 40, seed: 0, illness: 1.5}}
encoder: {use: mlp, width: 32, feedforward: 32, layers: 1, latent_size: 24}
predictor: {width: 16, layers: 1, heads: 2, feedforward: 16}
curriculum:
  predictor_warmup: {steps: 2}
  joint_refinement: {steps: 2}
  ema_alignment: {steps: 1}
  predictor_finalization: {steps: 2, rollout_horizon: 3}
evaluators:
  rollout_drift: null
  latent_collapse: null
  tasks:
    use: prediction_tasks
    components: 8
    methods: [latents, train_mean]
    baselines: [linear]
    heads: {families: [linear], strengths: [1.0]}
    tasks: [{outcome: hospital_mortality, after: 12}, {event: hyperglycaemia, horizon: 8}]
    bootstrap: 100
"""


def test_channels_have_the_names_units_and_places_of_the_other_source() -> None:
    others = {
        variable.channel: (variable.unit, variable.group, variable.label, variable.order, variable.role)
        for variable in OTHER_VARIABLES
    }
    shared = [variable for variable in VARIABLES if variable not in GIVEN]
    assert len(shared) > 70
    for variable in shared:
        told = (variable.unit, variable.group, variable.label, variable.order, variable.role)
        assert others[variable.channel] == told
    assert list(STATIC_CHANNELS) == list(staging.STATIC_CHANNELS[:3])
    (antibiotic,) = (variable for variable in OTHER_VARIABLES if variable.channel == ANTIBIOTIC.name)
    assert (antibiotic.label, antibiotic.order, antibiotic.text) == (ANTIBIOTIC.label, ANTIBIOTIC.order, True)
    assert {variable.group for variable in GIVEN} == {"inputevents"}


def test_targets_and_outcomes_have_the_meaning_of_the_other_source() -> None:
    assert all(set(names) <= set(other_labels.TARGETS[name]) for name, names in TARGETS.items())
    assert set(other_labels.TARGETS) - set(TARGETS) == {"pao2fio2_ratio", "sofa_total"}
    assert RAISING_PRESSURE == other_labels.RAISING_PRESSURE
    assert set(OUTCOMES) == {"hospital_mortality", "icu_mortality", "prolonged_stay_7d"}


def test_every_reading_goes_to_a_channel_within_the_others_bounds() -> None:
    others = {variable.channel: variable for variable in OTHER_VARIABLES}
    names = {channel.name for channel in CHANNELS}
    for reading in READINGS:
        assert reading.channel in names and reading.low <= reading.high
        items = [item for item in others[reading.channel].items if item.scale == 1]
        if items and not reading.fraction:
            assert reading.low >= min(item.low for item in items), reading.key
            assert reading.high <= max(item.high for item in items), reading.key


def test_equal_seeds_make_equal_tables(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_eicu_tables(tmp_path / name, 12, 3)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) == 9
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)


@pytest.fixture(scope="module")
def folder(warm: WarmProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run on synthetic MIMIC-IV, and synthetic eICU."""
    folder = tmp_path_factory.mktemp("transfer")
    (folder / "mine.yaml").write_text(RECIPE)
    done = warm.run(["run", "mine.yaml", "--out", "run"], environment(), folder)
    assert done.returncode == 0, done.stderr
    write_eicu_tables(folder / "eicu", 40, 0)
    return folder


def test_a_model_of_one_scores_patients_of_the_other_and_is_judged_there(folder: Path, warm: WarmProcess) -> None:
    asked = ["--data", "eicu", "--source", "eicu", "--task", "hospital_mortality", "--out", "scores.parquet"]
    done = warm.run(["predict", "run", *asked], environment(), folder)
    assert done.returncode == 0, done.stderr
    table = pq.read_table(folder / "scores.parquet")
    truth, score = (table[name].to_numpy() for name in ("boolean_value", "predicted_boolean_probability"))
    assert len(truth) > 20 and 0 < truth.sum() < len(truth) and np.ptp(score) > 0
    assert f"AUROC {roc_auc_score(truth, score):.3f} (" in done.stderr
    assert "channels that the encoder was fitted on are channels of eicu" in done.stderr


def test_the_others_hours_are_rendered_as_the_models_own(folder: Path) -> None:
    model = jepa_core.load(folder / "run", "cpu")
    data = model.read(folder / "eicu", source="eicu")
    (block,) = data.dataset.store.blocks(10_000)
    states = data.rendered(block).state[:, :, 0]
    heart = numeric_grid.COLUMNS.index("vitalsign/heart_rate")
    own = EICUSource(EICUConfig()).render(block, data.dataset.store.channels, "channels").state[:, :, 0]
    assert np.array_equal(states[:, heart], own[:, GRID.index("vitalsign/heart_rate")]) and (states[:, heart] > 0).all()
    assert len(data) == 40


def evaluated(warm: WarmProcess, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return warm.run(["evaluate", "run", "--data", "eicu", *arguments], environment(), folder)


@pytest.fixture(scope="module")
def transfer(folder: Path, warm: WarmProcess) -> tuple[Path, str]:
    """What the run's evaluators found on eICU, and what was said on the way."""
    own = {path: path.read_bytes() for path in (folder / "run" / "findings").glob("*")}
    done = evaluated(warm, folder, "--source", "eicu")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "run/transfer/eicu/report.html"
    assert own == {path: path.read_bytes() for path in (folder / "run" / "findings").glob("*")}
    return folder / "run" / "transfer" / "eicu", done.stderr


def test_all_evaluators_measure_the_other_with_what_they_fitted_in_the_run(
    folder: Path, transfer: tuple[Path, str], warm: WarmProcess
) -> None:
    other, _ = transfer
    assert [path.name for path in (other / "findings").glob("*.json")] == ["tasks.json"]
    heads = "heads/tasks/heads.safetensors"
    assert (other / heads).read_bytes() == (folder / "run" / heads).read_bytes()
    asked = ["--data", "eicu", "--source", "eicu", "--task", "hospital_mortality", "--out", "again.parquet"]
    assert warm.run(["predict", "run", *asked], environment(), folder).returncode == 0
    columns = ["subject_id", "boolean_value", "predicted_boolean_probability"]
    path = other / "predictions" / "tasks.hospital_mortality_after_12.latents.parquet"
    known = [
        row for row in pq.read_table(folder / "again.parquet", columns=columns).to_pylist() if None not in row.values()
    ]
    assert len(known) > 20 and pq.read_table(path, columns=columns).to_pylist() == known


def test_the_report_of_the_run_shows_what_was_found_elsewhere_and_leads_there(
    folder: Path, transfer: tuple[Path, str], warm: WarmProcess
) -> None:
    page = folder / "run" / "report.html"
    page.unlink()
    assert warm.run(["report", "run"], environment(), folder).returncode == 0
    _, shown = page.read_text().split("<h2>On other data</h2>")
    assert 'href="transfer/eicu/report.html"' in shown and "hospital mortality" in shown
    assert "mine on eicu" in (transfer[0] / "report.html").read_text()
    assert not (transfer[0] / "scratch").exists()


def test_what_the_other_lacks_is_named_and_counts_as_not_measured(transfer: tuple[Path, str]) -> None:
    said = transfer[1]
    assert "the source eicu has no label event_kidney_failure" in said and "outcome mortality_7d" in said
    assert "1 of 93 channels are not among those that the encoder was fitted on: inputevents/Fluids [mL]" in said


def test_what_was_trained_on_is_refused_as_other_data(folder: Path, warm: WarmProcess) -> None:
    write_tables(folder / "mimic", stays=40, seed=0, illness=1.5)
    done = warm.run(["evaluate", "run", "--data", "mimic"], environment(), folder)
    assert done.returncode == 3 and "are among those that the run was trained or tuned on" in done.stderr
    assert not (folder / "run" / "transfer" / "mimic_iv").exists()


def test_other_data_are_not_put_under_a_name_that_is_taken(
    folder: Path, transfer: tuple[Path, str], warm: WarmProcess
) -> None:
    write_eicu_tables(folder / "more", 12, 1)
    done = warm.run(["evaluate", "run", "--data", "more", "--source", "eicu"], environment(), folder)
    assert done.returncode == 2 and "give these a name of their own: --name NAME" in done.stderr
    done = warm.run(["evaluate", "run", "--source", "eicu"], environment(), folder)
    assert done.returncode == 2 and "say where these lie: --data PATH" in done.stderr


def test_events_of_the_other_are_judged_at_the_rows_that_can_be(folder: Path) -> None:
    model = jepa_core.load(folder / "run", "cpu")
    scored = model.score(model.read(folder / "eicu", source="eicu"), "hyperglycaemia", method="logistic / ridge")
    assert set(np.unique(scored.truth[~np.isnan(scored.truth)])) == {0.0, 1.0} and np.isnan(scored.truth).any()


def test_a_source_that_needs_more_than_a_path_or_has_other_steps_is_refused(folder: Path) -> None:
    model = jepa_core.load(folder / "run", "cpu")
    with pytest.raises(RecipeError, match="the source table needs keys that a path does not tell"):
        model.read(folder / "eicu", source="table")
    (folder / "made.json").write_text("{}")
    with pytest.raises(RecipeError, match="a step of the source oscillators is not as long"):
        model.read(folder / "made.json", source="oscillators")
