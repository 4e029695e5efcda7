"""Numbers in what a run gives away that are values of few subjects, told apart from means that happen to equal one.

Rounded data have few different values, so the mean of several subjects' values is often the value of another. To tell
the two apart what was fitted is found again on data whose rare values are moved a little: a number that is one of these
values follows it to the bit, and a mean does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from jepa_core.audit.checks import LeakCheck
from jepa_core.config import ItemShape, SourceConfig, Split
from jepa_core.contracts import Channels
from jepa_core.data.observations import CLIP, means_of
from jepa_core.data.standardisation import NormalScores
from jepa_core.data.store import Store
from jepa_core.data.trajectories import ROLES, SPLITS, Events, Role, Trajectories
from jepa_core.errors import JepaError
from jepa_core.model.folder import FITTED, OBSERVATIONS, RECORD
from jepa_core.model.recorded import recorded_component
from jepa_core.plugin import Registry

NAME = "numbers of few subjects"
_OF_THE_RECIPE = ("components", "decoders", "versions")
"""Keys of `model.json` whose numbers are the recipe's."""
_MOVED = 64
"""Neighbours, in single precision, that a rare value is moved by."""
_CLOSE = 1e-5
"""How far, relatively, a number that is found again on moved values may be from the one that was kept: as far as they
are moved."""


@dataclass(frozen=True)
class _Kind:
    """Numbers with a fraction under one key of a file, in their order: (N,) float32 each. again: the same, found on
    moved values; None where that cannot be done."""

    name: str
    kept: np.ndarray
    again: np.ndarray | None = None


def check_numbers(
    folder: Path, record: Mapping[str, Any], plain: Mapping[str, Any], store: Store, registry: Registry, fewest: int
) -> LeakCheck:
    """Numbers with a fraction in the files of an export that are values of one to `fewest` - 1 subjects of train.
    plain: what stands in each file of JSON."""
    own = {file: _without_recipe(file, content) for file, content in plain.items()}
    kinds = [kind for file, content in own.items() for kind in _kinds(file, content)]
    given = np.unique(np.concatenate([*(kind.kept for kind in kinds), np.empty(0, np.float32)]))
    rare = given[is_rare(given, store, fewest)]
    clean = f"none of {len(given):,} numbers is that of fewer than {fewest} subjects of train"
    if not len(rare):
        return LeakCheck(NAME, "pass", clean)
    again, why = _found_again(folder, record, store, registry, rare)
    kinds = [replace(kind, again=again.get(kind.name)) for kind in kinds]
    told = {kind.name: (_followers(kind, rare), len(kind.kept)) for kind in kinds}
    standing = [f"{count:,} of {total:,} in {name}" for name, (count, total) in told.items() if count]
    if not standing:
        return LeakCheck(NAME, "pass", f"{clean}; {len(rare):,} equal a value of so few by chance: they are means")
    doubt = f"; whether they are means of more cannot be told: {why}" if why else ""
    return LeakCheck(NAME, "fail", f"values of fewer than {fewest} subjects of train: {', '.join(standing)}{doubt}")


def _without_recipe(file: str, content: Any) -> Any:
    if file != RECORD:
        return content
    return {key: value for key, value in content.items() if key not in _OF_THE_RECIPE}


def _kinds(file: str, content: Any) -> Iterator[_Kind]:
    """A kind for each key path of a file, positions in lists left out."""
    numbers: dict[str, list[float]] = {}
    for path, number in _numbers(content, ()):
        numbers.setdefault(f"{file}: {'.'.join(path)}", []).append(number)
    for name, values in numbers.items():
        kept = np.array(values, dtype=np.float32)
        if (kept % 1 != 0).any():
            yield _Kind(name, kept)


def _numbers(content: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], float]]:
    if isinstance(content, float):
        yield path, content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _numbers(value, (*path, key))
    elif isinstance(content, list):
        for value in content:
            yield from _numbers(value, path)


def is_rare(given: np.ndarray, store: Store, fewest: int, splits: Sequence[Split] = ("train",)) -> np.ndarray:
    """Which of different numbers, ascending, (N,) float32, have a fraction and are values of one to `fewest` - 1
    subjects of these splits: bool."""
    if not len(given):
        return np.zeros(0, dtype=bool)
    pairs = np.empty((2, 0), dtype=np.int64)
    common = given % 1 == 0
    chosen = [SPLITS.index(split) for split in splits]
    for block in store.blocks():
        pairs = np.unique(
            np.concatenate([pairs, *(_places(given, block, role, chosen) for role in ROLES)], axis=1), axis=1
        )
        common |= np.bincount(pairs[0], minlength=len(given)) >= fewest
        pairs = pairs[:, ~common[pairs[0]]]
    seen = np.bincount(pairs[0], minlength=len(given)) > 0
    return seen & ~common


def _places(given: np.ndarray, block: Trajectories, role: Role, splits: list[int]) -> np.ndarray:
    """Which numbers, by their places, are values of which subjects of some splits in a block: (2, pairs)."""
    value, subject = block.events(role).value, block.subject[block.event_trajectories(role)]
    own = np.isin(block.split[block.event_trajectories(role)], splits)
    at = np.minimum(np.searchsorted(given, value), len(given) - 1)
    there = own & (given[at] == value)
    return np.unique(np.stack([at[there], subject[there]]), axis=1)


def _followers(kind: _Kind, rare: np.ndarray) -> int:
    """Numbers of a kind that are rare values: those that followed them, and those that were not found again."""
    rares = np.isin(kind.kept, rare)
    equal = kind.kept[rares]
    if kind.again is None:
        return len(equal)
    gaps = np.abs(np.diff(kind.kept, prepend=kind.kept[:1], append=kind.kept[-1:]))
    close = _CLOSE * (np.abs(kind.kept) + np.maximum(gaps[1:], gaps[:-1]))[rares]
    again = np.sort(kind.again)
    seen = np.searchsorted(again, equal + close, "right") > np.searchsorted(again, equal - close, "left")
    return int((~seen | np.isin(_moved(equal), again)).sum())


def _moved(values: np.ndarray) -> np.ndarray:
    """Values (V,) float32, each moved a little away from 0."""
    return (values.view(np.int32) + _MOVED).view(np.float32)


# --- what was fitted, found again -------------------------------------------------------------------------------------


def _found_again(
    folder: Path, record: Mapping[str, Any], store: Store, registry: Registry, rare: np.ndarray
) -> tuple[dict[str, np.ndarray], str]:
    """Numbers of every kind of the fitted files, found on values of which the rare ones are moved; and, where they
    cannot be found, why."""
    try:
        moved = _MovedTrain(folder, record, store, registry, rare)
        fitted = {FITTED: _encoder_again(folder, record, registry, moved)}
        if record["observations"]:
            fitted[OBSERVATIONS] = _observations_again(record, moved)
    except (JepaError, KeyError) as error:
        return {}, str(error) if isinstance(error, JepaError) else "the run does not say what it was made of"
    return {kind.name: kind.kept for file, content in fitted.items() for kind in _kinds(file, content)}, ""


class _MovedTrain:
    """The train split as its source renders it in numbers, once the rare values are moved."""

    def __init__(
        self, folder: Path, record: Mapping[str, Any], store: Store, registry: Registry, rare: np.ndarray
    ) -> None:
        part = recorded_component(folder, "source", record["components"]["source"], registry)
        self.config = cast(SourceConfig, part.config)
        self._source = part.component.load()(part.config)
        self._source.load_fitted(record["source_fitted"])
        self._store, self._rare = store, rare

    def items(self, roles: tuple[Role, ...] = ROLES) -> Iterator[tuple[int, Channels]]:
        """Items of each trajectory, with its subject."""
        for block in self._store.blocks():
            rendered = self._source.render(self._move(block), self._store.channels, "channels")
            ends = np.cumsum(block.steps)
            for number in np.flatnonzero(block.split == 0).tolist():
                steps = slice(int(ends[number] - block.steps[number]), int(ends[number]))
                own = {"static": rendered.static[number : number + 1], "state": rendered.state[steps],
                       "action": rendered.action[steps]}  # fmt: skip
                values = torch.from_numpy(np.concatenate([np.asarray(own[role]) for role in roles]))
                yield int(block.subject[number]), Channels(values.float().nan_to_num(), ~values.isnan())

    def _move(self, block: Trajectories) -> Trajectories:
        static, state, action = (self._moved(block.events(role)) for role in ROLES)
        return replace(block, static=static, state=state, action=action)

    def _moved(self, events: Events) -> Events:
        value = events.value.astype(np.float32)
        return replace(events, value=np.where(np.isin(value, self._rare), _moved(value), value))


def _in_chunks(owned: Iterable[tuple[int, Channels]], chunk: int = 4096) -> Iterator[Channels]:
    """Items in the groups in which training gives them to be fitted on: which values are kept of very many depends on
    that, and a call for each trajectory takes its time."""
    waiting: list[Channels] = []
    for _, items in owned:
        waiting.append(items)
        if sum(len(part.values) for part in waiting) >= chunk:
            *whole, rest = _joined(waiting, chunk)
            yield from whole
            waiting = [rest]
    if waiting:
        yield from (part for part in _joined(waiting, chunk) if len(part.values))


def _joined(parts: list[Channels], chunk: int) -> list[Channels]:
    """Items one after another, as many at a time; the last are fewer, or none."""
    values, observed = torch.cat([part.values for part in parts]), torch.cat([part.observed for part in parts])
    starts = range(0, len(values) + 1, chunk)
    return [Channels(values[start : start + chunk], observed[start : start + chunk]) for start in starts]


def _encoder_again(folder: Path, record: Mapping[str, Any], registry: Registry, moved: _MovedTrain) -> dict[str, Any]:
    """What an encoder of numbers fits; nothing for one of texts, which keeps none."""
    if record["item_shape"] is None:
        return {}
    part = recorded_component(folder, "encoder", record["components"]["encoder"], registry)
    encoder = part.component.load()(part.config, ItemShape(**record["item_shape"]))
    encoder.fit(_in_chunks(moved.items()))
    encoder.forget_rare(moved.items())
    return encoder.fitted()


def _observations_again(record: Mapping[str, Any], moved: _MovedTrain) -> dict[str, Any]:
    places = torch.tensor([moved.config.observations()[name] for name in record["observations"]])
    scaling = NormalScores(len(places), CLIP)

    def means() -> Iterator[tuple[int, Channels]]:
        for subject, items in moved.items(("state",)):
            yield subject, means_of(items, places)

    scaling.fit(_in_chunks(means()))
    scaling.forget_rare(means())
    return scaling.fitted()
