"""What is done to inputs: bytes changed, files put in the place of others, values of settings, columns of tables."""

from __future__ import annotations

import copy
import os
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from trial import CANARY

ODD: tuple[Any, ...] = (
    -1, 0, 1, 2**31, 2**63, 2**64, 10**400, 1e300, 1e-300, float("inf"), float("nan"), True, None, "", " ", "x" * 300,
    "-x", "../..", "/dev/zero", "/dev/null/x", "a\0b", "<b>&", "=1+1", "\\input{x}", "é\ud7ff", "${HOME}", "{}", [], {},
    [[]], {"use": "x"}, "2024-03-01", "1_000", "0x10", "no", "~",
)  # fmt: skip
"""Values that may stand anywhere in a file of settings."""
CELLS: tuple[tuple[str, pa.DataType], ...] = (
    ("list", pa.list_(pa.string())), ("struct", pa.struct([("a", pa.string())])), ("binary", pa.binary()),
    ("words", pa.string()), ("categories", pa.dictionary(pa.int32(), pa.string())), ("null", pa.null()),
    ("bool", pa.bool_()), ("unsigned", pa.uint64()), ("half", pa.float16()), ("decimal", pa.decimal128(38, 10)),
    ("time", pa.timestamp("ns", "UTC")), ("date", pa.date32()), ("duration", pa.duration("us")),
)  # fmt: skip
"""Types that any column may be given."""


def changed(content: bytes, draw: random.Random) -> bytes:
    """Content with a bit, a byte, a piece or an end changed."""
    at = draw.randrange(len(content)) if content else 0
    kind = draw.randrange(5)
    if kind == 0 and content:
        return content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :]
    if kind == 1:
        return content[:at]
    if kind == 2:
        return content[:at] + content[at + draw.randrange(1, 40) :]
    if kind == 3:
        return content[:at] + draw.choice([b"-1", b"1e999", b"null", b"[[", b"9" * 40, b"\x00", b"\xff"]) + content[at:]
    start = draw.randrange(len(content)) if content else 0
    return content[:at] + content[start : start + 60] + content[at:]


def spoil(path: Path, draw: random.Random) -> str:
    """Change a file's bytes, or put something else in its place: what was done."""
    how = draw.choice(["bytes"] * 6 + ["empty", "gone", "pipe", "folder", "loop", "device", "mode"])
    content = path.read_bytes()
    if how == "bytes":
        path.write_bytes(changed(content, draw))
        return "bytes" if path.read_bytes() != content else "nothing"
    if how == "mode":
        path.chmod(0)
        return how
    path.unlink()
    if how == "empty":
        path.touch()
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "folder":
        path.mkdir()
    elif how in ("loop", "device"):
        path.symlink_to(path.name if how == "loop" else "/dev/zero")
    return how


def odd_settings(text: str, draw: random.Random) -> tuple[bytes, str]:
    """A file of settings with bytes changed, or with one value that is odd: its content and what was done."""
    if draw.random() < 0.3:
        return changed(text.encode(), draw), "bytes"
    tree = copy.deepcopy(yaml.safe_load(text))
    holder, key = draw.choice(list(_places(tree)))
    value = draw.choice(ODD)
    if draw.random() < 0.1 and isinstance(holder, dict):
        holder[draw.choice([1, "x" * 300, "<b>", "-x", True])] = holder.pop(key)
    else:
        holder[key] = value
    return yaml.safe_dump(tree, allow_unicode=True).encode(errors="replace"), f"{key}: {str(value)[:20]!r}"


def _places(tree: Any) -> Any:
    """Every place of a tree that holds a value: what it lies in and its key there."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def odd_table(table: pa.Table, draw: random.Random) -> tuple[pa.Table, str]:
    """A table with one column of another type, of odd values, of another name, or gone: and what was done."""
    name = draw.choice(table.column_names)
    at = table.column_names.index(name)
    how = draw.choice(["type"] * 4 + ["odd", "nulls", "gone", "twice", "name", "no rows", "reversed"])
    if how == "gone":
        return table.drop_columns([name]), f"{name}: {how}"
    if how == "twice":
        return table.append_column(name, table.column(name)), f"{name}: {how}"
    if how == "name":
        return table.rename_columns(["other" if one == name else one for one in table.column_names]), f"{name}: {how}"
    if how in ("no rows", "reversed"):
        return table.slice(0, 0) if how == "no rows" else table.take(list(range(len(table)))[::-1]), how
    if how == "type":
        how, kind = draw.choice(CELLS)
        return table.set_column(at, name, _of_type(kind, len(table))), f"{name}: {how}"
    column = table.column(name).to_pylist()
    rows = draw.sample(range(len(column)), min(len(column), draw.choice([1, 3, len(column)])))
    kind = table.schema.field(name).type
    odd = None if how == "nulls" else _odd_cell(kind, draw)
    for row in rows:
        column[row] = odd
    kept = None if pa.types.is_null(kind) else kind  # a column without any value has no type that holds one
    return table.set_column(at, name, pa.array(column, kept)), f"{name}: {how}"


def _odd_cell(kind: pa.DataType, draw: random.Random) -> Any:
    if pa.types.is_integer(kind):
        return draw.choice([0, -1, 2 ** (kind.bit_width - 1) - 1])
    if pa.types.is_floating(kind):
        return draw.choice([float("nan"), float("inf"), -float("inf"), 3.4e38, 1e-45, -0.0])
    if pa.types.is_temporal(kind):
        return pa.scalar(draw.choice([0, -(2**62), 2**62]), pa.int64()).cast(kind) if kind.bit_width == 64 else None
    return draw.choice(["", " ", CANARY, "=1+1", "x" * 5000, "a\nb", "a\0b", "NaN", "1e999", "ﷺ" * 50])


def _of_type(kind: pa.DataType, rows: int) -> pa.Array:
    """A column of a type, with canaries in every cell that can hold one."""
    if pa.types.is_nested(kind):
        return pa.array([[CANARY] if pa.types.is_list(kind) else {"a": CANARY}] * rows, kind)
    if pa.types.is_binary(kind):
        return pa.array([CANARY.encode() + b"\xff"] * rows, kind)
    if pa.types.is_string(kind) or pa.types.is_dictionary(kind):
        return pa.array([CANARY] * rows, pa.string()).cast(kind)
    if pa.types.is_null(kind):
        return pa.nulls(rows)
    if pa.types.is_boolean(kind):
        return pa.array([True] * rows)
    if pa.types.is_unsigned_integer(kind):
        return pa.array([2**64 - 73951] * rows, kind)
    if pa.types.is_temporal(kind) and not pa.types.is_date(kind):
        return pa.array([7395173951] * rows, pa.int64()).cast(kind)
    return pa.array([7395] * rows, pa.int32()).cast(kind, safe=False)


def write_in_a_form(table: pa.Table, path: Path, draw: random.Random) -> str:
    """Write parquet in one of the forms that hold the same: which."""
    form = draw.choice(["snappy", "zstd", "gzip", "none", "1.0", "small pages"])
    further: dict[str, Any] = {"compression": form} if form in ("snappy", "zstd", "gzip", "none") else {}
    further |= {"version": "1.0"} if form == "1.0" else {"row_group_size": 3} if form == "small pages" else {}
    try:
        pq.write_table(table, path, **further)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return "which parquet does not hold"
    return form
