"""The notebook of the documentation runs from its first cell to its last, and holds nothing that running left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "what-if.ipynb"


def cells() -> list[dict[str, Any]]:
    return json.loads(NOTEBOOK.read_text())["cells"]


def test_the_cells_go_from_a_run_to_a_picture_of_two_futures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    names: dict[str, Any] = {"__name__": "notebook"}
    for number, cell in enumerate(cells()):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{NOTEBOOK.name}, cell {number}", "exec"), names)
    pushed, alone = (names[name]["decoded"].to_numpy() for name in ("pushed", "alone"))
    assert np.isfinite(pushed).all() and not np.allclose(pushed, alone), "a push changes what is imagined"
    assert (tmp_path / "what_if.png").stat().st_size > 5000
    assert "2 N" in (tmp_path / "what_if.html").read_text()


def test_the_notebook_holds_no_output_and_no_place_of_a_machine() -> None:
    assert len(cells()) > 10
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells() if "outputs" in cell)
    assert not any(place in NOTEBOOK.read_text() for place in ("/home", "/tmp", "/work", "/Users", "C:"))
