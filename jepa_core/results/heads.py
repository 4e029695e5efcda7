"""What evaluators fitted, on disk, in `heads/<evaluator>/` of a run, so that new data can be scored as the run's were.

heads.json           the component and config of the evaluator; of each head what it is and its plain values
heads.safetensors    every array, once, as <number of the head>/<key>/<key>; the index says which others equal it
<number>.<key>.txt   every text of several lines, such as the trees of a boosted model

One format for heads of every kind, and nothing in it that could execute.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from jepa_core.errors import DataError, RunError
from jepa_core.io.files import remove_folder, write_atomically
from jepa_core.io.records import Shape, check_digest, read_shaped, write_sealed
from jepa_core.results.findings import KeptHead

INDEX = "heads.json"
ARRAYS = "heads.safetensors"
FORMAT = 1
_SEPARATOR = "/"
_AGAIN = "copy the run again"


class _FormatShape(Shape):
    format: int | None = None


class _HeadShape(Shape):
    name: str
    kind: Literal["boolean", "float", "readout", "intervals"]
    state: dict[str, Any]


class _IndexShape(Shape):
    """`heads.json`."""

    evaluator: dict[str, Any]
    heads: list[_HeadShape]
    same: dict[str, str]
    files: dict[str, str]


def heads_folder(folder: Path, evaluator: str) -> Path:
    """Where the heads of an evaluator lie in a run directory."""
    return folder / "heads" / evaluator


def write_heads(folder: Path, heads: Sequence[KeptHead], evaluator: Mapping[str, Any]) -> None:
    """Write heads into a folder of their own, in place of any that are there; no folder for none. evaluator: which
    component made them, with its config.

    The index is written last: where it is, everything is.
    """
    if folder.is_dir() and not folder.is_symlink():
        (folder / INDEX).unlink(missing_ok=True)
    remove_folder(folder)
    if not heads:
        return
    folder.mkdir(parents=True, mode=0o700)
    arrays: dict[str, np.ndarray] = {}
    texts: dict[str, str] = {}
    told = []
    for number, head in enumerate(heads):
        plain = _plain(head.state, str(number), arrays, texts)
        told.append({**head.about(), "state": plain})
    distinct, same = _distinct(arrays)
    files = {ARRAYS: save(distinct)}
    files |= {name: text.encode() for name, text in texts.items()}
    for name, content in files.items():
        write_atomically(folder / name, content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    index = {"format": FORMAT, "evaluator": dict(evaluator), "heads": told, "same": same, "files": digests}
    write_sealed(folder / INDEX, index)


def read_heads(folder: Path) -> tuple[dict[str, Any], list[KeptHead]]:
    """What `write_heads` wrote: the evaluator, and its heads in their order.

    Raises RunError if the heads are of another format, DataError if a file is missing or damaged.
    """
    index = read_heads_index(folder)
    contents = {name: _checked(folder / name, digest) for name, digest in index["files"].items()}
    try:
        arrays = load(contents.pop(ARRAYS))
    except SafetensorError as error:
        raise DataError(f"{folder / ARRAYS} is damaged ({error}); copy the run again") from error
    arrays |= {name: arrays[first] for name, first in index["same"].items()}
    heads = []
    for number, told in enumerate(index["heads"]):
        state = told.pop("state")
        own = f"{number}{_SEPARATOR}"
        for name, values in arrays.items():
            if name.startswith(own):
                _put(state, name.removeprefix(own).split(_SEPARATOR), values)
        for name, content in contents.items():
            if name.startswith(f"{number}."):
                _put(state, name.removesuffix(".txt").split(".")[1:], content.decode())
        heads.append(KeptHead(**told, state=state))
    return index["evaluator"], heads


def kept_evaluators(folder: Path) -> Iterator[str]:
    """Names of the evaluators of a run directory that kept heads, in alphabetical order."""
    yield from sorted(path.parent.name for path in (folder / "heads").glob(f"*/{INDEX}"))


def _distinct(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays without those that equal an earlier one, and of each of these which: heads share what they read."""
    texts: dict[str, str] = {}
    distinct: dict[str, np.ndarray] = {}
    same: dict[str, str] = {}
    for name, values in arrays.items():
        digest = hashlib.sha256(f"{values.dtype} {values.shape} ".encode() + values.tobytes()).hexdigest()
        if digest in texts:
            same[name] = texts[digest]
        else:
            texts[digest], distinct[name] = name, np.ascontiguousarray(values)
    return distinct, same


def _plain(
    state: Mapping[str, Any], prefix: str, arrays: dict[str, np.ndarray], texts: dict[str, str]
) -> dict[str, Any]:
    """The plain values of a state; its arrays and its long texts join the others under their places."""
    plain: dict[str, Any] = {}
    for key, value in state.items():
        if _SEPARATOR in key:
            raise ValueError(f"the key '{key}' of a head's state must not hold '{_SEPARATOR}'")
        path = f"{prefix}{_SEPARATOR}{key}"
        if isinstance(value, Mapping):
            plain[key] = _plain(value, path, arrays, texts)
        elif isinstance(value, np.ndarray):
            arrays[path] = value
        elif isinstance(value, str) and "\n" in value:
            texts[path.replace(_SEPARATOR, ".") + ".txt"] = value
        else:
            plain[key] = value
    return plain


def _put(state: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        state = state.setdefault(key, {})
    state[keys[-1]] = value


def read_heads_index(folder: Path) -> dict[str, Any]:
    """What `heads.json` says, itself checked; the files that it names are not read.

    Raises RunError if it is of another format, DataError if it is missing or damaged.
    """
    path = folder / INDEX
    index = read_shaped(path, _FormatShape, _AGAIN)
    if index.get("format") != FORMAT:
        raise RunError(
            f"{path} has the format {index.get('format')}, and this version reads {FORMAT}; install the version that "
            "made the run, or evaluate it again with: jepa evaluate"
        )
    check_digest(path, index, _AGAIN)
    read_shaped(path, _IndexShape, _AGAIN)
    return index


def _checked(path: Path, digest: str) -> bytes:
    """Content of a file. Raises DataError if it is missing, or not what was written."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} is missing; copy the whole folder of the run again") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise DataError(f"{path} is damaged: it is not as it was written; copy the run again")
    return content
