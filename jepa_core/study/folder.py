"""A study's folder, and how far its runs have come.

study.yaml            as given                  runs/<variant>-<seed>/   one run each, as `jepa run` makes them; with
                                                                         folds runs/<variant>-<seed>-<fold>/
recipes/              the recipe of each run    runs/stores/             the data, prepared once
logs/                 what each run said        runs/shared/             what runs share until all are done
findings/, tables/    what was compared         report.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jepa_core.data.places import stores_folder
from jepa_core.errors import RecipeError, RunError
from jepa_core.io.files import disk_errors, write_atomically, write_json
from jepa_core.io.locks import locked
from jepa_core.io.records import read_shaped
from jepa_core.recipe import Recipe
from jepa_core.results.record import read_manifest
from jepa_core.results.shapes import FailureShape
from jepa_core.runs.run import dump_yaml, shared_folder_beside
from jepa_core.study.definition import Cell, Study

State = Literal["waiting", "begun", "done", "failed"]


@dataclass(frozen=True)
class StudyFolder:
    """Where a study's results lie."""

    path: Path

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def stores(self) -> Path:
        """Stores of all runs of the study."""
        return stores_folder(self.runs)

    @property
    def shared(self) -> Path:
        """Through which the runs share work; there while some are not done."""
        return shared_folder_beside(self.runs)

    def run(self, cell: Cell) -> Path:
        return self.runs / cell.name

    def recipe(self, cell: Cell) -> Path:
        return self.path / "recipes" / f"{cell.name}.yaml"

    def log(self, cell: Cell) -> Path:
        return self.path / "logs" / f"{cell.name}.txt"

    def failure(self, cell: Cell) -> Path:
        """Where the exit code and the last line of a run that failed stand."""
        return self.path / "logs" / f"{cell.name}.failed.json"

    def state(self, cell: Cell) -> State:
        """How far a run has come. A run is done when its report is written."""
        manifest = self.run(cell) / "manifest.json"
        if manifest.is_file() and "ended" in read_manifest(self.run(cell)):
            return "done"
        if self.failure(cell).is_file():
            return "failed"
        return "begun" if manifest.is_file() else "waiting"

    def open(self, study: Study, text: str) -> None:
        """Make the folder of a new study, or check that what is there is of the same one; runs may be added to it.

        Raises RecipeError if a run that was begun had another recipe, RunError if the folder cannot be written.
        """
        with disk_errors(self.path):
            for folder in (self.path, self.runs, self.path / "recipes", self.path / "logs"):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            changed = [cell.name for cell in study.cells if self._was_other(cell)]
            if changed:
                raise RecipeError(
                    f"{self.path} holds runs of other recipes than the study has now: {', '.join(changed[:5])}"
                    f"{' and more' if len(changed) > 5 else ''}; name another folder with --out"
                )
            write_atomically(self.path / "study.yaml", text.encode())
            for cell in study.cells:
                write_atomically(self.recipe(cell), dump_yaml(cell.recipe.resolved()))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the study for this process, as two that do one study would take its runs from one another.

        Raises Busy if another process is at work on it, RunError if the folder cannot be written.
        """
        message = f"another jepa study is at work on {self.path}; wait for it, or stop it first"
        with disk_errors(self.path), locked(self.path / ".lock", message):
            yield

    def _was_other(self, cell: Cell) -> bool:
        """Whether a run was begun on another recipe than it has now."""
        begun = self.run(cell) / "recipe.resolved.yaml"
        return begun.is_file() and begun.read_bytes() != dump_yaml(cell.recipe.resolved())

    def note_failure(self, cell: Cell, code: int) -> None:
        """Write down that a run failed."""
        said = self.log(cell).read_text(errors="replace").strip().splitlines() if self.log(cell).is_file() else []
        errors = [line for line in said if line.startswith("error:")]
        last = (errors or said or ["it said nothing"])[-1]
        write_json(self.failure(cell), {"code": code, "said": last.removeprefix("error: ")})

    def forget_failure(self, cell: Cell) -> None:
        self.failure(cell).unlink(missing_ok=True)


def run_rows(study: Study, folder: StudyFolder) -> list[dict[str, Any]]:
    """One row a run: variant, seed, fold (None without folds), steps, state, and why it failed."""
    return [
        {
            "variant": cell.variant,
            "seed": cell.seed,
            "fold": cell.fold,
            "steps": steps_of(cell.recipe),
            "state": folder.state(cell),
            "why": _why(folder, cell),
        }
        for cell in study.cells
    ]


def steps_of(recipe: Recipe) -> int:
    """Optimizer steps of a curriculum."""
    return sum(use.config.steps for use in recipe.curriculum)


def _why(folder: StudyFolder, cell: Cell) -> str:
    if folder.state(cell) != "failed":
        return ""
    failure = read_shaped(folder.failure(cell), FailureShape, "delete it and give the command again", RunError)
    return f"exit code {failure['code']}: {failure['said']}"


def read_failures(study: Study, folder: StudyFolder) -> dict[str, str]:
    """Why each failed run failed, by the run's name."""
    return {cell.name: _why(folder, cell) for cell in study.cells if folder.state(cell) == "failed"}


def require_done(study: Study, folder: StudyFolder) -> None:
    """Raises RunError if no run of the reference is done, since nothing can then be compared."""
    if not any(folder.state(cell) == "done" for cell in study.cells if cell.variant == study.reference):
        raise RunError(f"no run of the reference '{study.reference}' is done, so there is nothing to compare with yet")
