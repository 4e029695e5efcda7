"""Records: JSON that lies beside what it is about, read by its shape, with one error for whatever else lies there.

A sealed record holds a digest of itself, so that one flipped bit is found too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from jepa_core.errors import DataError, JepaError, UnsafeArtefactError
from jepa_core.io.files import digest_of_record, write_json

SEAL = "sha256"
"""Key of a sealed record that holds the digest of all others."""


DEEPEST = 100
"""Levels of a record that lie within one another, at most; what writes one needs a dozen."""


class Shape(BaseModel):
    """What a record must hold for those who read it; it may hold more."""

    model_config = ConfigDict(extra="allow", strict=True)
    finite: ClassVar[bool] = True
    """Whether all its numbers are finite."""


def read_shaped(path: Path, shape: type[Shape], advice: str, error: type[JepaError] = DataError) -> dict[str, Any]:
    """The object in a JSON file, as it stands there. shape: what it must hold. advice: what to do about anything else.

    Raises `error` naming the file and the key, UnsafeArtefactError unopened if it is no regular file.
    """
    if path.exists() and not path.is_file():
        raise UnsafeArtefactError(f"{path} is no regular file, so it was not opened; remove it")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise error(f"{path} is missing; {advice}") from None
    return parse_shaped(path, content, shape, advice, error)


def parse_shaped(
    path: Path, content: bytes, shape: type[Shape], advice: str, error: type[JepaError] = DataError, where: str = ""
) -> dict[str, Any]:
    """The object in a text of JSON out of a file. where: words about its place in the file.

    Raises `error` naming file, place and key.
    """
    try:
        value = parse_json(content)
    except ValueError:
        raise error(f"{path} is damaged: {where}it is no JSON; {advice}") from None
    if not isinstance(value, dict):
        raise error(f"{path} is damaged: {where}it holds no JSON object; {advice}")
    strange = _strange(value, shape.finite)
    if strange:
        raise error(f"{path} is damaged: {where}it holds {strange}; {advice}")
    try:
        shape.model_validate_json(content)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise error(f"{path} is damaged: {where}{key}: {_plain(first['msg'])}; {advice}") from None
    return value


def parse_json(content: str | bytes) -> Any:
    """A JSON value. Raises ValueError if it is none, or if more lies within one another than can be read."""
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("too many levels within one another") from None


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write a record with the digest of all that it holds, atomically; a digest that it had before gives way."""
    plain = {key: value for key, value in content.items() if key != SEAL}
    write_json(path, plain | {SEAL: digest_of_record(plain)})


def read_sealed(path: Path, shape: type[Shape], advice: str, error: type[JepaError] = DataError) -> dict[str, Any]:
    """What `write_sealed` wrote.

    Raises `error` as `read_shaped` does, and if anything in it was changed since.
    """
    return check_digest(path, read_shaped(path, shape, advice, error), advice, error)


def read_sealed_or_older(
    path: Path, shape: type[Shape], advice: str, error: type[JepaError] = DataError
) -> dict[str, Any]:
    """A record that earlier versions wrote without a seal: as `read_sealed` if it has one."""
    record = read_shaped(path, shape, advice, error)
    return check_digest(path, record, advice, error) if SEAL in record else record


def check_digest(path: Path, record: dict[str, Any], advice: str, error: type[JepaError] = DataError) -> dict[str, Any]:
    """A sealed record without its digest, once that is right. Raises `error`."""
    if record.pop(SEAL, None) != digest_of_record(record):
        raise error(f"{path} is not as it was written; {advice}")
    return record


def _strange(value: Any, finite: bool) -> str:
    """What of a JSON value no writer of records writes; empty if nothing is."""
    level = [value]
    for _ in range(DEEPEST):
        for part in level:
            if finite and isinstance(part, float) and not math.isfinite(part):
                return "a number that is not finite"
            if isinstance(part, int) and not -(1 << 63) <= part < 1 << 64:
                return "an integer of more than 64 bits"
        lists = (part.values() if isinstance(part, dict) else part for part in level if isinstance(part, dict | list))
        level = [inner for part in lists for inner in part]
        if not level:
            return ""
    return f"more than {DEEPEST} levels within one another"


def _plain(message: str) -> str:
    """Words of pydantic, as they go on in a sentence."""
    return message[:1].lower() + message[1:]
