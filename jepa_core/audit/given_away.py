"""Records in what a run gives away: identifiers, times, rare words and rare numbers in the files of its export."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jepa_core.audit.checks import LeakCheck
from jepa_core.audit.heads import HEADS, check_heads
from jepa_core.audit.numbers import NAME, check_numbers
from jepa_core.data.rarity import LEAST_SUBJECTS
from jepa_core.data.store import Store
from jepa_core.data.trajectories import ROLES, Events, Role, Trajectories
from jepa_core.errors import DataError
from jepa_core.io.records import parse_json
from jepa_core.model.folder import FITTED, RECORD, read_part, read_record
from jepa_core.plugin import Registry

TELLING = 10_000
"""An identifier below this is a number that may stand anywhere for other reasons."""
WORDS = "words of few subjects"
SHORTEST = 4
"""Signs of the shortest word that is looked for."""

_INTEGER = re.compile(r"(?<![\w.])\d{5,19}(?![\w.])")
_TIME = re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d")


def audit_run(folder: Path, store: Store | None, canaries: Iterable[str], registry: Registry) -> list[LeakCheck]:
    """Every check of what `jepa export` would copy of a run. store: that the run was trained on, if it is there.
    canaries: words that stand in the raw data and must be nowhere else.

    Raises RunError if the run holds no model, DataError if it is damaged.
    """
    record = read_record(folder)
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
    fewest = int(read_part(folder / FITTED).get("least_subjects", LEAST_SUBJECTS))
    plain = {name: _parsed(folder / name, text) for name, text in told.items() if name.endswith(".json")}
    checks.append(_identifiers(told, store))
    subjects = len(np.unique(store.subject[store.split == 0]))
    if min(subjects, fewest) < 2:
        rule = f"train has {subjects} subjects, and what is kept is to be shared by {fewest}: all of it is of few"
        return checks + [LeakCheck(name, "not verified", rule) for name in (WORDS, NAME, HEADS)]
    return [
        *checks, _words(plain, store, fewest),
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


# --- what few subjects share ------------------------------------------------------------------------------------------


def _words(plain: Mapping[str, Any], store: Store, fewest: int) -> LeakCheck:
    """Words in what is given away that one to `fewest` - 1 subjects of train have in their texts or channels. plain:
    the content of each file."""
    of_file = {name: set(filter(_is_long, _strings(content))) for name, content in plain.items()}
    waiting = set[str]().union(*of_file.values())
    total, saying = len(waiting), {word: set[int]() for word in waiting}
    for subject, said in _said(store):
        for word in [word for word in waiting if word in said]:
            saying[word].add(subject)
            if len(saying[word]) >= fewest:
                waiting.remove(word)
    rare = {word for word in waiting if saying[word]}
    channels = len(rare & {channel.name for channel in store.channels})
    where = ", ".join(f"{len(rare & words):,} in {name}" for name, words in of_file.items() if rare & words)
    words = (
        f"{len(rare):,} of {total:,} words are those of fewer than {fewest} subjects of train ({where}; {channels:,} "
        "of them names of channels); they are not shown"
    )
    clean = f"none of {total:,} words is that of fewer than {fewest} subjects of train"
    return LeakCheck(WORDS, "fail" if rare else "pass", words if rare else clean)


def _is_long(word: str) -> bool:
    return len(word.strip()) >= SHORTEST


def _said(store: Store) -> Iterator[tuple[int, str]]:
    """For each trajectory of train its subject, with the texts of its events and the names of its channels in one."""
    for block in store.blocks():
        said: list[set[str]] = [set() for _ in block.steps]
        for role in ROLES:
            events = block.events(role)
            for number, own in _slices(events, block, role):
                channels = (store.channels[channel] for channel in np.unique(events.channel[own]))
                said[number] |= {word for channel in channels for word in (channel.name, channel.label)}
                texts = events.text[own]
                said[number] |= set(block.texts[np.unique(texts[texts >= 0])])
        for number in np.flatnonzero(block.split == 0).tolist():
            yield int(block.subject[number]), "\n".join(said[number])


def _slices(events: Events, block: Trajectories, role: Role) -> Iterator[tuple[int, slice]]:
    """The events of each trajectory of train in a block."""
    ends = np.arange(1, len(block.steps) + 1) if role == "static" else np.cumsum(block.steps)
    bounds = np.concatenate([[0], events.offsets[ends]])
    for number in np.flatnonzero(block.split == 0).tolist():
        yield number, slice(int(bounds[number]), int(bounds[number + 1]))


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
