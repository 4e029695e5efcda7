"""What a study will cost, variant by variant, and how much of it is done: answered from recipes and manifests alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from jepa_core.results.record import read_manifest
from jepa_core.runs.plan import Plan, make_plan
from jepa_core.runs.run_list import run_seconds
from jepa_core.study.definition import Study
from jepa_core.study.folder import StudyFolder, run_rows


@dataclass(frozen=True)
class VariantPlan:
    """Each run of a variant. phases: optimizer steps by phase. flops: estimated operations of its training.
    memory_bytes: estimated peak. None where `jepa plan` of the recipe cannot tell either."""

    variant: str
    phases: dict[str, int]
    steps: int
    flops: int | None
    memory_bytes: int | None


@dataclass(frozen=True)
class StudyPlan:
    """Everything that `jepa plan` prints of a study. runs: the rows of `study.folder.run_rows`. run_seconds: what the
    runs that are done took, at the median; None before the first."""

    study: str
    description: str
    folder: str
    sources: list[str]
    reference: str
    seeds: list[int]
    variants: list[VariantPlan]
    runs: list[dict[str, Any]]
    run_seconds: float | None
    missing: list[str]

    def states(self) -> Counter[str]:
        """How many runs are in each state."""
        return Counter(row["state"] for row in self.runs)

    def steps(self, *, left: bool = False) -> int:
        """Optimizer steps of all runs, or of those that are not done."""
        return sum(plan.steps for plan in self._each(left))

    def flops(self, *, left: bool = False) -> int | None:
        """Estimated operations of training all runs, or those that are not done."""
        return _sum([plan.flops for plan in self._each(left)])

    def seconds_left(self) -> float | None:
        """What the runs that are not done will take, one at a time."""
        return None if self.run_seconds is None else self.run_seconds * len(self._each(True))

    def to_dict(self) -> dict[str, Any]:
        total = {"runs": len(self.runs), "steps": self.steps(), "flops": self.flops(), "states": dict(self.states())}
        left = {"runs": len(self._each(True)), "steps": self.steps(left=True), "flops": self.flops(left=True)}
        return asdict(self) | {"total": total, "left": left | {"seconds": self.seconds_left()}}

    def _each(self, left: bool) -> list[VariantPlan]:
        """The plan of every run, or of every one that is not done."""
        by_name = {variant.variant: variant for variant in self.variants}
        return [by_name[row["variant"]] for row in self.runs if not left or row["state"] != "done"]


def plan_study(study: Study, folder: StudyFolder) -> StudyPlan:
    """Plan a study. The seeds of a variant cost the same, so one of them is planned."""
    plans = [make_plan(next(cell.recipe for cell in study.cells if cell.variant == name)) for name in study.variants]
    return StudyPlan(
        study=study.name,
        description=study.description,
        folder=str(folder.path),
        sources=list(dict.fromkeys(plan.source for plan in plans)),
        reference=study.reference,
        seeds=list(study.seeds),
        variants=[_variant(name, plan) for name, plan in zip(study.variants, plans, strict=True)],
        runs=run_rows(study, folder),
        run_seconds=_run_seconds(study, folder),
        missing=list(dict.fromkeys(sentence for plan in plans for sentence in plan.missing)),
    )


def _variant(name: str, plan: Plan) -> VariantPlan:
    phases = {phase.name: phase.steps for phase in plan.phases}
    flops = [None if phase.flops is None else phase.flops * phase.steps for phase in plan.phases]
    return VariantPlan(name, phases, sum(phases.values()), _sum(flops), plan.memory_bytes)


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _run_seconds(study: Study, folder: StudyFolder) -> float | None:
    """The median, so that a run that was stopped for a night does not count with the night."""
    done = [folder.run(cell) for cell in study.cells if folder.state(cell) == "done"]
    seconds = [took for run in done if (took := run_seconds(read_manifest(run))) is not None]
    return median(seconds) if seconds else None
