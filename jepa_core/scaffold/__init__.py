"""`jepa new`: a package with one component that works, to be changed into one's own.

The templates are packages as they will be written, for a component called my_component; only names are put in.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
from collections.abc import Iterator
from pathlib import Path

from jepa_core.errors import RecipeError
from jepa_core.plugin import Kind, Registry

TEMPLATES = Path(__file__).parent / "templates"


def write_package(kind: Kind, name: str, folder: Path, registry: Registry) -> Path:
    """Write the package `jepa-<name>` into `folder`, and return where it is.

    Raises RecipeError if the name cannot be used or is taken, or if there is something in the package's place.
    """
    _refuse_name(kind, name, registry)
    package = folder / f"jepa-{_dashed(name)}"
    if package.exists():
        raise RecipeError(f"{package} exists already and is left as it is; choose another name or another --folder")
    for path, content in _files(kind, name):
        target = package / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    return package


def next_steps(name: str, package: Path) -> str:
    """What to do with a new package."""
    return (
        f"wrote {package}; go on with\n"
        f"  cd {package}\n"
        "  pip install --no-build-isolation --no-deps -e .\n"
        "  pytest\n"
        f"  jepa run {name}.yaml"
    )


def _files(kind: Kind, name: str) -> Iterator[tuple[Path, str]]:
    """Every file of the package: its place, and its text with the names put in."""
    module = Path(f"jepa_{name}")
    for template in sorted(path for path in (TEMPLATES / "package").rglob("*") if path.is_file()):
        target = template.relative_to(TEMPLATES / "package")
        yield target.with_name(_named(target.name, kind, name)), _named(template.read_text(), kind, name)
    for template in sorted(path for path in (TEMPLATES / kind).iterdir() if path.is_file()):
        target = Path() if template.suffix == ".yaml" else module
        yield target / _named(template.name, kind, name), _named(template.read_text(), kind, name)


def _named(text: str, kind: Kind, name: str) -> str:
    names = {
        "my_component": name,
        "my-component": _dashed(name),
        "MyComponent": _class_name(name),
        "my_kind": kind,
    }
    return re.sub("|".join(names), lambda match: names[match[0]], text)


def _refuse_name(kind: Kind, name: str, registry: Registry) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise RecipeError(f"'{name}' cannot name a {kind}; use lower-case words joined by '_', such as my_{kind}")
    if name in registry.components(kind):
        owner = registry.owner(registry.component(kind, name)).package
        raise RecipeError(f"there is a {kind} '{name}' already, in the package {owner}; choose another name")
    if name in {plugin.name for plugin in registry.plugins} or importlib.util.find_spec(f"jepa_{name}"):
        raise RecipeError(f"there is a package jepa_{name} already; choose another name")
    words = " ".join(path.read_text() for path in (TEMPLATES / kind).glob("*.py"))
    if re.search(rf"\b{_class_name(name)}\b", words):
        raise RecipeError(f"'{name}' is a word of the framework; choose another name")


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
