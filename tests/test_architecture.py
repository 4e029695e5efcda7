"""Rules of the house that no one file can hold by itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import module_list

REPOSITORY = Path(__file__).parents[1]
CORE = sorted((REPOSITORY / "jepa_core").rglob("*.py"))
PLUGINS = sorted(path for path in (REPOSITORY / "plugins").iterdir() if path.is_dir() and path.name.startswith("jepa_"))
CLINICAL = re.compile(
    r"(?<![a-z])(patient|icu|stay|mimic|qwen|clinical|hospital|sepsis|mortality|vital|medic|disease|nurse)", re.I
)


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def test_there_is_something_to_check() -> None:
    assert len(CORE) > 10 and len(PLUGINS) >= 4


def named(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def test_the_core_imports_no_plugin() -> None:
    plugins = {plugin.name for plugin in PLUGINS}
    assert {named(path): found for path in CORE if (found := imported(path) & plugins)} == {}


def test_the_core_knows_no_clinical_word() -> None:
    # the shipped recipe that `jepa --help` names is no such word
    texts = {named(path): path.read_text().replace("clin_jepa", "") for path in CORE}
    assert {name: found for name, text in texts.items() if (found := CLINICAL.findall(text))} == {}


def test_the_clinical_words_are_found_where_they_stand() -> None:
    assert len(CLINICAL.findall("an ICU_STAY of a patient")) == 3 and not CLINICAL.findall("display")


def test_plugins_do_not_import_one_another() -> None:
    names = {plugin.name for plugin in PLUGINS}
    files = {path: plugin.name for plugin in PLUGINS for path in plugin.rglob("*.py")}
    arrows = {named(path): imported(path) & (names - {plugin}) for path, plugin in files.items()}
    assert {name: others for name, others in arrows.items() if others} == {}


HEAVY = ("torch", "transformers", "duckdb", "zarr", "xarray", "pandas", "sklearn", "matplotlib")
EACH_IN_TURN = """
import importlib, sys
sys.path[:0] = {paths!r}
for name in {names!r}:
    before = set(sys.modules)
    importlib.import_module(name)
    print(name, *(set(sys.modules) - before) & set({heavy!r}))
"""


def heavy_imports(names: list[str], paths: list[str]) -> dict[str, list[str]]:
    """Heavy libraries that each module is the first to load, in a process of their own."""
    script = EACH_IN_TURN.format(paths=paths, names=names, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name: loaded for name, *loaded in map(str.split, done.stdout.splitlines())}


def test_an_entry_module_imports_nothing_heavy() -> None:
    names = [plugin.name for plugin in PLUGINS]
    told = heavy_imports(names, [str(REPOSITORY), str(REPOSITORY / "plugins")])
    assert told == {name: [] for name in names}


def test_a_heavy_import_is_told_with_the_module_that_makes_it(tmp_path: Path) -> None:
    (tmp_path / "light.py").write_text("import json")
    (tmp_path / "heavy.py").write_text("import xarray")
    (tmp_path / "xarray.py").write_text("")
    assert heavy_imports(["light", "heavy"], [str(tmp_path)]) == {"light": [], "heavy": ["xarray"]}


# --- words ------------------------------------------------------------------------------------------------------------


SAME_MEANING = {
    "fragment": "an event in words, by each source of clinical texts",
    "jepa_components": "the hook by which every plugin says what it brings",
    "render_text": "items in words, by each source of texts",
}
"""Public names that several modules define, each with the one meaning they have."""


def public_names(path: Path) -> set[str]:
    """Classes and functions that a module defines for others."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, kinds) and node.name[0] != "_"}


def defined_twice(paths: Iterable[Path]) -> dict[str, list[str]]:
    """Where each name is defined that more than one module defines."""
    places: dict[str, list[str]] = {}
    for path in paths:
        for name in public_names(path):
            places.setdefault(name, []).append(path.relative_to(REPOSITORY).as_posix())
    return {name: where for name, where in places.items() if len(where) > 1}


def test_every_public_class_and_function_has_a_name_of_its_own() -> None:
    # the functions of the command line are called as the commands that they are
    shared = defined_twice(path for path in module_list.modules() if path.parent.name != "cli")
    # a rule that components of several kinds keep has one name, so that reports and tests can ask for it
    checks = {
        name for name, where in shared.items() if all(re.match("jepa_core/testing/[a-z]+s.py", one) for one in where)
    }
    assert all(name.startswith("check_") for name in checks)
    assert {name: where for name, where in shared.items() if name not in checks} == {
        name: shared.get(name) for name in SAME_MEANING
    }


def test_a_name_that_is_defined_twice_is_found() -> None:
    assert len(defined_twice([REPOSITORY / "jepa_core/plugin.py"] * 2)["Component"]) == 2


SAYS_NOTHING = {"one", "found", "place", "made", "here", "some", "what"}
"""Names of local variables that do not say what they hold."""

A_PLACE = re.compile(r"jepa_core/(recipe|study)/|jepa_core/model/request_file")
"""Modules where a place is the word of the house for where a key stands in a file."""


def empty_names(module: ast.Module) -> list[str]:
    """Names that a module binds in assignments, loops, comprehensions, lambdas and functions of its own; fields of a
    class are no locals."""
    fields = {id(line.target) for node in ast.walk(module) if isinstance(node, ast.ClassDef)
              for line in node.body if isinstance(line, ast.AnnAssign)}  # fmt: skip
    bound = [
        node.id
        for node in ast.walk(module)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in fields
    ]
    for node in ast.walk(module):
        if isinstance(node, ast.Lambda) or isinstance(node, ast.FunctionDef) and node.name.startswith("_"):
            bound += [argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)]
    return sorted(SAYS_NOTHING.intersection(bound))


def test_local_names_say_what_they_hold() -> None:
    rooms = ("jepa_core", "plugins", "benchmarks", "tests/support")
    files = sorted(path for room in rooms for path in (REPOSITORY / room).rglob("*.py"))
    told = {named(path): empty_names(ast.parse(path.read_text())) for path in files}
    told = {
        name: [word for word in words if word != "place" or not A_PLACE.match(name)] for name, words in told.items()
    }
    assert {name: words for name, words in told.items() if words} == {}


def test_a_local_name_that_says_nothing_is_noticed_wherever_it_is_bound() -> None:
    text = "found = [one for one in (1, 2)]\ndef _told(made): return lambda place: (some := place)"
    assert empty_names(ast.parse(text)) == ["found", "made", "one", "place", "some"]
    assert empty_names(ast.parse("class Row:\n    found: int\n    def less(one, other): return one.found")) == []


def test_the_page_on_architecture_lists_every_module_with_the_first_sentence_of_each() -> None:
    listed = module_list.PAGE.read_text()
    assert module_list.section() in listed, "write the list again: python tests/support/module_list.py"


def test_every_module_says_what_it_is() -> None:
    assert [path for path in module_list.modules() if not module_list.sentence(path)] == []


def test_links_in_a_circle_end_in_no_traceback_since_nothing_resolves_paths_but_one_function() -> None:
    code = [path for room in ("jepa_core", "plugins") for path in (REPOSITORY / room).rglob("*.py")]
    resolving = re.compile(r"(?<!__file__\))\.resolve\(")
    assert [named(path) for path in code if resolving.search(path.read_text())] == []
