"""One trial of the harness: what was done, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from children import Ended

CODES = (0, 1, 2, 3, 4, 5)
CANARY = "QXCANARYQX"
CANARIES = (CANARY, "7700000", "2150-03", "2150, 3", "73951")
"""What stands in cells of raw data (a word, identifiers, times, the last digits of every number), and that no output
may hold."""


@dataclass(frozen=True)
class Trial:
    """what: the command or the kind of input. how: what was done to it. code: the exit code. verdict: `exact` of a
    command that was struck, if what went on after it found the same; of an input `refused`, `same` if it was held
    against the whole one, else `taken`; `fault` where there are faults."""

    what: str
    how: str
    code: int
    verdict: str
    seconds: float
    faults: list[str] = field(default_factory=list)


def trial(what: str, how: str, ended: Ended, faults: Iterable[str], well: str = "taken") -> Trial:
    """The trial that a command which ended so stands for. well: the verdict where it ended with 0 and no fault."""
    faults = list(faults)
    verdict = "fault" if faults else "refused" if ended.code else well
    return Trial(what, how, ended.code, verdict, round(ended.seconds, 2), faults)


def faults_of(ended: Ended, canaries: Iterable[str] = CANARIES) -> list[str]:
    """What no input may bring about."""
    faults = ["it hung"] if ended.hung else []
    if "Traceback" in ended.words or ended.code not in CODES:
        faults.append(f"exit code {ended.code}:\n{ended.words[-3000:]}")
    shown = [canary for canary in canaries if canary in ended.words]
    if shown:
        faults.append(f"{shown[0]} of a record is in the output:\n{ended.words[-1000:]}")
    if ended.code and not ended.hung and "error: " not in ended.words:
        faults.append(f"exit code {ended.code} without a message:\n{ended.words[-500:]}")
    return faults
