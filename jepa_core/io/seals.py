"""What the files of a folder were when it was finished, so that damage is found before anything is read.

A flipped bit, a missing or cut file, one of another copy: any of these would otherwise be read as other values.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from jepa_core.errors import DataError
from jepa_core.io.files import digest_of_file, real_path

_whole: set[tuple[str, ...]] = set()
"""Folders that this process has found to be whole, with sizes and times of their files: each is read once."""


def seal_of(folder: Path, without: str) -> dict[str, str]:
    """Size and SHA-256 of every file in a folder and below, by its path in it, but for the one file `without`, which
    will hold the seal."""
    return {name: _seal(path) for name, path in _files(folder, without).items()}


def check_seal(folder: Path, without: str, sealed: Mapping[str, str], advice: str) -> None:
    """Refuse a folder that is not as it was sealed.

    Sizes are compared at every call, contents once in a process as long as no file changes.
    Raises DataError naming the file, with `advice`: what to do about it.
    """
    stats = check_sizes(folder, without, sealed, advice)
    known = (str(real_path(folder)), *(f"{name} {stat.st_mtime_ns} {sealed[name]}" for name, stat in stats.items()))
    if known in _whole:
        return
    for name in sorted(stats):
        if digest_of_file(folder / name) != sealed[name].split()[1]:
            raise DataError(f"{folder / name} is damaged: it is not as it was written; {advice}")
    _whole.add(known)


def check_sizes(folder: Path, without: str, sealed: Mapping[str, str], advice: str) -> dict[str, os.stat_result]:
    """Refuse a folder that lacks a file, has one too many, or one of another size than it was sealed with. Nothing is
    read of their contents.

    Returns what the system says of each file. Raises DataError naming the file, with `advice`: what to do about it.
    """
    present = _files(folder, without)
    for problem in _missing_or_strange(folder, sealed, present):
        raise DataError(f"{problem}; {advice}")
    stats = {name: path.stat() for name, path in present.items()}
    for name, stat in stats.items():
        if stat.st_size != int(sealed[name].split()[0]):
            raise DataError(f"{folder / name} is damaged: it is not as it was written; {advice}")
    return stats


def damage_in(folder: Path, without: str, sealed: Mapping[str, str]) -> Iterator[str]:
    """Every file of a folder that is not as it was sealed, in words. All content is read, whatever was read before."""
    present = _files(folder, without)
    yield from _missing_or_strange(folder, sealed, present)
    for name in sorted(sealed.keys() & present.keys()):
        if _seal(present[name]) != sealed[name]:
            yield f"{folder / name} is damaged: it is not as it was written"


def damage_of(folder: Path, digests: Mapping[str, str]) -> Iterator[str]:
    """Every one of some files of a folder that is missing or has another SHA-256, in words; others may lie there."""
    for name, digest in sorted(digests.items()):
        if not (folder / name).is_file():
            yield f"{folder / name} is missing"
        elif digest_of_file(folder / name) != digest:
            yield f"{folder / name} is damaged: it is not as it was written"


def _missing_or_strange(folder: Path, sealed: Mapping[str, str], present: Mapping[str, Path]) -> Iterator[str]:
    for name in sorted(sealed.keys() ^ present.keys()):
        yield f"{folder / name} {'is missing' if name in sealed else 'does not belong there'}"


def _seal(path: Path) -> str:
    return f"{path.stat().st_size} {digest_of_file(path)}"


def _files(folder: Path, without: str) -> dict[str, Path]:
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path for name, path in paths.items() if name != without}
