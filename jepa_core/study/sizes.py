"""Sizes and budgets of a study's variants, side by side: a swap of encoders is fair at equal size alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jepa_core.results.comparison import TOLERANCE, budget_of
from jepa_core.results.findings import Cell, Column, Table, Verdict
from jepa_core.results.record import RunRecord
from jepa_core.results.text import listed

NOTE = (
    "Parameters are those that train. sized to: what a recipe's `match` sets the encoder to. Equal parameters are not "
    "equal work: operations are of all steps, as `jepa plan` counts them."
)


def size_tables(records: Mapping[str, RunRecord]) -> Iterator[Table]:
    """One table, a row a variant; none where a run tells no plan. records: of one run of each variant."""
    if not records or not all(record.plan for record in records.values()):
        return
    columns = [
        Column("variant"), Column("encoder"), Column("encoder_parameters", digits=12), Column("sized_to"),
        Column("predictor"), Column("predictor_parameters", digits=12), Column("steps", digits=12),
        Column("operations", "FLOP"),
    ]  # fmt: skip
    yield Table("sizes", "Sizes and budgets", columns, [_row(*pair) for pair in records.items()], NOTE)


def _row(variant: str, record: RunRecord) -> list[Cell]:
    plan, budget = record.plan, budget_of(record)
    cells: list[Cell] = [variant, *_model(plan["encoder"]), _sized_to(plan.get("matched")), *_model(plan["predictor"])]
    flops = budget.get("FLOPs")
    return [*cells, budget["optimizer steps"], None if flops is None else float(flops)]


def _model(model: Mapping[str, Any]) -> list[Cell]:
    return [model["use"], model["trainable"]]


def _sized_to(matched: Mapping[str, Any] | None) -> str:
    return f"{matched['use']}, {matched['trainable']:,}" if matched else ""


def budget_verdicts(records: Mapping[str, RunRecord], reference: str) -> Iterator[Verdict]:
    """One sentence that names the variants whose budgets are not those of the reference, and in what."""
    if reference not in records or not records[reference].plan:
        return
    base = budget_of(records[reference])
    apart = {
        variant: [key for key, value in budget_of(record).items() if _differ(value, base.get(key))]
        for variant, record in records.items()
    }
    told = [f"{variant} ({listed(keys)})" for variant, keys in apart.items() if keys]
    if told:
        share = f"by more than {TOLERANCE:.0%} from those of {reference}"
        yield Verdict("warning", f"Budgets differ {share}: {', '.join(told)}; the table of sizes has them.")


def _differ(value: float | None, base: float | None) -> bool:
    return value is not None and base is not None and max(value, base) > (1 + TOLERANCE) * min(value, base)
