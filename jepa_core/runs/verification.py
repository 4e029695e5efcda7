"""Whether a store or a run is whole: every file that was sealed is read anew, and held against its seal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jepa_core.data.inspection import find_store_folder
from jepa_core.data.rendering import RECORD as RENDERING_RECORD
from jepa_core.data.rendering import read_rendering_record
from jepa_core.data.store_record import METADATA, read_store_record
from jepa_core.errors import DataError, RunError
from jepa_core.io.files import require_regular_files
from jepa_core.io.seals import damage_in, damage_of
from jepa_core.model.folder import RECORD as MODEL_RECORD
from jepa_core.model.folder import read_model_record
from jepa_core.results.evaluated import sealed_evaluations
from jepa_core.results.heads import read_heads_index
from jepa_core.results.record import MANIFEST, read_manifest, transfers_folder

SHOWN = 10
"""Damaged files of a part that the text names."""
RESOLVED = "recipe.resolved.yaml"


@dataclass(frozen=True)
class VerifiedPart:
    """Files that were sealed together. files: how many were. damaged: each that is not as it was, in words. again: what
    to make again where any is."""

    part: str
    folder: str
    files: int
    damaged: list[str]
    again: str


def verify(path: Path) -> list[VerifiedPart]:
    """Every part of a store (with its renderings), or of a run (with its store) in a folder.

    Raises RecipeError if nothing is there or the run has no store yet, RunError if the run's manifest is damaged,
    UnsafeArtefactError if something is no regular file.
    """
    if (path / MANIFEST).is_file():
        require_regular_files(path)
        return [*_run_parts(path), *_data_of_run(path)]
    return list(_store_parts(find_store_folder(path), None))


def _run_parts(run: Path) -> Iterator[VerifiedPart]:
    manifest = read_manifest(run)
    again = "copy the run again, or run its recipe again"
    recipe = {RESOLVED: manifest["recipe_sha256"]} if manifest.get("recipe_sha256") else {}
    yield _part("recipe", run, again, lambda: recipe, lambda sealed: damage_of(run, sealed))
    logged = manifest.get("files", {})
    yield _part("record", run, again, lambda: logged, lambda sealed: damage_of(run, sealed))
    for folder in [run, *(path for path in sorted(transfers_folder(run).glob("*")) if path.is_dir())]:
        yield _findings(folder, f"evaluate again: jepa evaluate {run}")
    if manifest.get("ended") or (run / MODEL_RECORD).is_file():
        yield _part("model", run, again, lambda: read_model_record(run)["files"], lambda sealed: damage_of(run, sealed))
    for folder in sorted(path for path in (run / "heads").glob("*") if path.is_dir()):
        yield _heads(folder, f"evaluate again, which fits them anew: jepa evaluate {run}")


def _findings(folder: Path, again: str) -> VerifiedPart:
    return _part(
        "findings", folder, again, lambda: sealed_evaluations(folder), lambda sealed: damage_of(folder, sealed)
    )


def _heads(folder: Path, again: str) -> VerifiedPart:
    return _part(
        "heads", folder, again, lambda: read_heads_index(folder)["files"], lambda sealed: damage_of(folder, sealed)
    )


def _data_of_run(run: Path) -> list[VerifiedPart]:
    """The store of a run and its renderings; a store that is gone is a damaged part, not the end of the others."""
    recorded = read_manifest(run).get("dataset") or {}
    try:
        store = find_store_folder(run)
    except DataError as gone:
        return [VerifiedPart("store", str(run), 0, [str(gone)], "bring the store back, or build it again")]
    return list(_store_parts(store, recorded.get("content")))


def _store_parts(store: Path, content: str | None) -> Iterator[VerifiedPart]:
    """content: the digest of what a run was on, if one is asked about."""

    def sealed_files() -> Mapping[str, str]:
        record = read_store_record(store)
        if content and record["content"] != content:
            raise DataError(f"{store} does not hold the data that the run was on")
        files: Mapping[str, str] = record["files"]
        return files

    again = "delete the store and run again, which builds it anew from the raw data"
    yield _part("store", store, again, sealed_files, lambda sealed: damage_in(store, METADATA, sealed))
    beside = (path for path in sorted(store.parent.glob(f"{store.name}.*")) if path.is_dir())
    for folder in (path for path in beside if path.suffix != ".partial"):
        yield _rendering(folder)


def _rendering(folder: Path) -> VerifiedPart:
    require_regular_files(folder)
    return _part(
        "rendering", folder, "delete the rendering and run again, which renders anew",
        lambda: read_rendering_record(folder)["files"],
        lambda sealed: damage_in(folder, RENDERING_RECORD, sealed),
    )  # fmt: skip


def _part(
    part: str,
    folder: Path,
    again: str,
    read: Callable[[], Mapping[str, str]],
    damage: Callable[[Mapping[str, str]], Iterator[str]],
) -> VerifiedPart:
    """read: the seals of the part. damage: what of the files is not as they say."""
    try:
        sealed = read()
    except (DataError, RunError) as error:
        return VerifiedPart(part, str(folder), 0, [str(error)], again)
    return VerifiedPart(part, str(folder), len(sealed), list(damage(sealed)), again)


def verification_page(parts: Sequence[VerifiedPart]) -> dict[str, Any]:
    """What `jepa inspect --verify` prints."""
    return {"whole": not any(part.damaged for part in parts), "parts": [asdict(part) for part in parts]}


def verification_text(page: Mapping[str, Any]) -> str:
    """A verification for people: the first damaged files of every part, and what to make again."""
    lines = []
    for part in page["parts"]:
        damaged = part["damaged"]
        count = f"{len(damaged)} damaged" if damaged else f"sealed files as they were written: {part['files']:,}"
        lines.append(f"{part['part']:<10} {part['folder']}: {count}")
        lines += [f"  {problem}" for problem in damaged[:SHOWN]]
        lines += [f"  and {len(damaged) - SHOWN:,} more; --json names all"] if len(damaged) > SHOWN else []
        lines += [f"  to mend it, {part['again']}"] if damaged else []
    return "\n".join([*lines, "whole" if page["whole"] else "damaged"])
