"""The card of an exported model: what it was made of, what was measured, what it is not for. It holds counts and
figures of groups, and nothing of any record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jepa_core.model.folder import least_subjects
from jepa_core.results.findings import Headline
from jepa_core.results.record import RunRecord, read_run
from jepa_core.results.text import listed, plural
from jepa_core.results.wording import in_words_of

if TYPE_CHECKING:
    from jepa_core.model.model import Model

_USE = """\
```python
import torch
program = torch.export.load("predictor.pt2").module()   # static (B, D), states, actions (B, T, D), mask (B, T)
next_states, belief = program(static, states, actions, mask)
```

```python
import jepa_core                                        # with the plugins that the run used
model = jepa_core.load("model")
forecast = model.forecast(model.read("/path/to/data"), at=24, horizon=24)
```"""

_LIMITS = """\
* Recorded actions do not identify what an intervention does: forecasts under other actions are associations, no advice.
* No figure here is a validation for use on anyone."""


def model_card(model: Model, programs: Mapping[str, Mapping[str, Any]]) -> str:
    """The card as Markdown. programs: what was found when each was tried."""
    record = model.record
    run = read_run(model.folder)
    parts = [
        f"# {record['name']}",
        "licence: (to be filled in by the owner; the terms of the training data apply)",
        "## What it is",
        "\n".join(_parts(record)),
        "## Data",
        _splits(run),
        "## What was measured",
        "\n".join(_headlines(run)) or "No evaluator was run.",
        *(part for name, other in run.transfers.items() for part in (f"## Measured on {name}", _elsewhere(other))),
        "## Use",
        _USE,
        "\n".join([*(_tried(name, attempt) for name, attempt in programs.items()), *_no_program(record)]),
        "## Limits",
        "\n".join([_reach(run), _LIMITS]) + _rarity(model),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _parts(record: Mapping[str, Any]) -> Iterator[str]:
    for kind, told in record["components"].items():
        yield f"* {kind}: `{told['use']}` of {told['package']} {told['version']}"
    yield f"* windows of {record['window_length']} steps in training"


def _rarity(model: Model) -> str:
    """How many subjects share what the model keeps of them, where it says so."""
    record = model.record
    if "least_subjects" not in record or least_subjects(model.folder, record) < 2:
        return ""
    fewest, left_out = least_subjects(model.folder, record), record["channels_left_out"]
    told = (
        f"\n* What the encoder fitted, and the channels that `model.json` names, hold nothing that fewer than {fewest} "
        "subjects of the training data share."
    )
    return told + (f" {left_out:,} channels that fewer have are read as any other and not named." if left_out else "")


def _tried(name: str, attempt: Mapping[str, Any]) -> str:
    if "refused" in attempt:
        return f"* `{name}` was not written: {attempt['refused']}."
    fixed = f"; it takes {attempt['steps']} steps, shorter windows filled up and masked"
    takes = "" if attempt["steps"] == "any" else fixed
    return f"* `{name}` is within {attempt['largest_difference']:.1e} of the model on made-up inputs{takes}."


def _no_program(record: Mapping[str, Any]) -> Iterator[str]:
    if record["item_shape"] is None:
        yield (
            "* The encoder reads texts, and no program of tensors cuts them into tokens: it has no "
            "program here. What was trained of it is in `model/`, and `jepa_core.load` runs it."
        )


def _splits(run: RunRecord) -> str:
    """Counts of each split."""
    rows = [f"| split | trajectories | {plural(run.noun)} | steps |", "|---|---|---|---|"]
    for split in run.data.get("splits", ()):
        rows.append(f"| {split['split']} | {split['trajectories']:,} | {split['subjects']:,} | {split['steps']:,} |")
    return "\n".join(rows) if len(rows) > 2 else "No counts were kept."


def _headlines(run: RunRecord) -> Iterator[str]:
    """The headline figures of every evaluator, with their intervals and n."""
    for name, findings in run.in_order():
        content = in_words_of(findings, run.noun)
        yield from (_headline(name, headline) for headline in content.headlines)
        yield from (f"* {name}: {verdict.text}" for verdict in content.verdicts)


def _elsewhere(other: RunRecord) -> str:
    """What was found on other data."""
    return "\n".join([f"Data of the source `{other.manifest['dataset']['source']}`.", "", *_headlines(other)])


def _reach(run: RunRecord) -> str:
    """Whom the figures hold for."""
    told = f"* The figures hold for {plural(run.noun)} like those of the held-out split"
    others = listed(list(run.transfers))
    return f"{told}; " + (f"beyond them, of {others} alone." if others else "nothing was measured anywhere else.")


def _headline(evaluator: str, told: Headline) -> str:
    if told.value is None:
        return f"* {evaluator}, {told.label}: not measured ({told.note})"
    interval = "" if told.low is None or told.high is None else f" ({told.low:.3g} to {told.high:.3g})"
    counted = "" if told.n is None else f", n = {told.n} {told.n_unit}"
    return f"* {evaluator}, {told.label}: {told.value:.3g} {told.unit}".rstrip() + interval + counted
