"""The commands that read: each prints a result, and writes nothing that nobody asked for."""

from __future__ import annotations

import argparse
import logging
import re
import shlex
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jepa_core.cli.common import (
    installed_registry,
    load_study_and_folder,
    print_page,
    recipe_of,
    refuse_existing,
    write_new,
)
from jepa_core.cli.pages import (
    component_text,
    list_text,
    plan_text,
    plugins_text,
    recipe_text,
    study_plan_text,
    study_time_text,
    time_text,
)

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from jepa_core.plugin import Component
    from jepa_core.recipe import Recipe
    from jepa_core.runs.plan import Plan
    from jepa_core.runs.timing import ExpectedTime
    from jepa_core.study.definition import Study
    from jepa_core.study.folder import StudyFolder

log = logging.getLogger("jepa")


def ls(arguments: argparse.Namespace) -> None:
    """List recipes, studies and components, all of them or of one kind."""
    from jepa_core.plugin import KINDS
    from jepa_core.recipe.locate import shipped_recipes, shipped_studies

    registry = installed_registry()
    listing: dict[str, list[dict[str, str]]] = {}
    for title, files in (("recipes", shipped_recipes), ("studies", shipped_studies)):
        if arguments.what in ("all", title):
            listing[title] = [{"name": path.stem, "summary": _first_comment(path)} for path in files()]
    for kind in KINDS:
        if arguments.what in ("all", f"{kind}s"):
            listing[f"{kind}s"] = [
                {"name": component.name, "summary": component.summary, "package": registry.owner(component).package}
                for component in registry.components(kind).values()
            ]
    print_page(listing, arguments, list_text)


def _first_comment(path: Path) -> str:
    """The description of a recipe or a study: the first sentence of its comment, after the command that runs it."""
    comments = [line.lstrip("# ").strip() for line in path.read_text().splitlines() if line.startswith("#")]
    paragraph = " ".join(takewhile(bool, comments[1:]))
    return re.split(r"(?<=[.])\s+(?=[A-Z`])", paragraph, maxsplit=1)[0]


def show(arguments: argparse.Namespace) -> None:
    """Print a component with its keys, or a recipe with every default filled in."""
    from jepa_core.plugin import KINDS

    kind, _, name = arguments.recipe.partition("/")
    if kind.rstrip("s") in KINDS:
        component = installed_registry().component(kind.rstrip("s"), name)
        print_page(_component_page(component), arguments, component_text)
        return
    recipe = recipe_of(arguments)
    page = {"recipe": recipe.resolved(), "origins": recipe.origins()}
    print_page(page, arguments, lambda page: recipe_text(page, arguments.origin))


def _component_page(component: Component) -> dict[str, Any]:
    from jepa_core.recipe.uses import keys_beside

    owner = installed_registry().owner(component)
    schema = component.config.model_json_schema()
    return {
        "kind": component.kind,
        "name": component.name,
        "package": f"{owner.package} {owner.version}",
        "implementation": component.implementation,
        "config": f"{component.config.__module__}:{component.config.__qualname__}",
        "description": _plain_docstring(component.config.__doc__),
        "keys": [_key(name, field) for name, field in component.config.model_fields.items()],
        "beside": [{"name": name, "description": told} for name, told in keys_beside(component.kind).items()],
        "schema": schema,
    }


def _plain_docstring(text: str | None) -> str:
    from inspect import cleandoc

    return cleandoc(text or "")


def _key(name: str, field: FieldInfo) -> dict[str, Any]:
    from jepa_core.recipe.keys import as_yaml, describe_type

    value = None if field.is_required() else _plain(field)
    return {
        "name": field.alias or name,
        "type": describe_type(field.annotation, field.metadata),
        "default": "required" if field.is_required() else f"default {as_yaml(value)}",
        "value": value,
        "description": field.description or "",
    }


def _plain(field: FieldInfo) -> Any:
    """A default as a recipe writes it."""
    from pydantic import TypeAdapter

    return TypeAdapter(Any).dump_python(field.get_default(call_default_factory=True), mode="json")


def validate(arguments: argparse.Namespace) -> None:
    """Check a recipe or a study; an invalid one is reported with every mistake at once."""
    from jepa_core.study.reading import is_study, load_study

    if is_study(arguments.recipe):
        study = load_study(arguments.recipe, arguments.overrides, installed_registry())
        page, told = {"valid": True, "study": study.name}, f"{len(study.cells)} runs of {', '.join(study.variants)}"
    else:
        recipe = recipe_of(arguments)
        page, told = {"valid": True, "recipe": recipe.name}, ", ".join(use.name for use in recipe.curriculum)
    print_page(page, arguments, lambda _: f"{arguments.recipe} is valid: {told}")


def plan(arguments: argparse.Namespace) -> None:
    """Print what a recipe, or every run of a study, would do here."""
    from jepa_core.errors import RecipeError
    from jepa_core.study.reading import is_study

    if is_study(arguments.recipe):
        from jepa_core.study.planning import plan_study

        to_plan, folder = load_study_and_folder(arguments, arguments.recipe)
        planned = plan_study(to_plan, folder)
        times = _expected_times(to_plan, folder) if arguments.time else None
        told = None if times is None else {name: expected.to_dict() for name, expected in times.items()}
        text = f"{study_plan_text(planned)}\n\n{study_time_text(planned, times)}"
        print_page({**planned.to_dict(), "time": told}, arguments, lambda _: text)
        return
    if arguments.out is not None:
        raise RecipeError(f"--out names the folder of a study, and {arguments.recipe} is a recipe")
    from jepa_core.runs.plan import make_plan

    recipe = recipe_of(arguments)
    run_plan = make_plan(recipe, arguments.processes)
    expected = _expected_time(recipe, run_plan, arguments.runs) if arguments.time else None
    page = {**run_plan.to_dict(), "time": expected.to_dict() if expected else None}
    print_page(page, arguments, lambda _: f"{plan_text(run_plan)}\n\n{time_text(expected)}")


def _expected_times(study: Study, folder: StudyFolder) -> dict[str, ExpectedTime]:
    """What a run of each variant that is not done would take: the seeds of a variant cost the same."""
    from jepa_core.runs.plan import make_plan

    left = {cell.variant: cell.recipe for cell in study.cells if folder.state(cell) != "done"}
    return {variant: _expected_time(recipe, make_plan(recipe), folder.runs) for variant, recipe in left.items()}


def _expected_time(recipe: Recipe, run_plan: Plan, runs: Path) -> ExpectedTime:
    """What a run would take, once it is clear that it fits and that nothing is missing."""
    from jepa_core.data.places import stores_folder
    from jepa_core.errors import RunError
    from jepa_core.runs.memory import check_disk, check_memory
    from jepa_core.runs.process import device_of
    from jepa_core.runs.timing import expected_time

    if run_plan.missing:
        raise RunError(f"nothing can be tried here: {run_plan.missing[0]}")
    check_memory(run_plan, device_of(recipe.runtime))
    check_disk(run_plan, runs)
    return expected_time(recipe, stores_folder(runs))


def plugins(arguments: argparse.Namespace) -> None:
    """List the installed plugins, broken ones included."""
    listing = [
        {
            "name": plugin.name,
            "package": plugin.package,
            "version": plugin.version,
            "status": plugin.status,
            "components": [f"{component.kind}/{component.name}" for component in plugin.components],
            "error": plugin.error,
            "details": plugin.details,
        }
        for plugin in installed_registry().plugins
    ]
    print_page({"plugins": listing}, arguments, lambda page: plugins_text(page, arguments.traceback))


def inspect(arguments: argparse.Namespace) -> int:
    """Print what is in a store, or in files of raw data; or, to verify, whether a store or a run is whole."""
    if arguments.verify:
        return _verify(arguments)
    from jepa_core.data.inspection import (
        describe_files,
        description_text,
        find_store,
        inspect_store,
        inspection_text,
        is_store,
    )  # fmt: skip
    from jepa_core.errors import RecipeError

    paths: list[Path] = arguments.paths
    if not (len(paths) == 1 and is_store(paths[0])):
        if arguments.write:
            refuse_existing(arguments.write)  # before all rows are read
        described = describe_files(paths, installed_registry())
        if arguments.write:
            write_new(arguments.write, described.recipe(arguments.write.parent).encode())
        print_page(dict(described.page), arguments, description_text)
        if arguments.write:
            log.info("recipe written; go on with: jepa run %s", shlex.quote(str(arguments.write)))
        return 0
    if arguments.write:
        raise RecipeError("--write makes a recipe of files of raw data, and a store is none; name the files")
    print_page(inspect_store(find_store(paths[0])), arguments, inspection_text)
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    """Print which files are damaged; the exit code of data that break their contract if any is."""
    from jepa_core.errors import DataError, RecipeError
    from jepa_core.runs.verification import verification_page, verification_text, verify

    if len(arguments.paths) > 1 or arguments.write:
        raise RecipeError("--verify reads one store or one run, and writes nothing; give its folder alone")
    page = verification_page(verify(arguments.paths[0]))
    print_page(page, arguments, verification_text)
    return 0 if page["whole"] else DataError.exit_code


def audit(arguments: argparse.Namespace) -> int:
    """Look for leaks in a store, or for records in what a run's export would give away; 1 if a check fails."""
    from jepa_core.audit.checks import audit_page, audit_text
    from jepa_core.audit.given_away import audit_run
    from jepa_core.audit.store import audit_store
    from jepa_core.data.inspection import find_store, find_store_if_there
    from jepa_core.data.store import Store
    from jepa_core.errors import RecipeError, RunError
    from jepa_core.model.folder import no_model

    folder: Path = arguments.folder
    if (folder / "model.json").is_file():
        store = find_store(arguments.store) if arguments.store else find_store_if_there(folder)
        checks = audit_run(folder, store, arguments.canary, installed_registry())
    elif any((folder / name).is_file() for name in ("manifest.json", "model/model.json")):
        raise RunError(no_model(folder))
    elif arguments.store:
        raise RecipeError(f"--store says what a model was trained on; {folder} holds no model.json, give one that does")
    else:
        checks = audit_store(Store(folder), installed_registry())
    page = audit_page(str(folder), checks)
    print_page(page, arguments, audit_text)
    return 1 if page["counts"]["fail"] else 0


def check_plugin(arguments: argparse.Namespace) -> int:
    """Run the conformance checks of a plugin's components; 1 if one of them fails."""
    from jepa_core.testing.report import check_components, components_of, results_page, results_text

    page = results_page(check_components(components_of(arguments.plugin, installed_registry())))
    print_page(page, arguments, results_text)
    return 1 if page["counts"]["fail"] else 0
