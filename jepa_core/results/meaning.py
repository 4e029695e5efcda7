"""What the numbers of a run mean: a count that is raised when the same recipe, data and seed give others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MEANING = 2
"""Raised when scales, losses, draws or measures change, so that two runs of one recipe are no longer the same.

1: of runs that do not say. 2: scales hold no value of fewer than five subjects, and no channel that fewer show; boosted
trees take the median of a column that train rows hardly ever lack; medians, bins of event tokens and profiles of the
baselines rest on as many subjects.
"""
UNSAID = 1


def meanings(manifest: Mapping[str, Any]) -> dict[str, int]:
    """The number of the version that trained a run, and of those that evaluated it, by evaluator."""
    evaluated = manifest.get("evaluated", {})
    return {"training": manifest.get("meaning", UNSAID)} | {
        name: entry.get("meaning", UNSAID) for name, entry in evaluated.items()
    }


def other_meaning(manifest: Mapping[str, Any]) -> str:
    """That a run is of a version whose numbers mean something else than this one's; empty if it was not."""
    number = manifest.get("meaning", UNSAID)
    if number == MEANING:
        return ""
    version = (manifest.get("versions") or {}).get("jepa-core") or "of then"
    return (
        f"is of another jepa-core ({version}), whose scales, losses or measures mean something else "
        f"(meaning {number} in manifest.json; this version's is {MEANING})"
    )
