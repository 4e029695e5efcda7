"""Inputs changed at random. Each ends as the whole one does, with the right values, or in one message."""

from __future__ import annotations

import csv
import io
import math
import random
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import children
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from changes import changed, odd_settings, odd_table, spoil, write_in_a_form
from children import Ended, Strike
from scene import PREDICT, RECIPE, STUDY, TRACKED, Scene, csv_of, findings_of, machines
from trial import Trial, faults_of, trial

RUN_SECONDS = 60.0
"""After which a run of an odd recipe is asked to stop; it may be a long one."""
PREPARE = ("--workers", "1", "--quiet")


def recipe(scene: Scene, draw: random.Random, folder: Path) -> Trial:
    """What passes `validate` passes `plan`, and runs."""
    content, how = odd_settings(RECIPE, draw)
    (folder / "toy.yaml").write_bytes(content)
    ended = children.run(["validate", "toy.yaml"], folder)
    faults = faults_of(ended)
    if ended.code == 0:
        for asked in (["plan", "toy.yaml"], ["run", "toy.yaml", "--out", "runs/one", "--quiet"]):
            ended = children.run(asked, folder, _stop_after(RUN_SECONDS))
            faults += [] if ended.code == 75 else faults_of(ended)
    return trial("recipe", how, ended, faults)


def _stop_after(seconds: float) -> list[Strike]:
    return [Strike(signal.SIGTERM, seconds), Strike(signal.SIGTERM, seconds + 1)]


def study(scene: Scene, draw: random.Random, folder: Path) -> Trial:
    """A study's recipe is told as a recipe is."""
    content, how = odd_settings(STUDY, draw)
    (folder / "toy.yaml").write_text(RECIPE)
    (folder / "study.yaml").write_bytes(content)
    ended = children.run([draw.choice(["validate", "plan"]), "study.yaml"], folder)
    return trial("study recipe", how, ended, faults_of(ended))


def tracker(scene: Scene, draw: random.Random, folder: Path) -> Trial:
    """Whatever a recipe says of trackers, a run that ends well finds the same."""
    holder = TRACKED[len(RECIPE) :]
    content, how = odd_settings(holder, draw)
    (folder / "toy.yaml").write_bytes(RECIPE.encode() + content)
    ended = children.run(["run", "toy.yaml", "--out", "runs/one", "--quiet"], folder, _stop_after(RUN_SECONDS))
    faults = [] if ended.code == 75 else faults_of(ended)
    if ended.code == 0 and findings_of(folder / "runs" / "one") != scene.toy.findings:
        faults.append("a tracker changed what a run finds")
    return trial("trackers", how, ended, faults, "same")


def table(scene: Scene, draw: random.Random, folder: Path) -> Trial:
    """A table, of which a store holds what a plain reader finds in it; or it is refused."""
    for name in ("toy.yaml", "sensors.yaml"):
        shutil.copyfile(scene.sensors.run.parents[1] / name, folder / name)
    rows, path = csv_of(machines()).encode(), folder / "table.csv"
    if draw.random() < 0.5:
        how = "csv, bytes"
        path.write_bytes(changed(rows, draw))
    else:
        whole = pa.csv.read_csv(io.BytesIO(rows))
        odd, how = odd_table(whole, draw)
        path = folder / "table.parquet"
        how = f"parquet, {how}, {write_in_a_form(odd, path, draw)}"
    asked = draw.choice([["inspect", path.name], ["prepare", "sensors.yaml", f"source.files={path.name}", *PREPARE]])
    ended = children.run(asked, folder)
    shown = asked[0] == "inspect" and ended.code == 0  # it is asked to show what is in the file
    faults = faults_of(replace(ended, words="") if shown else ended)
    if asked[0] == "prepare" and ended.code == 0 and path.suffix == ".csv":
        faults += _other_sums(path.read_bytes(), folder)
    return trial(f"table, {asked[0]}", how, ended, faults)


def _other_sums(content: bytes, folder: Path) -> list[str]:
    """What of the sums of columns in a store is not what a plain reader of CSV adds up."""
    from jepa_core.data.store import Store

    rows = list(csv.DictReader(io.StringIO(content.decode(errors="replace"))))
    (path,) = (folder / "runs" / "stores").glob("table-????????????")
    opened = Store(path)
    faults = []
    for name in ("position", "speed"):
        numbers = [_number(row.get(name)) for row in rows]
        place = [channel.name for channel in opened.channels].index(name)
        events = [block.state for block in opened.blocks(1000)]
        summed = sum(float(part.value[part.channel == place].astype(float).sum()) for part in events)
        plain = math.fsum(number for number in numbers if number is not None)
        if not math.isclose(summed, plain, rel_tol=1e-4):
            faults.append(f"{name} adds up to {summed} in the store and to {plain} in the file")
    return faults


def _number(cell: str | None) -> float | None:
    try:
        number = float(cell or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def meds(scene: Scene, draw: random.Random, folder: Path) -> Trial:
    """A MEDS folder with a file or a column changed; another form of the same rows is the same."""
    shutil.copytree(scene.meds / "meds", folder / "meds")
    shutil.copyfile(scene.meds / "meds.yaml", folder / "meds.yaml")
    path = draw.choice(sorted(path for path in (folder / "meds").rglob("*") if path.is_file()))
    if path.suffix == ".parquet" and draw.random() < 0.7:
        odd, how = odd_table(pq.read_table(path), draw)
        how = f"{how}, {write_in_a_form(odd, path, draw)}"
    else:
        how = spoil(path, draw)
    ended = children.run(["prepare", "meds.yaml", *PREPARE], folder)
    return trial("MEDS", f"{path.name}: {how}", ended, faults_of(ended))


def mimic(scene: Scene, draw: random.Random, folder: Path) -> Trial:
    """MIMIC-IV tables with a file, a cell or a column changed."""
    shutil.copytree(scene.mimic / "mimic", folder / "mimic")
    shutil.copyfile(scene.mimic / "mimic.yaml", folder / "mimic.yaml")
    path = draw.choice(sorted((folder / "mimic").rglob("*.csv.gz")))
    if draw.random() < 0.7:
        odd, how = odd_table(pa.csv.read_csv(path), draw)
        path.unlink()
        path = path.with_name(path.name.removesuffix(".csv.gz") + ".parquet")
        how = f"{how}, {write_in_a_form(odd, path, draw)}"
    else:
        how = spoil(path, draw)
    ended = children.run(["prepare", "mimic.yaml", *PREPARE], folder)
    return trial("MIMIC-IV", f"{path.name}: {how}", ended, faults_of(ended))


def store(scene: Scene, draw: random.Random, folder: Path) -> Trial:
    """Whatever is changed in a store or a rendering is found before anything is read."""
    shutil.copytree(scene.toy.run.parent, folder / "runs")
    stored = (path for path in sorted((folder / "runs" / "stores").rglob("*")) if path.is_file())
    path = draw.choice([path for path in stored if path.suffix != ".lock"])
    how = spoil(path, draw)
    asked = draw.choice([["evaluate", "runs/whole", "--quiet"], ["inspect", "runs/whole"], ["audit", "runs/whole"],
                         ["inspect", "runs/whole", "--verify"]])  # fmt: skip
    ended = children.run(asked, folder)
    faults = _of_a_report(ended) if asked[0] in ("audit", "inspect") else faults_of(ended)
    faults += _in_silence(asked, ended, folder, scene)
    if ended.code == 0 and "--verify" in asked and how in ("bytes", "empty", "gone"):
        faults.append(f"{path.name}: {how}, in silence")
    return trial(f"store, {' '.join(asked)}", f"{path.name}: {how}", ended, faults, "same")


def _of_a_report(ended: Ended) -> list[str]:
    """Faults of a command that reports damage on stdout, and ends with 1 or 3 without an error."""
    reported = replace(ended, words=ended.words + "error: ") if ended.code in (1, 3) else ended
    return faults_of(reported)


def _in_silence(asked: list[str], ended: Ended, folder: Path, scene: Scene) -> list[str]:
    """Other findings, or other words of a command that only reads, with exit code 0."""
    if ended.code:
        return []
    if asked[0] == "evaluate" and findings_of(folder / "runs" / "whole") != scene.toy.findings:
        return ["other values, in silence"]
    if asked[0] in ("audit", "inspect", "compare") and ended.words != scene.said(asked):
        return [f"other words, in silence:\n{ended.words[:1000]}"]
    return []


def finished_run(scene: Scene, draw: random.Random, folder: Path) -> Trial:
    """What is changed in a run ends in a message, or changes nothing that is found."""
    shutil.copytree(scene.toy.run.parent, folder / "runs")
    run = folder / "runs" / "whole"
    path = draw.choice([path for path in sorted(run.rglob("*")) if path.is_file() and path.name != ".lock"])
    how = spoil(path, draw)
    asked = draw.choice([
        ["evaluate", "runs/whole", "--quiet"], ["report", "runs/whole"], ["resume", "runs/whole"], ["runs"],
        ["inspect", "runs/whole", "--verify"], ["audit", "runs/whole"], ["compare", "runs/whole", "runs/whole"],
    ])  # fmt: skip
    ended = children.run(asked, folder)
    faults = _of_a_report(ended) if asked[0] in ("audit", "inspect") else faults_of(ended)
    faults += _in_silence(asked, ended, folder, scene)
    return trial(f"run, {asked[0]}", f"{path.relative_to(run)}: {how}", ended, faults, "same")


def predicted(scene: Scene, draw: random.Random, folder: Path) -> Trial:
    """A changed model or head scores as the whole one does, or is refused; changed data print no value."""
    shutil.copytree(scene.sensors.run, folder / "runs" / "whole")
    shutil.copyfile(scene.sensors.run.parents[1] / "table.csv", folder / "table.csv")
    data = draw.random() < 0.5
    kept = [path for path in sorted((folder / "runs" / "whole").rglob("*")) if path.is_file()]
    path = folder / "table.csv" if data else draw.choice(kept)
    how = spoil(path, draw)
    ended = children.run([*PREDICT, "--quiet"], folder)
    faults = faults_of(ended)
    if not data and ended.code == 0 and ended.words != scene.scores:
        faults.append("other scores, in silence")
    return trial("predict", f"{path.name}: {how}", ended, faults, "taken" if data else "same")


def exported(scene: Scene, draw: random.Random, folder: Path) -> Trial:
    """An export with a file changed reads and imagines as the whole one does, or is refused."""
    shutil.copytree(scene.export / "model", folder / "model")
    for name in ("push.yaml", "new.json"):
        shutil.copyfile(scene.folder / name, folder / name)
    path = draw.choice(sorted(path for path in (folder / "model").rglob("*") if path.is_file()))
    how = spoil(path, draw)
    ended = children.run(["imagine", "model", "--data", "new.json", "--actions", "push.yaml", "--at", "6"], folder)
    faults = faults_of(ended)
    if ended.code == 0 and ended.words != scene.imagined:
        faults.append("other futures, in silence")
    return trial("export", f"{path.name}: {how}", ended, faults, "same")


KINDS: list[Callable[[Scene, random.Random, Path], Trial]] = [
    recipe, store, finished_run, study, tracker, exported, table, predicted, meds, mimic,
]  # fmt: skip


def change_once(scene: Scene, draw: random.Random, number: int) -> Trial:
    """Change one input and use it."""
    folder = scene.folder / f"input-{number}"
    folder.mkdir()
    told = KINDS[number % len(KINDS)](scene, draw, folder)
    shutil.rmtree(folder)
    return told
