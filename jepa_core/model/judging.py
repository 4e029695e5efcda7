"""What scores of new data are worth, where the data tell the truth."""

from __future__ import annotations

import numpy as np

from jepa_core.model.kept import Scored
from jepa_core.results.paired import score_draws
from jepa_core.results.predictions import Predicted
from jepa_core.results.statistics import percentile_interval


def told_by_truth(scored: Scored, subject: np.ndarray, seen: np.ndarray | None) -> str:
    """Every measure of the rows whose truth is known, with its 95 % interval over subjects, in a sentence; empty where
    none is known. Rows of subjects that the run was trained or tuned on are counted and not measured.

    subject: (R,) whose each row is. seen: (R,) which rows those are; None where nobody can tell.
    """
    known = ~np.isnan(scored.truth)
    if not known.any():
        return ""
    if seen is None:
        return f"{_measured(scored, subject, known)}; whether the run was trained on some of them is not known"
    measured, left_out = known & ~seen, int((known & seen).sum())
    told = [_measured(scored, subject, measured)] if measured.any() else []
    if left_out:
        told.append(
            f"{left_out:,} of {int(known.sum()):,} rows with a truth are of subjects that the run was trained or tuned "
            "on, and are not measured"
        )
    return "; ".join(told)


def _measured(scored: Scored, subject: np.ndarray, known: np.ndarray) -> str:
    """Measures of the rows that are known, (R,)."""
    kind, truth = scored.kept.kind, scored.truth[known]
    where = np.zeros(len(truth), dtype=np.int64), subject[known], scored.trajectory[known], scored.step[known]
    rows = Predicted(kind, *where, truth == 1 if kind == "boolean" else truth, scored.score[known])
    measures = []
    for name, drawn in score_draws(rows).items():
        draws = drawn.draws[~np.isnan(drawn.draws)]
        low, high = percentile_interval(draws)
        interval = f" ({low:.3f} to {high:.3f})" if len(draws) else ""
        measures.append(f"{name} {drawn.value:.3f}{interval}")
    positives = f", {int(truth.sum()):,} of them positive" if kind == "boolean" else ""
    people = len(np.unique(subject[known]))
    return f"{', '.join(measures)}; {len(truth):,} rows of {people:,} subjects have a truth{positives}"
