"""The command `jepa`. stdout is the result; stderr is the log and the progress."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence

from jepa_core.cli.arguments import parse_command_line
from jepa_core.errors import JepaError, PluginError, RunError
from jepa_core.libraries import advice, culprit
from jepa_core.runs.interrupt import Interrupt

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = parse_command_line(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("jepa").setLevel(logging.WARNING if getattr(arguments, "quiet", False) else logging.INFO)
    logging.getLogger("jepa.waiting").setLevel(logging.getLogger("jepa").level)
    logging.getLogger().setLevel(logging.WARNING)
    try:
        with Interrupt().listening():
            return arguments.command(arguments) or 0
    except JepaError as error:
        return _report_error(error, arguments)
    except ImportError as error:
        name = culprit(error, own="")
        if name is None:
            raise
        return _report_error(PluginError(advice(name, error)), arguments)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        return _report_error(RunError(f"{error.filename}: {error.strerror}; give another path"), arguments)


def _report_error(error: JepaError, arguments: argparse.Namespace) -> int:
    problems = getattr(error, "to_list", None)
    if getattr(arguments, "json", False) and problems:
        print(json.dumps({"problems": problems()}, indent=1))
    else:
        print(f"error: {error}", file=sys.stderr)
    folder = getattr(arguments, "run_folder", None)
    if folder is not None and (folder / "manifest.json").is_file() and error.exit_code in (1, 3, 75):
        print(f"go on with: jepa resume {folder}", file=sys.stderr)
    return error.exit_code
