"""A run: one folder of results, from the recipe as given to the report.

recipe.yaml             as given                  metrics.jsonl    loss terms and latent rank by step
recipe.resolved.yaml    with every default        costs.json       seconds, rate and memory of each phase
manifest.json           versions, seed, data      checkpoints/     to resume from
plan.json, data.json    phases; cohort, splits    findings/        one JSON an evaluator
fitted.json             what the encoder fitted   samples/         values by subject, to compare runs
model.safetensors       trained weights           tables/          CSV and LaTeX of every table of report.html
model.json              what loading them takes   heads/           what evaluators fitted, to score new data
control.safetensors     predictor of the untrained control, if an evaluator asked for it
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from jepa_core.data.places import stores_folder
from jepa_core.errors import Busy, LastingDataError, RecipeError, RunError
from jepa_core.io.files import disk_errors, require_regular_files, write_atomically
from jepa_core.io.locks import locked
from jepa_core.io.records import write_sealed
from jepa_core.plugin import Component, Registry
from jepa_core.recipe import Recipe, load_recipe
from jepa_core.results.meaning import MEANING, other_meaning
from jepa_core.results.record import read_manifest
from jepa_core.runs.process import owner_only

RECIPE = "recipe.yaml"
RESOLVED = "recipe.resolved.yaml"
MANIFEST = "manifest.json"
LOCK = ".lock"
LIBRARIES = ("jepa-core", "torch", "transformers", "peft", "numpy", "zarr", "xarray", "duckdb", "pydantic", "pluggy")


class Run:
    """A run's folder and what it was started with."""

    def __init__(self, folder: Path, recipe: Recipe, registry: Registry) -> None:
        self.folder = folder
        self.recipe = recipe
        self.registry = registry

    @property
    def stores(self) -> Path:
        """Folder of the stores, shared by the runs beside this one."""
        return stores_folder(self.folder.parent)

    @property
    def shared(self) -> Path | None:
        """Folder through which this run and those beside it share work; None if there is none."""
        folder = shared_folder_beside(self.folder.parent)
        return folder if folder.is_dir() else None

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def findings(self) -> Path:
        return self.folder / "findings"

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    @classmethod
    @owner_only()
    def create(cls, folder: Path, recipe: Recipe, registry: Registry, source_text: str) -> Run:
        """Make the folder of a new run, readable by its owner alone.

        Of two processes that ask for one folder, one gets it. Raises FolderTaken if the folder is taken, RunError if it
        cannot be written.
        """
        with disk_errors(folder), _claimed(folder):
            run = cls(folder, recipe, registry)
            resolved = dump_yaml(recipe.resolved())
            write_atomically(folder / RECIPE, source_text.encode())
            write_atomically(folder / RESOLVED, resolved)
            write_sealed(folder / MANIFEST, _manifest(run, resolved))
        return run

    @classmethod
    def open(cls, folder: Path, registry: Registry) -> Run:
        """Open an existing run.

        Raises RecipeError if `folder` is no run or if its recipe was changed since it began, UnsafeArtefactError if it
        holds something that is no regular file.
        """
        resolved = folder / RESOLVED
        if not resolved.is_file() or not (folder / MANIFEST).is_file():
            raise RecipeError(f"{folder} is not the folder of a run: it has no manifest.json and recipe.resolved.yaml")
        require_regular_files(folder)
        run = cls(folder, load_recipe(resolved, [], registry), registry)
        if run.manifest().get("recipe_sha256") != hashlib.sha256(resolved.read_bytes()).hexdigest():
            raise RecipeError(
                f"{resolved} was changed after the run began, and a run is of one recipe; "
                f"start a new one with: jepa run {resolved}"
            )
        return run

    def manifest(self) -> dict[str, Any]:
        """What the run was started with, and how far it came. Raises RunError if the file is not what it should be."""
        return read_manifest(self.folder)

    def note(self, **facts: Any) -> None:
        """Add facts to the manifest."""
        with disk_errors(self.folder):
            write_sealed(self.folder / MANIFEST, self.manifest() | facts)

    def note_dataset(self, facts: dict[str, Any]) -> None:
        """Write down which data the run is on.

        Raises DataError if the run began on other data.
        """
        before = self.manifest().get("dataset")
        if before is not None and before["content"] != facts["content"]:
            raise LastingDataError("the data are not those that this run began on; bring those back, or run it anew")
        self.note(dataset=facts)

    def refuse_other_meaning(self) -> None:
        """Raises RecipeError if a version began the run whose numbers mean something else: half would be of each."""
        if told := other_meaning(self.manifest()):
            raise RecipeError(
                f"{self.folder} {told}; go on with it in that version, or run its recipe again: "
                f"jepa run {self.folder / 'recipe.resolved.yaml'}"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process.

        Raises Busy if another process is at work on it.
        """
        with locked(
            self.folder / LOCK, f"another jepa command is at work on {self.folder}; wait for it, or stop it first"
        ):
            yield


class FolderTaken(RecipeError):
    """The folder of a new run holds something already."""


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Hold the folder of a new run while its first files are written: nobody else does.

    A folder whose run was killed before all of them were there is taken over; otherwise nothing could go on with it,
    and nothing begin in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _refuse_taken(folder)
        with locked(folder / LOCK, str(folder)):
            _refuse_taken(folder)  # by a run that began at this moment
            yield
    except (FileExistsError, Busy) as error:
        raise FolderTaken(f"{folder} is taken; name another folder with --out") from error
    except NotADirectoryError as error:
        raise RecipeError(f"{folder} cannot be made: a part of its path is a file; name another folder") from error
    except PermissionError as error:
        raise RunError(f"{folder} cannot be made: permission denied; name another folder with --out") from error


def _refuse_taken(folder: Path) -> None:
    """Raises FolderTaken if a folder holds what is not of a run that was killed as it began."""
    names = {path.name for path in folder.iterdir() if not path.name.endswith(".partial")}
    if names and not (LOCK in names and names <= {LOCK, RECIPE, RESOLVED}):
        go_on = f", or go on with: jepa resume {folder}" if MANIFEST in names else ""
        raise FolderTaken(f"{folder} is not empty; name another folder with --out{go_on}")


def shared_folder_beside(runs: Path) -> Path:
    """Where the runs in a folder share work, if it is there; see `jepa_core.runs.sharing`."""
    return runs / "shared"


def next_folder(runs: Path, name: str) -> Path:
    """The first free folder of the form `<name>-001`."""
    taken = {path.name for path in runs.glob(f"{name}-*")} if runs.is_dir() else set()
    return runs / next(f"{name}-{number:03d}" for number in range(1, 10_000) if f"{name}-{number:03d}" not in taken)


def command() -> list[str]:
    """The command line of this process, shortened to `jepa` where that is what was started."""
    started = Path(sys.argv[0])
    if started.stem == "jepa" or started.parent.name == "jepa_core":
        return ["jepa", *sys.argv[1:]]
    return ["python", *filter(None, [started.name]), *sys.argv[1:]]


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def dump_yaml(content: dict[str, Any]) -> bytes:
    stream = BytesIO()
    yaml: Any = YAML(typ="safe", pure=True)  # its settings are declared as None
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.dump(content, stream)
    return stream.getvalue()


def _manifest(run: Run, resolved: bytes) -> dict[str, Any]:
    return {
        "name": run.recipe.name,
        "description": run.recipe.description,
        "command": command(),
        "seed": run.recipe.seed,
        "recipe_sha256": hashlib.sha256(resolved).hexdigest(),
        "started": now(),
        "meaning": MEANING,
        "versions": versions(),
        "plugins": plugin_versions(run.registry, (use.component for use in run.recipe.uses())),
        "hardware": {"machine": platform.machine(), "cores": os.cpu_count()},
    }


def versions() -> dict[str, str | None]:
    """Of Python and the libraries that results depend on; None for one that is not installed."""
    return {"python": platform.python_version()} | {name: _version(name) for name in LIBRARIES}


def plugin_versions(registry: Registry, components: Iterable[Component]) -> list[dict[str, str]]:
    """The plugins that a run of these components depends on."""
    return [
        {"name": plugin.name, "package": plugin.package, "version": plugin.version}
        for plugin in registry.taking_part(components)
    ]


@cache
def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
