"""The commands that write: runs, stores, copies of recipes, reports."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Any

from jepa_core.cli.common import installed_registry, load, print_page, write_new
from jepa_core.errors import Preempted

log = logging.getLogger("jepa")


def run(arguments: argparse.Namespace) -> int:
    """Run a recipe, from raw data to a report."""
    from jepa_core.errors import DataError
    from jepa_core.plan import make_plan
    from jepa_core.recipe import find_recipe
    from jepa_core.run import Run, next_folder

    os.umask(0o077)  # what is made from records is for its owner alone
    recipe = load(arguments)
    missing = make_plan(recipe).missing
    if missing:
        raise DataError("the run cannot start here:\n" + "\n".join(f"  {one}" for one in missing))
    folder = arguments.out or next_folder(arguments.runs, recipe.name)
    run = Run.create(folder, recipe, installed_registry(), find_recipe(arguments.recipe).read_text())
    return _execute(run, arguments)


def resume(arguments: argparse.Namespace) -> int:
    """Go on with a run that was stopped."""
    from jepa_core.run import Run

    os.umask(0o077)
    return _execute(Run.open(arguments.run, installed_registry()), arguments)


def _execute(run: Any, arguments: argparse.Namespace) -> int:
    """Run the pipeline with metrics, progress and checkpoints hung on its hooks."""
    arguments.run_folder = run.folder
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning threads starve each other on machines with few cores
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what deterministic algorithms ask for on a GPU
    os.environ["HF_HUB_OFFLINE"] = "1"
    from jepa_core.pipeline import execute
    from jepa_core.progress import Bars, Checkpointer, Display, Interrupt, Metrics, Plain

    display = Display() if arguments.quiet else Bars() if sys.stderr.isatty() else Plain()
    interrupt = Interrupt()
    for plugin in (Metrics(display), Checkpointer(interrupt)):
        run.registry.manager.register(plugin)
    log.info("run: %s", run.folder)
    try:
        with interrupt.listening():
            execute(run)
    finally:
        display.close()
    print(run.folder / "report.html")
    return 0


def prepare(arguments: argparse.Namespace) -> None:
    """Build a recipe's store and render it."""
    from jepa_core.errors import RecipeError

    os.umask(0o077)  # what is made from records is for its owner alone
    recipe = load(arguments)
    missing = recipe.source.config.missing()
    if missing:
        raise RecipeError("the data cannot be prepared here:\n" + "\n".join(f"  {one}" for one in missing))
    from jepa_core.preparation import prepare_data, summary_text
    from jepa_core.progress import Interrupt
    from jepa_core.run import stores_folder

    try:
        with Interrupt().listening():
            prepared = prepare_data(recipe, stores_folder(arguments.runs))
    except Preempted:
        raise Preempted("interrupted; what is finished is kept, and the same command goes on from there") from None
    print_page(prepared.summary(), arguments, summary_text)


def cp(arguments: argparse.Namespace) -> None:
    """Copy a shipped recipe to a file that does not exist yet."""
    from jepa_core.recipe import find_recipe

    source = find_recipe(arguments.recipe)
    destination: Path = arguments.destination
    if destination.is_dir():
        destination = destination / source.name
    write_new(destination, source.read_bytes())
    print(destination)


def report(arguments: argparse.Namespace) -> None:
    """Write a run's report again."""
    from jepa_core.errors import RecipeError
    from jepa_core.report import write_report

    if not (arguments.run / "manifest.json").is_file():
        raise RecipeError(f"{arguments.run} is not the folder of a run: it has no manifest.json")
    print(write_report(arguments.run))
