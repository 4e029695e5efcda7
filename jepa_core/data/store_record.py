"""What a store says of itself, and what is looked at before any of it is decoded: format, seals, codecs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zarr

from jepa_core.errors import DataError, UnsafeArtefactError
from jepa_core.io.files import require_regular_files
from jepa_core.io.records import Shape, check_digest, read_shaped
from jepa_core.io.seals import check_seal

FORMAT = "jepa-trajectories"
FORMAT_VERSION = 2
METADATA = "zarr.json"

SAFE_CODECS = frozenset({"bytes", "zstd", "crc32c", "sharding_indexed", "vlen-utf8", "gzip", "blosc", "transpose"})
"""Codecs that cannot execute code; any other is refused before the store is opened."""

_AGAIN = "a store is not changed, cut or copied file by file; delete it and run again, which builds it anew"


def open_whole(path: Path) -> zarr.Group:
    """The group of a store, once its record, its codecs and the files that it names are what they should be.

    Raises DataError and UnsafeArtefactError as `read_store_record` and `refuse_unsafe_codecs` do.
    """
    files = read_store_record(path)["files"]
    refuse_unsafe_codecs(path)
    check_seal(path, METADATA, files, _AGAIN)
    # A copy of the arrays' metadata in the group's would be believed in their place: neither sealed nor looked at here.
    return zarr.open_group(path, mode="r", zarr_format=3, use_consolidated=False)


def read_store_record(path: Path) -> dict[str, Any]:
    """What a store says of itself, the seals of its files among it; none of them is read.

    Raises DataError if it is no store, half written, of another format, or if the record is not as it was written.
    """
    metadata = path / METADATA
    if not metadata.is_file():
        raise DataError(
            f"{path} is not a store: it has no zarr.json; give the folder that `jepa run` wrote, or run again"
        )
    require_regular_files(path)
    attributes = read_shaped(metadata, _MetadataShape, _AGAIN).get("attributes", {})
    if attributes.get("format") != FORMAT or not attributes.get("complete"):
        raise DataError(f"{path} is half written, or is no trajectory store; delete it and run again")
    if attributes.get("format_version") != FORMAT_VERSION:
        raise DataError(
            f"{path} has store format {attributes.get('format_version')}, and this version reads {FORMAT_VERSION}; "
            "delete it and run again, which builds it anew from the raw data"
        )
    return check_digest(metadata, attributes, _AGAIN)


def refuse_unsafe_codecs(path: Path) -> None:
    """Check every codec in the store's metadata against those that cannot execute code, before anything is decoded.

    Raises UnsafeArtefactError naming the file and the codec.
    """
    for metadata in sorted(path.rglob("zarr.json")):
        for codec in _codecs(read_shaped(metadata, _MetadataShape, _AGAIN).get("codecs", [])):
            if codec not in SAFE_CODECS:
                raise UnsafeArtefactError(
                    f"{metadata}: codec '{codec}' is not one of those known to be safe; the store was not opened"
                )


def _codecs(codecs: list[dict[str, Any]]) -> Iterator[str]:
    for codec in codecs:
        yield codec["name"]
        configuration = codec.get("configuration") or {}
        for key in ("codecs", "index_codecs"):
            yield from _codecs(configuration.get(key, []))


class _CodecShape(Shape):
    name: str
    configuration: _CodecConfigurationShape | None = None


class _CodecConfigurationShape(Shape):
    """A codec may hold others."""

    codecs: list[_CodecShape] = []
    index_codecs: list[_CodecShape] = []


class _MetadataShape(Shape):
    """`zarr.json` of a group or of an array, as far as it is looked at before Zarr opens it."""

    attributes: dict[str, Any] = {}
    codecs: list[_CodecShape] = []
