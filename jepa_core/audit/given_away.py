"""Records in what a run gives away: identifiers, times, rare words and rare numbers in the files of its export."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jepa_core.audit.checks import LeakCheck
from jepa_core.audit.heads import HEADS, check_heads
from jepa_core.audit.numbers import NAME, check_numbers
from jepa_core.audit.words import WORDS, check_words
from jepa_core.data.store import Store
from jepa_core.errors import DataError
from jepa_core.io.records import parse_json
from jepa_core.model.folder import RECORD, least_subjects, read_record
from jepa_core.plugin import Registry

TELLING = 10_000
"""An identifier below this is a number that may stand anywhere for other reasons."""

_INTEGER = re.compile(r"(?<![\w.])\d{5,19}(?![\w.])")
_TIME = re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d")


def audit_run(folder: Path, store: Store | None, canaries: Iterable[str], registry: Registry) -> list[LeakCheck]:
    """Every check of what `jepa export` would copy of a run. store: that the run was trained on, if it is there.
    canaries: words that stand in the raw data and must be nowhere else.

    Raises RunError if the run holds no model, DataError if it is damaged or was trained on other data.
    """
    record = read_record(folder)
    if store is not None and record.get("data", store.content) != store.content:
        raise DataError(f"{folder} was trained on other data than those in {store.path}; name the store of its run")
    texts = {name: path.read_bytes() for name, path in given_away(folder, record).items()}
    told = {
        name: content.decode(errors="replace")
        for name, content in texts.items() if name.endswith((".json", ".md", ".yaml"))
    }  # fmt: skip
    checks = [_canaries(texts, list(canaries)), _times(told)]
    if store is None:
        rule = "the store that the run was trained on is not there"
        names = ("identifiers of records", WORDS, NAME, HEADS)
        return checks + [LeakCheck(name, "not verified", rule) for name in names]
    fewest = least_subjects(folder, record)
    plain = {name: _parsed(folder / name, text) for name, text in told.items() if name.endswith(".json")}
    checks.append(_identifiers(told, store))
    subjects = len(np.unique(store.subject[store.split == 0]))
    if min(subjects, fewest) < 2:
        rule = f"train has {subjects} subjects, and what is kept is to be shared by {fewest}: all of it is of few"
        return checks + [LeakCheck(name, "not verified", rule) for name in (WORDS, NAME, HEADS)]
    return [
        *checks, check_words(folder, record, plain, store, registry, fewest),
        check_numbers(folder, record, plain, store, registry, fewest), check_heads(folder, store, fewest),
    ]  # fmt: skip


def _parsed(path: Path, text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        raise DataError(f"{path} is damaged: it is no JSON; copy the run again") from None


def given_away(folder: Path, record: Mapping[str, Any]) -> dict[str, Path]:
    """The files of a run that an export copies, by name."""
    names = [RECORD, *record["files"]]
    others = [path for path in sorted((folder / "encoder").rglob("*")) if path.is_file()]
    return {name: folder / name for name in names} | {str(path.relative_to(folder)): path for path in others}


def _canaries(contents: Mapping[str, bytes], canaries: list[str]) -> LeakCheck:
    name = "planted canaries"
    if not canaries:
        return LeakCheck(name, "not verified", "no word was given with --canary")
    holding = [file for file, content in contents.items() if any(word.encode() in content for word in canaries)]
    words = f"of {len(canaries)} words some stand in {', '.join(holding)}" if holding else (
        f"none of {len(canaries)} words stands in {len(contents)} files"
    )  # fmt: skip
    return LeakCheck(name, "fail" if holding else "pass", words)


def _times(told: Mapping[str, str]) -> LeakCheck:
    holding = [file for file, text in told.items() if _TIME.search(text)]
    words = f"there are times of a day in {', '.join(holding)}" if holding else f"none in {', '.join(told)}"
    return LeakCheck("times of records", "fail" if holding else "pass", words)


def _identifiers(told: Mapping[str, str], store: Store) -> LeakCheck:
    known = {int(number) for number in (*store.identifier, *store.subject) if abs(int(number)) >= TELLING}
    if not known:
        rule = f"identifiers are below {TELLING:,} and cannot be told from other numbers"
        return LeakCheck("identifiers of records", "not verified", rule)
    counts = {file: len(known & set(map(int, _INTEGER.findall(text)))) for file, text in told.items()}
    holding = [f"{count} in {file}" for file, count in counts.items() if count]
    words = f"there are {', '.join(holding)}" if holding else f"none of {len(known):,} stands in {', '.join(told)}"
    return LeakCheck("identifiers of records", "fail" if holding else "pass", words)
