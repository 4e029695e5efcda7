"""Standard output and error that take no more, or were closed before, and limits of the process."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from commands import command, environment
from jepa_core.cli.streams import error_of
from jepa_core.errors import RunError
from jepa_core.io.files import disk_errors

FULL = Path("/dev/full")
needs_full_device = pytest.mark.skipif(not FULL.exists(), reason="this system has no full device")


def told(shell: str) -> subprocess.CompletedProcess[str]:
    """What a shell says of `jepa ls phases`, with its output as the line has it."""
    line = f"{' '.join(command('ls', 'phases'))} {shell}"
    return subprocess.run(["sh", "-c", line], env=environment(), capture_output=True, text=True)


@needs_full_device
def test_a_full_device_behind_standard_output_is_one_message() -> None:
    done = told("> /dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no space is left") and done.stderr.count("\n") == 1


@needs_full_device
def test_an_error_that_nobody_can_read_keeps_its_exit_code() -> None:
    assert told("base=1 2> /dev/full").returncode == 2


def test_a_reader_that_has_gone_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command("ls", "phases"), env=environment(), stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_closed_streams_disturb_nothing() -> None:
    done = told(">&- 2>&- <&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_file_that_may_not_grow_is_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="ulimit -f"), disk_errors(tmp_path):
        raise OSError(errno.EFBIG, "File too large")
    assert "ulimit -n" in str(error_of(OSError(errno.EMFILE, "Too many open files")))
    assert "there: gone; give another path" in str(error_of(OSError(errno.ENOENT, "gone", "there")))
    assert error_of(OSError("of a library")) is None
