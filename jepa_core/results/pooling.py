"""What the runs on the folds of one split kept by subject, as if one run had kept it.

Each subject is held out once, so it stands there once, under the run that had not seen it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from jepa_core.results.findings import Redrawn, Samples

STRIDE = 2**40
"""Subjects are numbered within the split of their run; those of the next fold begin this much later."""


def pooled_kept(folds: Sequence[Mapping[str, Samples | Redrawn]]) -> dict[str, Samples | Redrawn]:
    """What all folds kept, by key. Samples are laid together; a metric that is drawn is the mean over folds, and so is
    each of its draws, which then redraw the subjects of every fold. A single fold's are as they were."""
    first, *others = folds
    if not others:
        return dict(first)
    keys = [key for key in first if all(key in other for other in others)]
    return {key: _pooled([fold[key] for fold in folds]) for key in keys}


def _pooled(parts: Sequence[Samples | Redrawn]) -> Samples | Redrawn:
    subjects = np.concatenate([part.subjects + STRIDE * fold for fold, part in enumerate(parts)])
    first = parts[0]
    if isinstance(first, Samples):
        values, weights = (np.concatenate([getattr(part, name) for part in parts]) for name in ("values", "weights"))
        return replace(first, subjects=subjects, values=values, weights=weights)
    value, draws = (np.mean([getattr(part, name) for part in parts], axis=0) for name in ("value", "draws"))
    return replace(first, subjects=subjects, value=float(value), draws=draws)
