"""What imports what: no circles, rooms with arrows one way, and nothing loaded that is not used."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commands import RECIPE, environment
from jepa_core.errors import PluginError
from jepa_core.libraries import culprit, library
from jepa_core.plugin import Component

REPOSITORY = Path(__file__).parents[1]
CORE = REPOSITORY / "jepa_core"
HEAVY = ("transformers", "peft", "duckdb", "sklearn", "lightgbm", "matplotlib", "xarray", "pandas")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in CORE.rglob("*.py") if "templates" not in path.parts}
Graph = dict[str, set[str]]


def read(node: ast.AST) -> Iterator[str]:
    """Names that are imported while the code runs, in functions too; what type checkers alone read is left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.ImportFrom):
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
            yield str(child.module)
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        yield from read(child)


def imports(modules: dict[str, Path]) -> Graph:
    found = {name: set(read(ast.parse(path.read_text()))) & modules.keys() for name, path in modules.items()}
    # `from package import module` reads the package's own file too, which may import that very module
    return {name: {one for one in names if one != name and not is_parent(one, names)} for name, names in found.items()}


def is_parent(name: str, names: set[str]) -> bool:
    return any(other.startswith(f"{name}.") for other in names)


def circle(graph: Graph) -> list[str]:
    """Modules that import one another in a circle; empty if there is none."""
    done: set[str] = set()

    def search(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        rounds = (search(one, [*path, name]) for one in sorted(graph.get(name, ())))
        found = next((one for one in rounds if one), [])
        done.add(name)
        return found

    return next((found for name in sorted(graph) if (found := search(name, []))), [])


def test_circles_are_found_where_they_are() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c", "a"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_modules_of_the_core_import_one_another_in_a_circle() -> None:
    graph = imports(MODULES)
    assert sum(map(len, graph.values())) > 200
    assert circle(graph) == []


def room(name: str) -> str:
    """The folder of the core that a module lies in; its own name if it lies in none."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else name


BESIDE = {("contracts", "data")}
"""Arrows that go both ways between rooms: contracts have that of a source, which lies with the other data because it
needs no torch."""


def test_the_rooms_of_the_core_import_one_another_one_way() -> None:
    rooms: Graph = {}
    for name, names in imports(MODULES).items():
        arrows = {(room(name), room(other)) for other in names} - BESIDE
        rooms.setdefault(room(name), set()).update(other for one, other in arrows if one != other)
    assert len(rooms) > 10 and circle(rooms) == []
    of_data = {name for name in imports(MODULES)["jepa_core.contracts"] if room(name) == "data"}
    assert of_data == {"jepa_core.data.source"}


# --- what is loaded ---------------------------------------------------------------------------------------------------


def loaded(script: str, *asked: str) -> set[str]:
    """Which of the modules asked for a process has loaded after a script."""
    told = f"{script}\nimport sys; print(*(one for one in {asked!r} if one in sys.modules))"
    done = subprocess.run([sys.executable, "-c", told], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_the_training_loop_loads_neither_yaml_nor_the_planner_nor_the_hub() -> None:
    script = "import jepa_core.training.curriculum"
    planner = ("jepa_core.runs", "jepa_core.runs.plan", "jepa_core.recipe", "ruamel.yaml")
    assert loaded(script, *planner, *HEAVY, "torch") == {"torch"}


def test_what_prepares_data_loads_no_torch() -> None:
    own = ("data.preparation", "data.partitions", "data.rendering", "data.source", "cli.writing")
    script = "\n".join(f"import jepa_core.{name}" for name in own)
    assert loaded(script, *HEAVY, "torch") == set()


@pytest.mark.parametrize("plugin", ["jepa_meds", "jepa_mimic_iv", "jepa_sensors"])
def test_a_source_loads_neither_torch_nor_pandas_to_prepare_data(plugin: str) -> None:
    assert loaded(f"import {plugin}.source", "torch", "pandas") == set()


def test_no_module_of_the_core_loads_a_library_that_a_component_may_not_need() -> None:
    apart = (
        "jepa_core.__main__",
        "jepa_core.model.arrays",
        "jepa_core.model.features",
        "jepa_core.io.workspace",
        "jepa_core.io.parquet_types",
    )  # fmt: skip - imported where one is made
    own = [name for name in MODULES if name not in apart]
    assert loaded("\n".join(f"import {name}" for name in own), *HEAVY, "torch") == {"torch"}


def test_a_whole_run_loads_no_library_that_its_components_do_not_need(tmp_path: Path) -> None:
    recipe = tmp_path / "toy.yaml"
    recipe.write_text(RECIPE)
    (tmp_path / "toy-0.dist-info").mkdir()
    (tmp_path / "toy-0.dist-info" / "METADATA").write_text("Name: toy\nVersion: 0\n")
    (tmp_path / "toy-0.dist-info" / "entry_points.txt").write_text("[jepa]\ntoy = toy\n")
    arguments = ["run", str(recipe), "--out", str(tmp_path / "run"), "--quiet"]
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from jepa_core.cli import main; main({arguments!r})"
    assert loaded(script, *HEAVY) == {"matplotlib"}, "the report's figures need it, nothing else"
    assert (tmp_path / "run" / "report.html").is_file()


# --- a library that is not there --------------------------------------------------------------------------------------


def absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)


def broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "lightgbm", raising=False)
    (tmp_path / "lightgbm.py").write_text("raise OSError('libgomp.so.1: cannot open shared object file')")


@pytest.fixture
def component(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Component:
    """A component whose module imports lightgbm at its top."""
    from jepa_core.config import EvaluatorConfig

    (tmp_path / "needy.py").write_text("import lightgbm\n\nclass Needy:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "needy", raising=False)
    return Component("evaluator", "needy", EvaluatorConfig, "needy:Needy")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (absent, r"the library lightgbm is not installed; install it with: pip install 'lightgbm>=[\d.]+'"),
        (
            broken,
            r"the library lightgbm is broken \(OSError: libgomp.so.1: cannot open shared object file\); install it "
            r"again with: pip install --force-reinstall 'lightgbm>=[\d.]+'",
        ),
    ],
)
def test_a_library_that_is_missing_or_broken_is_named_with_the_command_that_installs_it(
    component: Component, how: Callable[..., None], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    how(monkeypatch, tmp_path)
    with pytest.raises(PluginError, match="evaluator 'needy' cannot be imported from needy:Needy: " + message):
        component.load()
    with pytest.raises(PluginError, match=message), library("lightgbm"):
        import lightgbm  # noqa: F401


def test_a_library_of_an_extra_is_installed_by_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(PluginError, match=r"pip install 'jepa-core\[cluster\]'"), library("distributed"):
        import distributed  # noqa: F401


def test_a_library_is_called_as_pip_calls_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    message = r"the library sklearn is .* pip install 'scikit-learn>=[\d.]+'"
    with pytest.raises(PluginError, match=message), library("sklearn"):
        import sklearn.linear_model  # noqa: F401


def test_an_error_of_the_components_own_module_is_its_authors(component: Component, tmp_path: Path) -> None:
    (tmp_path / "needy.py").write_text("missing_name\n")
    with pytest.raises(NameError):
        component.load()
    assert culprit(ModuleNotFoundError("no such module", name="needy.part"), own="needy") is None
