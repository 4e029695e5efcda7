"""The model of a run as a transformer of scikit-learn: what it takes, what it gives, and the library's own checks."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

import jepa_core
from jepa_core import JepaFeatures
from jepa_core.cli import main
from jepa_core.errors import RecipeError
from jepa_core.model.features import NoTrajectories

TOY = """\
extends: five_phases
source: {use: oscillators, shortest: 8, longest: 12, trajectories: 24}
encoder: {use: mlp, width: 16, feedforward: 16, layers: 1, latent_size: 8}
predictor: {use: gru, width: 12, output: residual}
windows: {length: 8, stride: 4, min_length: 4}
curriculum:
  predictor_warmup: {steps: 1}
  joint_refinement: {steps: 1, objectives: [{use: grounding, windows: [[0, 1]]}]}
  ema_alignment: {steps: 1}
  predictor_finalization: {steps: 1, rollout_horizon: 3}
evaluators: []
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features")
    (folder / "toy.yaml").write_text(TOY)
    assert main(["run", str(folder / "toy.yaml"), "--out", str(folder / "run"), "--quiet"]) == 0
    (folder / "new.json").write_text(json.dumps({"seed": 5, "trajectories": 8}))
    return folder


def arrays(count: int = 6, steps: int = 9) -> np.ndarray:
    """Trajectories of the four channels that items of oscillators have, with gaps."""
    drawn = np.random.default_rng(0).normal(size=(count, steps, 4))
    drawn[0, 2, 1] = np.nan
    return drawn


def test_features_of_a_path_are_the_models_own_at_the_step(folder: Path) -> None:
    model = jepa_core.load(folder / "run", "cpu")
    data = model.read(folder / "new.json")
    wanted = model.encode(data)["state"].to_numpy()
    made = JepaFeatures(folder / "run", at=4, device="cpu").fit(folder / "new.json").transform(folder / "new.json")
    np.testing.assert_array_equal(made, wanted[:, 3])
    last = JepaFeatures(folder / "run", device="cpu").fit(data).transform(data)
    np.testing.assert_array_equal(last, wanted[np.arange(len(data)), data.steps - 1])


def test_beliefs_and_what_is_decoded_of_them_are_the_views_and_the_decoders(folder: Path) -> None:
    model = jepa_core.load(folder / "run", "cpu")
    data = model.read(folder / "new.json")
    beliefs = np.stack([data.view.beliefs(place)[3].numpy() for place in range(len(data))])
    made = JepaFeatures(folder / "run", "belief", 4, "cpu").fit_transform(data)
    np.testing.assert_array_equal(made, beliefs)
    decoding = JepaFeatures(folder / "run", "decoded_belief", 4, "cpu").fit(data)
    assert decoding.get_feature_names_out().tolist() == ["position", "speed"] and model.decoder is not None
    np.testing.assert_allclose(decoding.transform(data), model.decoder.values(model.decoder.scores(beliefs)), rtol=1e-5)


def test_arrays_are_trajectories_in_which_nothing_is_done(folder: Path) -> None:
    features = JepaFeatures(folder / "run", "belief", device="cpu").fit(arrays())
    made = features.transform(arrays())
    stream_model = features.model_
    nothing = np.full((4, 1), np.nan)
    other = arrays()
    other[:, -1] += 1.0
    assert made.shape == (6, 12) and np.isfinite(made).all() and not np.allclose(made, features.transform(other))
    latents = JepaFeatures(folder / "run", at=3, device="cpu").fit_transform(arrays())
    from jepa_core.model.streaming import _items

    wanted = stream_model.frozen.encode(_items([arrays()[1, 2][:, None], nothing]))[0].numpy()
    np.testing.assert_allclose(latents[1], wanted, atol=1e-6)


def test_a_pipeline_with_features_in_front_is_fitted_cloned_and_named(folder: Path) -> None:
    pipeline = make_pipeline(JepaFeatures(folder / "run", device="cpu"), LogisticRegression())
    truth = np.array([0, 1] * 3)
    scores = pipeline.fit(arrays(), truth).predict_proba(arrays())
    again = clone(pipeline).fit(arrays(), truth).predict_proba(arrays())
    np.testing.assert_array_equal(scores, again)
    assert pipeline[:-1].get_feature_names_out().tolist() == [f"latent{place}" for place in range(8)]


def test_a_frame_of_pandas_has_the_names_as_its_columns(folder: Path) -> None:
    pytest.importorskip("pandas")
    frame = JepaFeatures(folder / "run", device="cpu").set_output(transform="pandas").fit_transform(arrays())
    assert list(frame.columns)[:2] == ["latent0", "latent1"] and frame.shape == (6, 8)


def test_a_pickle_holds_no_weight_and_transforms_alike(folder: Path) -> None:
    features = JepaFeatures(folder / "run", device="cpu").fit(arrays())
    pickled = pickle.dumps(features)
    assert len(pickled) < 2000
    np.testing.assert_array_equal(pickle.loads(pickled).transform(arrays()), features.transform(arrays()))


def test_a_row_of_two_dimensions_is_the_same_trajectory(folder: Path) -> None:
    features = JepaFeatures(folder / "run", device="cpu").fit(arrays())
    rows = arrays().reshape(6, -1)
    np.testing.assert_array_equal(features.fit_transform(rows), features.transform(arrays()))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((3, 6)), r"an array of shape \(3, 6\) holds no trajectories of steps with 4 channels"),
        (np.zeros((0, 4, 4)), "holds no trajectories"),
        (np.zeros((2, 5, 7)), r"an array of shape \(2, 5, 7\) holds no trajectories"),
        (np.full((2, 5, 4), np.inf), "values that are infinite"),
        (np.full((2, 5, 4), 1e39), "infinite in float32"),
    ],
)
def test_what_is_no_trajectory_is_refused(folder: Path, given: Any, message: str) -> None:
    with pytest.raises(NoTrajectories, match=message):
        JepaFeatures(folder / "run", device="cpu").fit(arrays()).transform(given)


def test_a_step_or_a_kind_that_there_is_not_is_refused(folder: Path) -> None:
    with pytest.raises(NoTrajectories, match="position 0 has 9 steps, and at is 10"):
        JepaFeatures(folder / "run", at=10, device="cpu").fit_transform(arrays())
    with pytest.raises(RecipeError, match="features are one of latents, belief, decoded_belief"):
        JepaFeatures(folder / "run", "beliefs").fit(arrays())  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="at counts the steps"):
        JepaFeatures(folder / "run", at=0).fit(arrays())


SERIES = """\
extends: five_phases
source: {use: table, files: series.csv, id: machine, time: second, states: [heat]}
encoder: {use: mlp, width: 8, feedforward: 8, layers: 1, latent_size: 8}
predictor: {use: gru, width: 12, output: residual}
windows: {length: 8, stride: 4, min_length: 4}
curriculum:
  predictor_warmup: {steps: 1}
  joint_refinement: {steps: 1}
  ema_alignment: {steps: 1}
  predictor_finalization: {steps: 1, rollout_horizon: 3}
evaluators: []
"""


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on one channel, so that a row of numbers, whatever its width, is a trajectory."""
    folder = tmp_path_factory.mktemp("series")
    drawn = np.random.default_rng(0).normal(size=(10, 10))
    rows = [f"m{machine},{second},{heat:.3f}" for machine, line in enumerate(drawn) for second, heat in enumerate(line)]
    (folder / "series.csv").write_text("\n".join(["machine,second,heat", *rows, ""]))
    (folder / "series.yaml").write_text(SERIES)
    assert main(["run", str(folder / "series.yaml"), "--out", str(folder / "run"), "--quiet"]) == 0
    return folder / "run"


def test_the_checks_of_scikit_learn_pass(series: Path) -> None:
    features = JepaFeatures(str(series), device="cpu")
    done = check_estimator(features, on_skip=None, on_fail=None)
    failed = {one["check_name"]: str(one["exception"]) for one in done if one["status"] == "failed"}
    assert failed == {}
    assert sum(one["status"] == "passed" for one in done) >= 40


def test_the_example_of_the_page_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[1] / "docs" / "model.md").read_text()
    (example,) = re.findall(r"<!-- scikit-learn -->\n+```py\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(folder)
    made: dict[str, Any] = {"past": arrays(), "truth": np.array([0, 1] * 3)}
    exec(compile(example, "docs/model.md", "exec"), made)
    assert made["scores"].shape == (6, 2)
