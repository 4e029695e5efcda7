"""Scoring new data with a finished run: the run's own held-out subjects, given again as raw data, score the same to the
bit; what cannot be read or scored is refused in one sentence."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

import jepa_core
from commands import environment
from jepa_core.data.store import Store
from jepa_core.errors import DataError, JepaError, RecipeError
from jepa_core.model.data import Data
from jepa_core.model.judging import told_by_truth
from jepa_core.model.model import Model
from jepa_core.model.seen import seen
from jepa_core.results.predictions import predictions_path
from warm import WarmProcess

READINGS = "readings.csv"
SENSORS = """\
extends: five_phases
source:
  use: table
  files: readings.csv
  id: machine
  time: second
  states: [position, speed]
  actions: push
  statics: kind
  categories: {kind: [red, blue]}
  units: {position: m, speed: m/s}
  step: {samples: 2}
  labels: {event_hot: {column: hot}, hot: {column: hot}}
  outcomes: {bad: {column: bad}}
  split: {fractions: [0.5, 0.25, 0.25]}
windows: {length: 12, stride: 4, min_length: 3}
encoder: {use: mlp, width: 32, feedforward: 32, layers: 1, latent_size: 24}
predictor: {use: action_transformer, width: 16, layers: 1, heads: 2, feedforward: 16, max_steps: 12}
curriculum:
  predictor_warmup: {steps: 2}
  joint_refinement: {steps: 2}
  ema_alignment: {steps: 1}
  predictor_finalization: {steps: 2, rollout_horizon: 3}
evaluators:
  - use: prediction_tasks
    name: tasks
    components: 8
    methods: [latents, latents_and_rollout, decoded_latents, untrained_latents, train_mean, last_value]
    rollout_horizons: [1, 3]
    baselines: [linear, lightgbm, lstm, gru_d, tcn]
    baseline_search:
      lightgbm: {rounds: 10, leaves: [4], leaf_rows: [10]}
      sequence: {learning_rates: [0.003], width: 8, epochs: 1}
    tasks: [{outcome: bad, after: 3}, {event: hot, horizon: 3}, {label: hot, rows: last}]
    bootstrap: 100
  - {use: decoded_forecast, context: 4, horizons: [1, 2], bootstrap: 100}
"""


def jepa(warm: WarmProcess, *arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return warm.run(list(map(str, arguments)), environment(), folder)


def write_readings(path: Path, machines: int = 100) -> None:
    """Oscillators with an offset that tells the outcome; their names are not in the order of the rows."""
    random = np.random.default_rng(0)
    rows = []
    for machine in range(machines):
        offset, angle = random.normal(), 0.0
        for second in range(int(random.integers(8, 30))):
            push = random.normal()
            angle += 0.3 + 0.2 * push
            position = np.sin(angle) + offset / 2
            shown = "" if random.random() < 0.2 else f"{position:.4f}"
            rows.append([
                f"m{machine * 7 % machines:03d}", second, "red" if machine % 2 else "blue", shown,
                f"{np.cos(angle):.4f}", f"{push:.3f}", int(position > 0.6), int(offset > 0),
            ])  # fmt: skip
    write_rows(path, ["machine", "second", "kind", "position", "speed", "push", "hot", "bad"], rows)


def write_rows(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture(scope="module")
def sensors(warm: WarmProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run on readings, whose stores are gone, and the readings of its held-out machines."""
    folder = tmp_path_factory.mktemp("sensors")
    write_readings(folder / READINGS)
    (folder / "sensors.yaml").write_text(SENSORS)
    done = jepa(warm, "run", "sensors.yaml", "--out", "made/run", folder=folder)
    assert done.returncode == 0, done.stderr
    (folder / "made" / "run").rename(folder / "run")  # away from its stores
    header, *rows = csv.reader((folder / READINGS).read_text().splitlines())
    names = sorted({row[0] for row in rows})
    held_out = {names[number] for number in predicted(folder, "bad_after_3", "train mean")["subject_id"].to_pylist()}
    held_out |= {names[number] for number in predicted(folder, "hot_within_3", "train mean")["subject_id"].to_pylist()}
    held_out |= {names[number] for number in predicted(folder, "hot", "train mean")["subject_id"].to_pylist()}
    write_rows(folder / "new.csv", header, [row for row in rows if row[0] in held_out])
    return folder


def predicted(folder: Path, task: str, method: str) -> pa.Table:
    return pq.read_table(predictions_path(folder / "run" / "predictions", "tasks", task, method))


@pytest.fixture(scope="module")
def model(sensors: Path) -> Model:
    torch.set_num_threads(1)
    return jepa_core.load(sensors / "run", "cpu")


@pytest.fixture(scope="module")
def new_data(sensors: Path, model: Model) -> Data:
    """The readings of the held-out machines as new data, to be scored by any head; to be left as they are."""
    return model.read(sensors / "new.csv")


def told(table: pa.Table, number: Callable[[int], int]) -> dict[tuple[int, int], float]:
    """Score of every row by the number of its subject and its step."""
    scored = ("predicted_boolean_probability", "predicted_float_value")
    name = next(name for name in scored if name in table.column_names)
    columns = (table[column].to_pylist() for column in ("subject_id", "step", name))
    return {(number(subject), step): score for subject, step, score in zip(*columns, strict=True)}


METHODS = [
    "latents", "latents and rollout", "decoded latents", "train mean", "logistic / ridge", "LightGBM", "LSTM", "GRU-D",
    "TCN",
]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", ["bad_after_3", "hot_within_3", "hot"])
def test_held_out_subjects_given_alone_score_as_the_run_said_to_the_bit(
    sensors: Path, model: Model, new_data: Data, task: str, method: str
) -> None:
    """The run and the new data number their subjects in one order; the run has more of them."""
    before = predicted(sensors, task, method)
    subjects = sorted(
        set().union(*(predicted(sensors, one, method)["subject_id"].to_pylist() for one in ("bad_after_3", "hot")))
    )
    wanted = told(before, subjects.index)
    found = model.score(new_data, task, method=method)
    rows = zip(found.trajectory.tolist(), found.step.tolist(), strict=True)
    score = dict(zip(rows, found.score.tolist(), strict=True))
    assert len(wanted) > 20 and {row: score[row] for row in wanted} == wanted


def test_the_command_writes_what_the_run_wrote_and_judges_it_by_the_truth_in_the_data(
    sensors: Path, warm: WarmProcess
) -> None:
    out = sensors / "scores.parquet"
    done = jepa(warm, "predict", "run", "--data", "new.csv", "--task", "bad", "--at", "3", "--out", out, folder=sensors)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(out) and out.stat().st_mode & 0o077 == 0
    made, before = pq.read_table(out), predicted(sensors, "bad_after_3", "latents")
    assert set(before.column_names) == set(made.column_names)
    assert made["boolean_value"].to_pylist() == before["boolean_value"].to_pylist()
    auroc = roc_auc_score(before["boolean_value"], before["predicted_boolean_probability"])
    assert f"AUROC {auroc:.3f} (" in done.stderr
    assert made["predicted_boolean_probability"].to_pylist() == before["predicted_boolean_probability"].to_pylist()
    assert made["prediction_time"].to_pylist() == before["prediction_time"].to_pylist()
    assert made["step"].to_pylist() == before["step"].to_pylist()


def test_what_the_run_was_trained_on_is_scored_and_not_measured(sensors: Path, model: Model) -> None:
    every, new = (model.read(sensors / name) for name in (READINGS, "new.csv"))
    told = []
    for data in (every, new):
        known = seen(model.folder, data.dataset.store)
        scored = model.score(data, "bad", at=3)
        told.append(told_by_truth(scored, data.dataset.store.subject[scored.trajectory], known[scored.trajectory]))
    held_out = predicted(sensors, "bad_after_3", "latents").num_rows
    assert f"{100 - held_out} of 100 rows with a truth are of subjects that the run was trained or tuned on" in told[0]
    auroc = [re.match(r"AUROC [\d.]+", words).group() for words in told]
    assert auroc[0] == auroc[1] and "not measured" not in told[1]


def test_without_the_column_of_the_answer_no_truth_is_known(sensors: Path, model: Model, tmp_path: Path) -> None:
    header, *rows = csv.reader((sensors / "new.csv").read_text().splitlines())
    write_rows(tmp_path / "bare.csv", header[:-1], [row[:-1] for row in rows])
    data = model.read(tmp_path / "bare.csv")
    bad, hot = (model.score(data, task).truth for task in ("bad", "hot_within_3"))
    assert np.isnan(bad).all() and not np.isnan(hot).all()


def test_without_a_file_scores_are_printed_by_position_and_no_name_is(sensors: Path, warm: WarmProcess) -> None:
    done = jepa(warm, "predict", "run", "--data", "new.csv", "--task", "hot_within_3", "--quiet", folder=sensors)
    assert done.returncode == 0 and done.stderr == ""
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert rows[0].keys() == {"trajectory", "step", "score"} and rows[0]["trajectory"] == "0"
    assert all(0 <= float(row["score"]) <= 1 for row in rows)
    assert not any(f"m{number:03d}" in done.stdout for number in range(100))


def test_a_prediction_has_names_places_and_what_it_means(sensors: Path, model: Model) -> None:
    data = model.read(sensors / "new.csv")
    scores = model.predict(data, "bad", at=3)
    assert scores.dims == ("trajectory", "step") and scores["step"].values.tolist() == [2]
    assert np.isfinite(scores).all() and scores.attrs["meaning"] == "probability"
    assert (scores.attrs["task"], scores.attrs["method"]) == ("bad_after_3", "latents")
    every = model.predict(data, "hot_within_3")
    assert np.array_equal(every.notnull().sum("step"), data.steps)
    later = model.predict(data, "bad", at=8)
    assert np.array_equal(later["trajectory"], np.flatnonzero(data.steps >= 8))


def test_a_forecast_is_decoded_in_the_units_of_the_data(sensors: Path, model: Model) -> None:
    made = model.forecast(model.read(sensors / "new.csv"), at=4, horizon=2)
    assert made["decoded"].dims == ("trajectory", "horizon", "channel")
    assert made["channel"].values.tolist() == ["event_hot", "hot"]
    readout = model.readouts[0]
    assert np.allclose(made["decoded"], readout.decode(made["state"].values.astype(float)))


def changed(sensors: Path, folder: Path, change: Callable[[list[str], list[list[str]]], object]) -> Path:
    header, *rows = csv.reader((sensors / "new.csv").read_text().splitlines())
    change(header, rows)
    path = folder / "changed.csv"
    write_rows(path, header, rows)
    return path


def test_outcomes_and_labels_that_nobody_knows_yet_are_not_asked_for(
    sensors: Path, model: Model, tmp_path: Path
) -> None:
    def forget(header: list[str], rows: list[list[str]]) -> None:
        for row in (header, *rows):
            del row[6:]

    known, unknown = (model.read(path) for path in (sensors / "new.csv", changed(sensors, tmp_path, forget)))
    one, other = (model.score(data, "bad", at=3).score for data in (known, unknown))
    assert np.array_equal(one, other)
    assert unknown.dataset.store.outcome_names == unknown.dataset.store.label_names == []


BAD: list[tuple[Callable[[list[str], list[list[str]]], object], type[JepaError], str]] = [
    (lambda header, rows: [row.pop(4) for row in (header, *rows)], RecipeError, "has no column 'speed'"),
    (lambda header, rows: rows[5].__setitem__(2, "green"), DataError, "line 7: column kind holds none of"),
    (lambda header, rows: rows[5].__setitem__(4, "fast"), DataError, "line 7: column speed holds no number"),
    (lambda header, rows: rows.clear(), DataError, "there is a header and no row"),
    (
        lambda header, rows: [row.__setitem__(slice(3, 5), ["", ""]) for row in rows if row[0] == rows[0][0]],
        DataError, "trajectories hold no observation, at the positions",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_data_that_the_encoder_cannot_read_are_refused_in_one_sentence(
    sensors: Path, model: Model, tmp_path: Path, change: Callable, error: type[JepaError], message: str
) -> None:
    with pytest.raises(error, match=message) as refused:
        model.read(changed(sensors, tmp_path, change))
    assert not any(f"m{number:03d}" in str(refused.value) for number in range(100))


def test_a_place_without_a_table_is_refused(model: Model, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no table is in"):
        model.read(tmp_path)
    with pytest.raises(DataError, match="no file is at"):
        model.read(tmp_path / "nowhere.csv")


def test_a_folder_of_tables_is_read_as_its_files(sensors: Path, model: Model, tmp_path: Path) -> None:
    header, *rows = csv.reader((sensors / "new.csv").read_text().splitlines())
    half = rows[len(rows) // 2][0]
    write_rows(tmp_path / "a.csv", header, [row for row in rows if row[0] < half])
    write_rows(tmp_path / "b.csv", header, [row for row in rows if row[0] >= half])
    (tmp_path / "notes.md").write_text("readings of two days")
    one, other = (model.score(model.read(place), "bad", at=3).score for place in (sensors / "new.csv", tmp_path))
    assert np.array_equal(one, other)


def test_a_channel_without_any_value_is_told_and_the_rest_is_read(
    sensors: Path, model: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = changed(sensors, tmp_path, lambda header, rows: [row.__setitem__(3, "") for row in rows])
    assert len(model.read(path)) > 20 and "position has no value in any row" in caplog.text


def test_what_the_run_keeps_no_encoder_for_and_too_short_data_are_refused(
    sensors: Path, model: Model, tmp_path: Path
) -> None:
    data = model.read(sensors / "new.csv")
    with pytest.raises(DataError, match="reads the untrained encoder"):
        model.predict(data, "bad", at=3, method="untrained latents")
    short = model.read(changed(sensors, tmp_path, lambda header, rows: rows.__delitem__(slice(3, None))))
    with pytest.raises(DataError, match="scores none of these trajectories: the longest of them has 2 steps"):
        model.predict(short, "bad")
    with pytest.raises(RecipeError, match="no head for the task 'worse'; it has bad_after_3, hot_within_3, hot"):
        model.predict(data, "worse")
    with pytest.raises(DataError, match="has no label 'event_hot'"):
        unlabelled = changed(sensors, tmp_path, lambda header, rows: [row.__delitem__(6) for row in (header, *rows)])
        model.predict(model.read(unlabelled), "hot_within_3", method="last value")


def test_data_that_another_model_read_are_refused(sensors: Path, model: Model) -> None:
    data = jepa_core.load(sensors / "run", "cpu").read(sensors / "new.csv")
    with pytest.raises(RecipeError, match="these data were read by Model"):
        model.encode(data)


def test_the_example_of_the_documentation_runs(sensors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[1] / "docs" / "model.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(sensors)
    made: dict[str, Any] = {}
    exec(compile(example, "docs/model.md", "exec"), made)
    assert made["latents"]["state"].dims == ("trajectory", "step", "latent")
    assert "decoded" in made["future"] and made["scores"].dims == ("trajectory", "step")


# --- tables of records ------------------------------------------------------------------------------------------------

STAYS = (
    "source.synthetic.stays=40", "source.synthetic.illness=1.0", "curriculum.predictor_warmup.steps=1",
    "curriculum.joint_refinement.steps=1",
    "curriculum.ema_alignment.steps=1", "curriculum.predictor_finalization.steps=1",
    "curriculum.predictor_warmup.batch_size=2", "curriculum.joint_refinement.batch_size=2",
    "curriculum.ema_alignment.batch_size=2", "curriculum.predictor_finalization.batch_size=2",
    "evaluators.rollout_drift=null", "evaluators.channel_forecast=null",
    "evaluators.latent_collapse=null", "evaluators.latent_displacement=null", "evaluators.decoded_forecast=null",
    "evaluators.risk_tasks.bootstrap=100", "evaluators.risk_tasks.baselines=[linear]",
    "evaluators.early_events.bootstrap=100", "evaluators.early_events.methods=[latents]",
    "evaluators.early_events.train_rows=200",
)  # fmt: skip


@pytest.fixture(scope="module")
def records(warm: WarmProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run on synthetic tables, and the tables of its held-out subjects alone."""
    from jepa_mimic_iv.synthetic import write_tables

    folder = tmp_path_factory.mktemp("records")
    done = jepa(warm, "run", "clin_jepa", *STAYS, "--out", "made/run", folder=folder)
    assert done.returncode == 0, done.stderr
    (folder / "made" / "run").rename(folder / "run")
    write_tables(folder / "whole", 40, 0)
    tasks = (folder / "run" / "predictions").glob("early_events.*.latents.parquet")
    subjects = set().union(*(pq.read_table(path)["subject_id"].to_pylist() for path in tasks))
    keep_subjects(folder / "whole", folder / "new", subjects)
    return folder


def keep_subjects(whole: Path, part: Path, subjects: set[int]) -> None:
    """Copy tables with the rows of some subjects alone; what is about no subject is copied whole."""
    chosen = pa.array(sorted(subjects), pa.int64())
    for path in sorted(whole.rglob("*.csv.gz")):
        table = pv.read_csv(path, convert_options=pv.ConvertOptions(strings_can_be_null=True))
        if "subject_id" in table.column_names:
            table = table.filter(pa.compute.is_in(table["subject_id"], value_set=chosen))
        target = part / path.relative_to(whole).with_suffix("").with_suffix(".parquet")
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, target)


def test_what_a_rule_of_the_source_leaves_out_of_new_data_is_told(
    records: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(records / "new", tmp_path / "new")
    path = tmp_path / "new/icu/chartevents.parquet"
    charted = pq.read_table(path)
    of_first = pa.compute.equal(charted["stay_id"], charted["stay_id"][0])
    pq.write_table(charted.filter(pa.compute.invert(of_first)), path)
    with caplog.at_level("WARNING"):
        jepa_core.load(records / "run", "cpu").read(tmp_path / "new")
    assert "the rule 'has vital signs' of the source leaves out 1 of " in caplog.text


@pytest.fixture
def single_thread() -> Iterator[None]:
    """As many threads as the run had, in torch and in NumPy: the last bits depend on them."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield


@pytest.mark.usefixtures("single_thread")
@pytest.mark.parametrize("evaluator", ["risk_tasks", "early_events"])
def test_tables_of_held_out_subjects_alone_score_as_the_run_said_to_the_bit(records: Path, evaluator: str) -> None:
    model = jepa_core.load(records / "run", "cpu")
    data = model.read(records / "new")
    (path,) = (path for path in (records / "made" / "stores").iterdir() if path.name.count(".") == 0)
    before, place = Store(path).identifier, {name: at for at, name in enumerate(data.dataset.store.identifier.tolist())}
    compared = 0
    for head in (one for one in model.heads if one.evaluator == evaluator and "untrained" not in one.method):
        table = pq.read_table(predictions_path(records / "run" / "predictions", evaluator, head.task, head.method))
        trajectory = [place[int(before[one])] for one in table["trajectory"].to_pylist()]
        found = model.score(data, head.task, method=head.method, evaluator=evaluator)
        rows = zip(found.trajectory.tolist(), found.step.tolist(), strict=True)
        score = dict(zip(rows, found.score.tolist(), strict=True))
        wanted = table["predicted_boolean_probability"].to_pylist()
        rows = zip(trajectory, table["step"].to_pylist(), strict=True)
        assert [score[row] for row in rows] == wanted, head.method
        compared += len(wanted)
    assert compared > 30
