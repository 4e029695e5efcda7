"""What a terminal shows of a run: bars of one line and a table at its end, whatever its width."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from rich.console import Console

from jepa_core.io import ticker
from jepa_core.io.ticker import Ticker
from jepa_core.results.findings import Claim, Findings, Side, Verdict
from jepa_core.results.record import RunRecord
from jepa_core.runs import bars
from jepa_core.runs.bars import RunBars
from jepa_core.runs.ending import ending
from jepa_core.runs.listeners import RunLines

log = logging.getLogger("jepa")


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True

    def shown(self) -> list[str]:
        """Every line that was ever drawn, without colours and the cursor's ways."""
        plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.getvalue())
        return [line.rstrip() for line in re.split(r"[\r\n]+", plain) if line.strip()]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[_Screen]:
    """A terminal of as many columns as the test is given, 80 if none are."""
    screen = _Screen()
    monkeypatch.setattr(bars, "ErrorOutput", lambda: screen)
    monkeypatch.setenv("COLUMNS", str(getattr(request, "param", 80)))
    monkeypatch.setenv("LINES", "30")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(ticker, "LOOKS", 0.0)
    level = log.level
    log.setLevel(logging.INFO)
    yield screen
    log.setLevel(level)


def phase(step: int = 0, steps: int = 120, name: str = "joint_refinement") -> SimpleNamespace:
    validation = SimpleNamespace(patience=0)
    config = SimpleNamespace(steps=steps, trains={"encoder"}, updates="target", validation=validation)
    built = SimpleNamespace(name=name, config=config)
    return SimpleNamespace(phases=[built, built], index=1, current=built, step=step)


RECORD = {
    "terms": {"teacher_forcing": 0.31, "grounding.ahead": 1.2, "variance_covariance.covariance": 0.004},
    "metrics": {"far_error": 0.5}, "rank": 23.2, "steps_per_second": 0.94,
}  # fmt: skip


@pytest.mark.parametrize(("screen", "columns"), [(80, 80), (120, 120)], indirect=["screen"])
def test_a_phase_is_one_line_that_cuts_its_terms_first(screen: _Screen, columns: int) -> None:
    shown = RunBars()
    shown.phase_started(phase())
    shown.step_ended(phase(26))
    shown.logged(RECORD)
    shown._bar.refresh()
    shown.phase_ended(phase(120))
    lines = screen.shown()
    assert all(len(line) <= columns - 2 for line in lines), "a terminal has room for ^C behind the last bar"
    (last,) = [line for line in lines[-6:] if "26/120" in line and "0.31 teacher_for" in line][:1]
    assert last.startswith("2/2 joint_refinement") and last.endswith("…"), (
        "counter and figure are whole, the terms are cut"
    )


def test_the_columns_of_a_phase_stay_where_they_are_while_a_pass_has_a_bar(screen: _Screen) -> None:
    shown = RunBars()
    shown.phase_started(phase(name="warm"))
    shown._bar.refresh()
    Ticker("latents of the frozen encoder", 1000).add(items=410)
    shown._bar.refresh()
    starts = {line.index("0/120") for line in screen.shown() if "0/120" in line}
    assert len(starts) == 1
    shown.close()


def test_latents_have_a_bar_below_the_phase_for_as_long_as_they_are_encoded(screen: _Screen) -> None:
    shown = RunBars()
    shown.phase_started(phase())
    encoding = Ticker("latents of the frozen encoder", 1000)
    encoding.add(items=410)
    shown._bar.refresh()
    assert any("latents of the frozen encoder" in line and "41/100" in line for line in screen.shown())
    encoding.add(items=590)
    assert len(shown._bar.tasks) == 1, "what is over has no bar"
    shown.close()


def test_a_pass_that_stands_still_loses_its_bar_to_the_steps(screen: _Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "STILL", 0.0)
    shown = RunBars()
    shown.phase_started(phase())
    Ticker("latents of the frozen encoder", 1000).add(items=410)
    assert len(shown._bar.tasks) == 2
    shown.step_ended(phase(1))
    assert len(shown._bar.tasks) == 1
    Ticker("latents of the frozen encoder", 1000).add(items=410)
    Ticker("untrained control", 1000).add(steps=1)
    assert [task.description.strip() for task in shown._bar.tasks[1:]] == ["untrained control"], "or to another pass"
    shown.close()


def test_a_pass_counts_its_own_seconds_and_not_those_of_the_steps_between(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "jepa")
    clock = iter([0, 0, 8, 300, 307])
    monkeypatch.setattr(ticker, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    encoding = Ticker("latents of the frozen encoder", 1000)
    encoding.go_on()
    encoding.add(items=300)
    encoding.go_on()
    encoding.add(items=300)
    assert caplog.messages == ["latents of the frozen encoder: 600 items, 15 s"]


def test_evaluators_have_a_bar_and_say_what_they_do_behind_it(screen: _Screen) -> None:
    shown = RunBars()
    shown.evaluation_started("risk_tasks", 0, 7)
    log.info("fitting %s", "slow")
    shown._bar.refresh()
    lines = screen.shown()
    assert any("evaluating risk_tasks" in line and "0/7" in line and "fitting slow" in line for line in lines)
    Ticker("latents of the frozen encoder", 100).add(items=20)
    shown._bar.refresh()
    assert any("latents of the frozen encoder" in line and "20/100" in line for line in screen.shown())
    shown.evaluation_ended("risk_tasks", Findings(verdicts=[Verdict("bad", "nothing [was] learned")]))
    assert "not sound risk_tasks: nothing [was] learned" in screen.shown()


def test_without_a_terminal_an_evaluator_has_a_line_when_it_begins(capsys: pytest.CaptureFixture[str]) -> None:
    RunLines().evaluation_started("risk_tasks", 1, 7)
    assert capsys.readouterr().err == "evaluating 2/7 risk_tasks\n"


def test_what_an_evaluator_says_is_worded_as_the_report_words_it(
    screen: _Screen, capsys: pytest.CaptureFixture[str]
) -> None:
    for shown in (RunBars("pump"), RunLines("pump")):
        shown.evaluation_ended("risk", Findings(verdicts=[Verdict("bad", "Only 2 subjects stand behind it")]))
    assert "Only 2 pumps" in " ".join(screen.shown()) and "Only 2 pumps" in capsys.readouterr().err


def test_warnings_are_lines_while_a_bar_is_drawn_and_nothing_is_taken_once_it_is_gone(screen: _Screen) -> None:
    told: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    log.addHandler(handler)
    try:
        shown = RunBars()
        shown.phase_started(phase())
        log.warning("a warning")
        log.info("in passing")
        shown.close()
        shown.close()
        log.info("afterwards")
        Ticker("unseen", 10).add(items=1)
    finally:
        log.removeHandler(handler)
    assert told == ["a warning", "afterwards"]
    assert log.level == logging.INFO


def test_a_phase_without_steps_is_a_line(screen: _Screen) -> None:
    shown = RunBars()
    shown.phase_started(phase(steps=0, name="hard_sync"))
    (line,) = screen.shown()
    assert re.fullmatch(r"2/2 hard_sync +0 steps, acts at once, updates the target", line) and len(line) <= 80


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_table_at_the_end_fits_the_screen_and_cuts_no_figure(columns: int) -> None:
    compared = [
        Side("latents", "ours", 0.723, 0.61, 0.81),
        Side("untrained", "the encoder as it was drawn", 0.6, 0.55, 0.65, 0.123, 0.012, 0.234),
        Side("lightgbm", "LightGBM", 0.755, gain=-0.0321),
    ]
    claim = Claim("hospital mortality, from the first 24 hours on", "AUROC", "higher", compared, 500)
    record = RunRecord({}, "", {}, {}, [], {"risk": Findings(claims=[claim])}, {})
    out = io.StringIO()
    Console(file=out, width=columns).print(ending(record, columns))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert all(len(line) <= columns for line in lines)
    for figure in ("0.723 (0.610 to 0.810)", "+0.123 (0.012 to 0.234)", "−0.032"):
        assert any(figure in line for line in lines), "figures never go over two lines, nor are they cut"
    names = " ".join(line[: lines[0].index("value")].strip() for line in lines)
    assert "hospital mortality, from the first 24 hours on" in names and "over the encoder as it was drawn" in names
