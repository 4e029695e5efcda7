"""Starting a run, from the command line or from Python: the same folder, the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from jepa_core.errors import DataError, Preempted, RecipeError, RunError
from jepa_core.recipe import Recipe, find_recipe, load_recipe
from jepa_core.runs.interrupt import Interrupt
from jepa_core.runs.plan import make_plan
from jepa_core.runs.process import environment
from jepa_core.runs.run import FolderTaken, Run, dump_yaml, next_folder

if TYPE_CHECKING:
    from jepa_core.plugin import Registry
    from jepa_core.recipe.layers import Overrides
    from jepa_core.runs.listeners import RunDisplay
    from jepa_core.training.processes import Peers


def run(
    recipe: str | Path | Recipe,
    *,
    overrides: Overrides = (),
    folder: str | Path | None = None,
    runs: str | Path = "runs",
    registry: Registry | None = None,
    display: RunDisplay | None = None,
) -> Run:
    """Run a recipe, from raw data to a report, as `jepa run` does.

    recipe: made in Python, or a file's path, or a shipped one's name. overrides: of one in a file, by dotted key:
    `{"seed": 1}`. folder: of the run; the first free `<name>-001` in `runs`, if not given. registry: where a file's
    components are found; that of the installed plugins, if not given. display: shows how the run comes along
    (`jepa_core.runs.listeners`); nothing is shown, if not given.

    Ctrl-C stops it at a checkpoint, and `jepa resume` goes on from there. Raises RecipeError with every mistake of the
    recipe, DataError if its data are missing or break their contract, RunError if the run fails.
    """
    if isinstance(recipe, Recipe):
        if overrides:
            raise RecipeError("overrides change a recipe in a file; give dataclasses.replace(recipe, ...) instead")
        whole, text = recipe, dump_yaml(recipe.resolved()).decode()
    else:
        whole, text = load_recipe(recipe, overrides, registry), find_recipe(recipe).read_text()
    created = create_run(whole, text, folder, runs)
    carry_out(created, display)
    return created


def create_run(recipe: Recipe, text: str, folder: str | Path | None, runs: str | Path) -> Run:
    """The folder of a new run. text: the recipe as given.

    Raises DataError if the run lacks something here, RecipeError if the folder is taken.
    """
    missing = make_plan(recipe).missing
    if missing:
        raise DataError("the run cannot start here:\n" + "\n".join(f"  {reason}" for reason in missing))
    if folder is not None:
        return Run.create(Path(folder), recipe, recipe.registry, text)
    while True:
        with suppress(FolderTaken):  # by a run that began at this moment
            return Run.create(next_folder(Path(runs), recipe.name), recipe, recipe.registry, text)


def carry_out(run: Run, display: RunDisplay | None = None, processes: Peers | None = None) -> None:
    """Do all that a run is to do, or what is left of it, with metrics and checkpoints; signals stop it in order.

    processes: that carry it out together; this one alone, if not given.
    """
    with environment():  # before torch is imported
        from jepa_core.runs.listeners import RunDisplay, listeners_of
        from jepa_core.runs.pipeline import execute
        from jepa_core.training.processes import ALONE, LostProcess

        together = processes or ALONE
        with Interrupt(None if together.first else StringIO()).listening() as interrupt:
            listeners = listeners_of(run, display or RunDisplay(), interrupt, together)
            try:
                execute(run, listeners, together)
            except LostProcess as error:
                if interrupt.requested:  # the other was asked as well, and where it need not wait for a step's end
                    raise Preempted("interrupted; what was kept until then is there") from error
                raise
            finally:
                for listener in listeners:
                    listener.close()


def open_together(processes: Peers, begin: Callable[[], Run], registry: Registry) -> Run:
    """The run that the first of some processes begins or opens, on each of them.

    Raises RunError on the others if they do not see its folder.
    """
    if processes.first:
        begun = begin()
        processes.tell(str(begun.folder.absolute()))
        return begun
    folder = Path(processes.tell(""))
    try:
        return Run.open(folder, registry)
    except RecipeError as error:
        raise RunError(
            f"process {processes.number} does not see the run {folder} that process 0 began; it must lie on a file "
            "system that all of them share"
        ) from error
