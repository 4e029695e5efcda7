"""Inputs changed at random: recipes, tables, stores, runs. Each ends as the whole one does, or in one message."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import children
from children import Ended
from scene import CANARY, RECIPE, Scene, findings_of

CODES = (0, 1, 2, 3, 4, 5)
TABLE = "machine,second,position,speed,push,note\n" + "".join(
    f"m{row // 12},{row % 12},{row * 37 % 11 / 10},{row * 53 % 7 / 10},{row % 3},{CANARY if row % 5 else ''}\n"
    for row in range(120)
)
SENSORS = """\
extends: five_phases
source: {use: table, files: table.csv, id: machine, time: second, states: [position, speed], actions: push}
encoder: {use: mlp, width: 8, feedforward: 8, layers: 1, latent_size: 8}
"""


def changed(content: bytes, draw: random.Random) -> bytes:
    """Content with a bit, a byte, a piece or an end changed."""
    at = draw.randrange(len(content)) if content else 0
    kind = draw.randrange(5)
    if kind == 0 and content:
        return content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :]
    if kind == 1:
        return content[:at]
    if kind == 2:
        return content[:at] + content[at + draw.randrange(1, 40) :]
    if kind == 3:
        return content[:at] + draw.choice([b"-1", b"1e999", b"null", b"[[", b"9" * 40, b"\x00", b"\xff"]) + content[at:]
    start = draw.randrange(len(content)) if content else 0
    return content[:at] + content[start : start + 60] + content[at:]


def faults_of(ended: Ended) -> list[str]:
    """What no input may bring about."""
    faults = ["it hung"] if ended.hung else []
    if "Traceback" in ended.words or ended.code not in CODES:
        faults.append(f"exit code {ended.code}:\n{ended.words[-3000:]}")
    if CANARY in ended.words:
        faults.append("a word of a record is in the output")
    if ended.code and not ended.hung and "error: " not in ended.words:
        faults.append(f"exit code {ended.code} without a message:\n{ended.words[-500:]}")
    return faults


def recipe(scene: Scene, draw: random.Random, folder: Path) -> tuple[str, list[str]]:
    (folder / "toy.yaml").write_bytes(changed(RECIPE.encode(), draw))
    return "recipe", faults_of(children.run(["validate", "toy.yaml"], folder))


def table(scene: Scene, draw: random.Random, folder: Path) -> tuple[str, list[str]]:
    (folder / "table.csv").write_bytes(changed(TABLE.encode(), draw))
    (folder / "sensors.yaml").write_text(SENSORS)
    asked = draw.choice([["inspect", "table.csv"], ["prepare", "sensors.yaml", "--workers", "1", "--quiet"]])
    ended = children.run(asked, folder)
    told = ended.words if asked[0] == "prepare" or ended.code else ended.words.replace(CANARY, "")
    return f"table, {asked[0]}", faults_of(Ended(ended.code, told, ended.seconds, None, ended.hung))


def store(scene: Scene, draw: random.Random, folder: Path) -> tuple[str, list[str]]:
    """Whatever is changed in a store or a rendering is found before anything is read."""
    shutil.copytree(scene.whole.parent, folder / "runs")
    path = draw.choice([path for path in sorted((folder / "runs" / "stores").rglob("*")) if path.is_file()])
    before = path.read_bytes()
    path.write_bytes(changed(before, draw))
    same, lock = path.read_bytes() == before, path.name.endswith(".lock")
    ended = children.run(["evaluate", "runs/whole", "--quiet"], folder)
    faults = faults_of(ended)
    if ended.code == 0 and not same and not lock and findings_of(folder / "runs" / "whole") != scene.findings:
        faults.append(f"{path.name}: other values, in silence")
    return f"store, {path.name}", faults


def finished_run(scene: Scene, draw: random.Random, folder: Path) -> tuple[str, list[str]]:
    """What is changed in a run ends in a message, or changes nothing that is found."""
    shutil.copytree(scene.whole.parent, folder / "runs")
    run = folder / "runs" / "whole"
    path = draw.choice([path for path in sorted(run.rglob("*")) if path.is_file() and path.name != ".lock"])
    path.write_bytes(changed(path.read_bytes(), draw))
    asked = draw.choice([["evaluate", "runs/whole", "--quiet"], ["report", "runs/whole"], ["resume", "runs/whole"]])
    ended = children.run(asked, folder)
    faults = faults_of(ended)
    evaluated = asked[0] == "evaluate" and ended.code == 0
    if evaluated and findings_of(run) != scene.findings:
        faults.append(f"{path.name}: other values, in silence")
    return f"run, {path.relative_to(run)}, {asked[0]}", faults


KINDS: list[Callable[[Scene, random.Random, Path], tuple[str, list[str]]]] = [recipe, table, store, finished_run]


def change_once(scene: Scene, draw: random.Random, number: int) -> tuple[str, list[str]]:
    """Change one input and use it: a line for the log, and the faults."""
    folder = scene.folder / f"input-{number}"
    folder.mkdir()
    told = KINDS[number % len(KINDS)](scene, draw, folder)
    shutil.rmtree(folder)
    return told
