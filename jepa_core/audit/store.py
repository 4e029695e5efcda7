"""Leaks in a store: what a model could know that nobody would know then, or of those that it is tested on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from pydantic import ValidationError

from jepa_core.audit.checks import LeakCheck, verdict
from jepa_core.audit.targets import target_checks
from jepa_core.config import SourceConfig
from jepa_core.data.source import Concern, Source
from jepa_core.data.store import Store
from jepa_core.data.trajectories import Events, Role
from jepa_core.data.truncation import truncated
from jepa_core.data.twins import FEWEST_EVENTS, state_digests
from jepa_core.errors import JepaError
from jepa_core.plugin import Registry

RENDERED = 64
"""Trajectories that are rendered again, cut off."""
KNOWN_OF = 20
"""Trajectories that a channel must be known of to be judged by when it is recorded."""
AT_THE_END = 0.95
"""Share of a channel's events in last steps from which it is said to come with the end."""
DYNAMIC: tuple[Role, ...] = ("state", "action")

CONCERNS: dict[Concern, str] = {
    "availability": "results not yet available",
    "intervals": "intervals that go on",
    "hindsight": "hindsight, by the source",
}


def audit_store(store: Store, registry: Registry) -> list[LeakCheck]:
    """Every check of a store. Its source is asked where its plugin is installed; raw data are not read."""
    source, config, why = _source_of(store, registry)
    checks = [*_split_checks(store), _duplicates(store)]
    if source is None or config is None:
        checks += [
            LeakCheck(name, "not verified", why) for name in ("events after their step", "truncation invariance")
        ]
    else:
        checks += [_late_events(store, source), _truncation(store, source, config)]
    checks += [*_assured(store, source), _hindsight(store), *target_checks(store)]
    rule = "a store holds no threshold; evaluators choose theirs on tuning"
    return [*checks, LeakCheck("thresholds chosen on test", "not verified", rule)]


def _source_of(store: Store, registry: Registry) -> tuple[Source | None, SourceConfig | None, str]:
    """The source of a store with the options that it was built with; or why there is none."""
    options: Any = store.attributes.get("options")
    if options is None:
        return None, None, "the store does not say which options it was built with"
    try:
        component = registry.component("source", store.attributes["source"])
        config = component.config.model_validate(options)
        assert isinstance(config, SourceConfig)
        source: Source = component.load()(config)
        source.load_fitted(source.fitted(store, store.channels))
    except (JepaError, ValidationError) as error:
        told = str(error) if isinstance(error, JepaError) else "its options are of another version"
        return None, None, f"the source {store.attributes['source']} cannot be asked: {told}"
    return source, config, ""


# --- splits -----------------------------------------------------------------------------------------------------------


def _split_checks(store: Store) -> Iterator[LeakCheck]:
    for name, keys in (("split by subject", store.subject), ("split by record", store.identifier)):
        pairs = np.unique(np.stack([keys, store.split.astype(np.int64)]), axis=1)
        count = len(np.unique(keys))
        torn, kind = pairs.shape[1] - count, name.removeprefix("split by ") + "s"
        words = f"{torn:,} of {count:,} {kind} stand in two splits" if torn else f"{count:,} {kind}, each in one split"
        yield LeakCheck(name, "fail" if torn else "pass", words)


def _duplicates(store: Store) -> LeakCheck:
    """Trajectories with the same states in two splits, whoever they are said to be of."""
    splits: dict[bytes, set[int]] = {}
    copies: Counter[bytes] = Counter()
    for block in store.blocks():
        for split, digest in zip(block.split.tolist(), state_digests(block), strict=True):
            if digest:
                splits.setdefault(digest, set()).add(split)
                copies[digest] += 1
    shared = sum(copies[digest] for digest, inside in splits.items() if len(inside) > 1)
    judged = sum(copies.values())
    if shared:
        return LeakCheck(
            "duplicates across splits", "fail", f"{shared:,} of {judged:,} trajectories have twins in another"
        )
    words = f"no two of {judged:,} trajectories with {FEWEST_EVENTS} events or more have equal states in two splits"
    return LeakCheck("duplicates across splits", "pass" if judged else "not verified", words)


# --- time -------------------------------------------------------------------------------------------------------------


def _late_events(store: Store, source: Source) -> LeakCheck:
    """Events that stand in a step which is over before they happen."""
    late: Counter[int] = Counter()
    total = 0
    for block in store.blocks():
        step = block.step_numbers()
        begins, ends = source.begins(step), source.begins(step + 1)
        slack = 1e-3 * (ends - begins) + np.spacing(ends.astype(np.float32))  # times are kept in single precision
        for role in DYNAMIC:
            events = block.events(role)
            owner = _owners(events)
            after = events.time > (ends + slack)[owner]
            total += len(owner)
            late.update(events.channel[after].tolist())
    return verdict(
        "events after their step", [store.channels[number].name for number in sorted(late)],
        f"{late.total():,} of {total:,} events are shown in a step that ends before they happen",
        f"each of {total:,} events of states and actions stands in a step that was not over",
    )  # fmt: skip


def _owners(events: Events) -> np.ndarray:
    return np.repeat(np.arange(len(events.offsets) - 1), np.diff(events.offsets))


def _truncation(store: Store, source: Source, config: SourceConfig) -> LeakCheck:
    """Whether items change when all that comes after them is cut off."""
    chosen = np.unique(np.linspace(0, len(store) - 1, min(RENDERED, len(store))).round().astype(np.int64))
    changed: dict[str, None] = {}
    for _, alone in store.each(chosen):
        kept = np.maximum(1, alone.steps // 2)
        cut, early = truncated(alone, kept), int(kept[0])
        for modality in config.modalities:
            whole, part = (source.render(shown, store.channels, modality) for shown in (alone, cut))
            for role in ("static", "state", "action"):
                count = early if role != "static" else 1
                if not _equal(getattr(whole, role)[:count], getattr(part, role)[:count]):
                    changed[f"{role} items of the modality {modality}"] = None
    return verdict(
        "truncation invariance", list(changed),
        f"of {len(chosen)} trajectories, items change when the steps after them are cut off",
        f"{len(chosen)} trajectories give the same items when the later half of their steps is cut off; whether raw "
        "data would, too, is for the source's own tests",
    )  # fmt: skip


def _equal(whole: Any, part: Any) -> bool:
    if isinstance(whole, np.ndarray):
        return np.array_equal(whole, part, equal_nan=True)
    return list(whole) == list(part)


# --- hindsight --------------------------------------------------------------------------------------------------------


def _assured(store: Store, source: Source | None) -> Iterator[LeakCheck]:
    """What the source says of concerns that no store shows."""
    told = source.assurances(store.channels) if source is not None else []
    for concern, name in CONCERNS.items():
        own = [assurance for assurance in told if assurance.about == concern]
        for assurance in own:
            result = {True: "pass", False: "fail", None: "not verified"}[assurance.holds]
            yield LeakCheck(name, result, assurance.words, assurance.channels)  # type: ignore[arg-type]
        if not own:
            yield LeakCheck(name, "not verified", "a store does not show it, and its source says nothing of it")


def _hindsight(store: Store) -> LeakCheck:
    """Static facts that tell how long a trajectory goes on, and channels that come with its end."""
    count = len(store.channels)
    events, last, owners = (np.zeros(count, dtype=np.int64) for _ in range(3))
    static = np.full((len(store), count), np.nan, dtype=np.float32) if len(store) * count < 1 << 26 else None
    first = 0
    for block in store.blocks():
        if static is not None:
            static[first + _owners(block.static), block.static.channel] = block.static.value
        first += len(block.steps)
        trajectory = np.repeat(np.arange(len(block.steps)), block.steps)
        is_last = block.step_numbers() == np.repeat(block.steps, block.steps) - 1
        long_enough = np.repeat(block.steps >= 3, block.steps)
        for role in DYNAMIC:
            step, channel = _owners(block.events(role)), block.events(role).channel
            step, channel = step[long_enough[step]], channel[long_enough[step]]
            events += np.bincount(channel, minlength=count)
            last += np.bincount(channel[is_last[step]], minlength=count)
            owners += np.bincount(np.unique(trajectory[step] * count + channel) % count, minlength=count)
    ending = (owners >= KNOWN_OF) & (last >= AT_THE_END * events)
    telling = [store.channels[number].name for number in np.flatnonzero(ending)]
    if static is not None:
        telling += [
            channel.name for channel, values in zip(store.channels, static.T, strict=True)
            if _follows(values, store.steps)
        ]  # fmt: skip
    return verdict(
        "hindsight columns", list(dict.fromkeys(telling)),
        "static facts that tell how long a trajectory goes on, or channels that come with its end alone",
        "no static fact tells how long a trajectory goes on, and no channel comes with its end alone",
    )  # fmt: skip


def _follows(values: np.ndarray, steps: np.ndarray) -> bool:
    """Whether values are in the order of numbers of steps (Spearman's correlation of 0.95 or more)."""
    known = ~np.isnan(values)
    own, length = values[known], steps[known]
    if len(own) < KNOWN_OF or len(np.unique(own)) < 3 or len(np.unique(length)) < 3:
        return False
    return abs(float(np.corrcoef(_ranks(own), _ranks(length))[0, 1])) >= 0.95


def _ranks(values: np.ndarray) -> np.ndarray:
    """Middle ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[inverse]
