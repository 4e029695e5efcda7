"""Canaries in the tables: no identifier, text or time of a record comes out in what a user sees or sends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from commands import environment
from jepa_core.errors import JepaError
from warm import WarmProcess

CANARIES = ("77000", "88000", "99000", "2150-", "2151-", "CANARY", "canary")
"""What the identifiers, times and texts of the tables begin with."""


@pytest.fixture
def marked(three_stays: Any) -> Any:
    """Tables whose texts are canaries too."""
    for number in range(3):
        three_stays.chart(number, 1, 220048, None, f"CANARY rhythm {number}")
        three_stays.order(number, 2, "Aspirin", dose_val_rx="CANARY", route="CANARY route")
        three_stays.given(number, 3, "Aspirin")
        three_stays.lab(number, 2, 50912, 1.0)
        three_stays.pump(number, 1, 4, 221906, rate=0.1, rateuom="mcg/kg/min", amount=1, amountuom="mg")
        three_stays.diagnosis(number, "CANARY")
    return three_stays


def found(text: str) -> set[str]:
    return {canary for canary in CANARIES if canary in text}


def test_preparing_and_inspecting_show_no_canary(marked: Any, tmp_path: Path, warm: WarmProcess) -> None:
    marked.write(tmp_path / "tables")
    split = "source.split.fractions=[0.34,0.33,0.33]"
    arguments = ["clin_jepa", f"source.tables={tmp_path / 'tables'}", split]

    def jepa(*words: str) -> str:
        done = warm.run(list(words), environment(), tmp_path)
        assert done.returncode == 0, found(done.stdout + done.stderr)
        return done.stdout + done.stderr

    told = jepa("prepare", *arguments, "--json") + jepa("prepare", *arguments) + jepa("plan", *arguments)
    (store,) = (path for path in (tmp_path / "runs" / "stores").iterdir() if (path / "zarr.json").is_file())
    told += jepa("inspect", str(store)) + jepa("inspect", str(store), "--json")

    assert "heart_rate" in told and "attrition" in told
    assert found(told) == set()
    assert found((store / "zarr.json").read_text()) == set()


BROKEN = {
    "a number that is none": ("icu/chartevents", {"valuenum": "CANARY"}),
    "a time that is none": ("icu/chartevents", {"charttime": "CANARY"}),
    "a time of results that is none": ("hosp/labevents", {"storetime": "2150-99-99"}),
    "an item that is none": ("icu/inputevents", {"itemid": "CANARY"}),
    "an identifier that is none": ("hosp/emar", {"subject_id": "77000canary"}),
    "a day that is none": ("hosp/microbiologyevents", {"chartdate": "2151-02-31"}),
    "a stay that ends before it begins": ("icu/icustays", {"outtime": "2150-01-01 00:00:00"}),
    "a stay of nobody": ("icu/icustays", {"subject_id": 77000999}),
    "an admission of nobody": ("icu/icustays", {"hadm_id": 88000999}),
    "a stay twice": ("icu/icustays", {"stay_id": 99000001}),
}
"""Rows that break the contract of their table, as a table and what its last row holds."""


@pytest.mark.parametrize("case", BROKEN)
def test_an_error_says_where_and_shows_no_canary(marked: Any, build: Any, case: str) -> None:
    table, change = BROKEN[case]
    if not marked.rows[table]:
        marked.culture(0, 1)
    marked.rows[table][-1].update(change)

    with pytest.raises(JepaError) as raised:
        build(marked)

    assert raised.value.exit_code == 3 and f"{table}.csv" in str(raised.value)
    assert found(str(raised.value)) == set()
    assert raised.value.__cause__ is None, "the message of the database quotes the row"
