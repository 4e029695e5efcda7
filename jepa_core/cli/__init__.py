"""The command `jepa`. stdout is the result; stderr is the log and the progress."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path

from jepa_core.cli.arguments import parse_command_line
from jepa_core.cli.streams import drop_output, error_of, flush_output, stand_in_for_closed
from jepa_core.errors import DataError, JepaError, PluginError, Preempted, RunError
from jepa_core.io.terminal import Lines
from jepa_core.libraries import advice, culprit
from jepa_core.runs.interrupt import Interrupt
from jepa_core.runs.process import seldom_collected

__all__ = ["main"]

MEMORY = (
    "the memory of this machine does not suffice for what was asked; give fewer or shorter trajectories, smaller "
    "sizes, or a machine with more"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    stand_in_for_closed()
    try:
        with seldom_collected():
            return _run(parse_command_line(argv))
    finally:
        drop_output()


def _run(arguments: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=Lines())
    logging.getLogger("jepa").setLevel(logging.WARNING if getattr(arguments, "quiet", False) else logging.INFO)
    logging.getLogger().setLevel(logging.WARNING)
    try:
        with Interrupt().listening():
            code = arguments.command(arguments) or 0
            flush_output()
            return code
    except JepaError as error:
        return _report_error(error, arguments)
    except ImportError as error:
        name = culprit(error, own="")
        if name is None:
            raise
        return _report_error(PluginError(advice(name, error)), arguments)
    except MemoryError:
        return _report_error(RunError(MEMORY), arguments)
    except BrokenPipeError:  # who reads has seen enough
        return 0
    except OSError as error:
        told = error_of(error)
        if told is None:
            raise
        return _report_error(told, arguments)


def _report_error(error: JepaError, arguments: argparse.Namespace) -> int:
    problems = getattr(error, "to_list", None)
    if getattr(arguments, "json", False) and problems:
        print(json.dumps({"problems": problems()}, indent=1))
    else:
        print(f"error: {error}", file=Lines())
    folder = getattr(arguments, "run_folder", None)
    if folder is not None and (folder / "manifest.json").is_file():
        for line in _ways_on(error, folder):
            print(line, file=Lines())
    return error.exit_code


def _ways_on(error: JepaError, folder: Path) -> list[str]:
    """What can be done with a run that was stopped by an error, as lines; none where its message says it all."""
    resume, anew = f"jepa resume {folder}", f"jepa run {folder / 'recipe.resolved.yaml'} KEY=VALUE"
    if error.exit_code == Preempted.exit_code:
        return [f"go on with: {resume}"]
    if error.exit_code not in (RunError.exit_code, DataError.exit_code):
        return []
    if error.lasting:
        return [f"resuming it would end there again; begin anew with other settings: {anew}"]
    return [f"once that is mended, go on with: {resume}", f"or begin anew with other settings: {anew}"]
