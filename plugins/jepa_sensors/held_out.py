"""Files that their names say are held out: beside each `test` lies what it goes with, as `train` or without a word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_WORD = re.compile(r"(?<![a-z0-9])(te|test(ing)?|train(ing)?)(?![a-z0-9])", re.I)
_TEST = re.compile(r"(?<![a-z0-9])(te|test(ing)?)(?![a-z0-9])", re.I)
_SIGNS = re.compile(r"^[_. -]+|[_. -]+$|(?<=[_. -])[_. -]+")


def tested(tables: Sequence[Path]) -> list[Path]:
    """Those of some files whose name, or whose folder's where they lie in several, calls them a test, if each has its
    like among the others; none if one has not."""
    folders = len({path.parent for path in tables}) > 1
    tests = [path for path in tables if _TEST.search(path.stem) or folders and _TEST.search(path.parent.name)]
    others = {_like(path) for path in tables if path not in tests}
    return tests if tests and all(_like(path) in others for path in tests) else []


def _like(path: Path) -> tuple[Path, str, str]:
    """What a file and its folder are called without such a word."""
    folder, stem = (_SIGNS.sub("", _WORD.sub("", name)) for name in (path.parent.name, path.stem))
    return path.parent.parent, folder, stem
