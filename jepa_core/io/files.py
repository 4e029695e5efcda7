"""Files that are either whole or not there."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jepa_core.errors import RunError, UnsafeArtefactError

_PIECE = 1 << 16
_PIECES = 64


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by a whole file: written beside it, flushed to the disk, renamed over it.

    The temporary file lies in the same folder, since a rename across file systems is not atomic. It is this process's
    own, so that two that write the same file at once do not tear it, and a new one, so that no link is followed.
    Raises RunError if something that is no regular file lies there.
    """
    require_replaceable(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    temporary.unlink(missing_ok=True)
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(temporary):
            error.filename = str(path)  # what the user asked for
        raise
    sync_folder(path.parent)


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, atomically. NaN is refused: what could not be measured is null."""
    write_atomically(path, json.dumps(content, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n")


def require_replaceable(path: Path) -> None:
    """A file is written only where there is none or a regular one. Raises RunError if a device, a pipe, a folder or a
    link to nowhere lies there."""
    if os.path.lexists(path) and not path.is_file():
        raise RunError(f"{path} is there and is no regular file, so it is not replaced; name another file")


def content_of(path: Path) -> bytes:
    """Content of a regular file. Raises OSError, and opens nothing, if a pipe, a device or a folder lies there: to read
    the one may wait for ever, and another has no end."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "no regular file", str(path))
    return path.read_bytes()


def require_regular_files(folder: Path) -> None:
    """Refuse a folder of files that holds a pipe, a socket, a device or a link to nowhere, before any is opened: to
    read one may wait for ever.

    Raises UnsafeArtefactError naming it.
    """
    for parent, _, names in os.walk(folder):
        for name in names:
            if not os.path.isfile(path := os.path.join(parent, name)):
                raise UnsafeArtefactError(f"{path} is no regular file, so nothing in {folder} was opened; remove it")


def remove_folder(folder: Path) -> None:
    """Remove a folder and all in it; where a link to one lies, the link alone; nothing where nothing is."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_record(record: Mapping[str, Any]) -> str:
    """SHA-256 of what JSON can hold, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def digest_pieces(path: Path, digest: hashlib._Hash) -> None:
    """Add to a digest a file's size and 64 pieces of 64 KiB spread over it, its beginning and its end among them; a
    small file is read whole.

    The end of a gzip file holds the checksum and the length of all its content, that of a parquet file its directory
    with the place and the statistics of every column chunk, so a change shows without reading gigabytes to find out
    that nothing changed.
    """
    size = path.stat().st_size
    digest.update(f"{size} ".encode())
    with path.open("rb") as file:
        if size <= _PIECE * _PIECES:
            digest.update(file.read())
            return
        for piece in range(_PIECES):
            file.seek((size - _PIECE) * piece // (_PIECES - 1))
            digest.update(file.read(_PIECE))


def plain_name(name: str) -> str:
    """A name as a file or an element can have it: letters, digits, `_` and `-`. Where it has other signs, a digest of
    it stands behind, so that no two names become one."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", name)
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def real_path(path: Path) -> Path:
    """A path from the root, without links as far as they lead anywhere; of links in a circle, the path as it is.
    `Path.resolve` raises another error for those in every version of Python."""
    return Path(os.path.realpath(path))


def sync_folder(folder: Path) -> None:
    """Make renames within a folder last through a power loss."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def take_space(file: int, begin: int, length: int) -> None:
    """Have the disk's space for a part of a file that is going to be written through a memory map: a page that finds
    none ends the process at once, and nobody is told why. file: its descriptor.

    Raises OSError where there is none. A system or file system that takes no space beforehand is left to itself.
    """
    reserve = getattr(os, "posix_fallocate", None)
    if reserve is None or length == 0:
        return
    try:
        reserve(file, begin, length)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn a disk that is full, read-only or broken, and a limit on the size of files, into one clear error.

    Raises RunError naming the folder.
    """
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "the disk is full",
            errno.EDQUOT: "the disk quota is used up",
            errno.EROFS: "the disk is read-only",
            errno.EFBIG: "a file would grow beyond the limit of this process (ulimit -f)",
            errno.EIO: "the disk gives errors",
            errno.ENODEV: "the file system there maps no files into memory",
            errno.ESTALE: "a file on the network is gone, or its server began anew",
        }
        if error.errno not in reasons:
            raise
        raise RunError(
            f"{reasons[error.errno]}: nothing more can be written under {folder}; what was finished is kept"
        ) from error
