"""The text of an hour, in the form of the published reference (Clin-JEPA, arXiv 2605.10840).

    state   t=7h | Heart rate: 88 bpm. Systolic BP: 112 mmHg. ...
    action  t=7h | Norepinephrine: 0.42 mg, rate 0.1 mcg/kg/min Continuous Med. Furosemide: Administered. ...
    static  Age: 63 years. Gender: Female. Race: WHITE.

Observations stand in the order of `Channel.order` and keep their order in time among equals; every reading is shown.
Where the two templates differ, see `templates`; where both depart from the reference, because it shows the future, see
`sql/actions.sql`, and because it forgets what was charted just before admission, `sql/shown.sql`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jepa_core.data.trajectories import Channel, Events, Rendered, Trajectories
from jepa_mimic_iv.templates import DEFAULT, Template

NO_OBSERVATIONS = "No observations recorded."
NO_ACTIONS = "No active interventions."
RATE_GROUP = "inputevents/rate"

VERSION = 2
"""Raised when a text changes, so that datasets render again."""

_FLUSHES = ("Sodium Chloride 0.9% Flush", "Sodium Chloride 0.45% Flush", "Sodium Chloride 0.9% Flush for CRRT")
ALL: frozenset[str] = frozenset({"*"})
NOISE: dict[str, frozenset[str]] = {
    "inputevents": frozenset({"solution", "sterile water", "piggyback", "gt flush"}),
    "procedureevents": ALL,
    "invasive_line": ALL,
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
single blanks; of procedures and lines everything."""
_NOISE_PREFIXES = {"prescriptions": ("heparin flush", "syringe (")}


def render_text(
    trajectories: Trajectories, channels: Sequence[Channel], step_hours: float, template: Template = DEFAULT
) -> Rendered:
    """Texts of every trajectory and of every step of it."""
    hours = np.array(
        [f"t={hour:g}h | " for hour in np.arange(int(trajectories.steps.max(initial=0))) * step_hours], dtype=object
    )
    prefixes = hours[trajectories.step_numbers()] if len(hours) else hours
    told = [replace(channel, unit=template.units.get(channel.name, channel.unit)) for channel in channels]
    trajectories = _with_acted(trajectories, channels, template)
    state = _fragments(trajectories.state, trajectories, told, _shown_states(trajectories, told, template), template)
    action = _fragments(trajectories.action, trajectories, told, _shown_actions(trajectories, told, template), template)
    return Rendered(
        static=_demographics(trajectories, channels, template),
        state=_sentences(prefixes, state, NO_OBSERVATIONS),
        action=_sentences(prefixes, action, NO_ACTIONS),
    )


def _with_acted(trajectories: Trajectories, channels: Sequence[Channel], template: Template) -> Trajectories:
    """The trajectories with those observations among the actions that the template writes there."""
    state, action = trajectories.state, trajectories.action
    moves = np.array([channel.name in template.acted for channel in channels], dtype=bool)[state.channel]
    if not moves.any():
        return trajectories
    owners = len(state.offsets) - 1
    step_of_state, step_of_action = (
        np.repeat(np.arange(owners), np.diff(events.offsets)) for events in (state, action)
    )  # fmt: skip
    step = np.concatenate([step_of_action, step_of_state[moves]])
    order = np.argsort(step, kind="stable")
    columns = ("channel", "value", "text", "time")
    joined = {
        name: np.concatenate([getattr(action, name), getattr(state, name)[moves]])[order] for name in columns
    }  # fmt: skip
    rest = {name: getattr(state, name)[~moves] for name in columns}
    return replace(
        trajectories,
        state=Events(offsets=_offsets(step_of_state[~moves], owners), **rest),
        action=Events(offsets=_offsets(step, owners), **joined),
    )


def _offsets(owner: np.ndarray, owners: int) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=owners))])


def fragment(channel: Channel, value: float, text: str | None, template: Template = DEFAULT) -> str:
    """One event in words, with the separator that stands before it: a rate belongs to the amount in front of it."""
    measured = "" if math.isnan(value) else " ".join(filter(None, (template.number(value), channel.unit)))
    if channel.group == RATE_GROUP:
        return ", " + " ".join(filter(None, ("rate", measured, text)))
    if not measured or channel.order >= 9999:
        return f". {channel.label}: " + " ".join(filter(None, (measured, text)))
    return f". {channel.label}: {measured}" + (f" ({text})" if text else "")


def is_noise(channel: Channel) -> bool:
    """Whether the texts leave a channel out."""
    table, label = channel.group.removesuffix("/rate"), channel.label.lower()
    return (
        NOISE.get(table) == ALL
        or label in NOISE.get(table, ())
        or label.startswith(_NOISE_PREFIXES.get(table, ("\0",)))
    )


def _shown_states(trajectories: Trajectories, channels: Sequence[Channel], template: Template) -> np.ndarray:
    """Which observations are written out."""
    hidden = np.array([channel.name in template.hidden for channel in channels], dtype=bool)
    return ~hidden[trajectories.state.channel]


def _shown_actions(trajectories: Trajectories, channels: Sequence[Channel], template: Template) -> np.ndarray:
    """Which actions are written out: no noise, and a prescription only where it is the first of its kind in the
    stay."""
    events = trajectories.action
    noise = np.array([is_noise(channel) or channel.name in template.hidden for channel in channels], dtype=bool)
    ordered = np.array([channel.group == "prescriptions" for channel in channels], dtype=bool)
    shown = ~noise[events.channel]
    if template.given:
        given = np.array([channel.group == "emar" for channel in channels], dtype=bool)[events.channel]
        kept = np.append(np.isin(trajectories.texts.astype(str), list(template.given)), False)
        shown &= ~given | kept[events.text]
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
    events: Events, trajectories: Trajectories, channels: Sequence[Channel], shown: np.ndarray, template: Template
) -> tuple[np.ndarray, np.ndarray]:
    """Fragments of the shown events, step after step in the order in which they are written, and the offsets of the
    steps."""
    texts = trajectories.texts
    owners = len(events.offsets) - 1
    owner = np.repeat(np.arange(owners), np.diff(events.offsets))[shown]
    order = np.array([channel.order for channel in channels], dtype=np.int64)
    rank = np.lexsort((order[events.channel[shown]], owner))
    positions = np.flatnonzero(shown)[rank]
    kind = _kinds(events, len(texts))[positions]
    distinct, first, inverse = np.unique(kind, return_index=True, return_inverse=True)
    words = np.empty(len(distinct), dtype=object)
    samples = positions[first]
    words[:] = [
        fragment(channels[channel], value, texts[text] if text >= 0 else None, template)
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


def _demographics(trajectories: Trajectories, channels: Sequence[Channel], template: Template) -> list[str]:
    events, texts = trajectories.static, trajectories.texts
    sentences = []
    for low, high in zip(events.offsets[:-1].tolist(), events.offsets[1:].tolist(), strict=True):
        facts = {channels[events.channel[index]].name: index for index in range(low, high)}
        sentences.append(_demographic_sentence(facts, events, texts) + _history(facts, events, template))
    return sentences


def _demographic_sentence(facts: dict[str, int], events: Events, texts: np.ndarray) -> str:
    age = round(float(events.value[facts["demographics/age"]]))
    gender = texts[events.text[facts["demographics/gender"]]] if "demographics/gender" in facts else ""
    race = texts[events.text[facts["demographics/race"]]] if "demographics/race" in facts else "UNKNOWN"
    return f"Age: {age} years. Gender: {'Male' if gender == 'M' else 'Female'}. Race: {race.upper()}."


def _history(facts: dict[str, int], events: Events, template: Template) -> str:
    index = facts.get("demographics/charlson")
    if index is None or not template.charlson:
        return ""
    return f" Charlson index of earlier admissions: {template.number(float(events.value[index]))}."
