"""The commands that use a trained model."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jepa_core.runs.process import environment, process_state

if TYPE_CHECKING:
    from jepa_core.model.data import Data
    from jepa_core.model.kept import Scored

log = logging.getLogger("jepa")

SECONDS = {"h": 3600.0, "min": 60.0, "s": 1.0}
"""Seconds of the units of a step; a step without one counts as a second, as in a run's predictions."""


def predict(arguments: argparse.Namespace) -> None:
    """Score new raw data with a head that an evaluation of a run kept."""
    with environment():  # before torch is imported
        from jepa_core.model.judging import told_by_truth
        from jepa_core.model.loading import load
        from jepa_core.model.seen import seen
        from jepa_core.recipe.schema import RuntimeConfig

        model = load(arguments.run)
        with process_state(RuntimeConfig(threads=model.record["threads"])):
            data = model.read(*arguments.data, source=arguments.source)
            scored = model.score(data, arguments.task, arguments.at, arguments.method, arguments.evaluator)
            log.info(
                "%s by %s: %d rows of %d trajectories",
                scored.kept.task,
                scored.kept.method,
                len(scored.score),
                len(data),
            )
            store = data.dataset.store
            known = seen(model.folder, store)
            of_row = None if known is None else known[scored.trajectory]
            told = told_by_truth(scored, store.subject[scored.trajectory], of_row)
            if told:
                log.info(told)
            if arguments.out is None:
                _print(scored)
            else:
                _write(arguments.out, data, scored)


def _print(scored: Scored) -> None:
    """By position in the data: no identifier is printed."""
    sys.stdout.write("trajectory,step,score\n")
    for row in zip(scored.trajectory.tolist(), scored.step.tolist(), scored.score.tolist(), strict=True):
        sys.stdout.write(",".join(map(repr, row)) + "\n")


def _write(path: Path, data: Data, scored: Scored) -> None:
    from jepa_core.io.files import disk_errors
    from jepa_core.results.predictions import write_scores

    length = data.step_length
    seconds = (scored.step + 1) * length.value * SECONDS.get(length.unit, 1.0)
    subject = data.dataset.store.subject[scored.trajectory]
    with disk_errors(path.parent):
        write_scores(
            path, scored.kept.kind, subject, scored.trajectory, scored.step, seconds, scored.score, scored.truth
        )
    print(path)
