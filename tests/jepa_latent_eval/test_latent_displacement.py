"""Displacement on latents that move in known ways."""

import json
import sys
from types import ModuleType

import numpy as np
import pytest
from pydantic import ValidationError

from jepa_core.results.findings import Findings
from jepa_latent_eval.cohorts import event_course, match, outcome_course
from jepa_latent_eval.config import LatentDisplacementConfig
from jepa_latent_eval.displacement import LatentDisplacement
from tests.jepa_latent_eval import fakes

STEPS = 20
ONSET = 14


def ward(subjects: int = 40) -> fakes.Dataset:
    """Held-out trajectories, every second of which has an event from step ONSET on."""
    data = fakes.Dataset([STEPS] * subjects, list(range(subjects)), ["held_out"] * subjects)
    sick = data.trajectory_of_step % 2 == 0
    data.store.labels["alarm"] = np.where(sick & (data.step_number >= ONSET), 1.0, 0.0)
    data.store.outcomes["lost"] = (np.arange(subjects) % 2 == 0).astype(float)
    return data


def moving(data: fakes.Dataset, sick: float, well: float, noise: float = 0.05, seed: int = 0) -> np.ndarray:
    """Latents that start anywhere and move along the first dimension, at one speed before an event and another else."""
    rng = np.random.default_rng(seed)
    start = rng.normal(size=(len(data.steps), 3))[data.trajectory_of_step]
    speed = np.where(data.trajectory_of_step % 2 == 0, sick, well)
    start[:, 0] += speed * data.step_number
    latents = start + noise * rng.normal(size=start.shape)
    return np.concatenate([latents, np.zeros_like(latents)])


def displaced(data: fakes.Dataset, latents: np.ndarray, untrained: np.ndarray | None = None, **config) -> Findings:
    config = {"events": ("alarm",), "horizons": (6,), "bootstrap": 200, "untrained": untrained is not None} | config
    learners = [None if one is None else fakes.Learner(one, fakes.Exact()) for one in (latents, untrained)]
    measure = LatentDisplacement(LatentDisplacementConfig(**config))
    return measure.evaluate(fakes.evaluation(data, learners[0], window_length=12, untrained=learners[1]))


def rows(findings: Findings) -> list[dict]:
    (table,) = findings.tables
    return [dict(zip([column.name for column in table.columns], row, strict=True)) for row in table.rows]


def test_cases_that_move_four_times_as_far_are_found_to():
    findings = displaced(ward(), moving(ward(), sick=0.4, well=0.1, noise=0.0))
    (row,) = rows(findings)
    assert row["ratio"] == pytest.approx(4.0) and row["ratio_low"] == pytest.approx(4.0)
    assert (row["cases"], row["controls"], row["cases_without_control"]) == (20, 100, 0)
    assert row["p"] == pytest.approx(1 / 201) and row["shuffled_high"] < 4
    assert findings.verdicts[0].level == "good"


def test_the_unit_is_the_scatter_of_the_baselines():
    data = ward()
    latents = moving(data, 0.4, 0.1)
    (row,) = rows(displaced(data, latents))
    base = np.arange(len(data.steps)) * STEPS + ONSET - 6
    length = np.linalg.norm(latents[base + 6] - latents[base], axis=1)
    sick = np.arange(len(data.steps)) % 2 == 0
    course = event_course(data, "held_out", "alarm")
    matched = match(data, course, 6, 5, 0)
    starts = latents[base[matched.windows.trajectory]]
    scatter = np.sqrt(((starts - starts.mean(axis=0)) ** 2).sum(axis=1).mean())
    controls = length[matched.windows.trajectory[~matched.case]]
    assert row["case_displacement"] == pytest.approx(length[sick].mean() / scatter, rel=1e-5)
    assert row["control_displacement"] == pytest.approx(controls.mean() / scatter, rel=1e-5)
    scaled = rows(displaced(data, 1e3 * latents))[0]
    assert scaled["case_displacement"] == pytest.approx(row["case_displacement"], rel=1e-4)


def test_what_moves_all_trajectories_alike_is_no_displacement_of_the_cases():
    findings = displaced(ward(), moving(ward(), sick=0.3, well=0.3))
    (row,) = rows(findings)
    assert row["ratio_low"] < 1.01 and row["shuffled_low"] < row["ratio"] < row["shuffled_high"]
    assert findings.verdicts[0].level == "warning"


def test_an_untrained_encoder_that_separates_as_far_is_pointed_out():
    data = ward()
    texts = [v.text for v in displaced(data, moving(data, 0.4, 0.1), moving(data, 0.4, 0.1, seed=1)).verdicts]
    assert any("untrained" in text for text in texts)
    texts = [v.text for v in displaced(data, moving(data, 0.4, 0.1), moving(data, 0.1, 0.1, seed=1)).verdicts]
    assert not any("untrained" in text for text in texts)


def test_a_constant_encoder_is_called_constant():
    findings = displaced(ward(), np.full((2 * ward().total, 3), 0.7))
    assert findings.verdicts[0].level == "bad" and "constant" in findings.verdicts[0].text
    assert rows(findings)[0]["ratio"] is None and findings.headlines[0].value is None


def test_a_case_is_known_to_be_off_at_its_baseline_and_its_controls_are_others_over_the_same_steps():
    data = ward(12)
    alarm = data.store.labels["alarm"]
    alarm[: ONSET - 3] = np.nan  # the first case is known to be off only three steps before its onset
    alarm[2 * STEPS] = 1.0  # the second is on from the start, so that no step lies before its onset
    data.subject[5] = data.subject[4]
    matched = match(data, event_course(data, "held_out", "alarm"), 6, 99, 0)
    cases = matched.windows.trajectory[matched.case]
    assert cases.tolist() == [4, 6, 8, 10]
    assert set(matched.windows.start) == {ONSET - 6} and set(matched.windows.length) == {7}
    of_four = matched.windows.trajectory[(matched.group == 0) & ~matched.case]
    assert sorted(of_four) == [1, 3, 7, 9, 11]


def test_an_outcome_sets_in_at_the_end_of_a_trajectory():
    data = ward(12)
    course = outcome_course(data, "held_out", "lost")
    assert course.onset.tolist() == [STEPS - 1, -1] * 6 and course.stable.tolist() == [False, True] * 6
    (row,) = rows(displaced(data, moving(data, 0.4, 0.1, 0.0), events=(), outcomes=("lost",)))
    assert row["ratio"] == pytest.approx(4.0)


def test_of_very_few_cases_nothing_is_said_but_that():
    (verdict,) = displaced(ward(12), moving(ward(12), sick=0.4, well=0.1)).verdicts
    assert verdict.level == "warning" and "there are 6 cases" in verdict.text


def test_what_cannot_be_measured_is_null_with_the_reason():
    data = ward()
    data.store.labels["alarm"][:] = 0.0
    findings = displaced(data, moving(data, 0.4, 0.1), horizons=(6, 40))
    assert [row["ratio"] for row in rows(findings)] == [None, None]
    assert "no trajectory has its onset 6 steps" in findings.tables[0].note
    assert "windows of training are not as long" in findings.tables[0].note
    with pytest.raises(ValidationError, match="events"):
        LatentDisplacementConfig()


def test_equal_seeds_give_equal_findings_and_the_picture_holds_every_path_drawn():
    data = ward()
    first, again = (displaced(data, moving(data, 0.4, 0.1)).to_dict() for _ in range(2))
    assert json.dumps(first) == json.dumps(again)
    picture, *_ = first["figures"]
    cases, singles, *_ = picture["series"]
    assert len(cases["x"]) == 7 and singles["y"].count(None) == 6


@pytest.fixture
def umap(monkeypatch) -> list[np.ndarray]:
    """UMAP that shows the first two coordinates, and what it was given."""
    given = []

    class UMAP:
        def __init__(self, **settings):
            assert settings["random_state"] == 0
            self.neighbours = settings["n_neighbors"]

        def fit_transform(self, points):
            assert self.neighbours < len(points)
            given.append(points)
            return points[:, :2]

    module = ModuleType("umap")
    module.UMAP, module.__spec__ = UMAP, object()
    monkeypatch.setitem(sys.modules, "umap", module)
    return given


def test_umap_is_drawn_where_it_is_installed_with_the_mean_path_among_the_states(umap):
    data = ward()
    latents = moving(data, 0.4, 0.1)
    _, picture = displaced(data, latents).figures
    (given,) = umap
    mean, _, other, _ = picture.series
    assert given[-14:, :2].T.tolist() == [mean.x + other.x, mean.y + other.y]
    sick = latents[: len(data.trajectory_of_step)][(data.trajectory_of_step % 2 == 0) & (data.step_number == 8)]
    assert mean.x[0] == pytest.approx(sick[:, 0].mean(), abs=1e-5)
    assert "states of 20 cases and 100 controls" in picture.note and picture.y_label == "second UMAP coordinate"


def test_umap_makes_no_cloud_of_latents_that_are_all_the_same(umap):
    data = ward()
    constant = np.ones((2 * len(data.trajectory_of_step), 3))
    assert len(displaced(data, constant).figures) == 1 and not umap


def test_umap_of_many_states_is_of_fewer_paths_and_says_so(umap, monkeypatch):
    monkeypatch.setattr("jepa_latent_eval.displacement.EMBEDDED", 90)
    _, picture = displaced(ward(), moving(ward(), 0.4, 0.1)).figures
    assert "states of 2 cases and 10 controls" in picture.note and len(umap[0]) == 14 * 7
    assert picture.series[1].y.count(None) == 2


def test_umap_itself_draws_the_same_picture_twice():
    pytest.importorskip("umap")
    first, again = (displaced(ward(12), moving(ward(12), 0.4, 0.1)).to_dict() for _ in range(2))
    assert len(first["figures"]) == 2 and json.dumps(first) == json.dumps(again)
