"""Trajectories with their later steps cut off: what was known by then, and no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from jepa_core.data.trajectories import Events, Trajectories


def truncated(trajectories: Trajectories, kept: np.ndarray) -> Trajectories:
    """The first `kept` (N,) steps of every trajectory."""
    chosen = trajectories.step_numbers() < np.repeat(kept, trajectories.steps)
    state, action = (of_owners(events, chosen) for events in (trajectories.state, trajectories.action))
    labels = {name: values[chosen] for name, values in trajectories.labels.items()}
    steps = kept.astype(trajectories.steps.dtype)
    return replace(trajectories, steps=steps, labels=labels, state=state, action=action)


def of_owners(events: Events, owners: np.ndarray) -> Events:
    """The events of the chosen owners, a bool each."""
    counts = np.diff(events.offsets)
    rows = np.repeat(owners, counts)
    offsets = np.concatenate([[0], np.cumsum(counts[owners])])
    return Events(offsets, events.channel[rows], events.value[rows], events.text[rows], events.time[rows])
