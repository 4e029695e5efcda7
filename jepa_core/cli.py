"""The command `jepa`. stdout is the result; stderr is the log and the progress."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jepa_core.errors import JepaError, Preempted

if TYPE_CHECKING:
    from jepa_core.plan import Plan
    from jepa_core.plugin import Component, Registry
    from jepa_core.recipe import Recipe

log = logging.getLogger("jepa")

EPILOG = """\
start here:
  jepa run clin_jepa              from data to report, offline, in minutes
  jepa ls                         recipes and components
  jepa show phase/hard_sync       what a component is, and its keys
  jepa run RECIPE seed=1 curriculum.joint_refinement.steps=200

exit codes: 0 ok, 1 the run failed, 2 recipe or usage, 3 the data break their contract, 4 a plugin is missing or broken,
5 an unsafe file was refused, 75 stopped and resumable
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = _parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("jepa").setLevel(logging.WARNING if getattr(arguments, "quiet", False) else logging.INFO)
    logging.getLogger().setLevel(logging.WARNING)
    try:
        return arguments.command(arguments) or 0
    except JepaError as error:
        return _report_error(error, arguments)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _report_error(error: JepaError, arguments: argparse.Namespace) -> int:
    problems = getattr(error, "to_list", None)
    if getattr(arguments, "json", False) and problems:
        print(json.dumps({"problems": problems()}, indent=1))
    else:
        print(f"error: {error}", file=sys.stderr)
    folder = getattr(arguments, "run_folder", None)
    if folder is not None and (folder / "manifest.json").is_file() and error.exit_code in (1, 3, 75):
        print(f"go on with: jepa resume {folder}", file=sys.stderr)
    return error.exit_code


# --- commands that read -----------------------------------------------------------------------------------------------


def _ls(arguments: argparse.Namespace) -> None:
    from jepa_core.plugin import KINDS
    from jepa_core.recipe import shipped_recipes

    registry = _registry()
    listing: dict[str, list[dict[str, str]]] = {}
    if arguments.what in ("all", "recipes"):
        listing["recipes"] = [{"name": path.stem, "summary": _first_comment(path)} for path in shipped_recipes()]
    for kind in KINDS:
        if arguments.what in ("all", f"{kind}s"):
            listing[f"{kind}s"] = [
                {"name": one.name, "summary": one.summary, "package": registry.owner(one).package}
                for one in registry.components(kind).values()
            ]
    _print(listing, arguments, _list_text)


def _list_text(listing: dict[str, list[dict[str, str]]]) -> str:
    lines: list[str] = []
    for heading, entries in listing.items():
        width = max((len(entry["name"]) for entry in entries), default=0)
        lines += [heading, *(f"  {entry['name']:<{width}}  {entry['summary']}" for entry in entries), ""]
    return "\n".join(lines).rstrip()


def _first_comment(path: Path) -> str:
    """The recipe's description: its second comment line, the first being the command that runs it."""
    comments = [line.lstrip("# ").strip() for line in path.read_text().splitlines() if line.startswith("#")]
    return comments[1] if len(comments) > 1 else ""


def _show(arguments: argparse.Namespace) -> None:
    from jepa_core.plugin import KINDS

    kind, _, name = arguments.recipe.partition("/")
    if kind.rstrip("s") in KINDS:
        component = _registry().component(kind.rstrip("s"), name)
        _print(_component_page(component), arguments, _component_text)
        return
    recipe = _load(arguments)
    page = {"recipe": recipe.resolved(), "origins": recipe.origins()}
    _print(page, arguments, lambda page: _recipe_text(page, arguments.origin))


def _component_page(component: Component) -> dict[str, Any]:
    owner = _registry().owner(component)
    schema = component.config.model_json_schema()
    return {
        "kind": component.kind,
        "name": component.name,
        "package": f"{owner.package} {owner.version}",
        "implementation": component.implementation,
        "description": _plain_docstring(component.config.__doc__),
        "keys": [_key(name, field) for name, field in component.config.model_fields.items()],
        "schema": schema,
    }


def _plain_docstring(text: str | None) -> str:
    import inspect

    return inspect.cleandoc(text or "")


def _key(name: str, field: Any) -> dict[str, str]:
    annotation = field.annotation
    kind = getattr(annotation, "__name__", None) if not hasattr(annotation, "__args__") else None
    limits = ", ".join(str(one) for one in field.metadata)
    default = "required" if field.is_required() else str(field.get_default(call_default_factory=True))
    return {
        "name": name,
        "type": kind or str(annotation).replace("typing.", ""),
        "default": default,
        "limits": limits,
        "description": field.description or "",
    }


def _component_text(page: dict[str, Any]) -> str:
    lines = [
        f"{page['kind']} {page['name']}  ({page['package']}, {page['implementation']})",
        "",
        page["description"],
        "",
        "keys:",
    ]
    for key in page["keys"]:
        limits = f", {key['limits']}" if key["limits"] else ""
        lines.append(f"  {key['name']} ({key['type']}{limits}; default {key['default']})")
        if key["description"]:
            lines.append(f"      {key['description']}")
    return "\n".join(lines)


def _recipe_text(page: dict[str, Any], with_origins: bool) -> str:
    if with_origins:
        width = max(len(key) for key in page["origins"])
        return "\n".join(f"{key:<{width}}  {origin}" for key, origin in page["origins"].items())
    from jepa_core.run import dump_yaml

    return dump_yaml(page["recipe"]).decode().rstrip()


def _validate(arguments: argparse.Namespace) -> None:
    recipe = _load(arguments)
    phases = ", ".join(use.name for use in recipe.curriculum)
    _print({"valid": True, "recipe": recipe.name}, arguments, lambda _: f"{arguments.recipe} is valid: {phases}")


def _plan(arguments: argparse.Namespace) -> None:
    from jepa_core.plan import make_plan

    plan = make_plan(_load(arguments))
    _print(plan.to_dict(), arguments, lambda _: _plan_text(plan))


def _plan_text(plan: Plan) -> str:
    lines = [f"recipe {plan.recipe}, seed {plan.seed}", "", f"data: {plan.source}"]
    sizes = [one.bytes for one in plan.inputs if one.bytes is not None]
    lines += [
        f"  {one.path}  {_bytes(one.bytes) if one.bytes is not None else 'made by the run'}" for one in plan.inputs
    ]
    if len(sizes) > 1:
        lines.append(f"  {len(sizes)} files, {_bytes(sum(sizes))}")
    lines += ["", "models"]
    for role, model in (("encoder", plan.encoder), ("predictor", plan.predictor)):
        lines.append(
            f"  {role:<9}  {model.use}: {_count(model.parameters)} parameters, {_count(model.trainable)} trainable"
        )
    lines += [f"  latents of size {_count(plan.latent_dim)}, windows of {plan.window_steps} steps", "", "curriculum"]
    width = max(len(phase.name) for phase in plan.phases)
    for number, phase in enumerate(plan.phases, 1):
        trains = " and ".join(phase.trains) or "nothing"
        extra = f"; updates {phase.updates}" if phase.updates else ""
        terms = f"; with {', '.join(phase.regularizers)}" if phase.regularizers else ""
        lines.append(
            f"  {number}. {phase.name:<{width}}  {phase.steps:>6} steps of {phase.batch_size} windows  trains {trains} "
            f"({_count(phase.trained_parameters)}){extra}{terms}  memory {_bytes(phase.memory_bytes)}"
        )
    lines += ["", f"evaluators: {', '.join(plan.evaluators) or 'none'}", ""]
    here = f", {_bytes(plan.memory_here_bytes)} free here" if plan.memory_here_bytes else ""
    lines.append(
        f"memory: about {_bytes(plan.memory_bytes)} at the peak{here}; disk: {_bytes(plan.disk_free_bytes)} free here"
    )
    lines += (
        ["", "missing here:", *(f"  {one}" for one in plan.missing)]
        if plan.missing
        else ["", "nothing is missing here"]
    )
    return "\n".join(lines)


def _count(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,}"


def _bytes(count: float | None) -> str:
    if count is None:
        return "unknown"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _plugins(arguments: argparse.Namespace) -> None:
    registry = _registry()
    plugins = [
        {
            "name": plugin.name,
            "package": plugin.package,
            "version": plugin.version,
            "status": plugin.status,
            "components": [f"{one.kind}/{one.name}" for one in plugin.components],
            "error": plugin.error,
            "details": plugin.details,
        }
        for plugin in registry.plugins
    ]
    _print({"plugins": plugins}, arguments, lambda page: _plugins_text(page, arguments.traceback))


def _plugins_text(page: dict[str, Any], traceback: bool) -> str:
    lines = []
    for plugin in page["plugins"]:
        lines.append(f"{plugin['status']:<6}  {plugin['name']}  ({plugin['package']} {plugin['version']})")
        lines += [f"          {component}" for component in plugin["components"]]
        if plugin["error"]:
            lines.append(f"          {plugin['error']}")
            lines.append(
                plugin["details"] if traceback else "          (see its traceback with: jepa plugins --traceback)"
            )
    return "\n".join(lines)


def _inspect(arguments: argparse.Namespace) -> None:
    from jepa_core.inspection import find_store, inspect_store, inspection_text

    _print(inspect_store(find_store(arguments.store)), arguments, inspection_text)


# --- commands that write ----------------------------------------------------------------------------------------------


def _cp(arguments: argparse.Namespace) -> None:
    from jepa_core.errors import RecipeError
    from jepa_core.recipe import find_recipe

    source = find_recipe(arguments.recipe)
    destination: Path = arguments.destination
    if destination.is_dir():
        destination = destination / source.name
    if destination.exists():
        raise RecipeError(f"{destination} exists already and is left as it is; name another file")
    destination.parent.mkdir(parents=True, exist_ok=True)
    destination.write_bytes(source.read_bytes())
    print(destination)


def _prepare(arguments: argparse.Namespace) -> None:
    from jepa_core.errors import RecipeError

    os.umask(0o077)  # what is made from records is for its owner alone
    recipe = _load(arguments)
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
    _print(prepared.summary(), arguments, summary_text)


def _run(arguments: argparse.Namespace) -> int:
    from jepa_core.errors import DataError
    from jepa_core.plan import make_plan
    from jepa_core.recipe import find_recipe
    from jepa_core.run import Run, next_folder

    os.umask(0o077)  # what is made from records is for its owner alone
    recipe = _load(arguments)
    missing = make_plan(recipe).missing
    if missing:
        raise DataError("the run cannot start here:\n" + "\n".join(f"  {one}" for one in missing))
    folder = arguments.out or next_folder(arguments.runs, recipe.name)
    run = Run.create(folder, recipe, _registry(), find_recipe(arguments.recipe).read_text())
    return _execute(run, arguments)


def _resume(arguments: argparse.Namespace) -> int:
    from jepa_core.run import Run

    os.umask(0o077)
    return _execute(Run.open(arguments.run, _registry()), arguments)


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
    except Preempted:
        raise
    finally:
        display.close()
    print(run.folder / "report.html")
    return 0


def _report(arguments: argparse.Namespace) -> None:
    from jepa_core.errors import RecipeError
    from jepa_core.report import write_report

    if not (arguments.run / "manifest.json").is_file():
        raise RecipeError(f"{arguments.run} is not the folder of a run: it has no manifest.json")
    print(write_report(arguments.run))


# --- parsing ----------------------------------------------------------------------------------------------------------


def _registry() -> Registry:
    from jepa_core.plugin import shared_registry

    return shared_registry()


def _load(arguments: argparse.Namespace) -> Recipe:
    from jepa_core.recipe import load_recipe

    return load_recipe(arguments.recipe, arguments.overrides, _registry())


def _print(page: Any, arguments: argparse.Namespace, text: Callable[[Any], str]) -> None:
    print(json.dumps(page, indent=1) if arguments.json else text(page))


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help with room for the names of the commands."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)


def _parser() -> argparse.ArgumentParser:
    from importlib.metadata import version

    parser = argparse.ArgumentParser(
        prog="jepa", description="JEPA curricula on time series: one recipe from raw data to a report.", epilog=EPILOG,
        formatter_class=_Help,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=version("jepa-core"))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, command: Callable[[argparse.Namespace], int | None], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, formatter_class=_Help)
        sub.set_defaults(command=command, json=False)
        return sub

    run = add("run", _run, "run a recipe, from raw data to a report")
    _recipe_arguments(run)
    run.add_argument("--out", type=Path, metavar="FOLDER", help="folder of the run (default: RUNS/<recipe>-<number>)")
    _runs_arguments(run)
    prepare = add("prepare", _prepare, "build a recipe's store and render it, and no more")
    _recipe_arguments(prepare)
    _runs_arguments(prepare)
    _json_argument(prepare)
    resume = add("resume", _resume, "go on with a run that was stopped")
    resume.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    resume.add_argument("--quiet", action="store_true", help="say only what went wrong")
    for name, command, text in (
        ("validate", _validate, "check a recipe and report every mistake at once"),
        ("plan", _plan, "what a recipe will do here: phases, parameters, data, memory, what is missing"),
    ):
        sub = add(name, command, text)
        _recipe_arguments(sub)
        _json_argument(sub)
    inspect = add("inspect", _inspect, "what is in a store: counts, channels, missingness, lengths, splits, attrition")
    inspect.add_argument("store", type=Path, metavar="STORE", help="folder of a store, or of a run")
    _json_argument(inspect)
    ls = add("ls", _ls, "list recipes and components")
    kinds = ["all", "recipes", "sources", "encoders", "predictors", "phases", "regularizers", "evaluators"]
    ls.add_argument("what", nargs="?", choices=kinds, default="all", metavar="WHAT", help=", ".join(kinds))
    _json_argument(ls)
    show = add("show", _show, "show a component (phase/hard_sync) or a recipe with every default filled in")
    show.add_argument("recipe", metavar="NAME", help="KIND/NAME of a component, or a recipe")
    show.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="changes to the recipe")
    show.add_argument("--origin", action="store_true", help="where each value of a recipe comes from")
    _json_argument(show)
    cp = add("cp", _cp, "copy a shipped recipe to edit it")
    cp.add_argument("recipe", metavar="RECIPE")
    cp.add_argument("destination", type=Path, metavar="FILE")
    report = add("report", _report, "write a run's report again")
    report.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    plugins = add("plugins", _plugins, "list installed plugins, broken ones included")
    plugins.add_argument("--traceback", action="store_true", help="why a plugin is broken, in full")
    _json_argument(plugins)
    return parser


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; `key=value` may stand before, between and after the options."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and (not hasattr(arguments, "overrides") or any(one.startswith("-") or "=" not in one for one in rest)):
        parser.error(f"unknown arguments: {' '.join(rest)}")
    if rest:
        arguments.overrides += rest
    return arguments


def _recipe_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help="file, or name of a shipped recipe")
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="changes, such as curriculum.hard_sync=null seed=1"
    )


def _runs_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="RUNS", help="where runs and stores are kept (default: runs)"
    )
    parser.add_argument("--quiet", action="store_true", help="say only what went wrong")


def _json_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


if __name__ == "__main__":
    sys.exit(main())
