"""The figures of a study: forest plots of differences, and the figure that stands for the reference."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from jepa_core.report.forest import Forest, ForestRow, draw_forest, forest_plots
from jepa_core.report.headline_figure import draw_headline, headline_figure
from jepa_core.report.page import page
from jepa_core.results.findings import Figure, Findings, Headline, Mark, Series
from jepa_core.results.record import RunRecord
from jepa_core.study import metrics
from jepa_core.study.averages import headline_figures, mean_figure
from jepa_core.study.differences import difference, with_holm
from jepa_core.study.findings import VariantMetric
from jepa_core.study.forests import forests
from jepa_core.study.metrics import Name, RunMetric, run_metrics

SKILL = Name("drift", "skill horizon", "steps")
NOISE = np.random.default_rng(0).normal(0, 0.1, 1000)


def measured(shift: float, seed: int) -> RunMetric:
    moves = bool(shift)
    return RunMetric(10 + shift + moves * 0.01 * seed, shift + moves * NOISE, 50)


def rows(name: Name = SKILL, better: str = "higher", headline: bool = True, **shifts: float) -> list[VariantMetric]:
    """The reference at 10, and variants that differ from it by a shift, over three seeds."""
    runs = {
        variant: {seed: measured(shift, seed) for seed in range(3)} for variant, shift in ({"full": 0} | shifts).items()
    }
    found = with_holm([difference(runs[variant], runs["full"]) for variant in shifts])
    compared = {"full": None} | dict(zip(shifts, found, strict=True))
    return [
        VariantMetric(name, variant, tuple((seed, one.value) for seed, one in seeds.items()), better, headline, 50,
            compared[variant])
        for variant, seeds in runs.items()
    ]  # fmt: skip


def test_a_panel_has_a_row_a_variant_with_both_intervals_and_a_point_a_seed() -> None:
    (panel,) = forests(rows(lost=-3.0, won=3.0, same=0.0), "full")
    assert panel.title == "drift: skill horizon" and panel.about == "less that of full, 10\u00a0steps"
    assert panel.x_label == "difference (steps), higher is better"
    lost, won, same = panel.rows
    assert [row.label for row in panel.rows] == ["lost", "won", "same"]
    assert lost.points == pytest.approx([-3.0, -2.99, -2.98]) and lost.value == pytest.approx(-2.99)
    assert lost.inner[0] < lost.value < lost.inner[1] and lost.outer[0] < lost.value < lost.outer[1]
    assert (lost.judged, won.judged, same.judged) == ("worse", "better", "")
    assert (same.value, same.inner, same.outer) == (0.0, (0.0, 0.0), (0.0, 0.0))


def test_where_neither_way_is_better_a_difference_is_not_called_an_improvement() -> None:
    (panel,) = forests(rows(Name("collapse", "effective rank"), "", collapsed=-9.0), "full")
    assert panel.rows[0].judged == "other" and "better" not in panel.x_label


def test_headlines_and_scores_of_tasks_have_a_panel_and_metrics_on_an_axis_have_none() -> None:
    score = rows(Name("tasks", "AUROC of death"), "higher", headline=False, other=0.1)
    placed = rows(Name("drift", "l1", axis="h", at=3), "", headline=False, other=0.1)
    found = forests([*rows(other=1.0), *score, *placed], "full")
    assert [one.title for one in found] == ["drift: skill horizon", "tasks: AUROC of death"]


def test_without_a_difference_there_is_no_panel() -> None:
    assert forests([replace(row, found=None) for row in rows(other=1.0)], "full") == []


def texts(svg: str) -> list[str]:
    return [one.text for one in ElementTree.fromstring(svg).iter("text")]


def forest(*of: ForestRow) -> Forest:
    return Forest("toy", "toy", "less that of full", "difference", list(of))


def test_the_axis_holds_zero_and_every_thick_interval_but_not_all_of_a_long_thin_one() -> None:
    short = ForestRow("short", 5.0, (4.0, 6.0), (3.5, 6.5), [4.9, 5.1])
    long = replace(short, label="long", outer=(-1000.0, 1000.0))
    ticks = [float(one.replace("−", "-")) for one in texts(draw_forest(forest(short, long))) if one[-1].isdigit()]
    assert min(ticks) > -10 and max(ticks) < 20 and 0 in ticks
    arrows = [svg.count("<use") for svg in (draw_forest(forest(short, short)), draw_forest(forest(short, long)))]
    assert arrows[1] >= arrows[0] + 2


def test_fourteen_variants_of_long_names_each_have_their_name_and_room_for_it() -> None:
    name = "without_predictor_finalization_same_steps"
    many = [ForestRow(f"{name}_{place}", float(place)) for place in range(14)]
    svg = draw_forest(forest(*many))
    said = " ".join(texts(svg))
    assert said.count("without predictor") == 14
    places = [float(y) for y in re.findall(r'<text[^>]*y="([\d.]+)"', svg)]
    height = float(re.search(r'viewBox="0 0 \S+ (\S+)"', svg)[1])
    assert height > 14 * 3 * 13 and all(0 < place < height for place in places)


def test_a_sign_is_told_apart_by_its_shape_besides_its_colour() -> None:
    legend, _ = forest_plots([forest(ForestRow("a", 1.0))])
    shapes = re.findall(r"<g [^>]*>(.*?)</g>", legend)
    assert len(set(shapes)) == len(shapes) == 4


# --- the figure that stands for an evaluator --------------------------------------------------------------------------


def drift(scale: float, control: str = "persistence") -> Figure:
    line = Series("rollout", [1.0, 2.0], [scale, 2 * scale], [0.0, 0.0], [9.0, 9.0])
    still = Series(control, [1.0, 2.0], [1.0, None], control=True)
    end = Mark("drift", 2.0, 2 * scale, 100 * scale, 90.0, 110.0, "%")
    reach = Mark("beats persistence up to h =", scale, None, scale)
    return Figure("drift", "Drift", "h", "l1", [line, still], band="subjects", marks=[end, reach], headline=True)


def test_the_mean_figure_has_the_mean_of_lines_and_marks_and_the_range_over_seeds() -> None:
    found = mean_figure([drift(1.0), drift(2.0), drift(6.0)])
    rollout, persistence = found.series
    assert (rollout.y, rollout.low, rollout.high) == ([3.0, 6.0], [1.0, 2.0], [6.0, 12.0])
    assert persistence.y == [1.0, None] and persistence.low == []
    end, reach = found.marks
    assert (end.y, end.value, end.low, end.high) == (6.0, 300.0, 100.0, 600.0)
    assert (reach.x, reach.y, reach.value, reach.low, reach.high) == (3.0, None, 3.0, 1.0, 6.0)
    assert found.band.startswith("Mean over 3 seeds")


def test_the_mean_of_one_figure_is_that_figure_and_lines_that_one_lacks_are_left_out() -> None:
    assert mean_figure([drift(1.0)]) == drift(1.0)
    assert [one.label for one in mean_figure([drift(1.0), drift(2.0, "mean latent")]).series] == ["rollout"]


def test_only_headline_figures_stand_for_the_reference() -> None:
    other = replace(drift(1.0), name="other", headline=False)
    found = headline_figures([{"drift": Findings(figures=[other, drift(scale)])} for scale in (1.0, 3.0)])
    assert [(evaluator, one.name, one.series[0].y) for evaluator, one in found] == [("drift", "drift", [2.0, 4.0])]


def test_lines_are_named_in_the_drawing_and_marks_say_their_value_and_bounds() -> None:
    said = " ".join(texts(draw_headline(drift(1.0), "toy"))).replace("\u00a0", " ")
    assert "rollout" in said and "persistence" in said
    assert "2 drift 100 % (90 to 110)" in said and "beats persistence up to h = 1" in said
    assert "subjects" in headline_figure(drift(1.0), "toy")


def test_names_of_lines_that_end_in_one_place_do_not_lie_on_each_other() -> None:
    lines = [Series(f"line {place}", [1.0, 2.0], [1.0, 1.0]) for place in range(4)]
    svg = draw_headline(replace(drift(1.0), series=lines, marks=[]), "toy")
    places = sorted(float(y) for y in re.findall(r'<text[^>]*y="([\d.]+)"[^>]*>line', svg))
    assert len(places) == 4 and min(np.diff(places)) > 9


def test_marks_come_back_from_json_and_figures_from_before_them_are_read() -> None:
    found = Findings(figures=[drift(1.0)])
    plain = json.loads(json.dumps(found.to_dict()))
    assert Findings.from_dict(plain) == found
    for key in ("marks", "headline", "band"):
        del plain["figures"][0][key]
    assert Findings.from_dict(plain).figures[0] == replace(drift(1.0), marks=[], headline=False, band="")


def test_the_headline_figure_comes_first_in_the_report_of_a_run() -> None:
    other = replace(drift(1.0), name="other", title="Another figure", headline=False)
    found = Findings([Headline("a", 1.0, n=3)], figures=[other, drift(1.0)])
    html = page(RunRecord({}, "", {}, {}, [], {"drift": found}, {}))
    assert html.index('class="standing"') < html.index("Another figure")


@pytest.mark.parametrize("told", [0.8, 0.7])
def test_a_score_that_is_a_headline_too_stands_once(
    told: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is of the predictions: a headline of folds is the mean over them, and says something else."""
    draws, name = np.linspace(0.7, 0.9, 50), Name("tasks", "AUROC of late death, latents")
    scored = RunMetric(0.8, draws, 40, "higher")
    monkeypatch.setattr(metrics, "_of_predictions", lambda _: [("latents", name, scored)])
    (tmp_path / "findings").mkdir()
    findings = Findings([Headline("AUROC of late death, latents", told, n=40, better="higher")])
    (tmp_path / "findings" / "tasks.json").write_text(json.dumps(findings.to_dict()))
    measured = run_metrics([tmp_path])
    assert list(measured) == [name]
    assert measured[name].headline and measured[name].value == 0.8 and measured[name].draws is draws


def test_a_score_that_an_evaluator_tells_by_labels_stands_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = [(f"AUROC of late death {count} labelled, latents", value) for count, value in ((20, 0.8), (40, 0.9))]
    told = [("latents", Name("few", name), RunMetric(value, None, 40, "higher")) for name, value in scores]
    monkeypatch.setattr(metrics, "_of_predictions", lambda _: told)
    (tmp_path / "findings").mkdir()
    findings = Findings([Headline("AUROC of late death, latents, 20 labelled", 0.8, better="higher")])
    (tmp_path / "findings" / "few.json").write_text(json.dumps(findings.to_dict()))
    assert [name.metric for name in run_metrics([tmp_path])] == [
        "AUROC of late death, latents, 20 labelled",
        "AUROC of late death 40 labelled, latents",
    ]
