"""The results of the commands that read, worded for people."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jepa_core.runs.plan import Plan
    from jepa_core.runs.timing import ExpectedTime
    from jepa_core.study.planning import StudyPlan

NO_TIME = "time: --time tries every part for a moment, and says how long a run will take here"


def list_text(listing: dict[str, list[dict[str, str]]]) -> str:
    """Recipes and components under their headings, one a line."""
    lines: list[str] = []
    for heading, entries in listing.items():
        width = max((len(entry["name"]) for entry in entries), default=0)
        lines += [heading, *(f"  {entry['name']:<{width}}  {entry['summary']}" for entry in entries), ""]
    return "\n".join(lines).rstrip()


def component_text(page: dict[str, Any]) -> str:
    """What a component is, and its keys."""
    module, _, config = page["config"].partition(":")
    lines = [
        f"{page['kind']} {page['name']}  ({page['package']}, {page['implementation']})",
        f"in Python: from {module} import {config}",
        "",
        *_paragraphs(page["description"]),
        "",
        "keys:",
        *(line for key in page["keys"] for line in _key_lines(key)),
        *(["", "beside them in a recipe:"] if page["beside"] else []),
        *(f"  {key['name']}: {key['description']}" for key in page["beside"]),
    ]
    return "\n".join(lines)


def _paragraphs(text: str) -> list[str]:
    """The lines of a docstring with those of a paragraph, or of an item of a list, in one."""
    lines: list[str] = []
    for line in text.splitlines():
        goes_on = lines and lines[-1] and line.strip() and not line.lstrip().startswith("* ")
        lines[-1:] = [f"{lines[-1]} {line.strip()}"] if goes_on else [*lines[-1:], line]
    return lines


def _key_lines(key: dict[str, Any]) -> list[str]:
    """A key with its type, its default and what it means; the defaults of a section stand below it, a line each."""
    from jepa_core.recipe.keys import as_yaml

    section = key["value"] if isinstance(key["value"], dict) and key["value"] else {}
    lines = [f"  {key['name']}: {key['type']}; {'by default' if section else key['default']}"]
    inner = [f"        {name}: {as_yaml(value)}" for name, value in section.items()]
    return [*lines, *inner, *([f"      {key['description']}"] if key["description"] else [])]


def recipe_text(page: dict[str, Any], with_origins: bool) -> str:
    """The resolved recipe as YAML, or where each of its values comes from."""
    if with_origins:
        width = max(len(key) for key in page["origins"])
        return "\n".join(f"{key:<{width}}  {origin}" for key, origin in page["origins"].items())
    from jepa_core.runs.run import dump_yaml

    return dump_yaml(page["recipe"]).decode().rstrip()


def plan_text(plan: Plan) -> str:
    """Data, models, phases, memory and what is missing."""
    lines = [f"recipe {plan.recipe}, seed {plan.seed}", "", f"data: {plan.source}"]
    sizes = [file.bytes for file in plan.inputs if file.bytes is not None]
    lines += [
        f"  {file.path}  {_bytes(file.bytes) if file.bytes is not None else 'made by the run'}" for file in plan.inputs
    ]
    if len(sizes) > 1:
        lines.append(f"  {len(sizes)} files, {_bytes(sum(sizes))}")
    lines += ["", *_model_lines(plan)]
    lines += [f"  latents of size {_count(plan.latent_dim)}, windows of {plan.window_steps} steps", "", "curriculum"]
    width = max(len(phase.name) for phase in plan.phases)
    for number, phase in enumerate(plan.phases, 1):
        trains = " and ".join(phase.trains) or "nothing"
        trains += f", only {', '.join(phase.only)}" if phase.only else ""
        extra = f"; updates {phase.updates}" if phase.updates else ""
        terms = f"; with {', '.join(phase.objectives)}" if phase.objectives else ""
        lines += [
            f"  {number}. {phase.name:<{width}}  {phase.steps:>6} steps of {phase.batch_size} windows"
            f"  {_bytes(phase.memory_bytes):>9}  {_flops(phase.flops)}",
            f"     trains {trains} ({_count(phase.trained_parameters)}){extra}{terms}",
            *([f"     each process sends {_bytes(phase.sent_bytes)} of gradients a step"] if phase.sent_bytes else []),
        ]
    lines += ["", f"evaluators: {', '.join(plan.evaluators) or 'none'}", "", *_memory_lines(plan)]
    lines += (
        ["", "missing here:", *(f"  {reason}" for reason in plan.missing)]
        if plan.missing
        else ["", "nothing is missing here"]
    )
    return "\n".join(lines)


def _memory_lines(plan: Plan) -> list[str]:
    """Peaks of memory, of each process where there are several, and what does not fit."""
    from jepa_core.runs.plan import WAYS_OUT, crowded, refusal

    free = f", {_bytes(plan.memory_here_bytes)} free here" if plan.memory_here_bytes else ""
    each = f" of each of {plan.processes} processes" if plan.processes > 1 else ""
    lines = [
        f"memory: about {_bytes(plan.memory_bytes)} at the peak of training{each}{free}; disk: up to "
        f"{_bytes(plan.disk_bytes)} of checkpoints, {_bytes(plan.disk_free_bytes)} free here"
    ]
    if plan.weight_bytes is not None:
        lines.append(f"  {_bytes(plan.weight_bytes):>9}  weights{each}; beside them")
    lines += [f"  {_bytes(part.bytes) if part.bytes else 'a batch':>9}  {part.name}" for part in plan.parts]
    if reason := refusal(plan, plan.memory_here_bytes, plan.processes):
        lines += ["", f"does not fit into the memory of processors here: {reason}; {WAYS_OUT}"]
    elif over := crowded(plan, plan.memory_here_bytes, plan.processes):
        told = ", ".join(f"{name} up to {_bytes(most)}" for name, most in over.items())
        lines += ["", f"may not fit into the memory of processors here: {told}{each}"]
    return lines


def time_text(expected: ExpectedTime | None) -> str:
    """What a run is expected to take, part by part."""
    if expected is None:
        return NO_TIME
    width = max(len(part.part) for part in expected.parts)
    return "\n".join([
        f"time here, as busy as it is: about {_duration(expected.seconds)}; "
        f"of a processor: {_duration(expected.processor_seconds)}",
        *(
            f"  {part.part:<{width}}  {_duration(part.seconds):>8}  peak {_bytes(part.peak_bytes):>9}  {part.how}"
            for part in expected.parts
        ),
        f"  tried for {_duration(expected.measured_in)}, data included; evaluators grow with their subjects",
    ])  # fmt: skip


def study_time_text(plan: StudyPlan, expected: Mapping[str, ExpectedTime] | None) -> str:
    """What the runs of a study that are not done are expected to take, variant by variant."""
    if expected is None:
        return NO_TIME
    left = Counter(row["variant"] for row in plan.runs if row["state"] != "done")
    if not left:
        return "time: every run is done"
    seconds = sum(left[name] * time.seconds for name, time in expected.items())
    processor = sum(left[name] * time.processor_seconds for name, time in expected.items())
    width = max(map(len, expected))
    return "\n".join([
        f"time here, as busy as it is: about {_duration(seconds)}, one run at a time; "
        f"of a processor: {_duration(processor)}",
        *(
            f"  {name:<{width}}  {left[name]} to go, {_duration(time.seconds)} each"
            for name, time in expected.items()
        ),
        "  what runs share is counted for each of them",
    ])  # fmt: skip


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes = seconds / 60
    return f"{minutes:.3g} min" if minutes < 100 else f"{minutes / 60:,.3g} h"


def _model_lines(plan: Plan) -> list[str]:
    """Encoder, what it is sized to, and predictor, side by side."""
    models = [
        ("encoder", plan.encoder), ("sized to", plan.matched),
        ("predictor", plan.predictor), ("sized to", plan.matched_predictor),
    ]  # fmt: skip
    rows = [
        (role, model.use, _count(model.parameters), _count(model.trainable), _flops(model.flops))
        for role, model in models
        if model
    ]
    rows = [("models", "", "parameters", "trainable", f"training on {plan.step_windows} windows"), *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return [
        f"{role if number == 0 else '  ' + role:<{widths[0] + 2}}  {use:<{widths[1]}}  {parameters:>{widths[2]}}  "
        f"{trainable:>{widths[3]}}  {flops}"
        for number, (role, use, parameters, trainable, flops) in enumerate(rows)
    ]


def study_plan_text(plan: StudyPlan) -> str:
    """Variants with the cost of a run of each, how far their seeds have come, and the total."""
    lines = [f"study {plan.study}{': ' if plan.description else ''}{plan.description}", ""]
    lines += [f"data: {', '.join(plan.sources)}", f"folder: {plan.folder}", ""]
    rows = [("variant", "steps", "training", "memory", f"seeds {', '.join(map(str, plan.seeds))}")]
    rows += [
        (
            variant.variant,
            f"{variant.steps:,}",
            _flops(variant.flops),
            _bytes(variant.memory_bytes),
            _seeds_text(plan, variant.variant),
        )
        for variant in plan.variants
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines += [
        f"{name:<{widths[0]}}  {steps:>{widths[1]}}  {flops:>{widths[2]}}  {memory:>{widths[3]}}  {seeds}"
        for name, steps, flops, memory, seeds in rows
    ]
    lines += ["", *_total_lines(plan)]
    lines += [f"failed: {row['variant']}-{_seed_of(row)}, {row['why']}" for row in plan.runs if row["why"]]
    missing = (
        ["missing here:", *(f"  {reason}" for reason in plan.missing)] if plan.missing else ["nothing is missing here"]
    )
    return "\n".join([*lines, "", *missing])


def _total_lines(plan: StudyPlan) -> list[str]:
    """What all runs cost, and what those that are not done will; in time as well, once a run has told."""
    from jepa_core.results.text import duration

    states = ", ".join(f"{count} {state}" for state, count in plan.states().items())
    lines = [f"total: {len(plan.runs)} runs ({states}), {plan.steps():,} steps, {_flops(plan.flops())}"]
    seconds = plan.seconds_left()
    if seconds and plan.run_seconds:
        about = f"about {duration(seconds)} one at a time, at the {duration(plan.run_seconds)} that a run took"
        lines.append(f"left: {plan.steps(left=True):,} steps, {_flops(plan.flops(left=True))}, {about}")
    return lines


def _seed_of(row: Mapping[str, Any]) -> str:
    """A run's seed, and its fold where there are folds."""
    return str(row["seed"]) if row["fold"] is None else f"{row['seed']}-{row['fold']}"


def _seeds_text(plan: StudyPlan, variant: str) -> str:
    """How far each seed of a variant has come; one word where that is the same for all."""
    seeds: dict[str, list[str]] = {}
    for row in plan.runs:
        if row["variant"] == variant:
            seeds.setdefault(row["state"], []).append(_seed_of(row))
    if len(seeds) == 1:
        return next(iter(seeds))
    return "; ".join(f"{state}: {', '.join(of_state)}" for state, of_state in seeds.items())


def plugins_text(page: dict[str, Any], traceback: bool) -> str:
    """Plugins with their components; for a broken one the reason, with its traceback if asked for."""
    lines = []
    for plugin in page["plugins"]:
        lines.append(f"{plugin['status']:<6}  {plugin['name']}  ({plugin['package']} {plugin['version']})")
        lines += [f"          {component}" for component in plugin["components"]]
        if plugin["error"]:
            lines.append(f"          {plugin['error']}")
            lines.append(
                plugin["details"] if traceback else "          (see its traceback with: jepa plugins --traceback)"
            )
    return "\n".join(lines)


def _count(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,}"


def _flops(count: float | None) -> str:
    if count is None:
        return "unknown"
    for unit in ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} PFLOP"


def _bytes(count: float | None) -> str:
    if count is None:
        return "unknown"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
