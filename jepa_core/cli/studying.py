"""The command that runs a study."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jepa_core.cli.common import installed_registry, print_page

if TYPE_CHECKING:
    from jepa_core.study.definition import Study
    from jepa_core.study.folder import StudyFolder


def study(arguments: argparse.Namespace) -> int:
    """Do every run of a study that is not done, and compare them; or print what it would do."""
    from jepa_core.study.definition import load_study
    from jepa_core.study.folder import StudyFolder, grid

    os.umask(0o077)  # what is made from records is for its owner alone
    found = load_study(arguments.study, arguments.overrides, installed_registry())
    folder = StudyFolder(arguments.out or Path("studies") / found.name)
    if arguments.plan:
        page = {"study": found.name, "folder": str(folder.path), "runs": grid(found, folder)}
        print_page(page, arguments, grid_text)
        return 0
    return _run(found, folder, arguments)


def _run(study: Study, folder: StudyFolder, arguments: argparse.Namespace) -> int:
    from jepa_core.recipe.locate import find_study
    from jepa_core.study.folder import read_failures, require_done
    from jepa_core.study.running import run_study

    folder.open(study, find_study(arguments.study).read_text())
    gpus = [one for one in (arguments.gpus or "").split(",") if one]
    run_study(study, folder, arguments.jobs, gpus, arguments.cluster or "")
    require_done(study, folder)
    from jepa_core.study.report import write_study

    print(write_study(study, folder))
    return 1 if read_failures(study, folder) else 0


def grid_text(page: dict[str, Any]) -> str:
    """The runs of a study, one a line."""
    rows = page["runs"]
    states = [row["state"] for row in rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    width = max(len(row["variant"]) for row in rows)
    lines = [f"study   {page['study']}", f"folder  {page['folder']}", f"runs    {len(rows)}: {counts}", ""]
    lines += [
        f"{row['variant']:<{width}}  seed {row['seed']:<4} {row['steps']:>8,} steps  {row['state']}"
        + (f"  ({row['why']})" if row["why"] else "")
        for row in rows
    ]
    return "\n".join(lines)
