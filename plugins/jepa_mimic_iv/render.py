"""The text of an hour, in the form of the published reference (Clin-JEPA, arXiv 2605.10840).

    state   t=7h | Heart rate: 88 bpm. Systolic BP: 112 mmHg. ...
    action  t=7h | Norepinephrine: 0.42 mg, rate 0.1 mcg/kg/min Continuous Med. Furosemide: Administered. ...
    static  Age: 63 years. Gender: Female. Race: WHITE.

Observations stand in the order of `Channel.order` and keep their order in time among equals; every reading is shown.
Departures from the reference, where it shows the future or loses something: see `sql/actions.sql` for infusions and
`number` for small doses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from jepa_core.trajectories import Channel, Events, Rendered, Trajectories

NO_OBSERVATIONS = "No observations recorded."
NO_ACTIONS = "No active interventions."
RATE_GROUP = "inputevents/rate"

VERSION = 1
"""Raised when a text changes, so that datasets render again."""

_FLUSHES = ("Sodium Chloride 0.9% Flush", "Sodium Chloride 0.45% Flush", "Sodium Chloride 0.9% Flush for CRRT")
NOISE: dict[str, frozenset[str]] = {
    "inputevents": frozenset({"solution", "sterile water", "piggyback", "gt flush"}),
    "emar": frozenset(name.lower() for name in (*_FLUSHES, "Heparin Flush (10 units/ml)")),
    "prescriptions": frozenset(
        name.lower()
        for name in (
            *_FLUSHES,
            "Bag",
            "Sterile Water",
            "SW",
            "Iso-Osmotic Dextrose",
            "Iso-Osmotic Sodium Chloride",
            "Solution",
            "Soln",
            "Vial",
            "Vial (Sterile Water)",
            "Syringe",
            "Bottle",
            "Sterile Water For Irrigation",
            "Sterile Diluent for Flolan",
            "Sterile Diluent for Remodulin",
        )
    ),
}
"""Containers, diluents and flushes that the texts leave out (the store keeps them), by table, in lower case with
single blanks."""
_NOISE_PREFIXES = {"prescriptions": ("heparin flush", "syringe (")}


def render_text(trajectories: Trajectories, channels: Sequence[Channel], step_hours: float) -> Rendered:
    """Texts of every trajectory and of every step of it."""
    hours = np.array(
        [f"t={hour:g}h | " for hour in np.arange(int(trajectories.steps.max(initial=0))) * step_hours], dtype=object
    )
    prefixes = hours[trajectories.step_numbers()] if len(hours) else hours
    state = _fragments(trajectories.state, trajectories.texts, channels, _every(trajectories.state))
    action = _fragments(trajectories.action, trajectories.texts, channels, _shown_actions(trajectories, channels))
    return Rendered(
        static=_demographics(trajectories, channels),
        state=_sentences(prefixes, state, NO_OBSERVATIONS),
        action=_sentences(prefixes, action, NO_ACTIONS),
    )


def number(value: float) -> str:
    """A number as people write it: no more than two decimals, but never fewer than two significant digits, no trailing
    zeros.

    The reference rounds to two decimals, so that a dose of 0.004 reads 0.
    """
    size = abs(value)
    decimals = 2 if size >= 0.095 or size == 0 else 1 - math.floor(math.log10(size))
    written = f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if written in ("-0", "") else written


def fragment(channel: Channel, value: float, text: str | None) -> str:
    """One event in words, with the separator that stands before it: a rate belongs to the amount in front of it."""
    measured = "" if math.isnan(value) else " ".join(filter(None, (number(value), channel.unit)))
    if channel.group == RATE_GROUP:
        return ", " + " ".join(filter(None, ("rate", measured, text)))
    if not measured or channel.order >= 9999:
        return f". {channel.label}: " + " ".join(filter(None, (measured, text)))
    return f". {channel.label}: {measured}" + (f" ({text})" if text else "")


def is_noise(channel: Channel) -> bool:
    """Whether the texts leave a channel out."""
    table, label = channel.group.removesuffix("/rate"), channel.label.lower()
    return label in NOISE.get(table, ()) or label.startswith(_NOISE_PREFIXES.get(table, ("\0",)))


def _every(events: Events) -> np.ndarray:
    return np.ones(len(events.channel), dtype=bool)


def _shown_actions(trajectories: Trajectories, channels: Sequence[Channel]) -> np.ndarray:
    """Which actions are written out: no noise, and a prescription only where it is the first of its kind in the
    stay."""
    events = trajectories.action
    noise = np.array([is_noise(channel) for channel in channels], dtype=bool)
    ordered = np.array([channel.group == "prescriptions" for channel in channels], dtype=bool)
    shown = ~noise[events.channel]
    orders = np.flatnonzero(ordered[events.channel])
    step_of_event = np.repeat(np.arange(len(events.offsets) - 1), np.diff(events.offsets))
    trajectory_of_step = np.repeat(np.arange(len(trajectories.steps)), trajectories.steps)
    kind = _kinds(events, len(trajectories.texts))[orders]
    owner = trajectory_of_step[step_of_event[orders]]
    _, first = np.unique(owner * (kind.max(initial=0) + 1) + kind, return_index=True)
    repeated = np.ones(len(orders), dtype=bool)
    repeated[first] = False
    shown[orders[repeated]] = False
    return shown


def _kinds(events: Events, texts: int) -> np.ndarray:
    """Number of the distinct (channel, value, text) that each event is."""
    if len(events.channel) == 0:
        return np.zeros(0, dtype=np.int64)
    bits = (
        np.where(np.isnan(events.value), np.float32(np.nan), events.value)
        .astype(np.float32)
        .view(np.uint32)
        .astype(np.int64)
    )
    _, pair = np.unique((events.channel.astype(np.int64) << 32) | bits, return_inverse=True)
    _, kind = np.unique(pair * np.int64(texts + 1) + events.text + 1, return_inverse=True)
    return kind


def _fragments(
    events: Events, texts: np.ndarray, channels: Sequence[Channel], shown: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fragments of the shown events, step after step in the order in which they are written, and the offsets of the
    steps."""
    owners = len(events.offsets) - 1
    owner = np.repeat(np.arange(owners), np.diff(events.offsets))[shown]
    order = np.array([channel.order for channel in channels], dtype=np.int64)
    rank = np.lexsort((order[events.channel[shown]], owner))
    place = np.flatnonzero(shown)[rank]
    kind = _kinds(events, len(texts))[place]
    distinct, first, inverse = np.unique(kind, return_index=True, return_inverse=True)
    words = np.empty(len(distinct), dtype=object)
    samples = place[first]
    words[:] = [
        fragment(channels[channel], value, texts[text] if text >= 0 else None)
        for channel, value, text in zip(
            events.channel[samples].tolist(), events.value[samples].tolist(), events.text[samples].tolist(), strict=True
        )
    ]
    return words[inverse], np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=owners))])


def _sentences(prefixes: np.ndarray, fragments: tuple[np.ndarray, np.ndarray], empty: str) -> list[str]:
    words, offsets = fragments[0].tolist(), fragments[1].tolist()
    return [
        prefix + ("".join(words[low:high])[2:] if high > low else empty)
        for prefix, low, high in zip(prefixes.tolist(), offsets[:-1], offsets[1:], strict=True)
    ]


def _demographics(trajectories: Trajectories, channels: Sequence[Channel]) -> list[str]:
    events, texts = trajectories.static, trajectories.texts
    sentences = []
    for low, high in zip(events.offsets[:-1].tolist(), events.offsets[1:].tolist(), strict=True):
        facts = {channels[events.channel[place]].name: place for place in range(low, high)}
        sentences.append(_demographic_sentence(facts, events, texts))
    return sentences


def _demographic_sentence(facts: dict[str, int], events: Events, texts: np.ndarray) -> str:
    age = round(float(events.value[facts["demographics/age"]]))
    gender = texts[events.text[facts["demographics/gender"]]] if "demographics/gender" in facts else ""
    race = texts[events.text[facts["demographics/race"]]] if "demographics/race" in facts else "UNKNOWN"
    return f"Age: {age} years. Gender: {'Male' if gender == 'M' else 'Female'}. Race: {race.upper()}."
