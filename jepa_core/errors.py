"""Errors that are a user's to mend, each with the exit code of the command line.

Every message says what is wrong, where (file, line, row, key) and what to do. A message never carries an identifier, a
text or a time out of a record: row numbers, column names and counts are enough to find the place. Names come from a
file's header, which may be none: so a message gives few of them, cut (`some_of`).
"""

from __future__ import annotations

from collections.abc import Iterable

NAMED = 12
"""Names that a message gives at most."""
SHOWN = 60
"""Signs of a name that a message shows at most."""


def some_of(names: Iterable[object], otherwise: str = "none") -> str:
    """The first names of a file, a store or a run, as a message gives them: each cut, and without what would move a
    terminal's cursor. otherwise: where there is no name."""
    given = [printable(str(name), SHOWN) for name in names]
    more = [f"{len(given) - NAMED:,} more"] if len(given) > NAMED else []
    return " and ".join([", ".join(given[:NAMED]), *more]) or otherwise


def printable(text: str, longest: int | None = None) -> str:
    """The text without what would move a terminal's cursor, cut to `longest` characters."""
    if longest is not None and len(text) > longest:
        text = text[: longest - 3] + "..."
    return "".join(character if character.isprintable() else "\ufffd" for character in text.replace("\t", " "))


class JepaError(Exception):
    """Base of every error that is reported in one message, without a traceback."""

    exit_code = 1
    lasting = False
    """Whether a run that met it would meet it again, however often it is resumed."""


class RunError(JepaError):
    """The run failed after it had started."""

    exit_code = 1


class LastingRunError(RunError):
    """The run failed by its own recipe: only one that says something else goes further."""

    lasting = True


class Busy(RunError):
    """Another process is at work on the same run or store; nothing was done, and the command can be given again."""

    exit_code = 6


class RecipeError(JepaError):
    """The recipe or the command line is wrong; nothing was read or written."""

    exit_code = 2


class DataError(JepaError):
    """The data break their contract."""

    exit_code = 3


class LastingDataError(DataError):
    """The data are not what the run began on, or not what its recipe can be run on."""

    lasting = True


class PluginError(JepaError):
    """A plugin is missing, broken, or clashes with another."""

    exit_code = 4


class UnsafeArtefactError(JepaError):
    """A file could execute code, or is not what it claims to be, and was refused."""

    exit_code = 5


class Preempted(JepaError):
    """A signal asked the run to stop; its last checkpoint is complete and `jepa resume` goes on from it."""

    exit_code = 75
