"""What a run directory holds, as the report reads it. Every file but the folder itself may be missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jepa_core.errors import RunError
from jepa_core.io.files import require_regular_files
from jepa_core.results.findings import Findings


@dataclass(frozen=True)
class RunRecord:
    """manifest, plan, data, costs: plain dicts, empty if the file is missing. recipe: text of the resolved recipe.

    metrics: the logged steps in order, each once. findings: by evaluator. costs: by phase.
    """

    manifest: dict[str, Any]
    recipe: str
    plan: dict[str, Any]
    data: dict[str, Any]
    metrics: list[dict[str, Any]]
    findings: dict[str, Findings]
    costs: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.manifest.get("name") or "run")

    def phases(self) -> list[str]:
        """Names of the phases in the order of the curriculum."""
        planned = [str(phase.get("name", "")) for phase in self.plan.get("phases", [])]
        logged = [line["phase"] for line in self.metrics]
        return list(dict.fromkeys(planned + logged))

    def settings(self) -> dict[str, Any]:
        """The resolved recipe by dotted key, its evaluators as they measured last."""
        recipe = self._recipe()
        listed = {evaluator.get("name", evaluator["use"]): evaluator for evaluator in recipe.get("evaluators", [])}
        settings = {name: entry["settings"] for name, entry in self.manifest.get("evaluated", {}).items()}
        return dict(_leaves(recipe | {"evaluators": list((listed | settings).values())}))

    def evaluated_otherwise(self) -> dict[str, dict[str, Any]]:
        """By evaluator, the settings of its last evaluation that are not those of the recipe."""
        recipe, settings = dict(_leaves(self._recipe())), self.settings()
        changed: dict[str, dict[str, Any]] = {}
        for name in self.manifest.get("evaluated", {}):
            prefix = f"evaluators.{name}."
            mine = {key: value for key, value in settings.items() if key.startswith(prefix)}
            altered = {key.removeprefix(prefix): value for key, value in mine.items() if recipe.get(key) != value}
            if altered:
                changed[name] = altered
        return changed

    def _recipe(self) -> dict[str, Any]:
        from ruamel.yaml import YAML

        loaded = YAML(typ="safe", pure=True).load(self.recipe)
        return loaded if isinstance(loaded, dict) else {}


def _leaves(value: Any, dotted: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys with their values. Components in a list go by name, and a key `order` tells how they follow."""
    if isinstance(value, list) and value and all(isinstance(item, dict) and "use" in item for item in value):
        value = {item.get("name", item["use"]): item for item in value}
        yield f"{dotted}.order", list(value)
    if not isinstance(value, dict):
        yield dotted, value
        return
    for key, inner in value.items():
        yield from _leaves(inner, f"{dotted}.{key}" if dotted else str(key))


def read_run(folder: Path) -> RunRecord:
    """Read a run directory.

    Raises RunError if it is not there, or if a file in it is not what it should be.
    """
    if not folder.is_dir():
        raise RunError(f"there is no run at {folder}; give the directory of a run")
    require_regular_files(folder)
    recipe = folder / "recipe.resolved.yaml"
    return RunRecord(
        manifest=_read_dict(folder / "manifest.json"),
        recipe=recipe.read_text(encoding="utf-8") if recipe.is_file() else "",
        plan=_read_dict(folder / "plan.json"),
        data=_read_dict(folder / "data.json"),
        metrics=_read_metrics(folder / "metrics.jsonl"),
        findings={path.stem: _read_findings(path) for path in sorted((folder / "findings").glob("*.json"))},
        costs=_read_dict(folder / "costs.json"),
    )


def _read_dict(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{path}: not valid JSON; delete the file to do without it") from error
    if not isinstance(content, dict):
        raise RunError(f"{path}: holds a {type(content).__name__} where an object is expected")
    return content


def _read_findings(path: Path) -> Findings:
    try:
        return Findings.from_dict(_read_dict(path))
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: not the findings of an evaluator; run the evaluation again") from error


def _read_metrics(path: Path) -> list[dict[str, Any]]:
    """Logged steps by total step. A step that was logged again after a resume counts as it was logged last.

    A last line that a kill cut short is left out; one before it cannot come from a kill, so it is an error.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    steps: dict[int, dict[str, Any]] = {}
    for row, line in enumerate(lines, start=1):
        try:
            logged = json.loads(line)
            logged["phase"], logged["step"] = str(logged["phase"]), int(logged["step"])
            steps[int(logged["total_step"])] = logged
        except (ValueError, KeyError, TypeError) as error:
            if row < len(lines):
                raise RunError(f"{path}: line {row} is not a logged step") from error
    return [steps[step] for step in sorted(steps)]
