"""What a run's folder holds so that its model can be loaded from there alone: `model.json`, and the files it names.

model.json           components with every key, shapes, what the source fitted, channels that enough subjects share,
                     versions, digests of the files
model.safetensors    weights of encoder, target and predictor
fitted.json          what the encoder fitted
observations.json    scale of the channels that decoders read, where objectives kept one

JSON and safetensors alone: nothing is loaded that could execute.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jepa_core.data.rarity import LEAST_SUBJECTS
from jepa_core.errors import DataError, RunError
from jepa_core.io.files import digest_of_file, require_regular_files
from jepa_core.io.records import SEAL, Shape, check_digest, read_shaped, write_sealed

RECORD = "model.json"
WEIGHTS = "model.safetensors"
FITTED = "fitted.json"
OBSERVATIONS = "observations.json"
FORMAT = 1
"""Raised when `model.json` can no longer be read as before."""
AGAIN = "copy the run again"


class _FormatShape(Shape):
    format: int | None = None


class _ComponentShape(Shape):
    use: str
    package: str
    version: str
    config: dict[str, Any]


class _RecordShape(Shape):
    """`model.json`."""

    format: int
    files: dict[str, str]
    seed: int
    components: dict[str, _ComponentShape]
    decoders: dict[str, _ComponentShape] = {}
    item_shape: dict[str, int] | None
    window_length: int
    precision: str
    threads: int
    rendering: str | None = None
    channels: list[dict[str, str | int]]
    least_subjects: int | None = None
    channels_left_out: int = 0


def write_record(folder: Path, content: Mapping[str, Any]) -> None:
    """Write `model.json` into a folder whose other files are there."""
    names = [WEIGHTS, FITTED, *([OBSERVATIONS] if content["observations"] else [])]
    files = {name: digest_of_file(folder / name) for name in names}
    write_sealed(folder / RECORD, {**content, "format": FORMAT, "files": files})


def read_record(folder: Path) -> dict[str, Any]:
    """What `write_record` wrote, checked: its format, and the digest of every file.

    Raises RunError if the folder holds no model or one of another format, DataError if a file is missing or damaged.
    """
    record = read_model_record(folder)
    for name, digest in record["files"].items():
        check_file(folder / name, digest)
    return record


def read_model_record(folder: Path) -> dict[str, Any]:
    """What `model.json` says, itself checked; the files that it names are not read.

    Raises RunError if the folder holds no model or one of another format, DataError if the record is damaged.
    """
    path = folder / RECORD
    if not path.is_file():
        raise RunError(no_model(folder))
    require_regular_files(folder)
    record = read_shaped(path, _FormatShape, AGAIN)
    if record.get("format") != FORMAT:
        raise RunError(
            f"{path} has the format {record.get('format')}, and this version reads {FORMAT}; install the version that "
            "made the run, or run its recipe again"
        )
    check_digest(path, record, AGAIN)
    read_shaped(path, _RecordShape, AGAIN)
    return record


def check_file(path: Path, digest: str) -> None:
    """Refuse a file that is missing or has another digest than it was written with.

    Raises DataError.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; copy the whole folder of the run again")
    if digest_of_file(path) != digest:
        raise DataError(f"{path} is damaged: it is not as it was written; copy the run again")


def read_part(path: Path) -> dict[str, Any]:
    """The object in a JSON file of the model, whose digest was checked. Raises DataError if it holds none."""
    content = read_shaped(path, Shape, AGAIN)
    content.pop(SEAL, None)
    return content


def least_subjects(folder: Path, record: Mapping[str, Any]) -> int:
    """How many subjects of train share what a model keeps of them, at the least, as its files say; the house's number
    where a run of an earlier version says nothing."""
    told = record.get("least_subjects") or read_part(folder / FITTED).get("least_subjects")
    return LEAST_SUBJECTS if told is None else int(told)


def no_model(folder: Path) -> str:
    """What a folder without `model.json` is, and where or how its model is to be had."""
    if (folder / "model" / RECORD).is_file():
        return f"{folder} is an export, whose model lies in a folder of its own; give {folder / 'model'}"
    if not (folder / "manifest.json").is_file():
        return f"{folder} is not the folder of a run: it has no {RECORD}"
    if (folder / WEIGHTS).is_file():
        return f"{folder} was made before runs kept {RECORD}; write it with: jepa evaluate {folder}"
    return f"{folder} has not finished training; go on with: jepa resume {folder}"
