"""The arguments of the command `jepa`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from jepa_core.cli import comparing, imagining, predicting, reading, steering, studying, writing
from jepa_core.io.cores import cores
from jepa_core.kinds import KINDS

EPILOG = """\
start here:
  jepa run clin_jepa              from data to report, offline, in minutes
  jepa ls                         recipes, studies and components
  jepa show phase/hard_sync       what a component is, and its keys
  jepa run RECIPE seed=1 curriculum.joint_refinement.steps=200

exit codes: 0 ok, 1 the run or a check failed, 2 recipe or usage, 3 the data
break their contract, 4 a plugin is missing or broken, 5 an unsafe file was
refused, 6 another process is at work on it, 75 stopped and resumable
"""


def parse_command_line(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; `key=value` may stand before, between and after the options."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and (not hasattr(arguments, "overrides") or any(word.startswith("-") or "=" not in word for word in rest)):
        parser.error(f"unknown arguments: {' '.join(rest)}")
    if rest:
        arguments.overrides += rest
    return arguments


Command = Callable[[argparse.Namespace], int | None]
Add = Callable[[str, Command, str], argparse.ArgumentParser]
"""Adds a command: name, function, one line of help."""


class _Help(argparse.HelpFormatter):
    """Help with room for the names of the commands, and texts of several lines left as they are."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


def _parser() -> argparse.ArgumentParser:
    from importlib.metadata import version

    parser = argparse.ArgumentParser(
        prog="jepa", description="JEPA curricula on time series: one recipe from raw data to a report.", epilog=EPILOG,
        formatter_class=_Help,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=version("jepa-core"))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, formatter_class=_Help)
        sub.set_defaults(command=command, json=False)
        return sub

    for group in (_running, _using, _checking, _looking, _comparing, _extending):
        group(add)
    return parser


def _running(add: Add) -> None:
    """Commands that make or go on with a run."""
    run = add("run", writing.run, "run a recipe, from raw data to a report")
    _recipe_arguments(run)
    run.add_argument("--out", type=Path, metavar="FOLDER", help="folder of the run (default: RUNS/<recipe>-<number>)")
    _runs_arguments(run)
    _processes_argument(run)
    prepare = add("prepare", writing.prepare, "build a recipe's store and render it, and no more")
    _recipe_arguments(prepare)
    _runs_arguments(prepare)
    who = prepare.add_mutually_exclusive_group()
    who.add_argument(
        "--workers", type=_positive, default=cores(), metavar="N",
        help="processes that make partitions (default: the cores of this machine)",
    )  # fmt: skip
    who.add_argument(
        "--cluster", metavar="ADDRESS", help="let a dask.distributed cluster make them, such as tcp://host:8786"
    )
    _json_argument(prepare)
    resume = add("resume", writing.resume, "go on with a run that was stopped")
    resume.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    resume.add_argument("--quiet", action="store_true", help="say only what went wrong")
    _processes_argument(resume)
    evaluate = add("evaluate", writing.evaluate, "evaluate a finished run again, or in new ways, without training")
    evaluate.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    evaluate.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="other settings of evaluators: evaluators.NAME.KEY=VALUE"
    )
    evaluate.add_argument("--recipe", metavar="RECIPE", help="evaluators of this recipe instead; nothing else of it")
    evaluate.add_argument(
        "--data", type=Path, nargs="+", metavar="PATH",
        help="on other data, all of them held out; what is found lies in RUN/transfer/NAME, and both reports show it",
    )  # fmt: skip
    evaluate.add_argument(
        "--source", metavar="SOURCE", help="what reads --data, with channels of the same names (default: the run's own)"
    )
    evaluate.add_argument("--name", metavar="NAME", help="of what is found on --data (default: that of the source)")
    _processes_argument(evaluate)
    evaluate.add_argument("--quiet", action="store_true", help="say only what went wrong")


def _using(add: Add) -> None:
    """Commands that use a trained model."""
    predict = add("predict", predicting.predict, "score new raw data as a finished run's evaluation scored its own")
    _model_arguments(predict)
    predict.add_argument(
        "--task", required=True, metavar="TASK", help="a task of the run, or what it is about, such as an outcome"
    )
    predict.add_argument(
        "--source", metavar="NAME", help="another source that reads the data, with channels of the same names"
    )
    predict.add_argument(
        "--at", type=_steps, metavar="N", help="score when N steps have been seen (default: as the task says)"
    )
    predict.add_argument("--method", metavar="NAME", help="which method's head (default: the first of the tables)")
    predict.add_argument("--evaluator", metavar="NAME", help="whose head, where two evaluators have the task")
    predict.add_argument(
        "--out", type=Path, metavar="FILE", help="parquet in the schema of predictions (default: print CSV)"
    )
    predict.add_argument("--quiet", action="store_true", help="say only what went wrong")
    imagine = add("imagine", imagining.imagine, "two futures of new raw data under other acts, beside one another")
    _model_arguments(imagine)
    imagine.add_argument("--at", type=_steps, required=True, metavar="N", help="steps that are seen; acts begin then")
    imagine.add_argument("--actions", type=Path, required=True, metavar="FILE", help="YAML file of what is done")
    imagine.add_argument(
        "--against", type=Path, metavar="FILE", help="what is done instead in the other future (default: nothing)"
    )
    imagine.add_argument("--horizon", type=_steps, default=12, metavar="H", help="steps imagined (default: 12)")
    imagine.add_argument(
        "--channel", action="append", default=[], metavar="NAME",
        help="channel or label that is shown, several times for several (default: those that differ most)",
    )  # fmt: skip
    imagine.add_argument(
        "--trajectory", type=int, metavar="P", help="of one trajectory alone, by its position in the data, from 0"
    )
    imagine.add_argument("--html", type=Path, metavar="FILE", help="also write the figures as one HTML file")
    imagine.add_argument("--out", type=Path, metavar="FILE", help="also write every value as parquet")
    steer = add("steer", steering.steer, "actions for new raw data under which what is imagined costs least")
    _model_arguments(steer)
    steer.add_argument("--at", type=_steps, required=True, metavar="N", help="steps that are seen; actions begin then")
    steer.add_argument(
        "--goal", type=Path, required=True, metavar="FILE", help="YAML file of what is wanted and what may be done"
    )
    steer.add_argument("--horizon", type=_steps, default=12, metavar="H", help="steps imagined (default: 12)")
    steer.add_argument("--method", choices=("cem", "mppi"), default="cem", help="how plans are looked for")
    steer.add_argument(
        "--risk", type=float, default=1.0, metavar="SHARE",
        help="share of an ensemble's members, the worst, whose mean cost counts (default: 1, all of them)",
    )  # fmt: skip
    steer.add_argument("--plans", type=_steps, default=64, metavar="P", help="plans tried in a round (default: 64)")
    steer.add_argument("--rounds", type=_steps, default=8, metavar="R", help="rounds (default: 8)")
    steer.add_argument("--seed", type=int, default=0, help="seed of the search")
    steer.add_argument(
        "--retrospective", action="store_true",
        help="say that plans are made of the past alone; sources whose actions are interventions on people need it",
    )  # fmt: skip
    steer.add_argument(
        "--trajectory", type=int, metavar="P", help="steer one trajectory alone, by its position in the data, from 0"
    )
    steer.add_argument("--out", type=Path, metavar="FILE", help="also write every step as parquet")


def _model_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of the run; nothing else of it is needed")
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, metavar="PATH",
        help="raw data as the run's source reads its own: a folder of tables, or files",
    )  # fmt: skip


def _checking(add: Add) -> None:
    """Commands that tell of a recipe before it runs, and of data."""
    validate = add("validate", reading.validate, "check a recipe or a study and report every mistake at once")
    _recipe_arguments(validate, "recipe or study")
    _json_argument(validate)
    plan = add(
        "plan", reading.plan, "what a recipe or a study will do here: phases, parameters, data, cost, what is missing"
    )
    _recipe_arguments(plan, "recipe or study")
    plan.add_argument("--out", type=Path, metavar="FOLDER", help="folder of the study (default: studies/<name>)")
    _processes_argument(plan)
    plan.add_argument(
        "--time",
        action="store_true",
        help="try every part of a recipe, or of a study's variants, for a moment, and say how long it will take here",
    )
    plan.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        metavar="RUNS",
        help="where --time looks for the data (default: runs)",
    )
    _json_argument(plan)
    inspect = add(
        "inspect", reading.inspect, "what is in a store, or in files of raw data that an installed plugin can read"
    )
    inspect.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH",
        help="folder of a store or of a run; or files of raw data, a folder of them, wildcards",
    )  # fmt: skip
    inspect.add_argument(
        "--verify", action="store_true", help="read every sealed file of a store or a run, and name what is damaged"
    )
    inspect.add_argument("--write", type=Path, metavar="RECIPE", help="write a recipe to start from (of raw data)")
    _json_argument(inspect)


def _looking(add: Add) -> None:
    """Commands that show something, or copy it."""
    audit = add("audit", reading.audit, "look for leaks in a store, or for records in what a run gives away")
    audit.add_argument("folder", type=Path, metavar="FOLDER", help="folder of a store, a finished run or a model")
    audit.add_argument(
        "--store", type=Path, metavar="STORE",
        help="that an exported model was trained on, or the folder of its run (default: that of the run in FOLDER)",
    )  # fmt: skip
    audit.add_argument(
        "--canary", action="append", default=[], metavar="WORD",
        help="a word of the raw data that must stand in nothing that a run gives away; several times for several",
    )  # fmt: skip
    _json_argument(audit)
    ls = add("ls", reading.ls, "list recipes, studies and components")
    lists = ["all", "recipes", "studies", *(f"{kind}s" for kind in KINDS)]
    ls.add_argument("what", nargs="?", choices=lists, default="all", metavar="WHAT", help=", ".join(lists))
    _json_argument(ls)
    show = add("show", reading.show, "show a component (phase/hard_sync) or a recipe with every default filled in")
    show.add_argument("recipe", metavar="NAME", help="KIND/NAME of a component, or a recipe")
    show.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="changes to the recipe")
    show.add_argument("--origin", action="store_true", help="where each value of a recipe comes from")
    _json_argument(show)
    cp = add("cp", writing.cp, "copy a shipped recipe or study to edit it")
    cp.add_argument("recipe", metavar="RECIPE")
    cp.add_argument("destination", type=Path, metavar="FILE")
    export = add("export", writing.export, "write a run's model as a folder to take along: programs, weights, a card")
    export.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    export.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="new folder of the export")
    export.add_argument("--onnx", action="store_true", help="write the programs in ONNX, too")
    report = add("report", writing.report, "write a run's report again")
    report.add_argument("run", type=Path, metavar="RUN", help="folder of the run")


def _comparing(add: Add) -> None:
    """Commands about several runs."""
    runs = add("runs", comparing.runs, "list runs: recipe, status, data, seed, time, headline figures")
    runs.add_argument("folder", nargs="?", type=Path, default=Path("runs"), metavar="FOLDER", help="default: runs")
    _json_argument(runs)
    compare = add("compare", comparing.compare, "what differs between runs on the same data, and by how much")
    compare.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="folders of runs; the first is the reference"
    )
    compare.add_argument("--html", type=Path, metavar="FILE", help="also write the comparison as one HTML file")
    _json_argument(compare)
    study = add("study", studying.study, "run a recipe in several variants and seeds, and compare them")
    study.add_argument("study", metavar="STUDY", help="path of a study, or the name of a shipped one")
    study.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="changes to the recipe of every variant")
    study.add_argument("--out", type=Path, metavar="FOLDER", help="folder of the study (default: studies/<name>)")
    where = study.add_mutually_exclusive_group()
    where.add_argument(
        "--jobs",
        type=_positive,
        default=cores(),
        metavar="N",
        help="runs at once (default: cores of this machine)",
    )
    where.add_argument("--gpus", metavar="LIST", help="one run on each of these GPUs, such as 0,1")
    where.add_argument("--cluster", metavar="ADDRESS", help="let a dask.distributed cluster do them")


def _extending(add: Add) -> None:
    """Commands for authors of plugins."""
    plugins = add("plugins", reading.plugins, "list installed plugins, broken ones included")
    plugins.add_argument("--traceback", action="store_true", help="why a plugin is broken, in full")
    _json_argument(plugins)
    check = add("check-plugin", reading.check_plugin, "check that a plugin's components keep their contracts")
    check.add_argument("plugin", metavar="NAME", help="a plugin, its package, or one component such as phase/hard_sync")
    _json_argument(check)
    new = add("new", writing.new, "write a package with a component to begin with, and its tests")
    new.add_argument("kind", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    new.add_argument("name", metavar="NAME", help="what recipes will call it, such as my_phase")
    new.add_argument(
        "--folder",
        type=Path,
        default=Path("."),
        metavar="FOLDER",
        help="where the package's folder is made (default: .)",
    )
    new.add_argument("--quiet", action="store_true", help="say only what went wrong")


def _recipe_arguments(parser: argparse.ArgumentParser, noun: str = "recipe") -> None:
    parser.add_argument("recipe", metavar="RECIPE", help=f"file, or name of a shipped {noun}")
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="changes, such as curriculum.hard_sync=null seed=1"
    )


def _runs_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="RUNS", help="where runs and stores are kept (default: runs)"
    )
    parser.add_argument("--quiet", action="store_true", help="say only what went wrong")


def _processes_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--processes", type=_positive, default=1, metavar="N",
        help="processes of this machine that do it together (default: 1); on several machines use torchrun",
    )  # fmt: skip


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is no number of processes; give 1 or more")
    return number


def _steps(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is no number of steps; give 1 or more")
    return number


def _json_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
