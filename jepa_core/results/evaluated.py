"""The files of an evaluation by digest, as the run's manifest has them, so that damage shows when one is read."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jepa_core.errors import RunError
from jepa_core.io.files import digest_of_file
from jepa_core.io.records import Shape, read_sealed_or_older

_PATTERNS = ("findings/{}.json", "predictions/**/{}.*.parquet", "samples/{}.parquet", "samples/{}.redrawn.parquet")


class _SealedShape(Shape):
    files: dict[str, str] = {}


class _ManifestShape(Shape):
    evaluated: dict[str, _SealedShape] = {}


def evaluation_digests(folder: Path, evaluator: str) -> dict[str, str]:
    """SHA-256 of what an evaluator wrote into a run directory but for its heads, which have digests of their own, by
    path in it."""
    paths = {path for pattern in _PATTERNS for path in folder.glob(pattern.format(evaluator))}
    return {path.relative_to(folder).as_posix(): digest_of_file(path) for path in sorted(paths)}


def sealed_evaluations(folder: Path) -> dict[str, str]:
    """SHA-256 of the files of every evaluation of a run, by path in it, as its manifest says; none of an evaluation
    that was not finished, or is of an earlier version. Raises RunError if the manifest is damaged."""
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        return {}
    return _sealed(manifest, manifest.stat().st_mtime_ns)


def check_evaluation(path: Path, folder: Path) -> None:
    """Refuse a file of an evaluation, in a run directory, that is not as it was written. Raises RunError."""
    digest = sealed_evaluations(folder).get(path.relative_to(folder).as_posix())
    if digest is not None and digest_of_file(path) != digest:
        raise RunError(f"{path} is damaged: it is not as it was written; run the evaluation again")


@lru_cache(maxsize=64)
def _sealed(manifest: Path, changed: int) -> dict[str, str]:
    """changed: when the file was written, which makes a later one another entry."""
    content = read_sealed_or_older(manifest, _ManifestShape, "copy the run again", RunError)
    entries = content.get("evaluated", {}).values()
    return {name: digest for entry in entries for name, digest in entry.get("files", {}).items()}
