"""The commands of docs/plugins.md and docs/write-a-phase.md are run as the pages show them, in a new environment."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from commands import REPOSITORY, environment
from warm import WarmProcess

TOOLS = {"pytest": "pytest", "jepa": "jepa_core"}
"""Modules behind the commands that begin in a warm process; any other is given to a shell."""
PAGE, PAGE_OF_A_PHASE = ((REPOSITORY / "docs" / name).read_text() for name in ("plugins.md", "write-a-phase.md"))
SHORT = ["curriculum.predictor_warmup.steps=1", "curriculum.cautious.steps=1", "predictor.layers=1", "evaluators=[]"]


def shown_commands(page: str) -> list[str]:
    """The lines of a page's first block of commands, without their comments."""
    block = re.search(r"```sh\n(.*?)```", page, re.DOTALL)
    assert block
    return [line.split("#")[0].strip() for line in block[1].splitlines()]


@pytest.fixture
def new_environment(tmp_path: Path) -> Path:
    """An environment that sees what is installed here and into which pip may write."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False)
    here = [path for path in sys.path if path.endswith("site-packages")]
    (packages_of(folder) / "installed_here.pth").write_text("\n".join(here))
    script = folder / "bin" / "pip"
    script.write_text(f'#!/bin/sh\nexec {folder / "bin" / "python"} -m pip "$@"\n')
    script.chmod(0o755)
    return folder


def packages_of(new_environment: Path) -> Path:
    """Where pip writes."""
    (packages,) = new_environment.glob("lib/python*/site-packages")
    return packages


def carried_out(commands: list[str], new_environment: Path, folder: Path, warm: WarmProcess) -> str:
    """What commands say, of which none fails."""
    path = f"{new_environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
    variables = environment(
        packages_of(new_environment), PATH=path, PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1"
    )
    said = []
    for command in commands:
        tool, *words = shlex.split(command)
        if tool == "cd":
            folder = folder / words[0]
            continue
        if tool in TOOLS:
            done = warm.run(words, variables, folder, module=TOOLS[tool])
        else:
            done = subprocess.run(["sh", "-c", command], env=variables, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        said.append(done.stdout)
    return "".join(said)


def test_from_nothing_to_a_run_by_the_very_commands_of_the_page(
    new_environment: Path, tmp_path: Path, warm: WarmProcess
) -> None:
    done = carried_out(shown_commands(PAGE), new_environment, tmp_path, warm)
    assert "Successfully installed jepa-cautious" in done and "failed" not in done
    assert list((tmp_path / "jepa-cautious" / "runs").glob("cautious-*/report.html"))


def test_the_smallest_package_is_installed_checked_and_run_from_what_its_page_shows(
    new_environment: Path, tmp_path: Path, warm: WarmProcess
) -> None:
    for name, content in re.findall(r"```\w+\n# ([\w.]+)\n(.*?)```", PAGE_OF_A_PHASE, re.DOTALL):
        (tmp_path / name).write_text(content)
    run = " ".join(["jepa run mine.yaml", *(f"'{override}'" for override in SHORT)])
    done = carried_out([*shown_commands(PAGE_OF_A_PHASE), run], new_environment, tmp_path, warm)
    assert "Successfully installed jepa-cautious" in done and " 0 failed" in done
    assert list((tmp_path / "runs").glob("mine-*/report.html"))
