"""The report: what it says, that it stands alone, and that it is the same each time."""

import html.parser
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from rich.console import Console

from jepa_core.errors import RunError
from jepa_core.report.answer import Group, answer_plot
from jepa_core.report.exports import csv_text, latex_text
from jepa_core.report.first_screen import first_screen, headlines
from jepa_core.report.headline_figure import PLACES, _free_place
from jepa_core.report.html import element, join
from jepa_core.report.page import write_report
from jepa_core.report.plots import as_svg, coloured, draw_figure, dress, legend, new_drawing, styles, y_limits
from jepa_core.report.tables import SHOWN_ROWS, findings_table, records
from jepa_core.results.findings import (
    Claim,
    Column,
    Figure,
    Findings,
    Headline,
    Series,
    Side,
    Table,
    Verdict,
)
from jepa_core.results.record import read_run
from jepa_core.results.text import MISSING, duration, estimate, interval, memory, number, operations
from jepa_core.runs.ending import ending
from jepa_core.runs.run_list import list_runs, runs_text

PHASES = ["warm_up", "joint", "sync", "finish"]
HOSTILE = "<script>alert('x')</script>"
VOID = {"meta", "br", "line", "path", "rect", "use", "circle", "polyline", "polygon"}


class Page(html.parser.HTMLParser):
    """Tags in order, whether they nest, their attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def findings() -> Findings:
    horizons = [1.0, 2.0, 3.0]
    curve = Series("rollout", horizons, [0.2, 0.3, 0.35], [0.1, 0.2, 0.3], [0.3, 0.4, 0.45])
    mean = Series("mean", horizons, [0.4, None, 0.4], control=True)
    return Findings(
        headlines=[
            Headline("skill horizon", 24.0, "steps", 12.0, 36.0, 57, note="context 24"),
            Headline("drift", None, "%", note="no window is long enough"),
        ],
        verdicts=[Verdict("good", "not collapsed."), Verdict("bad", f"worse than the mean {HOSTILE}.")],
        tables=[
            Table(
                "errors",
                "Errors",
                [Column("h", "steps"), *map(Column, ("l1", "l1_low", "l1_high")), Column("drift", "%")],
                [[1, 0.20449, 0.1, 0.3, 0.0], [2, None, None, None, 41.55]],
                "Null: no window.",
            )
        ],
        figures=[
            Figure("by_horizon", "Error", "horizon", "l1", [curve, mean]),
            Figure("cloud", "Cloud", "x", "y", [Series("points", [0.0, 1.0], [1.0, 2.0])], kind="scatter"),
        ],
    )


def logged(phase: str, step: int, total: int, **more) -> str:
    terms = {"teacher_forcing": 1 / total, "rollout": 2 / total}
    line = {"phase": phase, "step": step, "total_step": total, "loss": 3 / total, "terms": terms, "rank": 10.0 + step}
    return json.dumps(line | more)


def write_run(run) -> None:
    (run / "findings").mkdir(parents=True)
    phases = [{"name": name, "steps": 2, "trains": ["predictor"]} for name in PHASES]
    data = {
        "attrition": [
            {"step": "all", "trajectories": 140, "subjects": 100},
            {"step": "long enough", "trajectories": 126, "subjects": 98},
        ],
        "splits": [
            {"split": "train", "trajectories": 100, "subjects": 80, "steps": 5000},
            {"split": "held_out", "trajectories": 26, "subjects": 18, "steps": 1300},
        ],
        "channels": 9,
    }
    costs = {name: {"seconds": 95.0, "steps_per_second": None, "peak_bytes": 3 * 2**29} for name in PHASES}
    manifest = {"name": "five_phases", "description": HOSTILE, "seed": 7, "versions": {"numpy": "2.3.1"}}
    contents = {
        "plan": {"phases": phases, "encoder": {"use": "mlp", "parameters": 1234}, "evaluators": ["drift"]},
        "data": data,
        "manifest": manifest | {"command": ["jepa", "run", "x.yaml"], "plugins": [{"name": "p", "version": "9.9"}]},
        "costs": costs,
        "findings/drift": findings().to_dict(),
    }
    for name, content in contents.items():
        (run / f"{name}.json").write_text(json.dumps(content))
    places = [(place, phase) for place, phase in enumerate(PHASES) if phase != "sync"]
    lines = [logged(phase, step, 2 * place + step) for place, phase in places for step in (1, 2)]
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (run / "recipe.resolved.yaml").write_text(f"seed: 7\nname: {HOSTILE}\n")


@pytest.fixture
def folder(tmp_path):
    write_run(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    run = tmp_path_factory.mktemp("report") / "run"
    write_run(run)
    return written(run)


def written(folder) -> str:
    return write_report(folder).read_text(encoding="utf-8")


def text_of(page: str) -> str:
    return " ".join(" ".join(Page(page).text).split())


def test_every_element_is_closed_and_every_identifier_stands_once(page):
    parsed = Page(page)
    assert parsed.open == []
    identifiers = [value for name, value in parsed.attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers)) > 10


def test_nothing_is_fetched_and_nothing_is_run(page):
    parsed = Page(page)
    linking = {"src", "href", "srcset", "data", "action", "xlink:href"}
    links = [value for name, value in parsed.attributes if name in linking]
    assert links and all(value.startswith(("#", "data:text/csv;", "data:application/x-tex;")) for value in links)
    assert not {"script", "link", "img", "iframe", "object"} & set(parsed.tags)
    assert not any(name.startswith("on") for name, _ in parsed.attributes)
    assert not re.search(r"https?:|@import|url\((?!#)", page)
    assert "default-src &#x27;none&#x27;" in page


def test_what_the_run_wrote_is_escaped_everywhere(page):
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 3


def test_the_first_screen_has_data_verdicts_and_headlines_with_interval_and_n(page):
    text = text_of(page)
    head = text[: text.index("Training Drift Data")]
    for said in ("five_phases", "126 trajectories", "98 subjects", "6,300 steps", "9 channels", "seed 7", "6 min 20 s"):
        assert said in head
    assert "24 steps 95 % CI 12 to 36 n = 57 subjects Context 24" in head
    assert "Drift – No window is long enough" in head
    assert head.index("not sound Worse than the mean") < head.index("sound Not collapsed")


def told(gain: float, low: float, high: float, positives: int | None = 40) -> Claim:
    ours = Side("belief", "frozen features", 0.8, 0.75, 0.85)
    other = Side("untrained belief", "the untrained encoder", 0.8 - gain, 0.7, 0.9, gain, low, high)
    return Claim("mean of 8 tasks", "AUROC", "higher", [ours, other], 300, positives=positives)


def with_claims(folder, *claims: Claim, noun: str = "subject") -> str:
    found = replace(findings(), claims=list(claims), terms={"AUROC": "area, of each subject"})
    (folder / "findings" / "drift.json").write_text(json.dumps(found.to_dict()))
    data = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(json.dumps(data | {"subject": noun}))
    return written(folder)


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        ((0.05, 0.02, 0.08), "0.050 better (0.020 to 0.080) than the untrained encoder"),
        ((-0.05, -0.08, -0.02), "0.050 worse (0.020 to 0.080) than the untrained encoder"),
        ((0.05, -0.02, 0.08), "not told apart from the untrained encoder (+0.050, −0.020 to 0.080)"),
        ((0.05, None, None), "too few to compare with the untrained encoder (+0.050, no interval)"),
    ],
)
def test_the_first_claim_is_the_first_sentence_with_what_is_gained_and_on_how_many(folder, gain, said):
    page = with_claims(folder, told(*gain))
    assert 'class="answer leading"' in page
    text = text_of(page).replace(" ,", ",")
    assert "With frozen features, AUROC (mean of 8 tasks) is 0.800 (0.750 to 0.850)" in text
    assert said in text and "300 subjects, at least 40 of either class" in text


def test_the_list_of_runs_tells_the_answer_of_an_evaluator_in_place_of_its_headlines(folder):
    with_claims(folder, told(0.05, 0.02, 0.08))
    assert "drift: mean of 8 tasks 0.800 (0.750 to 0.850) AUROC" in runs_text(list_runs(folder.parent))
    with_claims(folder, told(0.05, 0.02, 0.08, positives=3))
    assert "(0.750 to 0.850) AUROC (few positives)" in runs_text(list_runs(folder.parent))


def test_a_claim_on_few_positives_is_grey_and_never_large(folder):
    page = with_claims(folder, told(0.05, 0.02, 0.08, positives=19))
    assert 'class="answer thin"' in page and 'class="answer leading"' not in page
    assert "Too few positives to conclude (19, of at least 20)" in text_of(page)
    few = Headline("AUROC", 0.9, n=40, positives=3)
    assert 'class="card thin"' in headlines("", [few], {}) and "Only 3 of one class" in headlines("", [few], {})


def test_the_first_claim_on_enough_positives_is_large_where_an_earlier_one_is_grey(folder):
    claims = [told(0.05, 0.02, 0.08, positives=count) for count in (19, 20, 21)]
    evaluated = [(f"of-{claim.positives}", replace(findings(), claims=[claim])) for claim in claims]
    page = join(filter(None, first_screen(read_run(folder), evaluated, {})))
    drawn = re.findall(r'<p class="(answer[ a-z]*)"', page)
    assert drawn == ["answer thin", "answer leading", "answer"]


def test_errors_of_another_order_have_an_axis_of_their_own():
    def error(about: str, value: float | None) -> Claim:
        return Claim(about, "RMSE", "lower", [Side("ours", "ours", value), Side("lines", "lines", value)], 40)

    claims = [error("heat", 0.9), error("life", 31.0), error("lost", None), error("load", 2.0), error("age", 80.0)]
    panels = [text_of(panel) for panel in answer_plot([Group("Tasks", claims)], "engine")]
    assert len(panels) == 2 and "heat" in panels[0] and "load" in panels[0]
    assert "life" in panels[1] and "age" in panels[1] and "Not measured: lost" in panels[1]
    shares = [error("a", 0.01), error("b", 0.9)]
    assert len(list(answer_plot([Group("Tasks", shares)], "engine"))) == 1


def test_rows_of_a_table_on_few_positives_are_grey():
    table = Table("t", "T", [Column("task"), Column("positive_subjects"), Column("v")], [["a", 19, 1], ["b", 20, 2]])
    assert findings_table(table, "x.t").count('<tr class="thin">') == 1


def test_what_evaluators_warn_of_is_one_line_with_its_count_and_what_is_not_sound_stands_open(folder):
    page = with_claims(folder, told(0.05, 0.02, 0.08))
    head = page[: page.index('id="training"')]
    assert head.index("not sound") < head.index('class="answer') < head.index("What else the evaluators say")
    assert re.search(r"<details class=\"fold\"><summary>What else the evaluators say: .*?1 sound", head)


def test_words_are_explained_where_they_stand_and_once_more_in_a_list(folder):
    page = with_claims(folder, told(0.05, 0.02, 0.08))
    assert 'title="area, of each subject">AUROC</abbr>' in page
    assert "<dt>AUROC</dt><dd>area, of each subject</dd>" in page


def test_the_data_s_own_noun_stands_for_subjects_and_files_keep_their_columns(folder):
    page = with_claims(folder, told(0.05, 0.02, 0.08), noun="engine")
    text = text_of(page)
    assert "98 engines" in text and "300 engines" in text and "area, of each engine" in text
    assert "subject" not in text.replace("command", "").lower().split("columns")[0]
    assert "subjects" in (folder / "tables" / "data.splits.csv").read_text()


def test_phases_stand_in_the_order_of_the_curriculum_with_the_one_that_has_no_steps(page):
    names = enumerate(["Warm up", "Joint", "Sync", "Finish"], start=1)
    places = [page.index(f"<figcaption>{place}. {name}") for place, name in names]
    assert places == sorted(places)
    assert text_of(page).count("No step was logged") == 1
    assert "Loss terms of the phase phase-2 by step" in page


def test_numbers_that_a_phase_logged_have_panels_of_their_own(folder, page):
    assert "Logged beside the loss" not in page and "logged by step" not in page
    lines = [logged("joint", step, step, metrics={"far_error": 0.5 / step, "gap": None}) for step in (1, 2, 3)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    told = written(folder)
    assert told.count("far_error, logged by step of the phase.") == 1 and "Joint: far error" in text_of(told)


def test_a_value_and_its_interval_share_a_cell_and_null_is_a_dash(page):
    assert '<td class="number">0.204<span class="interval">0.100 to 0.300</span></td>' in page
    assert '<td class="number">–</td>' in page
    assert "l1 low" not in page


def test_bounds_stand_with_the_value_before_them_and_not_with_a_count_of_their_name():
    names = ("difference", "subjects_low", "subjects_high", "subjects")
    table = Table("t", "T", [Column(name) for name in names], [[0.31, 0.2941849, 0.331553, 12]])
    drawn = findings_table(table, "t")
    assert "subjects interval" in drawn and '<td class="number">0.294 to 0.332</td><td class="number">12</td>' in drawn
    assert "0.310 & 0.294 to 0.332 & 12" in latex_text(table)


def test_a_column_of_empty_lists_is_saved_and_not_shown():
    kept = records("t", "T", [{"name": "a", "only": [], "share": None}, {"name": "b", "only": []}])
    assert kept.headings == ["name", "share"] and [column.name for column in kept.table.columns][1] == "only"


def test_headings_spell_abbreviations_as_their_terms_do():
    table = Table("t", "T", [Column("task"), Column("auroc"), Column("average_precision")], [["a", 0.5, 0.25]])
    text = re.sub("<[^>]*>", " ", findings_table(table, "t", {"AUROC": "area", "average precision": "mean"}))
    assert " AUROC " in text and "auroc" not in text.partition("CSV")[2] and " average precision " in text


def test_the_page_tells_what_was_planned_what_it_cost_and_where_it_ran(page):
    text = text_of(page)
    for said in ("encoder mlp, 1,234 parameters", "warm up 1 min 35 s – 1.50 GiB", "jepa run x.yaml", "p 9.9"):
        assert said in text


def test_costs_stand_in_the_order_of_the_curriculum_whatever_the_file_s_own(folder):
    costs = {name: {"peak_bytes": 1, "seconds": 1.0} for name in sorted(PHASES)}
    (folder / "costs.json").write_text(json.dumps(costs))
    page = written(folder)
    cost = page[page.index("<h2>Cost</h2>") :]
    assert re.findall(r'<td>([a-z ]+)</td><td class="number">1 s</td>', cost) == ["warm up", "joint", "sync", "finish"]


def test_evaluators_stand_in_the_order_of_the_recipe(folder):
    for name in ("another", "first"):
        (folder / "findings" / f"{name}.json").write_text(json.dumps(findings().to_dict()))
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps(plan | {"evaluators": ["first", "drift"]}))
    assert re.findall("<h2>(.*?)</h2>", written(folder))[1:4] == ["First", "Drift", "Another"]


def test_attrition_shows_what_each_step_took(page):
    assert "long enough 126 −14 98" in text_of(page)


def test_the_report_is_the_same_bytes_each_time_and_in_another_process(folder):
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first
    code = (
        "import sys, pathlib; from jepa_core.report.page import write_report; write_report(pathlib.Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
    assert (folder / "report.html").read_bytes() == first
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_the_reader_s_own_plot_settings_change_nothing(folder):
    import matplotlib

    first = written(folder)
    with matplotlib.rc_context({"ytick.direction": "in", "font.size": 30, "svg.fonttype": "path"}):
        assert written(folder) == first


@pytest.mark.parametrize(
    ("missing", "title"),
    [
        ("data.json", "Data"),
        ("costs.json", "Cost"),
        ("manifest.json", "Environment"),
        ("recipe.resolved.yaml", "Recipe"),
        ("findings/drift.json", "Drift"),
    ],
)
def test_a_missing_file_leaves_its_section_out_and_no_other(folder, missing, title):
    titles = ["Training", "Drift", "Data", "Cost", "Recipe", "Environment"]
    (folder / missing).unlink()
    page = written(folder)
    assert re.findall("<h2>(.*?)</h2>", page) == [name for name in titles if name != title]
    assert Page(page).open == []


def test_the_phases_are_known_from_the_plan_or_from_the_log(folder):
    (folder / "plan.json").unlink()
    assert "3. Finish" in text_of(written(folder))
    (folder / "metrics.jsonl").unlink()
    assert "<h2>Training</h2>" not in written(folder)


def test_an_empty_folder_makes_a_page_and_no_folder_is_an_error(tmp_path):
    assert "Run report" in written(tmp_path)
    with pytest.raises(RunError, match="there is no run"):
        write_report(tmp_path / "nowhere")


def test_a_step_logged_twice_counts_as_it_was_logged_last_and_a_torn_last_line_is_left_out(folder):
    path = folder / "metrics.jsonl"
    clean = path.read_text()
    expected = written(folder)
    first, *rest = clean.splitlines()
    path.write_text("\n".join([logged("warm_up", 1, 1, loss=99.0), *rest[:1], first, *rest, '{"phase": "fin']))
    assert written(folder) == expected


def test_a_broken_line_in_the_middle_is_an_error_with_its_number(folder):
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], '{"phase": "joint"}', *lines[1:]]))
    with pytest.raises(RunError, match="line 2"):
        write_report(folder)


@pytest.mark.parametrize("content", ["{", "[]", '{"headlines": 3}'])
def test_broken_findings_are_an_error_that_names_the_file(folder, content):
    (folder / "findings" / "drift.json").write_text(content)
    with pytest.raises(RunError, match=r"drift\.json"):
        write_report(folder)


def test_a_loss_that_diverged_and_a_rank_that_was_not_logged_are_drawn_as_gaps(folder):
    lines = [logged("joint", step, step, rank=None, loss=float("nan") if step > 3 else 1.0) for step in range(1, 7)]
    (folder / "metrics.jsonl").write_text("\n".join(lines))
    page = written(folder)
    assert "effective rank of the latents" not in page
    assert not re.search(r"\bnan\b", page, flags=re.IGNORECASE)


def test_a_long_table_is_closed_and_a_very_long_one_names_the_file_that_has_all():
    table = Table("t", "Many", [Column("h")], [[row] for row in range(SHOWN_ROWS + 1)])
    drawn = findings_table(table, "x.t")
    assert "<details><summary>Many" in drawn and drawn.count("<td") == SHOWN_ROWS
    assert f"first {SHOWN_ROWS} of {SHOWN_ROWS + 1} rows; tables/x.t.csv" in drawn


def saved(page: str) -> dict[str, str]:
    """What the links of a page save, by file name."""
    links = re.findall(r'<a href="data:[a-z/-]+;charset=utf-8,([^"]*)" download="([^"]+)">', page)
    return {name: unquote(content) for content, name in links}


def test_every_table_is_in_the_folder_and_in_the_page_byte_for_byte(folder):
    page = written(folder)
    files = {path.name: path.read_text() for path in (folder / "tables").iterdir()}
    stems = [
        "training.curriculum",
        "data.attrition",
        "data.splits",
        "cost.phases",
        "environment.plugins",
        "drift.errors",
    ]
    assert files.keys() == {f"{stem}.{ending}" for stem in stems for ending in ("csv", "tex")}
    assert saved(page) == files


def test_a_table_that_the_report_no_longer_has_is_removed_and_other_files_are_left(folder):
    written(folder)
    (folder / "tables" / "mine.txt").write_text("keep")
    (folder / "findings" / "drift.json").unlink()
    written(folder)
    names = {path.name for path in (folder / "tables").iterdir()}
    assert "mine.txt" in names and "drift.errors.csv" not in names and "drift.errors.tex" not in names


def test_tables_at_the_end_of_a_link_are_left(folder, tmp_path):
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (elsewhere / "mine.csv").write_text("keep")
    (folder / "tables").symlink_to(elsewhere)
    written(folder)
    assert [path.name for path in elsewhere.iterdir()] == ["mine.csv"]
    assert (folder / "tables" / "drift.errors.csv").is_file() and not (folder / "tables").is_symlink()


def test_csv_has_every_digit_and_nothing_for_null():
    assert csv_text(findings().tables[0]).splitlines() == [
        "h (steps),l1,l1_low,l1_high,drift (%)", "1,0.20449,0.1,0.3,0.0", "2,,,,41.55",
    ]  # fmt: skip


def test_latex_is_as_it_is_read_with_what_is_special_to_latex_escaped():
    text = latex_text(findings().tables[0])
    for line in (
        r"\begin{tabular}{lrr}", r"h (steps) & l1 & drift (\%) \\", r"1 & 0.204 (0.100 to 0.300) & 0 \\",
        r"2 & -- & 41.5 \\", r"\caption{Errors}", r"\bottomrule",
    ):  # fmt: skip
        assert line in text.splitlines()
    table = Table("t", "50 % & more_#1 {x}", [Column("a_b"), Column("v")], [["<$~^\\|>", -0.0000123]])
    text = latex_text(table)
    assert r"\caption{50 \% \& more\_\#1 \{x\}}" in text and "a b & v" in text
    special = r"\textless{}\$\textasciitilde{}\textasciicircum{}\textbackslash{}\textbar{}\textgreater{}"
    assert rf"{special} & $-$1.23$\times10^{{-5}}$ \\" in text


def test_a_row_that_latex_would_take_for_an_option_of_the_line_above_is_text():
    table = Table("t", "Ranges", [Column("range"), Column("v")], [["[0, 1)", 1.0], ["*", 2.0]])
    lines = latex_text(table).splitlines()
    assert r"{}[0, 1) & 1 \\" in lines and r"{}* & 2 \\" in lines


def test_names_between_dollar_signs_are_names_in_a_figure(folder):
    named = findings().to_dict()
    named["figures"][0] |= {"title": r"$\frac{1}$", "x_label": r"$\nothing$", "y_label": "5 $ to $6$"}
    (folder / "findings" / "drift.json").write_text(json.dumps(named))
    assert {r"$\nothing$", "5 $ to $6$"} <= {text.strip() for text in Page(written(folder)).text}


@pytest.mark.parametrize("address", ["https://x.example/a.png", "http://x.example", "//x.example/a.svg"])
def test_an_address_in_what_a_run_wrote_is_text_and_nothing_loads_it(folder, address):
    loading = f'"><img src="{address}"><style>@import url({address})</style><a xlink:href="{address}">'
    told = findings().to_dict()
    told["figures"][0] |= {"title": loading, "x_label": loading, "note": loading}
    told["figures"][0]["series"][0]["label"] = loading
    told["tables"][0]["note"] = loading
    (folder / "findings" / "drift.json").write_text(json.dumps(told))
    parsed = Page(page := written(folder))
    assert address in page and not {"img", "script", "link", "image"} & set(parsed.tags)
    assert not [tag for tag in parsed.tags if tag == "style"][1:]
    fetching = [value for name, value in parsed.attributes if value and address in value and name != "aria-label"]
    assert not [value for value in fetching if not value.startswith("data:")]


def test_a_long_latex_table_breaks_over_pages():
    table = Table("t", "Many", [Column("h")], [[row] for row in range(41)])
    assert r"\begin{longtable}{l}" in latex_text(table) and r"\endhead" in latex_text(table)


def test_rows_with_the_same_first_cell_are_one_group():
    rows = [["a_b", 1], ["a_b", 2], ["c", 3]]
    drawn = findings_table(Table("t", "T", [Column("task"), Column("v")], rows), "x.t")
    assert drawn.count("<tbody>") == 2
    assert drawn.count('<td class="named">a b') == drawn.count('<td class="again">a b') == 1


def test_results_are_told_apart_without_their_colour():
    drawn = [coloured(place) for place in range(12)]
    assert len({(one.marker, one.dashes) for one in drawn}) == 12
    assert all(one.marker == "" and one.dashes for one in styles([("control", True)] * 3))
    assert legend(["a", "b"], drawn[:2]).count("<g style") == 2


def test_an_axis_of_shares_is_not_marked_in_whole_numbers_alone():
    diagonal = Series("perfect", [0.0, 1.0], [0.0, 1.0], control=True)
    shares = draw_figure(Figure("c", "Calibration", "probability", "share", [diagonal, curve(0.3)]), "c", (0, 1))
    steps = draw_figure(Figure("d", "Drift", "h", "l1", [curve(1.0)]), "d", (0, 1))
    assert ">0.4<" in shares and ">0.4<" not in steps.split("l1")[0]


def curve(first: float) -> Series:
    return Series("latents", [first, first + 1], [0.2, 0.6])


def test_the_data_and_the_seed_of_a_run_stand_with_its_splits(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    dataset = {"source": "toy", "fingerprint": "f1" * 32, "content": "c2" * 32}
    (folder / "manifest.json").write_text(json.dumps(manifest | {"dataset": dataset}))
    data = text_of(written(folder))
    assert f"source toy fingerprint {'f1' * 32} content {'c2' * 32} seed 7" in data


def test_what_an_evaluator_cost_and_how_it_was_set_since_is_told(folder):
    (folder / "recipe.resolved.yaml").write_text("evaluators:\n- {use: drift, horizon: 48, split: held_out}\n")
    settings = {"use": "drift", "horizon": 24, "split": "held_out"}
    made = {"settings": settings, "seconds": 75.0, "peak_bytes": 2**30, "ended": "2026-01-01", "command": ["jepa"]}
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"evaluated": {"drift": made}}))
    text = text_of(written(folder))
    assert "drift 1 min 15 s 1 GiB 2026-01-01" in text
    assert "Drift, as it was evaluated since horizon 24 Environment" in text


def test_figures_of_one_measure_share_their_scale():
    low, high = (Figure("f", "", "", "l1", [Series("a", [1.0], [y])]) for y in (1.0, 3.0))
    assert y_limits([low, high]) == pytest.approx((0.0, 3.18))
    assert y_limits([Figure("f", "", "", "l1", [Series("a", [1.0], [None])])]) is None


@pytest.mark.parametrize(
    ("value", "digits", "said"),
    [
        (0.20449, 3, "0.204"),
        (0.1, 3, "0.100"),
        (-1234.56, 3, "−1,235"),
        (24.0, 3, "24"),
        (92514304, 3, "92,514,304"),
        (0.0000123, 3, "1.23×10⁻⁵"),
        (None, 3, "–"),
        (float("nan"), 3, "–"),
        (99.96, 3, "100"),
        (0.0, 3, "0"),
    ],
)
def test_numbers_keep_their_significant_digits(value, digits, said):
    assert number(value, digits) == said


def test_spans_of_time_memory_and_operations_have_the_unit_that_suits_them():
    assert [duration(seconds) for seconds in (9.5, 95, 7300)] == ["9.50 s", "1 min 35 s", "2 h 1 min"]
    assert [memory(size) for size in (512, 3 * 2**29)] == ["512 B", "1.50 GiB"]
    assert [operations(count) for count in (0, 999, 320_000_000_000, 5e15)] == [
        "0 FLOP", "999 FLOP", "320 GFLOP", "5 PFLOP",
    ]  # fmt: skip
    assert interval(None, 1.0) == ""


def test_the_table_at_the_end_has_a_row_a_claim_and_headlines_where_nothing_is_claimed(folder):
    with_claims(folder, told(0.05, 0.02, 0.08))
    (folder / "findings" / "another.json").write_text(json.dumps(findings().to_dict()))
    console = Console(width=160, file=io.StringIO())
    console.print(ending(read_run(folder), 160))
    lines = " ".join(console.file.getvalue().split())
    assert "mean of 8 tasks 0.800 (0.750 to 0.850) AUROC over the untrained encoder +0.050 (0.020 to 0.080)" in lines
    assert lines.count("skill horizon 24 steps (12 to 36)") == 1


def test_signs_that_no_page_can_hold_are_replaced_in_html_and_in_drawings() -> None:
    label = "pH\x00 \x1b[31m\x08\x9b\ufffe of blood"
    with new_drawing((2, 2)) as drawing:
        axes = drawing.add_subplot()
        dress(axes, label, label)
        drawn = as_svg(drawing, "figure", label)
    written = element("p", label, title=label)

    for markup in (drawn, written):
        assert not any(sign in markup for sign in "\x00\x1b\x08\x9b\ufffe") and "\ufffd" in markup
        ElementTree.fromstring(markup.replace("xlink:href", "href"))


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        ((0.0063, 0.214), "0.006 to 0.214"), ((-0.1074, 0.06), "−0.107 to 0.060"), ((0, 0.3), "0 to 0.300"),
        ((-0.0002, 0.31), "−0.000200 to 0.310"), ((0.9993, 0.9998), "0.999 to 1.000"),
        ((-8e-5, 0.002), "−0.00008 to 0.00200"),
        ((1e-7, 2e-6), "1.00×10⁻⁷ to 2.00×10⁻⁶"), ((None, 0.3), ""),
    ],
)  # fmt: skip
def test_bounds_of_an_interval_have_the_same_decimals_unless_one_would_be_told_as_nothing(bounds, told):
    assert interval(*bounds) == told


def test_what_a_mark_says_stands_where_no_line_runs_through() -> None:
    steps = list(range(1, 11))

    def place_of(values: list[float]) -> tuple[float, float]:
        with new_drawing((4, 3)) as drawing:
            axes = drawing.add_subplot(xlim=(0, 10), ylim=(0, 1.3))
            return _free_place(axes, Figure("drift", "a title", "h", "error", [Series("rollout", steps, values)]))

    assert place_of([1.0] * 10) == PLACES[0], "a flat line leaves the foot free"
    left, bottom = place_of([0.01 * step**2 for step in steps])
    assert left < 0.5 and bottom > 0.2, "one that rises from the foot to the right leaves its upper left"


def test_where_nothing_is_claimed_figures_that_are_compared_are_told_in_sentences(folder) -> None:
    note = "h = 12, median of 2 channels; below 1 is better than the last value"
    ratio = Headline("error of channels over last value", 0.756, "", 0.729, 0.785, 80, note=note, better="lower")
    (folder / "findings" / "drift.json").write_text(json.dumps(Findings(headlines=[ratio]).to_dict()))
    told = re.sub("<[^>]*>", "", written(folder))
    assert f"Error of channels over last value is 0.756 (0.729 to 0.785): {note}; 80" in told
    assert "H = 12" not in told


def test_a_value_has_the_decimals_of_its_bounds():
    assert estimate(0.08, 0.0284, 0.132) == ("0.080", "0.028 to 0.132")
    assert estimate(22.14, 16.2, 28.5) == ("22.1", "16.2 to 28.5")
    assert estimate(99.3, 98.7, 99.97) == ("99.3", "98.7 to 100.0")
    assert estimate(0.9996, 0.9993, 0.9998) == ("1.000", "0.999 to 1.000")
    assert estimate(8.88e-5, -0.00155, 0.00194) == ("0.00009", "−0.00155 to 0.00194")
    assert estimate(1.1e-16, -0.193, 0.205, beside=0.81) == ("0", "−0.193 to 0.205"), "rounding is no difference"
    assert estimate(0.063, 0.0245, 0.0967, beside=0.755) == ("0.063", "0.025 to 0.097")
    assert estimate(0.08, None, None) == ("0.0800", "")
    assert estimate(None, 0.1, 0.2)[0] == MISSING
