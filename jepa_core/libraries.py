"""The libraries behind components: imported where one is needed, and named with what mends them where that fails.

They are dependencies of the distribution, and heavy ones: what a recipe does not use is not loaded.
"""

from __future__ import annotations

import importlib.metadata
import logging
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from jepa_core.errors import PluginError

DISTRIBUTION = "jepa-core"
PACKAGES = {"sklearn": "scikit-learn", "umap": "umap-learn", "ruamel": "ruamel.yaml"}
"""What pip calls a library that it does not call as Python does."""


@contextmanager
def library(name: str) -> Iterator[None]:
    """Import the library of that name in the block, and nothing else.

    Raises PluginError with the command that installs it, if it is missing or in any way broken.
    """
    try:
        yield
    except Exception as error:  # a library that is broken may fail in any way
        raise PluginError(advice(name, error)) from error


def advice(name: str, error: Exception) -> str:
    """What is wrong with a library, by what importing it raised, and the command that mends it."""
    if isinstance(error, ModuleNotFoundError):
        missing = (error.name or name).partition(".")[0]
        requirement, extra = _asked_for(missing)
        wanted = f"{DISTRIBUTION}[{extra}]" if extra else requirement
        return f"the library {missing} is not installed; install it with: pip install '{wanted}'"
    return (
        f"the library {name} is broken ({type(error).__name__}: {error}); "
        f"install it again with: pip install --force-reinstall '{_asked_for(name)[0]}'"
    )


def culprit(error: Exception, own: str) -> str | None:
    """The library that could not be imported, if that is what an error is about. own: the package that wanted it, whose
    own errors are its author's to mend."""
    if isinstance(error, ImportError) and error.name:
        names = [error.name]
    else:
        frames = traceback.walk_tb(error.__traceback__)
        names = [frame.f_globals.get("__name__", "") for frame, _ in frames if frame.f_code.co_name == "<module>"]
    tops = [name.partition(".")[0] for name in names]
    return next((top for top in tops if top not in ("jepa_core", "__main__", own)), None)


@contextmanager
def errors_alone(logger: str) -> Iterator[None]:
    """Without the warnings that a library logs in the block, where they are of its own parts and nothing to act on."""
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _asked_for(name: str) -> tuple[str, str]:
    """What the distribution asks pip for, with its versions, and the extra that does; the latter is empty if it always
    does."""
    package = PACKAGES.get(name, name)
    for line in importlib.metadata.requires(DISTRIBUTION) or ():
        asked, _, marker = line.partition(";")
        extra = re.search(r"extra == ['\"](\w+)['\"]", marker)
        if re.split(r"[<>=!~\[ ]", asked.strip())[0] == package and (extra is None or extra[1] != "dev"):
            return asked.strip(), extra[1] if extra else ""
    return package, ""
