"""The text of a step.

    state   t=7h | Heart rate: 88 bpm. Level of consciousness: 4 (Alert). ...
    action  t=7h | Norepinephrine: 0.1 mcg/kg/min. ...
    static  Age: 63 years. Gender: F. ...

Events stand in the order of the data set, which is that of their times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from jepa_core.data.trajectories import Channel, Events, Rendered, Trajectories
from jepa_core.data.words import plain_number
from jepa_meds.codes import AGE

VERSION = 1
"""Raised when a text changes, so that datasets render again."""

EMPTY = {
    "static": "No facts recorded.",
    "state": "No observations recorded.",
    "action": "No active interventions.",
}


def render_text(
    trajectories: Trajectories, channels: Sequence[Channel], names: Sequence[str], hours: float
) -> Rendered:
    """Texts of every trajectory and of every step of it. names: what to call each channel. hours: of a step."""
    prefixes = [f"t={step * hours:g}h | " for step in range(int(trajectories.steps.max(initial=0)))]
    steps = [prefixes[number] for number in trajectories.step_numbers().tolist()]
    none = [""] * len(trajectories.steps)
    return Rendered(
        static=_sentences(trajectories.static, trajectories.texts, channels, names, none, EMPTY["static"]),
        state=_sentences(trajectories.state, trajectories.texts, channels, names, steps, EMPTY["state"]),
        action=_sentences(trajectories.action, trajectories.texts, channels, names, steps, EMPTY["action"]),
    )


def fragment(channel: Channel, name: str, value: float, text: str | None) -> str:
    """One event in words. A code that stands for its own name says its unit already."""
    if channel.name == AGE.name:
        return f"{AGE.label}: {math.floor(value)} {AGE.unit}"
    unit = "" if name == channel.name else channel.unit
    measured = "" if math.isnan(value) else " ".join(filter(None, (plain_number(value), unit)))
    if measured and text:
        return f"{name}: {measured} ({text})" if channel.unit else f"{name}: {measured} {text}"
    return f"{name}: {measured or text}" if measured or text else name


def _sentences(
    events: Events,
    texts: np.ndarray,
    channels: Sequence[Channel],
    names: Sequence[str],
    prefixes: list[str],
    empty: str,
) -> list[str]:
    words = _words(events, texts, channels, names)
    offsets = events.offsets.tolist()
    return [
        prefix + (". ".join(words[low:high]) + "." if high > low else empty)
        for prefix, low, high in zip(prefixes, offsets[:-1], offsets[1:], strict=True)
    ]


def _words(events: Events, texts: np.ndarray, channels: Sequence[Channel], names: Sequence[str]) -> list[str]:
    """Every event in words; equal events are put into words once."""
    known: dict[tuple[int, float, int], str] = {}
    words = []
    for key in zip(events.channel.tolist(), events.value.tolist(), events.text.tolist(), strict=True):
        channel, value, text = key
        key = (channel, -math.inf if math.isnan(value) else value, text)
        if key not in known:
            known[key] = fragment(channels[channel], names[channel], value, texts[text] if text >= 0 else None)
        words.append(known[key])
    return words
