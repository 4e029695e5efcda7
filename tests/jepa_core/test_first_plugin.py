"""The commands with which docs/plugins.md begins are run as the page shows them, in a new environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from commands import REPOSITORY, environment

TOOLS = {"pip": "pip", "pytest": "pytest", "jepa": "jepa_core"}
PAGE = (REPOSITORY / "docs" / "plugins.md").read_text()


def shown_commands() -> list[str]:
    """The lines of the page's first block, without their comments."""
    block = re.search(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    assert block
    return [line.split("#")[0].strip() for line in block[1].splitlines()]


@pytest.fixture
def new_environment(tmp_path: Path) -> Path:
    """The commands of an environment that sees what is installed here and into which pip may write."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    here = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "installed_here.pth").write_text("\n".join(here))
    for tool, module in TOOLS.items():
        script = folder / "bin" / tool
        script.write_text(f'#!/bin/sh\nexec {folder / "bin" / "python"} -m {module} "$@"\n')
        script.chmod(0o755)
    return folder / "bin"


def test_from_nothing_to_a_run_by_the_very_commands_of_the_page(new_environment: Path, tmp_path: Path) -> None:
    path = f"{new_environment}{os.pathsep}{os.environ['PATH']}"
    variables = environment(PATH=path, PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
    script = "set -e\n" + "\n".join(shown_commands())
    done = subprocess.run(["sh", "-c", script], env=variables, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Successfully installed jepa-cautious" in done.stdout and "failed" not in done.stdout
    assert list((tmp_path / "jepa-cautious" / "runs").glob("cautious-*/report.html"))
