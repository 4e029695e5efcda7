"""Two futures of new data beside one another: by the command and in Python; one message for what is wrong."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import jepa_core
from jepa_core import Act
from jepa_core.cli import main
from jepa_core.errors import DataError, JepaError, RecipeError
from jepa_core.model.acts_file import read_what_if
from jepa_core.model.data import Data
from jepa_core.model.futures import Futures
from jepa_core.model.model import Model

TOY = """\
extends: five_phases
source: {use: oscillators, shortest: 20, longest: 30, trajectories: 40}
encoder: {use: mlp, width: 16, feedforward: 16, layers: 1, latent_size: 8}
predictor: {use: gru, members: 2, width: 16, output: residual}
windows: {length: 16, stride: 6, min_length: 4}
curriculum:
  - {use: predictor_warmup, steps: 2, objectives: [{use: grounding, windows: [[0, 1]]}]}
  - {use: joint_refinement, steps: 2, objectives: [{use: grounding, windows: [[0, 1]]}]}
evaluators:
  - {use: channel_forecast, context: 6, horizon: 4, least_values: 5, stride: 4, bootstrap: 100}
  - {use: imagination, at: [6], horizon: 5, turns: 2, bootstrap: 100,
     acts: [{channel: push, value: 2.0, unit: N, against: 0.0, steps: 3}]}
"""
GOAL = """\
cost:
  - {use: target, channel: position, value: 0.5, from: 7}
  - {use: effort, channel: push, weight: 0.02}
limits:
  - {channel: push, low: -2, high: 2, unit: N}
"""
PUSH = "acts:\n  - {channel: push, value: 2.0, unit: N, from: 6, to: 9}\n"
AT, HORIZON = 6, 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, new data, and two files of acts."""
    folder = tmp_path_factory.mktemp("imagining")
    (folder / "toy.yaml").write_text(TOY)
    assert main(["run", str(folder / "toy.yaml"), "--out", str(folder / "made" / "run"), "--quiet"]) == 0
    (folder / "made" / "run").rename(folder / "run")  # away from its stores
    (folder / "new.json").write_text(json.dumps({"seed": 5, "trajectories": 8}))
    (folder / "push.yaml").write_text(PUSH)
    (folder / "recorded.yaml").write_text("acts: []\notherwise: recorded\n")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return jepa_core.load(folder / "run", "cpu")


def imagine(folder: Path, *arguments: str, acts: str = "push.yaml", data: str = "new.json", run: str = "run") -> int:
    asked = ["imagine", str(folder / run), "--data", str(folder / data), "--actions", str(folder / acts)]
    return main([*asked, *arguments])


def test_the_command_prints_what_differs_and_writes_figures_and_every_value(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, rows = folder / "futures.html", folder / "futures.parquet"
    told = ("--at", str(AT), "--horizon", str(HORIZON), "--html", str(page), "--out", str(rows))
    assert imagine(folder, *told, "--against", str(folder / "recorded.yaml")) == 0
    printed = capsys.readouterr().out
    assert "position" in printed and "speed" in printed and "95 % interval" in printed
    table = pq.read_table(rows)
    assert table.num_rows == 8 * HORIZON * 2 and set(table["channel"].to_pylist()) == {"position", "speed"}
    assert table["step"].to_pylist()[:3] == [AT, AT, AT + 1] and rows.stat().st_mode & 0o077 == 0
    html = page.read_text()
    assert "push 2 N, steps 6 to 8; nothing else is done" in html and "no act; all else as recorded" in html
    assert "do not identify what an intervention does" in html and html.count("<svg") >= 2
    assert "730000" not in html + printed


def test_the_run_judges_imagined_effects_by_those_of_its_generator(folder: Path) -> None:
    found = json.loads((folder / "run" / "findings" / "imagination.json").read_text())
    effects = next(one for one in found["tables"] if one["name"] == "effects")
    names = [one["name"] for one in effects["columns"]]
    rows = [dict(zip(names, row, strict=True)) for row in effects["rows"]]
    assert {(row["channel"], row["h"]) for row in rows} == {(c, h) for c in ("position", "speed") for h in (2, 3, 4, 5)}
    assert all(row["clear"] > 0 and row["direction_untrained"] is not None for row in rows)
    assert {one["name"] for one in found["figures"]} == {"effect-push-2-position", "effect-push-2-speed", "example"}
    report = (folder / "run" / "report.html").read_text()
    assert "Imagined and true effects of acts" in report and "730000" not in report


def test_the_report_shows_one_trajectory_in_two_futures_though_nobody_knows_what_would_have_been(folder: Path) -> None:
    findings = json.loads((folder / "run" / "findings" / "channel_forecast.json").read_text())
    figure = next(figure for figure in findings["figures"] if figure["name"] == "example")
    recorded, nothing = figure["series"]
    assert recorded["x"] == [1.0, 2.0, 3.0, 4.0] and (recorded["label"], nothing["label"]) == (
        "under its recorded actions", "if nothing is done"
    )  # fmt: skip
    assert recorded["y"][0] == nothing["y"][0], "the action before the first step is recorded in both"
    assert recorded["y"][1:] != nothing["y"][1:]
    for series in (recorded, nothing):
        bands = zip(series["low"], series["y"], series["high"], strict=True)
        assert all(low < value < high for low, value, high in bands)
    assert "do not identify what an intervention does" in figure["note"]
    assert figure["title"] in (folder / "run" / "report.html").read_text()


def test_one_trajectory_is_drawn_with_the_runs_intervals_before_what_it_records(folder: Path, model: Model) -> None:
    data = model.read(folder / "new.json")
    given = model.imagine(data, AT, HORIZON, [Act("push", 2.0, "N", AT, AT + 3)]).sel(trajectory=[2])
    futures = Futures(given, model.imagine(data, AT, HORIZON).sel(trajectory=[2]))
    figure = futures.figures(futures.places(["position"]), model.observed(data, 2))[0]
    ours, theirs, recorded = figure.series
    assert figure.y_label == "m" and "90" in figure.note and recorded.control
    assert list(ours.x) == [float(step) for step in range(AT, AT + HORIZON)]
    assert ours.y[0] == theirs.y[0] and ours.y[-1] != theirs.y[-1]
    kept = [low is not None for low in ours.low]
    assert kept == [] or all(kept)
    low, high = (given[f"decoded_{end}"].values[0, :4] for end in ("low", "high"))
    assert (low <= given["decoded"].values[0, :4]).all() and (given["decoded"].values[0, :4] <= high).all()
    assert np.isnan(given["decoded_low"].values[0, 4]).all(), "the run fitted no interval so far ahead"


def test_several_trajectories_are_shown_by_their_means_with_intervals_over_subjects(folder: Path, model: Model) -> None:
    data = model.read(folder / "new.json")
    acts = [Act("push", 2.0, "N", AT, AT + 3)]
    futures = Futures(model.imagine(data, AT, HORIZON, acts), model.imagine(data, AT, HORIZON))
    (place,) = futures.places(["speed"])
    table = futures.table([place], [HORIZON])
    _, _, _, given, against, difference, low, high = table.rows[0]
    assert difference == given - against and low <= difference <= high
    assert given == futures.given["decoded"].sel(channel="speed", horizon=HORIZON).values.mean()
    assert len(futures.figures([place])[0].series) == 2


def test_decoded_channels_are_in_the_units_of_the_data(folder: Path, model: Model) -> None:
    """The values of the very scale that the decoder was trained on."""
    made = model.forecast(model.read(folder / "new.json"), AT, HORIZON)
    assert made["unit"].values.tolist() == ["m", "m/s"] and set(made["reads"].values.tolist()) == {"channel"}
    scale = model.decoder.scaling
    seen = model.observed(model.read(folder / "new.json"), 0)
    assert seen.dims == ("step", "channel") and np.nanmax(np.abs(seen.values)) < 1.5
    lowest, highest = (scale.knots[0][scale.knots[0].isfinite()][place].item() for place in (0, -1))
    position = made["decoded"].sel(channel="position").values
    assert lowest <= position.min() and position.max() <= highest


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("acts:\n  - {channel: pusch, value: 1, from: 6, to: 7}\n", r"acts.0.channel: .* did you mean push\?"),
        ("acts:\n  - {channel: push, value: 1, unit: kN, from: 6, to: 7}\n", r"acts.0.unit: .* is in N"),
        ("acts:\n  - {channel: push, value: 1, from: 2, to: 7}\n", r"acts.0: .* begins at step 6"),
        ("acts:\n  - {channel: push, value: 1, from: 60, to: 70}\n", r"acts.0: .* choose a longer horizon"),
        ("acts:\n  - {channel: push, value: 1, from: -3, to: 7}\n", r":2:\d+  acts.0.from: .*0"),
        ("acts:\n  - {channel: push, value: .nan, from: 6, to: 7}\n", r":2:\d+  .*finite"),
        ("acts:\n  - {channel: push, dose: 1, from: 6, to: 7}\n", r":2:\d+  acts.0.dose: there is no such key"),
        ("acts:\n  - {channel: push, value: 1, from: 6}\n", r":2:\d+  acts.0.to: this key is missing"),
        ("acts: []\notherwise: all\n", r":2:1  otherwise: .*none.*recorded"),
        ("- 1\n", "a section with the keys `acts` and `otherwise`"),
        ("", "a section with the keys `acts` and `otherwise`"),
        ("acts: [\n", "not valid YAML"),
        ("acts: !!python/object:os.system {}\n", "a tag"),
    ],
)
def test_a_file_of_acts_that_cannot_be_done_is_refused_at_its_place(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    (tmp_path / "acts.yaml").write_text(text)
    assert imagine(folder, "--at", str(AT), acts=str(tmp_path / "acts.yaml")) == 2
    message = capsys.readouterr().err
    assert "acts.yaml" in message and "Traceback" not in message and re.search(told, message), message


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--at", "400"), "no trajectory has 400 steps; the longest has"),
        (("--at", "6", "--trajectory", "90"), "--trajectory 90: the trajectory at that position is not among the 8"),
        (("--at", "6", "--trajectory", "-1"), "--trajectory -1"),
        (("--at", "6", "--channel", "pusition"), "did you mean position?"),
    ],
)
def test_a_question_that_the_data_do_not_answer_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    (folder / "late.yaml").write_text("acts: []\n")
    assert imagine(folder, *arguments, acts="late.yaml") in (2, 3)
    assert told in capsys.readouterr().err


def test_files_that_are_not_there_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert imagine(folder, "--at", "6", acts="nowhere.yaml") == 2
    assert "nowhere.yaml is not there" in capsys.readouterr().err
    assert imagine(folder, "--at", "6", run="nowhere") == 1
    assert "nowhere is not the folder of a run" in capsys.readouterr().err
    assert imagine(folder, "--at", "6", data="nowhere.json") in (2, 3)
    assert capsys.readouterr().err.count("error:") == 1


def test_json_is_read_too_as_yaml_holds_it(tmp_path: Path) -> None:
    (tmp_path / "acts.json").write_text(json.dumps({"acts": [{"channel": "push", "value": 1.5, "from": 4, "to": 6}]}))
    found = read_what_if(tmp_path / "acts.json")
    assert found.acts == [Act("push", 1.5, None, 4, 6)] and found.otherwise == "none"


def test_futures_of_other_trajectories_or_without_values_are_refused(folder: Path, model: Model) -> None:
    data = model.read(folder / "new.json")
    made = model.imagine(data, AT, HORIZON)
    with pytest.raises(RecipeError, match="other trajectories or other steps"):
        Futures(made, made.isel(trajectory=[0]))
    with pytest.raises(RecipeError, match="nothing that reads values"):
        Futures(made.drop_vars("decoded"), made.drop_vars("decoded"))


def test_a_damaged_scale_is_refused_and_named(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "run", tmp_path / "run")
    scale = tmp_path / "run" / "observations.json"
    scale.write_text(scale.read_text().replace("1", "2"))
    with pytest.raises(DataError, match="observations.json is damaged"):
        jepa_core.load(tmp_path / "run", "cpu")
    scale.unlink()
    with pytest.raises(JepaError, match="observations.json is missing"):
        jepa_core.load(tmp_path / "run", "cpu")


WRONG: list[tuple[str, Callable[[Model, Data], object], str]] = [
    ("no number", lambda m, d: m.imagine(d, AT, HORIZON, [Act("push", np.nan, "N", 6, 8)]), "acts.0.value"),
    ("an infinite value", lambda m, d: m.imagine(d, AT, HORIZON, [Act("push", np.inf, "N", 6, 8)]), "acts.0.value"),
    ("another word", lambda m, d: m.imagine(d, AT, HORIZON, otherwise="all"), "none, recorded, not 'all'"),
    ("acts in a text", lambda m, d: m.imagine(d, AT, HORIZON, "push"), "actions are a list of"),
    ("half a step", lambda m, d: m.forecast(d, 6.5, HORIZON), "at least 1 step"),
    ("half a horizon", lambda m, d: m.forecast(d, AT, 2.5), "at least 1 step"),
    ("no horizon", lambda m, d: m.imagine(d, AT, 0), "at least 1 step"),
    ("no step", lambda m, d: m.forecast(d, 0, HORIZON), "at least 1 step"),
    ("beyond training", lambda m, d: m.imagine(d, AT, 17), "longer than the windows of 16 steps"),
    ("a text for numbers", lambda m, d: m.begin("a text"), "reads arrays .4, 1. .*str was given"),
    ("another shape", lambda m, d: m.begin(np.zeros((3, 1))), "reads arrays .4, 1. .*.3, 1. was given"),
    ("what is infinite", lambda m, d: m.begin(np.full((4, 1), np.inf)), "nothing infinite"),
    ("what float32 makes infinite", lambda m, d: m.begin(np.full((4, 1), 1e39)), "nothing infinite in float32"),
    ("no such place", lambda m, d: m.observed(d, 99), "no trajectory at the position 99"),
    ("no head", lambda m, d: m.predict(d, "task"), "no head for the task 'task'"),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "told"), [one[1:] for one in WRONG], ids=[one[0] for one in WRONG])
def test_a_wrong_question_has_one_answer_that_says_why(
    folder: Path, model: Model, ask: Callable[[Model, Data], object], told: str
) -> None:
    with pytest.raises(RecipeError, match=told):
        ask(model, model.read(folder / "new.json"))


def test_a_device_that_there_is_not_is_named(folder: Path) -> None:
    with pytest.raises(RecipeError, match="auto, cpu or cuda, not on 'tpu'"):
        jepa_core.load(folder / "run", "tpu")


# --- actions that are chosen ------------------------------------------------------------------------------------------


def steer(folder: Path, goal: str, *arguments: str) -> int:
    (folder / "goal.yaml").write_text(goal)
    asked = ["steer", str(folder / "run"), "--data", str(folder / "new.json"), "--goal", str(folder / "goal.yaml")]
    small = ["--at", str(AT), "--horizon", str(HORIZON), "--plans", "8", "--rounds", "2", "--risk", "0.5"]
    return main([*asked, *small, *arguments])


def test_the_command_chooses_actions_within_their_limits_and_says_what_they_are_not(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert steer(folder, GOAL, "--out", str(folder / "plans.parquet")) == 0
    printed = capsys.readouterr().out
    assert "push, step by step" in printed and "as 2 members expect them" in printed
    assert "do not identify what an intervention does" in printed and "730000" not in printed
    table = pq.read_table(folder / "plans.parquet")
    assert table.num_rows == 8 * (HORIZON - 1) and b"no advice" in table.schema.metadata[b"caution"]
    assert np.abs(table["value"].to_numpy()).max() <= 2 and set(table["unit"].to_pylist()) == {"N"}
    assert (table["cost"].to_numpy() <= table["cost_of_nothing"].to_numpy() + 1e-9).all()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"position": "height"}, r"goal\.yaml: cost\.0: nothing reads 'height'.*it reads position, speed"),
        ({"unit: N": "unit: kN"}, r"goal\.yaml: limits\.0\.unit: .* is in N"),
        ({"low: -2": "low: 3"}, r"goal\.yaml:5:.*low \(3"),
    ],
)
def test_a_goal_that_cannot_be_asked_for_is_refused_with_its_file(folder, capsys, changed, told) -> None:
    goal = GOAL
    for old, new in changed.items():
        goal = goal.replace(old, new)
    assert steer(folder, goal) == 2
    assert re.search(told, capsys.readouterr().err)


def test_a_forecast_of_an_ensemble_tells_its_spread_from_the_noise(folder: Path, model: Model) -> None:
    made = model.forecast(model.read(folder / "new.json"), AT, 4)
    assert made.sizes["member"] == 2 and (made.epistemic >= 0).all() and (made.aleatoric > 0).any()


def test_samples_spread_as_members_and_noise_do_and_are_those_of_their_seed(folder: Path, model: Model) -> None:
    data = model.read(folder / "new.json")
    made = model.imagine(data, AT, 4, samples=400)
    drawn = made.decoded_sample.sel(channel="position")
    assert made.sizes["sample"] == 400
    told = made.sel(channel="position")
    within = told.decoded_member.var("member") + told.aleatoric**2  # the law of total variance
    np.testing.assert_allclose(drawn.var("sample"), within, rtol=0.5)
    np.testing.assert_allclose(drawn.var("sample").mean(), within.mean(), rtol=0.05)
    again = model.imagine(data, AT, 4, samples=400)
    np.testing.assert_array_equal(made.decoded_sample, again.decoded_sample)
    assert (made.decoded_sample != model.imagine(data, AT, 4, samples=400, seed=1).decoded_sample).any()
    assert "decoded_sample" not in model.forecast(data, AT, 4)
