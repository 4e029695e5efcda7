"""The command that runs a study."""

from __future__ import annotations

import argparse
import logging
import re
import sys

from jepa_core.cli.common import load_study_and_folder
from jepa_core.errors import RecipeError
from jepa_core.runs.process import owner_only

log = logging.getLogger("jepa")


def gpus_of(given: str) -> list[str]:
    """GPUs as CUDA_VISIBLE_DEVICES names them. Raises RecipeError if one is named otherwise."""
    gpus = [gpu.strip() for gpu in given.split(",") if gpu.strip()]
    wrong = [gpu for gpu in gpus if not re.fullmatch(r"\d{1,3}|(GPU|MIG)-[\w/-]+", gpu)]
    if wrong or len(set(gpus)) < len(gpus):
        raise RecipeError("--gpus takes numbers or UUIDs of GPUs, each once, with commas between them, such as 0,1")
    return gpus


@owner_only()
def study(arguments: argparse.Namespace) -> int:
    """Do every run of a study that is not done, and compare them. 1 if one of them failed."""
    from jepa_core.recipe.locate import find_study
    from jepa_core.study.display import StudyBars, StudyLines, tell
    from jepa_core.study.folder import read_failures, require_done
    from jepa_core.study.running import run_study

    to_show, folder = load_study_and_folder(arguments, arguments.study)
    gpus = gpus_of(arguments.gpus or "")
    display = StudyBars() if sys.stderr.isatty() else StudyLines()
    with folder.locked():
        folder.open(to_show, find_study(arguments.study).read_text())
        run_study(to_show, folder, display, arguments.jobs, gpus, arguments.cluster or "")
        require_done(to_show, folder)
        from jepa_core.study.report import write_study

        page = write_study(to_show, folder)
    tell(folder)
    print(page)
    return 1 if read_failures(to_show, folder) else 0
