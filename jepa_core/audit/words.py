"""Words in what a run gives away that few subjects have: in their records, or in what is read of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from jepa_core.audit.checks import LeakCheck
from jepa_core.config import SourceConfig
from jepa_core.data.source import Source
from jepa_core.data.store import Store
from jepa_core.data.trajectories import ROLES, Events, Role, Trajectories
from jepa_core.errors import JepaError
from jepa_core.model.recorded import recorded_component
from jepa_core.plugin import Registry

WORDS = "words of few subjects"
SHORTEST = 4
"""Signs of the shortest word that is looked for."""

Reader = Callable[[Trajectories], list[set[str]]]
"""The texts that the encoder reads of each trajectory of a block."""


def check_words(
    folder: Path, record: Mapping[str, Any], plain: Mapping[str, Any], store: Store, registry: Registry, fewest: int
) -> LeakCheck:
    """Words in what is given away that one to `fewest` - 1 subjects of train have in their texts, in names, labels and
    units of their channels, or in what a source makes of these for an encoder of texts. plain: the content of each
    file."""
    reader, own = _of_source(folder, record, store, registry)
    of_file = {name: set(filter(_is_long, _strings(content))) for name, content in plain.items()}
    total = len(set[str]().union(*of_file.values()))
    waiting = set[str]().union(*of_file.values()) - own - _keys(record)
    rare = _rare(waiting, _said(store, reader), fewest)
    if not rare:
        return LeakCheck(WORDS, "pass", f"none of {total:,} words is that of fewer than {fewest} subjects of train")
    channels = len(rare & {channel.name for channel in store.channels})
    where = ", ".join(f"{len(rare & words):,} in {name}" for name, words in of_file.items() if rare & words)
    words = (
        f"{len(rare):,} of {total:,} words are those of fewer than {fewest} subjects of train ({where}; {channels:,} "
        "of them names of channels); they are not shown"
    )
    return LeakCheck(WORDS, "fail", words)


def _keys(record: Mapping[str, Any]) -> set[str]:
    """Keys that every `model.json` has, and that configs have: words of the form, not of what is in it."""
    parts = [*record["components"].values(), *record.get("decoders", {}).values()]
    tables = [record, record["components"], *parts, *(part["config"] for part in parts), *record["channels"]]
    return {key for table in tables for key in table}


def _rare(words: set[str], said: Iterable[tuple[int, str]], fewest: int) -> set[str]:
    """Words that one to `fewest` - 1 subjects say. said: a subject, and what one of its trajectories says."""
    waiting, saying = set(words), {word: set[int]() for word in words}
    for subject, told in said:
        for word in [word for word in waiting if word in told]:
            saying[word].add(subject)
            if len(saying[word]) >= fewest:
                waiting.remove(word)
    return {word for word in waiting if saying[word]}


def _is_long(word: str) -> bool:
    return len(word.strip()) >= SHORTEST


def _of_source(folder: Path, record: Mapping[str, Any], store: Store, registry: Registry) -> tuple[Reader, set[str]]:
    """What makes the items of an encoder of texts, whose own words are those of everybody whose items hold them; and
    names and units of the channels that the source knows without data: a model has them whoever is in it. Nothing where
    the source is not there to be asked."""
    try:
        part = recorded_component(folder, "source", record["components"]["source"], registry)
        source: Source = part.component.load()(part.config)
        source.load_fitted(record["source_fitted"])
        known = cast(SourceConfig, part.config).observed_channels()
    except (JepaError, KeyError):
        return _reads_nothing, set()
    own = {word for channel in store.channels if channel.name in known for word in (channel.name, channel.unit)}
    if record["item_shape"] is not None:
        return _reads_nothing, own
    return lambda block: _texts(source, block, store), own


def _reads_nothing(block: Trajectories) -> list[set[str]]:
    return [set() for _ in block.steps]


def _texts(source: Source, block: Trajectories, store: Store) -> list[set[str]]:
    rendered = source.render(block, store.channels, "text")
    ends = np.cumsum(block.steps).tolist()
    steps = [slice(end - count, end) for end, count in zip(ends, block.steps.tolist(), strict=True)]
    return [
        {static, *rendered.state[own], *rendered.action[own]}
        for static, own in zip(rendered.static, steps, strict=True)
    ]


def _said(store: Store, reader: Reader) -> Iterator[tuple[int, str]]:
    """For each trajectory of train its subject, with all words of its record, and what the encoder reads of it, in
    one."""
    for block in store.blocks():
        said = reader(block)
        for role in ROLES:
            events = block.events(role)
            for number, own in _slices(events, block, role):
                channels = (store.channels[channel] for channel in np.unique(events.channel[own]))
                said[number] |= {word for each in channels for word in (each.name, each.label, each.unit)}
                texts = events.text[own]
                said[number] |= set(block.texts[np.unique(texts[texts >= 0])])
        for number in np.flatnonzero(block.split == 0).tolist():
            yield int(block.subject[number]), "\0".join(said[number])


def _slices(events: Events, block: Trajectories, role: Role) -> Iterator[tuple[int, slice]]:
    """The events of each trajectory of train in a block."""
    ends = np.arange(1, len(block.steps) + 1) if role == "static" else np.cumsum(block.steps)
    bounds = np.concatenate([[0], events.offsets[ends]])
    for number in np.flatnonzero(block.split == 0).tolist():
        yield number, slice(int(bounds[number]), int(bounds[number + 1]))


def _strings(content: Any) -> Iterator[str]:
    """Every string in a JSON value, keys included; a byte-level token as the text that it stands for."""
    if isinstance(content, str):
        yield _as_text(content)
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _strings(key)
            yield from _strings(value)
    elif isinstance(content, list):
        for value in content:
            yield from _strings(value)


def _alphabet() -> dict[str, int]:
    """The signs that byte-level tokenizers write bytes as: a byte that is printed stands for itself, the others follow
    from U+0100 on (`bytes_to_unicode` of GPT-2)."""
    printed = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printed]
    return {chr(byte): byte for byte in printed} | {chr(0x100 + number): byte for number, byte in enumerate(others)}


_BYTE_OF = _alphabet()


def _as_text(word: str) -> str:
    """What a byte-level token stands for; any other string as it is."""
    if word.isascii() or not set(word) <= _BYTE_OF.keys():
        return word
    try:
        return bytes(_BYTE_OF[sign] for sign in word).decode()
    except UnicodeDecodeError:
        return word
