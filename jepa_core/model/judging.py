"""What scores of new data are worth, where the data tell the truth."""

from __future__ import annotations

import numpy as np

from jepa_core.model.kept import Scored
from jepa_core.results.paired import score_draws
from jepa_core.results.predictions import Predicted
from jepa_core.results.statistics import percentile_interval


def told_by_truth(scored: Scored, subject: np.ndarray) -> str:
    """Every measure of the rows whose truth is known, with its 95 % interval over subjects, in a sentence; empty where
    none is known. subject: (R,) whose each row is."""
    known = ~np.isnan(scored.truth)
    if not known.any():
        return ""
    kind, truth = scored.kept.kind, scored.truth[known]
    where = np.zeros(len(truth), dtype=np.int64), subject[known], scored.trajectory[known], scored.step[known]
    rows = Predicted(kind, *where, truth == 1 if kind == "boolean" else truth, scored.score[known])
    measures = []
    for name, drawn in score_draws(rows).items():
        draws = drawn.draws[~np.isnan(drawn.draws)]
        low, high = percentile_interval(draws) if len(draws) else (np.nan, np.nan)
        measures.append(f"{name} {drawn.value:.3f} ({low:.3f} to {high:.3f})")
    positives = f", {int(truth.sum()):,} of them positive" if kind == "boolean" else ""
    people = len(np.unique(subject[known]))
    return f"{', '.join(measures)}; {len(truth):,} rows of {people:,} subjects have a truth{positives}"
