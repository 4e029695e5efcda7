"""Studies of the real phases and evaluators: what their sentences and figures say of variants of known worth."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jepa_core.plugin import discover
from jepa_core.results.findings import Findings
from jepa_core.runs.pipeline import execute
from jepa_core.runs.run import Run
from jepa_core.study.definition import Study
from jepa_core.study.display import StudyBars
from jepa_core.study.findings import study_findings
from jepa_core.study.folder import StudyFolder
from jepa_core.study.reading import load_study
from jepa_core.study.report import write_study

RECIPE = """\
source: {use: oscillators, trajectories: 200, shortest: 24, longest: 32}
windows: {length: 24, stride: 8, min_length: 6}
encoder: {use: mlp, width: 16, latent_size: 16}
predictor: {use: action_transformer, width: 16, layers: 1, heads: 2, feedforward: 32, max_steps: 24}
curriculum:
  - {use: predictor_finalization, steps: 150, batch_size: 8, rollout_horizon: 4, optimizer: {predictor_lr: 1e-2}}
  - {use: hard_sync}
evaluators:
  - {use: rollout_drift, contexts: [8], horizon: 8, bootstrap: 200, untrained: false}
  - {use: latent_collapse, untrained: false}
runtime: {threads: 1}
"""
STUDY = """\
base: recipe.yaml
seeds: [0, 1, 2]
variants:
  trained: {}
  another_name: {}
  untrained:
    change: {curriculum: {predictor_finalization: null}}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, StudyFolder]:
    """The study; its runs are done here, one after the other."""
    path = tmp_path_factory.mktemp("study")
    (path / "recipe.yaml").write_text(RECIPE)
    (path / "study.yaml").write_text(STUDY)
    registry = discover()
    study, folder = load_study(path / "study.yaml", [], registry, {}), StudyFolder(path / "out")
    folder.open(study, STUDY)
    for cell in study.cells:
        execute(Run.create(folder.run(cell), cell.recipe, registry, RECIPE))
    return study, folder


@pytest.fixture(scope="module")
def found(done: tuple[Study, StudyFolder]) -> Findings:
    """What the study finds."""
    return study_findings(*done)


def rows(found: Findings, variant: str) -> list[dict[str, object]]:
    """Rows of a variant in every table that holds differences."""
    tables = [table for table in found.tables if "difference" in [column.name for column in table.columns]]
    assert len(tables) == 2
    dicts = [dict(zip([one.name for one in table.columns], row, strict=True)) for table in tables for row in table.rows]
    return [row for row in dicts if row["variant"] == variant]


def test_variants_that_differ_in_name_alone_differ_by_exactly_zero_in_every_metric(found: Findings) -> None:
    same = rows(found, "another_name")
    assert len(same) > 20 and {row["evaluator"] for row in same} == {"rollout_drift", "latent_collapse"}
    for row in same:
        assert row["difference"] == 0, row
        assert {row[bound] for bound in ("subjects_low", "subjects_high", "seeds_low", "seeds_high")} <= {0.0, None}


def test_a_variant_that_is_planted_to_be_worse_is_found_worse_in_words_and_beyond_chance(found: Findings) -> None:
    sentence = next(one.text for one in found.verdicts if "untrained" in one.text)
    assert sentence.startswith("Without predictor_finalization (untrained) is worse: ") and "better" not in sentence
    errors = [row for row in rows(found, "untrained") if row["metric"] == "l1 relative to persistence"]
    assert errors and all(row["difference"] > 0 and row["p_holm"] < 0.05 for row in errors)
    assert f"{errors[0]['metric']} by" in sentence


def test_the_page_of_a_study_calls_subjects_what_the_data_call_them(done: tuple[Study, StudyFolder]) -> None:
    page = re.sub("<[^>]*>", " ", write_study(*done).read_text())
    assert "oscillators at least" in page and "oscillators interval" in page and "redrawn oscillators" in page
    assert not re.search(r"\bsubjects?\b", page)


def test_sizes_stand_side_by_side_and_one_sentence_names_whose_budget_is_another(found: Findings) -> None:
    sizes = next(table for table in found.tables if table.name == "sizes")
    kept = [dict(zip([column.name for column in sizes.columns], row, strict=True)) for row in sizes.rows]
    assert [row["variant"] for row in kept] == ["trained", "another_name", "untrained"]
    assert len({(row["encoder_parameters"], row["predictor_parameters"]) for row in kept}) == 1
    assert [row["steps"] for row in kept] == [150, 150, 0]
    (sentence,) = (verdict.text for verdict in found.verdicts if verdict.text.startswith("Budgets"))
    assert "another_name" not in sentence and "untrained (" in sentence


def test_bars_show_runs_whose_recipes_hold_mappings(tmp_path: Path) -> None:
    """A table's columns of words are one: in a terminal, and only there, such a study ended as its first run began."""
    registry = discover()
    (tmp_path / "study.yaml").write_text("base: basic_motions\nseeds: [0, 1]\nvariants: {plain: {}}\n")
    study, folder, bars = (
        load_study(tmp_path / "study.yaml", [], registry, {}),
        StudyFolder(tmp_path / "out"),
        StudyBars(),
    )
    assert isinstance(study.cells[0].recipe.source.config.model_dump()["categories"], dict)
    with bars.showing(study.cells, folder):
        for cell in study.cells:
            bars.begun(cell)
            bars.ended(cell, "is done")
