"""Columns of every type that Parquet knows, in which each value is a canary that no message may show."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa

NUMBER = 739_124_650
WORD = "CANARYcell"
BEYOND = 2**64 - 3
CANARIES = (WORD, "CANARY", str(NUMBER), "2191", str(BEYOND), "9" * 20)
"""What must stand in nothing that a user sees."""


def shown(text: str) -> set[str]:
    """The canaries in a text."""
    return {canary for canary in CANARIES if canary in text}


def odd_columns(rows: int) -> dict[str, pa.Array]:
    """A column of each type, of so many rows, by what it is."""

    def repeated(value: object, kind: pa.DataType) -> pa.Array:
        return pa.array([value] * rows, kind)

    octets = repeated(WORD.encode(), pa.binary())
    no_text = repeated(b"\xff\xfe" + WORD.encode(), pa.binary()).buffers()
    return {
        "list": repeated([WORD], pa.list_(pa.string())),
        "struct": repeated({"a": WORD, "b": NUMBER}, pa.struct([("a", pa.string()), ("b", pa.int64())])),
        "map": repeated([(WORD, NUMBER)], pa.map_(pa.string(), pa.int64())),
        "binary": octets,
        "binary view": octets.cast(pa.binary_view()),
        "dictionary of binary": octets.dictionary_encode(),
        "dictionary of words": repeated(WORD, pa.string()).dictionary_encode(),
        "decimal": repeated(Decimal(f"{NUMBER}.25"), pa.decimal128(20, 2)),
        "decimal beyond": repeated(Decimal("9" * 60), pa.decimal256(76, 2)),
        "duration": repeated(NUMBER, pa.duration("us")),
        "unsigned beyond": repeated(BEYOND, pa.uint64()),
        "timestamp": repeated(datetime.datetime(2191, 7, 3), pa.timestamp("us")),
        "timestamp beyond": repeated(2**62 + 5, pa.timestamp("ms")),
        "no UTF-8": pa.Array.from_buffers(pa.string(), rows, [None, *no_text[1:]]),
        "half precision": pa.array(np.full(rows, 7.5, dtype=np.float16)),
        "word": repeated(WORD, pa.string()),
    }
