"""Commands struck at random: what goes on after each ends in exactly the same findings, and no stop is lost."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

import children
from children import Ended, Strike
from scene import Scene, findings_of

LOST_SECONDS = 10.0
"""A command that ends well and that much later than it was asked to stop has lost the signal."""
STOPS = ("KILL", "TERM", "INT twice", "STOP and CONT")
COMMANDS = ("run", "resume", "prepare", "evaluate", "report", "export", "imagine")


def strikes_of(how: str, at: float) -> list[Strike]:
    """The signals of a way to be struck."""
    if how == "INT twice":
        return [Strike(signal.SIGINT, at), Strike(signal.SIGINT, at + 0.05)]
    if how == "STOP and CONT":
        return [Strike(signal.SIGSTOP, at), Strike(signal.SIGCONT, at + 0.2)]
    return [Strike(signal.SIGKILL if how == "KILL" else signal.SIGTERM, at)]


def kill_once(scene: Scene, draw: random.Random, number: int) -> tuple[str, list[str]]:
    """Strike one command, go on, and compare: a line for the log, and the faults."""
    command, how = draw.choice(COMMANDS), draw.choice(STOPS)
    folder = scene.folder / f"kill-{number}"
    run = folder / "runs" / "one"
    shutil.copytree(scene.whole.parent, folder / "runs")
    for name in ("toy.yaml", "push.yaml", "new.json"):
        shutil.copyfile(scene.folder / name, folder / name)
    (folder / "runs" / "whole").rename(run)
    if command in ("run", "resume"):
        shutil.rmtree(run)
    if command == "prepare":
        shutil.rmtree(folder / "runs" / "stores")
    if command == "resume":
        children.run(_arguments("run", ""), folder, strikes_of("KILL", draw.uniform(0, scene.seconds)))
        command = "resume" if (run / "manifest.json").is_file() else "run"
    struck = children.run(_arguments(command, "1"), folder, strikes_of(how, draw.uniform(0, scene.seconds)))
    faults = _faults(struck, how)
    faults += _go_on(command, run, folder, scene)
    shutil.rmtree(folder)
    lived = "it had ended" if struck.lived is None else f"{struck.lived:.2f} s later"
    return f"{command}: {how}: exit code {struck.code}, {lived}", faults


def _arguments(command: str, number: str) -> list[str]:
    return {
        "run": ["run", "toy.yaml", "--out", "runs/one", "--quiet"],
        "resume": ["resume", "runs/one", "--quiet"],
        "prepare": ["prepare", "toy.yaml", "--workers", "1", "--quiet"],
        "evaluate": ["evaluate", "runs/one", "--quiet"],
        "report": ["report", "runs/one"],
        "export": ["export", "runs/one", "--to", f"export-{number}"],
        "imagine": ["imagine", "runs/one", "--data", "new.json", "--actions", "push.yaml", "--at", "6"],
    }[command]


def _faults(struck: Ended, how: str) -> list[str]:
    faults = ["it hung"] if struck.hung else []
    if "Traceback" in struck.words:
        faults.append(f"it ended in a traceback:\n{struck.words}")
    allowed = {"KILL": (0, -9), "STOP and CONT": (0,)}.get(how, (0, 75, -int(signal.SIGTERM), -int(signal.SIGINT)))
    if struck.code not in allowed:
        faults.append(f"exit code {struck.code}:\n{struck.words}")
    if how in ("TERM", "INT twice") and struck.code == 0 and struck.lived and struck.lived > LOST_SECONDS:
        faults.append("the signal was lost")
    return faults


def _go_on(command: str, run: Path, folder: Path, scene: Scene) -> list[str]:
    """Give the command again, or resume, and compare."""
    again = command
    if command in ("run", "resume"):
        again = "resume" if (run / "manifest.json").is_file() else "run"
        if again == "run":
            shutil.rmtree(run, ignore_errors=True)  # it was killed before the folder was whole
    done = children.run(_arguments(again, "2"), folder)
    faults = [] if done.code == 0 else [f"{again} afterwards: exit code {done.code}:\n{done.words}"]
    if findings_of(run) != scene.findings:
        faults.append("the findings are not those of the run that nothing struck")
    return faults
