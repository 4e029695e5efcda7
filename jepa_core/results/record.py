"""What a run directory holds, as the report reads it. Every file but the folder itself may be missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from jepa_core.errors import RunError
from jepa_core.io.files import digest_of_file, require_regular_files
from jepa_core.io.records import Shape, parse_shaped, read_sealed_or_older, read_shaped
from jepa_core.results.evaluated import check_evaluation
from jepa_core.results.findings import Findings
from jepa_core.results.shapes import CostsShape, DataShape, FindingsShape, LoggedShape, ManifestShape, PlanShape
from jepa_core.results.text import listed

MANIFEST = "manifest.json"
LOGGED = ("costs.json", "data.json", "metrics.jsonl", "plan.json", "recipe.yaml", "seen.json")
DO_WITHOUT = "delete the file to do without it"


@dataclass(frozen=True)
class RunRecord:
    """manifest, plan, data, costs: plain dicts, empty if the file is missing. recipe: text of the resolved recipe.

    metrics: the logged steps in order, each once. findings: by evaluator. costs: by phase. transfers: what was found on
    other data, by name.
    """

    manifest: dict[str, Any]
    recipe: str
    plan: dict[str, Any]
    data: dict[str, Any]
    metrics: list[dict[str, Any]]
    findings: dict[str, Findings]
    costs: dict[str, Any]
    transfers: dict[str, RunRecord] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.manifest.get("name") or "run")

    @property
    def noun(self) -> str:
        """What the source calls its subjects, one of them."""
        return str(self.data.get("subject") or "subject")

    def phases(self) -> list[str]:
        """Names of the phases in the order of the curriculum."""
        planned = [str(phase.get("name", "")) for phase in self.plan.get("phases", [])]
        logged = [line["phase"] for line in self.metrics]
        return list(dict.fromkeys(planned + logged))

    def in_order(self) -> list[tuple[str, Findings]]:
        """Findings in the order of the recipe's evaluators; any others after them, by name."""
        order = [str(name) for name in self.plan.get("evaluators", [])]
        named = [name for name in order if name in self.findings]
        return [(name, self.findings[name]) for name in [*named, *sorted(set(self.findings) - set(named))]]

    def lacking(self, run: str = "RUN") -> str | None:
        """What is to be said where nothing was evaluated, or findings are gone; None where all are there. run: the
        folder, as its user calls it."""
        gone = [name for name in self.manifest.get("evaluated", {}) if name not in self.findings]
        if gone:
            return f"findings of {listed(gone)} are not there any more; evaluate again with: jepa evaluate {run}"
        if self.findings:
            return None
        if not self.plan.get("evaluators", ["unknown"]):
            return f"nothing was evaluated: the recipe has no evaluator; jepa evaluate {run} --recipe OTHER does it"
        return f"nothing was evaluated; when the run has finished training, do it with: jepa evaluate {run}"

    def settings(self) -> dict[str, Any]:
        """The resolved recipe by dotted key, its evaluators as they measured last."""
        recipe = self._recipe
        listed = {evaluator.get("name", evaluator["use"]): evaluator for evaluator in recipe.get("evaluators", [])}
        settings = {name: entry["settings"] for name, entry in self.manifest.get("evaluated", {}).items()}
        return dict(_leaves(recipe | {"evaluators": list((listed | settings).values())}))

    def evaluated_otherwise(self) -> dict[str, dict[str, Any]]:
        """By evaluator, the settings of its last evaluation that are not those of the recipe."""
        recipe, settings = dict(_leaves(self._recipe)), self.settings()
        changed: dict[str, dict[str, Any]] = {}
        for name in self.manifest.get("evaluated", {}):
            prefix = f"evaluators.{name}."
            mine = {key: value for key, value in settings.items() if key.startswith(prefix)}
            altered = {key.removeprefix(prefix): value for key, value in mine.items() if recipe.get(key) != value}
            if altered:
                changed[name] = altered
        return changed

    @cached_property
    def _recipe(self) -> dict[str, Any]:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        try:
            loaded = YAML(typ="safe", pure=True).load(self.recipe)
        except (YAMLError, ValueError, RecursionError):
            raise RunError("recipe.resolved.yaml of the run is damaged: it is no YAML; copy the run again") from None
        return loaded if isinstance(loaded, dict) else {}


def _leaves(value: Any, dotted: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys with their values. Components in a list go by name, and a key `order` tells how they follow."""
    if isinstance(value, list) and value and all(map(_is_component, value)):
        value = {item.get("name", item["use"]): item for item in value}
        yield f"{dotted}.order", list(value)
    if not isinstance(value, dict):
        yield dotted, value
        return
    for key, inner in value.items():
        yield from _leaves(inner, f"{dotted}.{key}" if dotted else str(key))


def _is_component(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("use"), str) and isinstance(value.get("name", ""), str)


def read_run(folder: Path) -> RunRecord:
    """Read a run directory.

    Raises RunError if it is not there, or if a file in it is not what it should be.
    """
    if not folder.is_dir():
        raise RunError(f"there is no run at {folder}; give the directory of a run")
    require_regular_files(folder)
    manifest = read_manifest(folder) if (folder / MANIFEST).is_file() else {}
    return RunRecord(
        manifest=manifest,
        recipe=_read_recipe(folder / "recipe.resolved.yaml", manifest.get("recipe_sha256")),
        plan=read_known(folder / "plan.json", PlanShape),
        data=read_known(folder / "data.json", DataShape),
        metrics=_read_metrics(folder / "metrics.jsonl"),
        findings={path.stem: read_findings(path) for path in sorted((folder / "findings").glob("*.json"))},
        costs=read_costs(folder / "costs.json"),
        transfers={
            path.parent.name: read_run(path.parent) for path in sorted(transfers_folder(folder).glob(f"*/{MANIFEST}"))
        },
    )


def transfers_folder(folder: Path) -> Path:
    """Where a run keeps what was found on other data; see `jepa_core.runs.transfer`."""
    return folder / "transfer"


def record_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of what a finished run wrote down on its way, by name."""
    return {name: digest_of_file(folder / name) for name in LOGGED if (folder / name).is_file()}


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a run was started with and how far it came. Raises RunError if the file is not what it should be, or not
    as it was written."""
    return read_sealed_or_older(folder / MANIFEST, ManifestShape, "copy the run again", RunError)


def read_findings(path: Path) -> Findings:
    """What an evaluator found. Raises RunError if the file is not what it should be, or not as it was written."""
    advice = "run the evaluation again"
    check_evaluation(path, path.parent.parent)
    try:
        return Findings.from_dict(read_shaped(path, FindingsShape, advice, RunError))
    except TypeError:
        raise RunError(f"{path} is damaged: it has keys that no findings have; {advice}") from None


def read_costs(path: Path) -> dict[str, Any]:
    """What each phase cost so far; empty if nothing was written. Raises RunError if the file is not what it should
    be."""
    return read_known(path, CostsShape)


def read_known(path: Path, shape: type[Shape]) -> dict[str, Any]:
    """What a file holds; empty if it is not there. Raises RunError if it is not what it should be."""
    return read_shaped(path, shape, DO_WITHOUT, RunError) if path.exists() else {}


def _read_recipe(path: Path, digest: str | None) -> str:
    if not path.is_file():
        return ""
    if digest and digest_of_file(path) != digest:
        raise RunError(f"{path} is not as it was written, and a run is of one recipe; copy the run again")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise RunError(f"{path} is damaged: it is no text; copy the run again") from None


def _read_metrics(path: Path) -> list[dict[str, Any]]:
    """Logged steps by total step. A step that was logged again after a resume counts as it was logged last."""
    steps = {logged["total_step"]: logged for _, logged in logged_lines(path)}
    return [steps[step] for step in sorted(steps)]


def logged_lines(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Each line of `metrics.jsonl` with the step that it logs.

    A last line that a kill cut short is left out. Raises RunError for any other that is no logged step.
    """
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    for row, line in enumerate(lines, start=1):
        try:
            yield line, parse_shaped(path, line, LoggedShape, DO_WITHOUT, RunError, f"line {row}: ")
        except RunError:
            if row < len(lines) or line.endswith(b"\n"):
                raise
