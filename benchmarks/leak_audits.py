"""Planted leaks: which of them `jepa audit STORE` finds, and which icu-leakage-check 0.1.0, on the same trajectories.

    pip install icu-leakage-check==0.1.0        # optional; without it the column of that package stays empty
    python benchmarks/leak_audits.py [--seeds 3] [--json]

Oscillators (80 trajectories, an outcome that nothing tells) are stored with one leak each, under a channel `planted`,
and without any, once for every seed. The other package is given what its documentation asks for: a row for each
trajectory at the middle of its steps, with the mean, the last value and the number of each channel's events in the
steps so far, identifiers, split and label; the events behind them with their times; where a leak is about features that
read on, the function that makes them. Found means that a check failed or warned that passes without the leak. A false
alarm is a check that fails or warns without any leak.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from jepa_core.audit.store import audit_store
from jepa_core.data.store import Store, StoreWriter
from jepa_core.data.trajectories import Channel, Events, Rendered, Trajectories
from jepa_core.plugin import Registry, discover
from jepa_core.testing import oscillator_parts
from jepa_core.testing.oscillator_parts import CHANNELS, Oscillators
from jepa_core.testing.oscillators import OscillatorsConfig

VERSION = "0.1.0"
COUNT = 80
PLANTED = len(CHANNELS)


@dataclass(frozen=True)
class Planted:
    """Trajectories with a leak. name: of the planted channel. knowing: whether features and items read the whole
    trajectory. facts: further times of the planted events, by the other package's names. threshold: of a classifier
    whose scores are the second: both for the other package alone."""

    trajectories: Trajectories
    name: str = "planted"
    knowing: bool = False
    facts: Mapping[str, float] = field(default_factory=dict)
    threshold: tuple[float, np.ndarray] | None = None


def clean(seed: int) -> Trajectories:
    """Oscillators with an outcome that nothing tells."""
    blocks: list[Trajectories] = []
    writer: Any = SimpleNamespace(channels=lambda channels: None, append=blocks.append)
    with tempfile.TemporaryDirectory() as scratch:
        Oscillators(config_of(seed)).build(writer, Path(scratch))
    outcome = np.random.default_rng(seed).permutation(np.arange(COUNT) % 2).astype(np.float32)
    return replace(blocks[0], outcomes={"fell": outcome})


def config_of(seed: int) -> OscillatorsConfig:
    return OscillatorsConfig(trajectories=COUNT, shortest=4, longest=20, gaps=0.3, seed=seed)


# --- leaks ------------------------------------------------------------------------------------------------------------


def with_events(events: Events, owner: np.ndarray, value: np.ndarray, time: np.ndarray) -> Events:
    """Events with further ones of the planted channel behind each owner's own."""
    counts = np.diff(events.offsets) + np.bincount(owner, minlength=len(events.offsets) - 1)
    columns = ((events.channel, PLANTED), (events.value, value), (events.text, -1), (events.time, time))
    merged = (np.insert(old, events.offsets[owner + 1], new) for old, new in columns)
    return Events(np.concatenate([[0], np.cumsum(counts)]), *merged)


def firsts(cohort: Trajectories) -> np.ndarray:
    return np.cumsum(cohort.steps) - cohort.steps


def at_first(cohort: Trajectories, value: np.ndarray, chosen: np.ndarray, time: float = 0.0) -> Trajectories:
    """The planted channel in the first step of chosen trajectories."""
    chosen = np.flatnonzero(chosen)
    times = np.full(len(chosen), time)
    return replace(cohort, state=with_events(cohort.state, firsts(cohort)[chosen], value[chosen], times))


def noise(cohort: Trajectories) -> np.ndarray:
    return np.random.default_rng(1).normal(size=len(cohort.steps))


def everyone(cohort: Trajectories) -> np.ndarray:
    return np.ones(len(cohort.steps), dtype=bool)


def torn(cohort: Trajectories, key: str) -> Planted:
    other = int(np.flatnonzero(cohort.split != cohort.split[0])[0])
    keys = getattr(cohort, key).copy()
    keys[other] = keys[0]
    return Planted(replace(cohort, **{key: keys}))


def twin(cohort: Trajectories) -> Planted:
    """The longest trajectory of train stands in another split too, under another subject."""
    longest = int(np.flatnonzero(cohort.split == 0)[np.argmax(cohort.steps[cohort.split == 0])])
    other = int(np.flatnonzero(cohort.split == 2)[0])
    order = np.arange(len(cohort.steps))
    order[other] = longest
    ends = np.cumsum(cohort.steps)
    steps = np.concatenate([np.arange(ends[number] - cohort.steps[number], ends[number]) for number in order])
    labels = {name: values[steps] for name, values in cohort.labels.items()}
    state, action, static = of(cohort.state, steps), of(cohort.action, steps), of(cohort.static, order)
    return Planted(replace(cohort, steps=cohort.steps[order], labels=labels, state=state, action=action, static=static))


def of(events: Events, owners: np.ndarray) -> Events:
    counts = np.diff(events.offsets)[owners]
    rows = np.concatenate([np.arange(events.offsets[owner], events.offsets[owner + 1]) for owner in owners])
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return Events(offsets, events.channel[rows], events.value[rows], events.text[rows], events.time[rows])


def told(cohort: Trajectories, spread: float) -> Planted:
    """A channel that is the outcome with noise."""
    return Planted(at_first(cohort, 3 * cohort.outcomes["fell"] + spread * noise(cohort), everyone(cohort)))


def at_the_end(cohort: Trajectories) -> Planted:
    """What is written in last steps alone."""
    last, times = np.cumsum(cohort.steps) - 1, cohort.steps - 1.0
    return Planted(replace(cohort, action=with_events(cohort.action, last, noise(cohort), times)))


def length_known(cohort: Trajectories) -> Planted:
    own = np.arange(len(cohort.steps))
    return Planted(
        replace(cohort, static=with_events(cohort.static, own, cohort.steps * 0.25, np.full(len(own), np.nan)))
    )


def chosen_on_test(cohort: Trajectories) -> Planted:
    """Scores, and the threshold among them with the most of Youden's index on the held-out split."""
    score = cohort.outcomes["fell"] + 1.5 * noise(cohort)
    inside = cohort.split == 2
    truth, own = cohort.outcomes["fell"][inside] == 1, score[inside]
    gains = [(own[truth] >= cut).mean() - (own[~truth] >= cut).mean() for cut in np.sort(own)]
    return Planted(cohort, threshold=(float(np.sort(own)[int(np.argmax(gains))]), score))


def noisy(cohort: Trajectories, **about: Any) -> Planted:
    """A channel of noise, and what is said about it."""
    return Planted(at_first(cohort, noise(cohort), everyone(cohort)), **about)


LEAKS: dict[str, Callable[[Trajectories], Planted]] = {
    "a subject in two splits": partial(torn, key="subject"),
    "an admission in two splits": partial(torn, key="identifier"),
    "a trajectory twice, in train and in held-out": twin,
    "events shown before they happen": lambda cohort: Planted(at_first(cohort, noise(cohort), everyone(cohort), 30.0)),
    "results shown before they were there": partial(noisy, facts={"available_time": 30.0}),
    "intervals shown before they are over": partial(noisy, facts={"end_time": 30.0}),
    "features that read the whole trajectory": partial(noisy, knowing=True),
    "what is written at the end alone": at_the_end,
    "a static fact that tells the length": length_known,
    "a name of hindsight (length_of_stay) on noise": partial(noisy, name="length_of_stay"),
    "a channel that is the outcome": partial(told, spread=0.1),
    "a channel that ranks the outcome, AUROC about 0.9": partial(told, spread=2.2),
    "a name of a proxy (comfort_care) on noise": partial(noisy, name="comfort_care"),
    "a channel that is recorded where the outcome is 1": lambda cohort: Planted(
        at_first(cohort, noise(cohort), cohort.outcomes["fell"] == 1)
    ),
    "a threshold chosen on held-out": chosen_on_test,
}


# --- ours -------------------------------------------------------------------------------------------------------------


class KnowingOscillators(Oscillators):
    """Says in the text of every step how many there are."""

    def render(self, trajectories: Trajectories, channels: Any, modality: str) -> Rendered:
        items = super().render(trajectories, channels, modality)
        if modality != "text":
            return items
        return replace(items, state=[f"of {len(items.state)}: {item}" for item in items.state])


def ours(planted: Planted, seed: int, registry: Registry) -> dict[str, str]:
    """What `jepa audit` says of a store of them: by check, its failures and warnings."""
    channels = [*CHANNELS, Channel(planted.name)]
    oscillator_parts.CHANNELS[:] = channels
    original = oscillator_parts.Oscillators
    oscillator_parts.Oscillators = KnowingOscillators if planted.knowing else original  # type: ignore[misc]
    try:
        with tempfile.TemporaryDirectory() as folder:
            about = {"options": config_of(seed).model_dump(mode="json", by_alias=True)}
            with StoreWriter(Path(folder) / "store", "oscillators", "f" * 64, about) as writer:
                writer.channels(channels)
                writer.append(planted.trajectories)
            checks = audit_store(Store(Path(folder) / "store"), registry)
    finally:
        oscillator_parts.CHANNELS[:] = channels[:PLANTED]
        oscillator_parts.Oscillators = original  # type: ignore[misc]
    return {check.name: check.result for check in checks if check.result in ("fail", "warning")}


# --- theirs -----------------------------------------------------------------------------------------------------------


def features(events: pd.DataFrame, count: int) -> pd.DataFrame:
    """Mean, last value and number of each channel's events, by trajectory."""
    grouped = events.groupby(["entity_id", "variable"])["value"].agg(["mean", "last", "count"]).unstack("variable")
    grouped.columns = [f"{variable}__{kind}" for kind, variable in grouped.columns]
    return grouped.reindex(range(count))


def events_of(planted: Planted) -> pd.DataFrame:
    """Every event with its trajectory, the step that shows it, and its times in minutes."""
    cohort, names = planted.trajectories, [*(channel.name for channel in CHANNELS), planted.name]
    parts = []
    for role in ("static", "state", "action"):
        events = cohort.events(role)
        owner = np.repeat(np.arange(len(events.offsets) - 1), np.diff(events.offsets))
        step = np.zeros(len(owner)) if role == "static" else cohort.step_numbers()[owner]
        trajectory = owner if role == "static" else np.repeat(np.arange(len(cohort.steps)), cohort.steps)[owner]
        time = np.where(np.isnan(events.time), 0.0, events.time)
        variable = [names[number] for number in events.channel]
        parts.append(pd.DataFrame({"entity_id": trajectory, "variable": variable, "value": events.value,
                                   "step": step, "event_time": 60.0 * time}))  # fmt: skip
    told_events = pd.concat(parts, ignore_index=True)
    for fact, steps in planted.facts.items():
        told_events[fact] = np.where(told_events.variable == planted.name, 60.0 * steps, np.nan)
    return told_events


def theirs(planted: Planted) -> dict[str, str]:
    """What icu-leakage-check says: by kind of leak, its status where that is no pass."""
    from icu_leakage_check import LeakageAudit

    cohort, events = planted.trajectories, events_of(planted)
    index = cohort.steps // 2
    shown = events[events.step <= index[events.entity_id]]
    rows = features(events if planted.knowing else shown, len(index))
    split = np.array(["train", "valid", "test"])[cohort.split]
    rows = rows.assign(row=np.arange(len(index)), patient=cohort.subject, stay=cohort.identifier, split=split,
                       label=cohort.outcomes["fell"], index_time=60.0 * (index + 1))  # fmt: skip
    more: dict[str, Any] = {}
    if planted.threshold is not None:
        more = {"threshold": planted.threshold[0], "scores": planted.threshold[1]}
    if planted.knowing:
        more = {"feature_builder": lambda raw, chosen: features(raw, len(index)).loc[chosen.entity_id],
                "raw_events": events}  # fmt: skip
    audit = LeakageAudit(
        rows, label="label", split="split", patient_id="patient", encounter_id="stay", index_time="index_time",
        stay_id="row", events=shown, event_entity="row", **more,
    )  # fmt: skip
    findings = audit.run().findings
    return {
        f"{finding.check_id}: {finding.leakage_type}": str(finding.status)
        for finding in findings
        if str(finding.status).lower().split(".")[-1] in ("fail", "warn")
    }


# --- the table --------------------------------------------------------------------------------------------------------


def compared(seeds: int, with_theirs: bool) -> dict[str, Any]:
    """How many seeds each leak was found in, by what, and the false alarms."""
    registry = discover([importlib.metadata.EntryPoint("oscillators", "jepa_core.testing.oscillators", "jepa")])
    asked: dict[str, Callable[[Planted, int], dict[str, str]]] = {"ours": partial(ours, registry=registry)}
    if with_theirs:
        asked["theirs"] = lambda planted, seed: theirs(planted)
    rows = {leak: {who: Counter[str]() for who in asked} for leak in LEAKS}
    alarms = {who: Counter[str]() for who in asked}
    for seed in range(seeds):
        base = clean(seed)
        for who, ask in asked.items():
            without = ask(Planted(base), seed)
            alarms[who].update(without.keys())
            for leak, plant in LEAKS.items():
                new = ask(plant(base), seed).keys() - without.keys()
                rows[leak][who].update(["found", *new] if new else [])
    leaks = {leak: {who: dict(counts) for who, counts in row.items()} for leak, row in rows.items()}
    return {"seeds": seeds, "leaks": leaks, "false alarms": {who: dict(counts) for who, counts in alarms.items()}}


def is_there() -> bool:
    """Whether the other package is there, in the version that the table is about."""
    try:
        import icu_leakage_check
    except ImportError:
        print(f"icu-leakage-check is not installed; pip install icu-leakage-check=={VERSION}", file=sys.stderr)
        return False
    if icu_leakage_check.__version__ != VERSION:
        print(f"icu-leakage-check {icu_leakage_check.__version__} is installed, not {VERSION}", file=sys.stderr)
    return True


def as_markdown(page: Mapping[str, Any]) -> str:
    lines = ["| planted | jepa audit | icu-leakage-check |", "|---|---|---|"]
    for leak, row in page["leaks"].items():
        lines.append(f"| {leak} | {_cell(row['ours'])} | {_cell(row['theirs']) if 'theirs' in row else ''} |")
    alarms = [", ".join(f"{name} {count}" for name, count in told.items()) or "none"
              for told in page["false alarms"].values()]  # fmt: skip
    return "\n".join([*lines, f"| nothing: false alarms | {' | '.join(alarms)} |"])


def _cell(told: Mapping[str, int]) -> str:
    named = ", ".join(name for name in told if name != "found")
    return f"{told['found']}: {named}" if told else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    page = compared(options.seeds, is_there())
    print(json.dumps(page, indent=1) if options.json else as_markdown(page))


if __name__ == "__main__":
    main()
