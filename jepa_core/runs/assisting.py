"""Evaluation by several processes: the first evaluates, and the others encode with it whatever it has to encode, which
is the most of it where encoders are large. What evaluators do with latents the first does alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from jepa_core.training.learner import Learner
from jepa_core.training.processes import Peers


def ask_others(processes: Peers, learner: Learner, name: str) -> None:
    """Have the other processes encode with this one what a frozen learner is asked for; to be called in the first, and
    each of the others must be in `assist`, with a learner of that name."""
    if processes.count == 1:
        return

    def ask(blocks: list[int]) -> None:
        processes.tell(json.dumps({"learner": name, "blocks": blocks}))
        learner.fill(blocks, processes)

    learner.asks = ask


def dismiss_others(processes: Peers) -> None:
    """End what `assist` does in the others."""
    processes.tell(json.dumps(None))


def assist(processes: Peers, learners: Mapping[str, Callable[[], Learner]]) -> None:
    """Encode what the first process asks for, until it is done.

    learners: make those that it may ask for, by name; the same is asked for again and again.
    """
    while asked := json.loads(processes.tell("")):
        learners[asked["learner"]]().fill(asked["blocks"], processes)
