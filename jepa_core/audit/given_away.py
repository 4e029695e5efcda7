"""Records in what a run gives away: identifiers, times, rare words and rare numbers in the files of its export."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jepa_core.audit.checks import LeakCheck
from jepa_core.data.store import Store
from jepa_core.data.trajectories import ROLES
from jepa_core.model.folder import FITTED, RECORD, read_part, read_record

LEAST_SUBJECTS = 5
"""Subjects that must share a word or a number, unless what was fitted names another count."""
TELLING = 10_000
"""An identifier below this is a number that may stand anywhere for other reasons."""
SHORTEST = 4
"""Signs of the shortest word that is looked for."""

_INTEGER = re.compile(r"(?<![\w.])\d{5,19}(?![\w.])")
_TIME = re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d")


def audit_run(folder: Path, store: Store | None, canaries: Iterable[str]) -> list[LeakCheck]:
    """Every check of what `jepa export` would copy of a run. store: that the run was trained on, if it is there.
    canaries: words that stand in the raw data and must be nowhere else.

    Raises RunError if the run holds no model, DataError if it is damaged.
    """
    files = given_away(folder, read_record(folder))
    texts = {name: path.read_bytes() for name, path in files.items()}
    told = {name: content.decode() for name, content in texts.items() if name.endswith((".json", ".md", ".yaml"))}
    checks = [_canaries(texts, list(canaries)), _times(told)]
    if store is None:
        rule = "the store that the run was trained on is not there"
        names = ("identifiers of records", "words of few subjects", "numbers of few subjects")
        return checks + [LeakCheck(name, "not verified", rule) for name in names]
    fewest = int(read_part(folder / FITTED).get("least_subjects", LEAST_SUBJECTS))
    plain = [json.loads(text) for name, text in told.items() if name.endswith(".json")]
    return [*checks, _identifiers(told, store), _words(plain, store, fewest), _numbers(plain, store, fewest)]


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


# --- what few subjects share ------------------------------------------------------------------------------------------


def _words(plain: Iterable[Any], store: Store, fewest: int) -> LeakCheck:
    """Words in what is given away that one to `fewest` - 1 subjects of train have in their texts or channels."""
    waiting = {word for content in plain for word in _strings(content) if len(word.strip()) >= SHORTEST}
    total, seen = len(waiting), dict.fromkeys(waiting, 0)
    for said in _said_by_subject(store):
        for word in [word for word in waiting if word in said]:
            seen[word] += 1
            if seen[word] >= fewest:
                waiting.remove(word)
    rare = sum(seen[word] > 0 for word in waiting)
    words = f"{rare:,} of {total:,} words are those of fewer than {fewest} subjects of train; they are not shown"
    clean = f"none of {total:,} words is that of fewer than {fewest} subjects of train"
    return LeakCheck("words of few subjects", "fail" if rare else "pass", words if rare else clean)


def _said_by_subject(store: Store) -> Iterator[str]:
    """For each subject of train, the texts of its events and the names of its channels, in one text."""
    texts, own = store.texts(), np.flatnonzero(store.split == 0)
    order = own[np.argsort(store.subject[own], kind="stable")]
    said: set[str] = set()
    for turn, (position, alone) in enumerate(store.each(order)):
        for role in ROLES:
            events = alone.events(role)
            channels = (store.channels[number] for number in np.unique(events.channel))
            said |= {word for channel in channels for word in (channel.name, channel.label)}
            said |= set(texts[np.unique(events.text[events.text >= 0])])
        if turn + 1 == len(order) or store.subject[order[turn + 1]] != store.subject[position]:
            yield "\n".join(said)
            said = set()


def _strings(content: Any) -> Iterator[str]:
    """Every string in a JSON value, keys included; a byte-level token with the blanks that it stands for."""
    if isinstance(content, str):
        yield content.replace("\u0120", " ")
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _strings(key)
            yield from _strings(value)
    elif isinstance(content, list):
        for value in content:
            yield from _strings(value)


def _numbers(plain: Iterable[Any], store: Store, fewest: int) -> LeakCheck:
    """Numbers with a fraction in what is given away that are values of one to `fewest` - 1 subjects of train."""
    given = np.unique(np.array([value for content in plain for value in _fractions(content)], dtype=np.float32))
    pairs: set[tuple[int, int]] = set()
    for position, alone in store.each(np.flatnonzero(store.split == 0)):
        for role in ROLES:
            values = np.unique(alone.events(role).value)
            pairs |= {(number, int(store.subject[position])) for number in _places(given, values)}
    subjects = np.bincount(np.array([number for number, _ in pairs], dtype=np.int64), minlength=len(given))
    rare = int(((subjects > 0) & (subjects < fewest)).sum())
    words = f"{rare:,} of {len(given):,} numbers are values of fewer than {fewest} subjects of train"
    clean = f"none of {len(given):,} numbers is a value of fewer than {fewest} subjects of train"
    return LeakCheck("numbers of few subjects", "fail" if rare else "pass", words if rare else clean)


def _places(given: np.ndarray, values: np.ndarray) -> list[int]:
    """Positions among `given`, ascending, of the values that stand there."""
    at = np.searchsorted(given, values)
    inside = at < len(given)
    return at[inside][given[at[inside]] == values[inside]].tolist()


def _fractions(content: Any) -> Iterator[float]:
    if isinstance(content, float) and content % 1:
        yield content
    elif isinstance(content, dict | list):
        for value in content.values() if isinstance(content, dict) else content:
            yield from _fractions(value)
