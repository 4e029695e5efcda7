"""The recipes that the page on curricula shows run as they stand there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from commands import REPOSITORY
from jepa_core.runs.starting import run

PAGE = (REPOSITORY / "docs" / "curricula.md").read_text()
RECIPES = dict(re.findall(r"```yaml\n# (\w+\.yaml)\n(.*?)```", PAGE, re.DOTALL))


def logged(name: str, folder: Path) -> list[dict]:
    """Run a recipe of the page; the steps that it logged."""
    (folder / name).write_text(RECIPES[name])
    done = run(folder / name, folder=folder / "run")
    return [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_of_the_page_runs(name: str, tmp_path: Path) -> None:
    lines = logged(name, tmp_path)
    assert lines and (tmp_path / "run" / "report.html").is_file()
    if name == "validated.yaml":
        assert all((line["step"] % 5 == 0) == ("validation" in line) for line in lines)
