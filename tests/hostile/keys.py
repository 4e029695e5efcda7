"""The largest and the least values that keys take. What `validate` and `plan` let pass runs, or ends in one message."""

from __future__ import annotations

import copy
import json
import random
import resource
import shutil
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import annotated_types
import children
import yaml
from children import Ended, Strike
from pydantic import BaseModel
from scene import Scene, csv_of, machines
from trial import Trial, faults_of, trial

SECONDS = 3.0
"""Of the clock, after which a run is asked to stop: with the largest value it may be a long one."""
EVALUATION_SECONDS = 15.0
"""Of the clock, after which an evaluation of a finished run is asked to stop: it begins once the run is read."""
DEADLINE = 90.0
"""After which it is taken for one that hangs."""
MEMORY = 10 * 2**30
"""Bytes of address space that a command may take: so it ends here, not by the machine's own hand."""
OUT_OF_MEMORY = "out of memory during"
"""What is said where no plan foresaw it; on a machine that lends more than it has, the kernel would kill the run."""
LADDER = (2**32 - 1, 1e18, *(10**power for power in range(9, 0, -1)), 2, 1, 0.999, 0.5, 0.1)
"""Values that are tried, the largest first, beside the bounds that a key names; where it takes none, those below 0."""
NEAREST = (1e-300, 1e-30, 1e-18, 1e-12, 1e-9, 1e-6, 1e-3)
"""Values that are tried before those of the ladder, the smallest first, for the least that a key takes above 0."""

TOY = """\
name: swept
source: {use: oscillators, shortest: 12, longest: 16, trajectories: 24}
encoder: {use: mlp, width: 8, feedforward: 8, layers: 1, latent_size: 8}
predictor: {use: gru, width: 8}
windows: {length: 8, stride: 8, min_length: 4}
curriculum: [{use: predictor_warmup, name: swept, steps: 1, batch_size: 4}]
evaluators: []
runtime: {threads: 1}
"""
TEXTS = {"use": "qwen3", "random": {
    "hidden_size": 8, "layers": 1, "heads": 1, "kv_heads": 1, "head_dim": 8, "intermediate_size": 8, "vocabulary": 300
}}  # fmt: skip
TASKS = {"methods": ["latents", "latents_and_rollout", "decoded_belief"], "bootstrap": 100}
TASK = {"outcome": "pushed", "after": 4}
TASK_FOR: dict[str, dict[str, Any]] = {
    "horizon": {"event": "far", "horizon": 2}, "alarms": {"event": "far", "horizon": 2},
    "stride": {"label": "event_far", "rows": "stride", "stride": 3}, "utility": {"label": "event_far", "utility": {}},
}  # fmt: skip
"""The task of a sort that has a key; `TASK` has the others."""
BASELINES = {"sequence": ["lstm", "gru_d", "tcn"], "linear": ["linear"], "event_sequences": ["event_sequences"]}
"""Baselines that read a part of `baseline_search`; boosted trees where it is none of these."""
GROUNDING = {"use": "grounding", "windows": [[0, 1]]}
NEEDED: dict[tuple[str, str], dict[str, Any]] = {
    ("encoder", "qwen3"): TEXTS,
    ("encoder", "text_backbone"): {"weights": "backbone"},
    ("encoder", "patch_transformer"): {"heads": 2, "feedforward": 8, "layers": 1},
    ("encoder", "temporal_convolution"): {"width": 8, "layers": 1},
    ("predictor", "action_transformer"): {"width": 8, "heads": 2, "feedforward": 8, "layers": 1},
    ("phase", "next_token"): {"encoder": TEXTS},
    ("phase", "hard_sync"): {"steps": 0},
    ("evaluator", "prediction_tasks"): TASKS,
    ("evaluator", "label_efficiency"): TASKS | {"references": ["latents"], "subjects": [10], "averaged_with": None},
    ("evaluator", "latent_displacement"): {"events": ["event_far"], "horizons": [2]},
    ("evaluator", "channel_forecast"): {"context": 6, "horizon": 4, "least_values": 5, "stride": 4},
    ("evaluator", "decoded_forecast"): {"context": 6, "horizons": [2], "stride": 4},
    ("evaluator", "rollout_drift"): {"contexts": [6], "headline_context": 6, "horizon": 4, "stride": 4},
    ("evaluator", "anomalies"): {"label": "event_far", "horizons": [1]},
    ("evaluator", "imagination"): {
        "acts": [{"channel": "push", "value": 1.0, "unit": "N", "steps": 2}], "at": [6], "horizon": 4
    },
    ("source", "table"): {
        "files": "table.csv", "id": "machine", "time": "second", "states": ["position", "speed"], "actions": "push"
    },
    ("source", "mimic_iv"): {"synthetic": {"stays": 10}},
    ("source", "eicu"): {"synthetic": {"stays": 10}},
    ("source", "meds"): {
        "path": "meds", "trajectory": {"start": "ICU_ADMISSION", "end": "ICU_DISCHARGE"}, "split": {"from": "seed"},
        "encoder": TEXTS,
    },
}  # fmt: skip
"""What a component needs beside its name to be a small one; `encoder` is that of the recipe around it."""


@dataclass(frozen=True)
class Key:
    """A key that takes a number, of a component, or of what a recipe says besides. bounds: that it names, and those of
    what it holds. listed: how many it takes in a list, of any length or of that; 0 where it takes one by itself."""

    kind: str
    component: str
    path: tuple[str, ...]
    bounds: tuple[float, ...]
    listed: int

    def __str__(self) -> str:
        return f"{self.kind} {self.component}: {'.'.join(self.path)}"


def all_keys() -> list[Key]:
    """The numeric keys of every installed component, and of the recipe's own parts, in order."""
    from jepa_core.kinds import KINDS
    from jepa_core.plugin import shared_registry
    from jepa_core.recipe.settings import RuntimeConfig, WindowsConfig

    known = [(kind, name, component.config) for kind in KINDS
             for name, component in sorted(shared_registry().components(kind).items())]  # fmt: skip
    known += [("part", "windows", WindowsConfig), ("part", "runtime", RuntimeConfig)]
    return [key for kind, name, config in known for key in _keys_of(kind, name, config)]


def _keys_of(kind: str, name: str, config: Any) -> Iterator[Key]:
    from jepa_core.recipe.keys import key_names

    for path, model in _models_below(config):
        for key, field in key_names(model).items():
            numeric, bounds, listed = _number_in(field.annotation)
            if numeric:
                own = (*bounds, *_bounds(field.metadata))
                yield Key(kind, name, (*path, key), own, listed)


def _models_below(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """A model and the models of its keys, each with its path; those of a list, or by name, too."""
    from jepa_core.recipe.keys import key_names

    yield path, model
    for name, field in key_names(model).items():
        for inner in _models_in(field.annotation):
            if len(path) < 4:  # a model may hold itself
                yield from _models_below(inner, (*path, name))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _number_in(annotation: Any) -> tuple[bool, tuple[float, ...], int]:
    """Whether a type holds a number, the upper bounds of it, and how many of them are in a list (`Key.listed`)."""
    if annotation in (int, float):
        return True, (), 0
    inner = [_number_in(part) for part in get_args(annotation)]
    bounds = _bounds(get_args(annotation)[1:]) if hasattr(annotation, "__metadata__") else ()
    if getattr(annotation, "__origin__", None) in (tuple, list):
        listed = 1 if Ellipsis in get_args(annotation) else len(inner)
    else:
        listed = max((part[2] for part in inner), default=0)
    numeric = any(part[0] for part in inner)
    return numeric, (*bounds, *(bound for part in inner for bound in part[1])), listed


def _bounds(marks: Any) -> tuple[float, ...]:
    told = [inner for mark in marks for inner in (getattr(mark, "metadata", None) or [mark])]
    return tuple(
        float(mark.le) if isinstance(mark, annotated_types.Le) else float(mark.lt)
        for mark in told if isinstance(mark, (annotated_types.Le, annotated_types.Lt))
    )  # fmt: skip


def recipe_with(key: Key) -> dict[str, Any]:
    """A small recipe in which the component of a key stands, and that component's part of it."""
    tree = yaml.safe_load(TOY)
    needed = _needed(key)
    around = needed.pop("encoder", None)
    part = {"use": key.component, **needed}
    phase = tree["curriculum"][0]
    if around or key.component == "tiny_text":
        tree["encoder"] = around or part
    if key.kind in ("source", "encoder", "predictor"):
        tree[key.kind] = part
    elif key.kind == "phase":
        looked_at = {"validation": {"every": 1}} if key.path[0] == "validation" else {}
        tree["curriculum"] = [{"name": "swept", "steps": 1, "batch_size": 4} | looked_at | part]
    elif key.kind == "objective":
        phase["objectives"] = [part]
    elif key.kind in ("optimizer", "schedule"):
        phase[key.kind] = part
    elif key.kind == "evaluator":
        phase["objectives"], tree["evaluators"] = [copy.deepcopy(GROUNDING)], [part]
    elif key.kind == "listener":
        tree["trackers"] = [part]
    if key.kind == "source" and key.component != "oscillators":
        tree["encoder"], tree["windows"] = copy.deepcopy(tree["encoder"]), {"length": 6, "stride": 6, "min_length": 3}
    return tree


def _needed(key: Key) -> dict[str, Any]:
    """What the component of a key needs for the key to count."""
    needed = copy.deepcopy(NEEDED.get((key.kind, key.component), {}))
    if needed.get("methods"):
        sort = key.path[min(key.path[0] == "tasks", len(key.path) - 1)]
        searched = key.path[1] if key.path[0] == "baseline_search" else ""
        needed["tasks"] = [copy.deepcopy(TASK_FOR.get(sort, TASK))]
        needed["baselines"] = BASELINES.get(searched, ["lightgbm"])
    if (key.component, key.path[0]) == ("table", "labels"):
        needed["labels"] = {"life": {"remaining": True}}
    return needed


def _holder(tree: dict[str, Any], key: Key) -> dict[str, Any]:
    """The mapping of the recipe in which the key stands; those above it are made."""
    held: Any = {
        "phase": lambda: tree["curriculum"][0], "objective": lambda: tree["curriculum"][0]["objectives"][0],
        "optimizer": lambda: tree["curriculum"][0]["optimizer"], "schedule": lambda: tree["curriculum"][0]["schedule"],
        "evaluator": lambda: tree["evaluators"][0], "listener": lambda: tree["trackers"][0],
        "part": lambda: tree[key.component],
    }.get(key.kind, lambda: tree[key.kind])()  # fmt: skip
    for step in key.path[:-1]:
        inner = held.setdefault(step, {})
        named = isinstance(inner, dict) and inner and all(isinstance(part, dict) for part in inner.values())
        held = inner[0] if isinstance(inner, list) and inner else next(iter(inner.values())) if named else inner
    return held


def largest_first(key: Key) -> list[float]:
    """Values for a key, the largest first."""
    return [*sorted({*key.bounds, *LADDER}, reverse=True), *(-value for value in sorted(LADDER, reverse=True))]


def least_first(key: Key) -> list[float]:
    """Values for a key, the nearest to 0 first."""
    return [*NEAREST, *sorted(LADDER), *(-value for value in (*NEAREST, *sorted(LADDER)))]


def first_accepted(key: Key, values: Iterable[float], folder: Path) -> float | None:
    """The first of some values that `validate` lets pass, in `swept.yaml`; None where it takes none of them."""
    for value in values:
        tree = recipe_with(key)
        held = _holder(tree, key)
        if not isinstance(held, dict):
            return None
        whole = int(value) if float(value).is_integer() else value
        held[key.path[-1]] = [whole] * key.listed or whole
        (folder / "swept.yaml").write_text(yaml.safe_dump(tree))
        ended = children.run(["validate", "swept.yaml"], folder, before=_limited)
        if faults_of(ended):
            raise Refusal(value, ended)
        if ended.code == 0:
            return value
    return None


class Refusal(Exception):
    """`validate` ended otherwise than it may."""

    def __init__(self, value: float, ended: children.Ended) -> None:
        super().__init__(f"{value:g}")
        self.value, self.ended = value, ended


def sweep_once(scene: Scene, draw: random.Random, number: int) -> Trial:
    """One key at its largest value, or after all keys at its least one above 0: what is valid is planned, and run for a
    moment. number: of the key, in an order that the harness draws."""
    keys = all_keys()
    random.Random(8).shuffle(keys)
    key = keys[number % len(keys)]
    values = (least_first if number // len(keys) % 2 else largest_first)(key)
    folder = scene.folder / f"key-{number}"
    _lay_out(folder, key, scene)
    try:
        value = first_accepted(key, values, folder)
    except Refusal as refused:
        return trial("key", f"{key} = {refused.value:g}", refused.ended, faults_of(refused.ended))
    ended = children.run(["validate" if value is None else "plan", "swept.yaml"], folder, before=_limited)
    faults = faults_of(ended)
    if ended.code == 0 and not faults:
        ended = _carried_out(key, folder)
        faults = [] if ended.code == 75 else faults_of(ended)
        if OUT_OF_MEMORY in ended.words and not _foreseen(folder):
            faults.append(f"nothing bounds what it takes, and a machine may kill it:\n{ended.words[-500:]}")
    return trial("key", f"{key} = {'nothing' if value is None else f'{value:g}'}", ended, faults)


def _lay_out(folder: Path, key: Key, scene: Scene) -> None:
    """A folder with the files that recipes of the key name."""
    folder.mkdir()
    (folder / "table.csv").write_text(csv_of(machines()))
    if key.component == "meds":
        shutil.copytree(scene.meds / "meds", folder / "meds")
    if key.component == "text_backbone":
        shutil.copytree(scene.backbone, folder / "backbone")
    if key.kind == "evaluator":
        shutil.copytree(scene.toy.run.parent, folder / "runs")


def _carried_out(key: Key, folder: Path) -> Ended:
    """How `swept.yaml` ends: a run of it, or an evaluation of one that is there."""
    asked, seconds = ["run", "swept.yaml", "--out", "run"], SECONDS
    if key.kind == "evaluator":
        asked, seconds = ["evaluate", "runs/whole", "--recipe", "swept.yaml"], EVALUATION_SECONDS
    strikes = [Strike(signal.SIGTERM, seconds), Strike(signal.SIGKILL, DEADLINE)]
    return children.run([*asked, "--quiet"], folder, strikes, _limited)


def _foreseen(folder: Path) -> bool:
    """Whether the plan counts a fair part of the memory that ran out."""
    plan = json.loads(children.run(["plan", "swept.yaml", "--json"], folder).words)
    return max([plan["memory_bytes"] or 0, *(part["bytes"] for part in plan["parts"])]) > MEMORY / 4


def _limited() -> None:
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard), hard))
