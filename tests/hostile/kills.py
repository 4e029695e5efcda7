"""Commands struck at random: what goes on after each ends in exactly the same findings, and no stop is lost."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

import children
from children import Ended, Strike
from scene import PREDICT, Finished, Scene, findings_of, study_findings
from trial import Trial

LOST_SECONDS = 10.0
"""A command that ends well, and took that much processor time after it was asked to stop, has lost the signal."""
STOPS = ("KILL", "TERM", "INT twice", "STOP and CONT")
COMMANDS = (
    "run", "resume", "prepare", "evaluate", "report", "export", "imagine", "predict", "verify", "audit",
    "study", "study's worker",
)  # fmt: skip


def strikes_of(how: str, at: float, worker: bool = False) -> list[Strike]:
    """The signals of a way to be struck."""
    if how == "INT twice":
        return [Strike(signal.SIGINT, at, worker), Strike(signal.SIGINT, at + 0.05, worker)]
    if how == "STOP and CONT":
        return [Strike(signal.SIGSTOP, at, worker), Strike(signal.SIGCONT, at + 0.2, worker)]
    return [Strike(signal.SIGKILL if how == "KILL" else signal.SIGTERM, at, worker)]


def kill_once(scene: Scene, draw: random.Random, number: int) -> Trial:
    """Strike one command, go on, and compare."""
    command, how = COMMANDS[number % len(COMMANDS)], draw.choice(STOPS)
    folder = scene.folder / f"kill-{number}"
    if command.startswith("study"):
        folder.mkdir()
        told = _study(scene, draw, folder, how, "worker" in command)
    else:
        told = _command(scene, draw, folder, command, how)
    shutil.rmtree(folder)
    return told


def _command(scene: Scene, draw: random.Random, folder: Path, command: str, how: str) -> Trial:
    finished = scene.sensors if command == "predict" else scene.toy
    run = folder / "runs" / "whole"
    shutil.copytree(finished.run.parent, folder / "runs")
    for name in ("toy.yaml", "push.yaml", "new.json", "table.csv"):
        if (origin := finished.run.parents[1] / name).is_file():
            shutil.copyfile(origin, folder / name)
    if command in ("run", "resume"):
        shutil.rmtree(run)
    if command == "prepare":
        shutil.rmtree(folder / "runs" / "stores")
    if command == "resume":
        children.run(_arguments("run", ""), folder, strikes_of("KILL", draw.uniform(0, finished.seconds)))
        command = "resume" if (run / "manifest.json").is_file() else "run"
    at = draw.uniform(0, finished.seconds)
    struck = children.run(_arguments(command, "1"), folder, strikes_of(how, at))
    faults = _faults(struck, how) + _go_on(command, folder, finished, scene)
    return _told(command, how, at, struck, faults)


def _told(command: str, how: str, at: float, struck: Ended, faults: list[str]) -> Trial:
    lived = "it had ended" if struck.lived is None else f"it lived {struck.lived:.2f} s"
    verdict = "fault" if faults else "exact"
    return Trial(command, f"{how} after {at:.2f} s, {lived}", struck.code, verdict, round(struck.seconds, 2), faults)


def _arguments(command: str, number: str) -> list[str]:
    return {
        "run": ["run", "toy.yaml", "--out", "runs/whole", "--quiet"],
        "resume": ["resume", "runs/whole", "--quiet"],
        "prepare": ["prepare", "toy.yaml", "--workers", "1", "--quiet"],
        "evaluate": ["evaluate", "runs/whole", "--quiet"],
        "report": ["report", "runs/whole"],
        "export": ["export", "runs/whole", "--to", f"export-{number}"],
        "imagine": ["imagine", "runs/whole", "--data", "new.json", "--actions", "push.yaml", "--at", "6"],
        "predict": [*PREDICT, "--quiet"],
        "verify": ["inspect", "runs/whole", "--verify"],
        "audit": ["audit", "runs/whole"],
    }[command]


ENDS = {"KILL": (0, -9), "STOP and CONT": (0,)}
STOPPED = (0, 75, -int(signal.SIGTERM), -int(signal.SIGINT))
"""Exit codes of a command that was struck so, or otherwise."""


def _faults(struck: Ended, how: str) -> list[str]:
    faults = _bad_end(struck, ENDS.get(how, STOPPED))
    if how in ("TERM", "INT twice") and struck.code == 0 and struck.lived and struck.lived > LOST_SECONDS:
        faults.append("the signal was lost")
    return faults


def _bad_end(struck: Ended, allowed: tuple[int, ...]) -> list[str]:
    faults = ["it hung"] if struck.hung else []
    if "Traceback" in struck.words:
        faults.append(f"it ended in a traceback:\n{struck.words}")
    if struck.code not in allowed:
        faults.append(f"exit code {struck.code}:\n{struck.words}")
    return faults


def _go_on(command: str, folder: Path, finished: Finished, scene: Scene) -> list[str]:
    """Give the command again, or resume, and compare: findings, and what the command itself says or writes."""
    again, run = command, folder / "runs" / "whole"
    if command in ("run", "resume"):
        again = "resume" if (run / "manifest.json").is_file() else "run"
        if again == "run":
            shutil.rmtree(run, ignore_errors=True)  # it was killed before the folder was whole
    done = children.run(_arguments(again, "2"), folder)
    faults = [] if done.code == 0 else [f"{again} afterwards: exit code {done.code}:\n{done.words}"]
    if findings_of(run) != finished.findings:
        faults.append("the findings are not those of the run that nothing struck")
    said = {"imagine": lambda: scene.imagined, "predict": lambda: scene.scores}.get(command)
    if said is not None and done.words != said():
        faults.append("it says other than where nothing struck")
    if command == "export" and _files(folder / "export-2" / "model") != _files(scene.export / "model"):
        faults.append("the model that it gives away is another")
    return faults


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _study(scene: Scene, draw: random.Random, folder: Path, how: str, worker: bool) -> Trial:
    """Strike a study's parent alone, or what is at work for it alone; give the command again until all is done."""
    whole = scene.study
    for name in ("toy.yaml", "study.yaml"):
        shutil.copyfile(scene.folder / name, folder / name)
    asked = ["study", "study.yaml", "--out", "study", "--jobs", "1"]
    at = draw.uniform(0, 30 if worker else 60)
    struck = children.run(asked, folder, strikes_of(how, at, worker))
    # the study of a worker that was struck goes on with the others; if none of the reference is done, it ends with 1
    faults = _bad_end(struck, (0, 1, 75)) if worker else _faults(struck, how)
    done = children.run(asked, folder)
    if done.code != 0:
        faults.append(f"study afterwards: exit code {done.code}:\n{done.words}")
    if study_findings(folder / "study") != whole:
        faults.append("the findings are not those of the study that nothing struck")
    return _told("study's worker" if worker else "study", how, at, struck, faults)
