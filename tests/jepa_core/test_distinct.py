"""Numbering distinct things a block at a time, held against a dictionary."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from jepa_core.data.distinct import Distinct


def digests(things: np.ndarray) -> list[bytes]:
    return [hashlib.blake2b(str(thing).encode(), digest_size=16).digest() for thing in things.tolist()]


@pytest.mark.parametrize("kinds", [3, 500, 1_000_000])
def test_numbers_are_those_of_a_dictionary_whatever_the_blocks(kinds: int) -> None:
    things = np.random.default_rng(0).integers(kinds, size=5000)
    known: dict[bytes, int] = {}
    expected = [known.setdefault(digest, len(known)) for digest in digests(things)]
    for cuts in ([], [1], [10, 11, 400, 401, 4000], list(range(50, 5000, 50))):
        distinct, numbers, new = Distinct(), [], []
        for block in np.split(things, cuts):
            ids, places = distinct.number(digests(block))
            new += [(thing, number) for thing, number in zip(block[places].tolist(), ids[places].tolist(), strict=True)]
            numbers += ids.tolist()
        assert numbers == expected
        assert distinct.count == len(known)
        assert [number for _, number in new] == list(range(len(known)))


def test_digests_that_end_in_zeros_are_told_apart() -> None:
    one, other = b"\x01" + bytes(15), b"\x01\x00\x02" + bytes(13)
    distinct = Distinct()
    assert distinct.number([one, other, one])[0].tolist() == [0, 1, 0]
    ids, new = distinct.number([other, bytes(16), one])
    assert ids.tolist() == [1, 2, 0] and new.tolist() == [1]


def test_no_thing_has_no_number() -> None:
    ids, new = Distinct().number([])
    assert len(ids) == len(new) == 0


def test_few_runs_hold_everything() -> None:
    distinct = Distinct()
    for start in range(0, 6400, 100):
        distinct.number(digests(np.arange(start, start + 100)))
    lengths = [len(keys) for keys, _ in distinct._runs]
    assert sum(lengths) == 6400 and len(lengths) <= 7
    assert all(early >= 2 * late for early, late in zip(lengths, lengths[1:], strict=False))
