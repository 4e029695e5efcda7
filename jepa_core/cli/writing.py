"""The commands that write: runs, stores, copies of recipes, reports."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jepa_core.cli.common import installed_registry, print_page, recipe_of, write_new
from jepa_core.errors import Preempted, RecipeError
from jepa_core.runs.process import environment, owner_only

if TYPE_CHECKING:
    from jepa_core.runs.listeners import RunDisplay
    from jepa_core.runs.run import Run
    from jepa_core.training.processes import Peers

log = logging.getLogger("jepa")


def run(arguments: argparse.Namespace) -> int:
    """Run a recipe, from raw data to a report."""
    return _carry_out(arguments, lambda: _begin(arguments))


def _begin(arguments: argparse.Namespace) -> Run:
    from jepa_core.recipe import find_recipe
    from jepa_core.runs.starting import create_run

    recipe = recipe_of(arguments)
    text = find_recipe(arguments.recipe).read_text()
    return create_run(recipe, text, arguments.out, arguments.runs)


def resume(arguments: argparse.Namespace) -> int:
    """Go on with a run that was stopped."""
    from jepa_core.runs.run import Run

    return _carry_out(arguments, lambda: Run.open(arguments.run, installed_registry()))


def _carry_out(arguments: argparse.Namespace, begin: Callable[[], Run]) -> int:
    """Do what a run is to do: in this process, in some that are started for it, or as one of several."""

    def begun() -> Run:
        run = begin()
        arguments.run_folder = run.folder
        return run

    def going_on(run: Run) -> list[str]:
        return ["resume", str(run.folder)]

    return _in_processes(arguments, begun, going_on, lambda run, processes: _execute(run, arguments, processes))


def _in_processes(
    arguments: argparse.Namespace,
    begin: Callable[[], Run],
    words: Callable[[Run], list[str]],
    work: Callable[[Run, Peers | None], int],
) -> int:
    """Do work on a run, and give the exit code: in this process, in some that are started for it by the words of a
    command, or as one of several."""
    from jepa_core.runs.connecting import started_among

    among = started_among()
    if among > 1 and arguments.processes > 1:
        raise RecipeError(f"{among} processes have been started for this run already; leave out --processes")
    if among > 1:
        return _as_one_of_several(begin, work)
    run = begin()
    if arguments.processes == 1:
        return work(run, None)
    from jepa_core.runs.launching import Launched

    return Launched([*words(run), *(["--quiet"] if arguments.quiet else [])], arguments.processes).run()


def _as_one_of_several(begin: Callable[[], Run], work: Callable[[Run, Peers | None], int]) -> int:
    from jepa_core.runs.connecting import connected
    from jepa_core.runs.launching import end_with_starter
    from jepa_core.runs.starting import open_together

    end_with_starter()
    with environment(), connected() as processes:
        if not processes.first:  # of the others only that they wait is told
            logging.getLogger("jepa.waiting").setLevel(log.level)
            log.setLevel(logging.WARNING)
        run = open_together(processes, begin, installed_registry())
        try:
            return work(run, processes)
        except Preempted as stop:
            if processes.first:  # the first says it for all
                raise
            return stop.exit_code


def _execute(run: Run, arguments: argparse.Namespace, processes: Peers | None = None) -> int:
    """Do what a run is to do, and say where its report lies."""
    from jepa_core.runs.starting import carry_out

    if processes and not processes.first:
        carry_out(run, None, processes)
        return 0
    with environment(), _display(run, arguments) as display:
        carry_out(run, display, processes)
    if not arguments.quiet:
        _tell(run.folder)
    print(run.folder / "report.html")
    return 0


def _tell(folder: Path) -> None:
    """Say what a run found, as a table on stderr."""
    from rich.console import Console

    from jepa_core.io.terminal import ErrorOutput
    from jepa_core.results.record import read_run
    from jepa_core.runs.ending import ending

    console = Console(file=ErrorOutput(), highlight=False)
    console.print(ending(read_run(folder), console.width))


@contextmanager
def _display(run: Run, arguments: argparse.Namespace) -> Iterator[RunDisplay]:
    """What shows how a run comes along while the block runs."""
    from jepa_core.runs.bars import RunBars
    from jepa_core.runs.listeners import RunDisplay, RunLines

    shown = RunDisplay if arguments.quiet else RunBars if sys.stderr.isatty() else RunLines
    display = shown(run.recipe.source.config.subject_noun)
    log.info("run: %s", run.folder)
    try:
        yield display
    finally:
        display.close()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C and TERM end the block at once, in order."""
    from jepa_core.runs.interrupt import Interrupt

    with Interrupt().listening():
        yield


def evaluate(arguments: argparse.Namespace) -> int:
    """Evaluate a finished run again, in new ways, or on other data."""
    from jepa_core.runs.connecting import started_among
    from jepa_core.runs.run import Run

    if not arguments.data and (arguments.source or arguments.name):
        raise RecipeError("--source and --name are of other data; say where these lie: --data PATH")
    if arguments.data and max(arguments.processes, started_among()) > 1:
        raise RecipeError("a run is evaluated on other data in one process; leave out --processes")

    def words(run: Run) -> list[str]:
        other = ["--recipe", arguments.recipe] if arguments.recipe else []
        return ["evaluate", str(run.folder), *arguments.overrides, *other]

    return _in_processes(
        arguments,
        lambda: Run.open(arguments.run, installed_registry()),
        words,
        lambda run, processes: _evaluate(run, arguments, processes),
    )


def _evaluate(run: Run, arguments: argparse.Namespace, processes: Peers | None) -> int:
    """Evaluate a run, and say where its report lies."""
    from jepa_core.runs.reevaluation import evaluate_again, evaluators_asked_for
    from jepa_core.runs.run import Run
    from jepa_core.runs.transfer import OtherData, evaluate_elsewhere

    asked = Run(run.folder, evaluators_asked_for(run, arguments.overrides, arguments.recipe), run.registry)
    if processes and not processes.first:
        with _interruptible():
            evaluate_again(asked, (), processes)
        return 0
    report = run.folder / "report.html"
    try:
        with environment(), _display(asked, arguments) as display, _interruptible():
            listeners = [display, *run.registry.listeners(asked)]
            if arguments.data:
                other = OtherData(arguments.source, [path.expanduser() for path in arguments.data], arguments.name)
                report = evaluate_elsewhere(asked, other, listeners)
            else:
                evaluate_again(asked, listeners, processes)
    except Preempted:
        raise Preempted("interrupted; the evaluators that were done are kept, the others found what they had") from None
    if arguments.data and not arguments.quiet:
        _tell(report.parent)
    print(report)
    return 0


@owner_only()
def prepare(arguments: argparse.Namespace) -> None:
    """Build a recipe's store and render it."""
    recipe = recipe_of(arguments)
    from jepa_core.io.cores import require_threads, too_many_threads
    from jepa_core.recipe.threads import threads_asked

    of_source = {key: count for key, count in threads_asked(recipe).items() if key.startswith("source.")}
    missing = recipe.source.config.missing() + too_many_threads(of_source)
    if missing:
        raise RecipeError("the data cannot be prepared here:\n" + "\n".join(f"  {reason}" for reason in missing))
    from jepa_core.data.partitions import cluster_workers, local_workers
    from jepa_core.data.places import stores_folder
    from jepa_core.data.preparation import prepare_data, summary_text

    require_threads(max(of_source.values(), default=1))
    workers = cluster_workers(arguments.cluster) if arguments.cluster else local_workers(arguments.workers)
    try:
        with _interruptible(), workers as each:
            prepared = prepare_data(recipe, stores_folder(arguments.runs), each)
    except Preempted:
        raise Preempted("interrupted; what is finished is kept, and the same command goes on from there") from None
    print_page(prepared.summary(), arguments, summary_text)


def cp(arguments: argparse.Namespace) -> None:
    """Copy a shipped recipe or study to a file that does not exist yet."""
    from jepa_core.recipe.locate import find_recipe_or_study

    source = find_recipe_or_study(arguments.recipe)
    destination: Path = arguments.destination
    if destination.is_dir():
        destination = destination / source.name
    write_new(destination, source.read_bytes())
    print(destination)


@owner_only()
def report(arguments: argparse.Namespace) -> None:
    """Write a run's report again."""
    from jepa_core.report.page import write_report
    from jepa_core.results.record import read_run

    if not (arguments.run / "manifest.json").is_file():
        raise RecipeError(f"{arguments.run} is not the folder of a run: it has no manifest.json")
    print(write_report(arguments.run))
    if lacking := read_run(arguments.run).lacking(str(arguments.run)):
        log.warning("%s", lacking)


def export(arguments: argparse.Namespace) -> None:
    """Write a run's model as a folder to take along."""
    from jepa_core.model.export import export_model
    from jepa_core.model.loading import load

    export_model(load(arguments.run, "cpu", installed_registry()), arguments.to, arguments.onnx)
    print(arguments.to / "README.md")


def new(arguments: argparse.Namespace) -> None:
    """Write a package with a component to begin with."""
    from jepa_core.scaffold import next_steps, write_package

    folder = write_package(arguments.kind, arguments.name, arguments.folder, installed_registry())
    log.info(next_steps(arguments.name, folder))
    print(folder)
