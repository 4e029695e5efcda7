"""What a run's folder holds so that its model can be loaded from there alone: `model.json`, and the files it names.

model.json           components with every key, shapes, what the source fitted, versions, digests of the files
model.safetensors    weights of encoder, target and predictor
fitted.json          what the encoder fitted
observations.json    scale of the channels that decoders read, where objectives kept one

JSON and safetensors alone: nothing is loaded that could execute.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jepa_core.errors import DataError, RunError
from jepa_core.io.files import digest_of_file, digest_of_record, require_regular_files, write_json

RECORD = "model.json"
WEIGHTS = "model.safetensors"
FITTED = "fitted.json"
OBSERVATIONS = "observations.json"
FORMAT = 1
"""Raised when `model.json` can no longer be read as before."""


def write_record(folder: Path, content: Mapping[str, Any]) -> None:
    """Write `model.json` into a folder whose other files are there."""
    names = [WEIGHTS, FITTED, *([OBSERVATIONS] if content["observations"] else [])]
    record = {**content, "format": FORMAT, "files": {name: digest_of_file(folder / name) for name in names}}
    write_json(folder / RECORD, record | {"sha256": digest_of_record(record)})


def read_record(folder: Path) -> dict[str, Any]:
    """What `write_record` wrote, checked: its format, and the digest of every file.

    Raises RunError if the folder holds no model or one of another format, DataError if a file is missing or damaged.
    """
    path = folder / RECORD
    if not path.is_file():
        raise RunError(_no_model(folder))
    require_regular_files(folder)
    record = read_json(path)
    if record.get("format") != FORMAT:
        raise RunError(
            f"{path} has the format {record.get('format')}, and this version reads {FORMAT}; install the version that "
            "made the run, or run its recipe again"
        )
    if record.pop("sha256", None) != digest_of_record(record):
        raise DataError(f"{path} is not as it was written; copy the run again")
    for name, digest in record["files"].items():
        check_file(folder / name, digest)
    return record


def check_file(path: Path, digest: str) -> None:
    """Refuse a file that is missing or has another digest than it was written with.

    Raises DataError.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; copy the whole folder of the run again")
    if digest_of_file(path) != digest:
        raise DataError(f"{path} is damaged: it is not as it was written; copy the run again")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises DataError if it holds none."""
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path} is damaged: it is no JSON; copy the run again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} is damaged: it holds no JSON object; copy the run again")
    return content


def _no_model(folder: Path) -> str:
    if not (folder / "manifest.json").is_file():
        return f"{folder} is not the folder of a run: it has no {RECORD}"
    if (folder / WEIGHTS).is_file():
        return f"{folder} was made before runs kept {RECORD}; write it with: jepa evaluate {folder}"
    return f"{folder} has not finished training; go on with: jepa resume {folder}"
