"""A small part of the harness that tries to break the command: the same kills, the same changed inputs each time."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

from commands import environment

HARNESS = Path(__file__).parent / "hostile"


def test_struck_commands_and_changed_inputs_do_no_silent_damage(tmp_path: Path) -> None:
    log = tmp_path / "hostile.jsonl"
    counts = ["--kills", "2", "--inputs", "5", "--keys", "4"]
    asked = [sys.executable, str(HARNESS), *counts, "--seed", "0", "--log", str(log)]
    done = subprocess.run(asked, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"kills": 2, "inputs": 5, "keys": 4, "faults": 0}
    assert len(log.read_text().splitlines()) == 11


def test_a_fault_is_counted(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(HARNESS))
    from changes import changed
    from children import Ended
    from trial import CANARY, faults_of

    assert faults_of(Ended(0, "all is well", 1.0, None, False)) == []
    assert len(faults_of(Ended(1, f"error: row 3 holds {CANARY}", 1.0, None, False))) == 1
    assert faults_of(Ended(1, "Traceback\nerror: ", 1.0, None, False)) and faults_of(Ended(-9, "", 1.0, None, True))
    draws = [changed(b"a longer text of some bytes", random.Random(seed)) for seed in range(20)]
    assert len(set(draws)) > 10
