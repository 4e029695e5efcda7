"""A recipe to start from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jepa_sensors.column_names import is_anomaly, noun_of
from jepa_sensors.config import SECONDS
from jepa_sensors.target_names import one_hot_names

_IRREGULAR = 0.05
"""Share of irregular intervals from which on steps are cut by time."""
_LONGEST = 500
"""Steps of a trajectory that a starter recipe aims not to exceed."""
_SPARSE = 0.5
"""Share of missing samples from which on the past of a channel is shown beside it."""
_FEW = ((10, "[0.4, 0.2, 0.4]"), (20, "[0.5, 0.2, 0.3]"))
"""Ids, or pieces of one series, below which more of them are held out, so that two at least are."""
_PIECES, _FEWEST_PIECES, _GAPS = 24, 5, 2
"""Pieces of one series, at most, and at least if there is anything to cut; steps between splits that are lost."""
_WINDOW, _HORIZON, _SHORTEST = 72, 48, 6
"""Steps of a window, of a rollout and of the shortest context that the recipe extended has."""
_NICE = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
"""Seconds that people cut time into."""
_WIDTH = 120
_NOTHING = re.compile(
    r"f|false|no?|none|normal(_?\w*)?|ok(ay)?|good|healthy|fine|off|negative|neg|benign|stable|pass(ed)?|inactive|alive|"
    r"(no|not|non)[_ -]?\w+|0",
    re.I,
)
"""Words that say that nothing is the case."""


Sort = Literal["flag", "classes", "number"]
"""What the values of a label are: 1 and 0, or two words; one of several; a number."""


@dataclass(frozen=True)
class Proposal:
    """What a starter recipe is made of.

    source: keys of the source that say how to read it. channels: rows with the keys channel, role, constant. told: for
    each column that may hold the answer, why. asked: what the values are of those that are answers by themselves.
    left_out: for each column that was, why. notes: what else is to be said.
    offsets: of channels. ids: how many. lengths: samples of one. sampling: its intervals, None without times. span:
    from its first row to its last, in the unit of the time. sparse: share of missing samples.
    """

    source: Mapping[str, Any]
    channels: Sequence[Mapping[str, Any]]
    told: Mapping[str, str]
    asked: Mapping[str, Sort]
    left_out: Mapping[str, str]
    notes: Sequence[str]
    offsets: Mapping[str, float]
    ids: int
    lengths: Mapping[str, Any]
    sampling: Mapping[str, Any] | None
    span: float
    sparse: float


def starter(proposal: Proposal, files: Sequence[str], held_out: Sequence[str] = ()) -> str:
    """YAML of a recipe for tables. files, held_out: as the recipe names those to learn from and those to measure on."""
    roles = _roles(proposal)
    source = {**proposal.source, "files": files[0] if len(files) == 1 else list(files)} | roles
    if noun := noun_of(source["id"]) if "id" in source else "piece":
        source["noun"] = noun
    if "id" in source and len(source["id"]) == 1:
        source["id"] = source["id"][0]
    lines = [
        "# jepa run RECIPE",
        "# A recipe to start from, as `jepa inspect` wrote it.",
        "#",
        *_remarks(proposal),
        "# Say which channels are actions (settings, controls, known inputs): jepa show source/table lists every key.",
        "",
        "extends: five_phases",
        f"description: {_description(roles, source)}",
        "",
        "source:",
        "  use: table",
        *(_entry(key, value) for key, value in source.items() if value not in ([], {}, ()) and key != "labels"),
        *_targets(proposal),
        *_step(source, proposal),
        *_split(source, proposal, held_out),
        *_history(proposal),
        "",
        "encoder: {use: mlp}",
        *_windows(source, proposal),
        *_evaluators(source, proposal),
        "",
    ]
    return "\n".join(lines)


def _remarks(proposal: Proposal) -> Iterator[str]:
    """What a person should look at, as comments."""
    for note in proposal.notes:
        yield f"# {note[0].upper()}{note[1:]}."
    if proposal.told:
        yield "# `labels` and `outcomes` hold what may be the answer, which no encoder sees. Move to `states` what is"
        yield "# known in time; docs/downstream.md says how the rest is predicted."
    for name in (name for name, sort in proposal.asked.items() if sort == "classes"):
        named = json.dumps(name, ensure_ascii=False)
        yield f"# No task asks for {named}: a task asks for one of two classes, or a number."
    fixed = [channel["channel"] for channel in proposal.channels if channel["constant"]]
    for name, why in {**proposal.left_out, **dict.fromkeys(fixed, "never changes")}.items():
        yield f"# Left out: {json.dumps(name, ensure_ascii=False)}, {why}."


def _roles(proposal: Proposal) -> dict[str, Any]:
    """Channels that change, by role; if nothing changes within an id, what differs between ids is a state."""
    roles = {
        f"{role}s": [
            channel["channel"] for channel in proposal.channels
            if channel["role"] == role and not channel["constant"] and channel["channel"] not in proposal.told
        ]
        for role in ("state", "action", "static")
    }  # fmt: skip
    chosen = roles if roles["states"] else roles | {"states": roles["statics"], "statics": []}
    used = {*chosen["states"], *chosen["actions"], *chosen["statics"]}
    words = {
        name: words
        for name, words in proposal.source.get("categories", {}).items()
        if name in used | set(proposal.told)
    }
    return chosen | {"categories": words, "offsets": {k: v for k, v in proposal.offsets.items() if k in used}}


def _description(roles: Mapping[str, Any], source: Mapping[str, Any]) -> str:
    """What the run is about, in counts: a report shows it, and names of files may say whose they are."""
    words = {"states": "state", "actions": "action", "statics": "static fact"}
    counts = [f"{len(roles[key])} {word}{'s'[: len(roles[key]) != 1]}" for key, word in words.items() if roles[key]]
    listed = " and ".join([", ".join(counts[:-1]), counts[-1]] if len(counts) > 1 else counts)
    whose = f"each {source.get('noun', 'series')}" if "id" in source else "one series"
    return f"The five phases on {listed} of {whose}"


def _labels(proposal: Proposal) -> tuple[list[str], list[str]]:
    """Columns that may hold the answer: those that change within an id, which are labels, and those that never do."""
    changing = {channel["channel"] for channel in proposal.channels if channel["role"] != "static"}
    constant = {channel["channel"] for channel in proposal.channels if channel["constant"]}
    told = [name for name in proposal.told if name not in constant]
    return [name for name in told if name in changing], [name for name in told if name not in changing]


def _evaluators(source: Mapping[str, Any], proposal: Proposal) -> Iterator[str]:
    """Tasks first, where there are labels: a report answers in the order of its recipe. Then rollouts that fit into the
    series, and alarms, where a label marks when something was wrong."""
    tasks, alarms, drift = list(_tasks(source, proposal)), list(_alarms(proposal)), _rollouts(source, proposal)
    if tasks:
        rollouts = ["  - use: rollout_drift", *(f"    {key}: {value}" for key, value in drift.items())]
        yield from ("", "evaluators:", *tasks, *rollouts, "  - use: latent_collapse", *alarms)
    elif drift:
        keys = ", ".join(f"{key}: {value}" for key, value in drift.items())
        yield from ("", "evaluators:", f"  rollout_drift: {{{keys}}}")


def _windows(source: Mapping[str, Any], proposal: Proposal) -> Iterator[str]:
    """Windows for series that are shorter than a context and a rollout of the recipe that is extended."""
    steps = _steps(source, proposal)
    if steps < _SHORTEST + _HORIZON:
        yield ""
        keys = f"length: {steps}, stride: {steps}, min_length: {min(_SHORTEST, steps // 2)}"
        yield f"windows: {{{keys}}}     # the series are short"


def _rollouts(source: Mapping[str, Any], proposal: Proposal) -> dict[str, Any]:
    """Keys of rollouts in windows that are short: a fifth and two fifths of one are seen, the rest is rolled out."""
    steps = _steps(source, proposal)
    if steps >= _SHORTEST + _HORIZON:
        return {}
    seen = [max(1, steps // 5), max(2, 2 * steps // 5)]
    return {"contexts": seen, "headline_context": seen[1], "horizon": steps - seen[1]}


def _steps(source: Mapping[str, Any], proposal: Proposal) -> int:
    """Steps of a window that three quarters of the series, or the pieces of one, are as long as; at most those of the
    recipe that is extended."""
    steps = _series_steps(source, proposal)
    if "id" not in source:
        steps = (steps - _GAPS) / _pieces(source, proposal)
    return max(4, min(_WINDOW, int(steps)))


def _series_steps(source: Mapping[str, Any], proposal: Proposal) -> float:
    """Steps that three quarters of the series are as long as; all of those of one series."""
    seconds, samples = _step_length(source, proposal)
    if not seconds:
        return float(proposal.lengths["q25"]) / samples
    shorter = proposal.lengths["q25"] / max(1, proposal.lengths["median"])
    return float(shorter * proposal.span * _unit(source, proposal) / seconds)


def _pieces(source: Mapping[str, Any], proposal: Proposal) -> int:
    """Pieces of one series: each as long as a window, if that leaves enough of them."""
    steps = _series_steps(source, proposal)
    return max(_FEWEST_PIECES if steps >= 30 else 3, min(_PIECES, int(steps) // _WINDOW))


def _alarms(proposal: Proposal) -> Iterator[str]:
    labels, _ = _labels(proposal)
    for target, name in zip(_identifiers(labels), labels, strict=True):
        if is_anomaly(name) and proposal.asked.get(name) == "flag":
            label = _mark(target, name, proposal)[0]
            yield f"  - {{use: anomalies, label: {label}}}     # its alarms read no label, and are judged by this one"
            return


def _tasks(source: Mapping[str, Any], proposal: Proposal) -> Iterator[str]:
    """A task for each answer that is a number or one of two: of every step, or of a series once enough of it is
    seen."""
    labels, outcomes = _labels(proposal)
    seen, noun = _steps(source, proposal), source.get("noun", "series")
    lines = []
    for target, name in zip(_identifiers(labels), labels, strict=True):
        if proposal.asked.get(name) in ("flag", "number"):
            label, value = _mark(target, name, proposal)
            lines.append(f"      - {{label: {label}}}     # {value}, at every step")
    for target, name in zip(_identifiers(outcomes), outcomes, strict=True):
        if proposal.asked.get(name) in ("flag", "number"):
            outcome, value = _mark(target, name, proposal)
            kind = ", kind: regression" if proposal.asked[name] == "number" else ""
            whose = f"of each {noun} of {seen} steps or more, from its first {seen}"
            lines.append(f"      - {{outcome: {outcome}, after: {seen}{kind}}}     # {value}, {whose}")
    if lines:
        yield "  - use: prediction_tasks     # what frozen latents tell of each, beside trees and lines on the channels"
        yield from ("    tasks:", *lines)


def _mark(target: str, name: str, proposal: Proposal) -> tuple[str, str]:
    """What a task calls an answer, and what its values are. Each of two words makes a target of its own, of which the
    task is about the one that says that something is the case."""
    words = proposal.source.get("categories", {}).get(name, ())
    if proposal.asked[name] == "number" or len(words) != 2:
        return target, "a number" if proposal.asked[name] == "number" else "1 or 0"
    chosen = 0 if _NOTHING.fullmatch(words[1]) and not _NOTHING.fullmatch(words[0]) else 1
    return one_hot_names(target, words)[chosen], f"whether it is {json.dumps(words[chosen], ensure_ascii=False)}"


def _targets(proposal: Proposal) -> Iterator[str]:
    """Columns that may hold the answer: outcomes where they never change within an id, else labels."""
    labels, outcomes = _labels(proposal)
    for key, names in (("labels", labels), ("outcomes", outcomes)):
        if names:
            yield f"  {key}:"
        for target, name in zip(_identifiers(names), names, strict=True):
            yield f"    {target}: {{column: {json.dumps(name, ensure_ascii=False)}}}     # {proposal.told[name]}"


def _identifiers(names: Sequence[str]) -> list[str]:
    """A plain identifier for each name."""
    lines: list[str] = []
    for name in names:
        plain = re.sub(r"\W+", "_", name).strip("_") or "target"
        plain = plain if plain[0].isalpha() else f"target_{plain}"
        lines.append(plain if plain not in lines else f"{plain}_{len(lines)}")
    return lines


def _step(source: Mapping[str, Any], proposal: Proposal) -> Iterator[str]:
    seconds, samples = _step_length(source, proposal)
    if seconds:
        assert proposal.sampling is not None, "the length of a step in seconds comes from intervals"
        median = f"{proposal.sampling['median'] * _unit(source, proposal):g} s"
        yield f"  step: {{seconds: {seconds:g}}}     # the intervals are uneven; their median is {median}"
    elif samples > 1:
        yield f"  step: {{samples: {samples}}}"
    if _is_repeated(source, proposal):
        yield "  repeats: mean"


def _split(source: Mapping[str, Any], proposal: Proposal, held_out: Sequence[str]) -> Iterator[str]:
    """Pieces of one series; and of few pieces or ids a larger share to be held out, where no files are."""
    if held_out:
        written = json.dumps(list(held_out), ensure_ascii=False)
        yield f"  split: {{held_out: {written}}}     # by their names"
        return
    count = proposal.ids if "id" in source else _pieces(source, proposal)
    split = {} if "id" in source else {"pieces": f"{count}"}
    if fractions := next((shares for below, shares in _FEW if _FEWEST_PIECES <= count < below), ""):
        split["fractions"] = fractions
    if split:
        why = "     # of so few, two at least are to be held out" if fractions else ""
        yield f"  split: {{{', '.join(f'{key}: {value}' for key, value in split.items())}}}{why}"


def _step_length(source: Mapping[str, Any], proposal: Proposal) -> tuple[float, int]:
    """Seconds of a step where steps are cut by time, else 0; and its samples."""
    sampling = proposal.sampling
    pieces = 1 if "id" in source else _PIECES
    samples = max(1, round(proposal.lengths["median"] / pieces / _LONGEST))
    uneven = sampling is not None and sampling["irregular"] > _IRREGULAR
    if sampling is None or sampling["q95"] <= 0 or not (uneven or _is_repeated(source, proposal)):
        return 0.0, samples
    seconds = max(sampling["median"] * samples, proposal.span / pieces / _LONGEST) * _unit(source, proposal)
    if sampling["irregular"] > 0.5:
        return next((step for step in _NICE if step >= seconds), seconds), samples
    whole = sampling["median"] * _unit(source, proposal) * samples  # a share of it would leave steps without a row
    return (whole * max(1, round(seconds / whole)) if whole else seconds), samples


def _unit(source: Mapping[str, Any], proposal: Proposal) -> float:
    """Seconds of the unit of the time."""
    in_seconds = proposal.sampling is None or proposal.sampling["unit"] == "s"
    return 1 if in_seconds else SECONDS[source.get("time_unit", "s")]


def _is_repeated(source: Mapping[str, Any], proposal: Proposal) -> bool:
    wide = source.get("layout", "wide") == "wide"
    return wide and proposal.sampling is not None and proposal.sampling["repeated times"] > 0


def _history(proposal: Proposal) -> Iterator[str]:
    """The past beside a step, where a step shows few of its channels."""
    if proposal.sparse > _SPARSE:
        missing = f"{proposal.sparse:.0%} of the samples are missing"
        yield f"  history: [last, age]     # {missing}: the last known value of a channel, and its age"


def _entry(key: str, value: Any) -> str:
    written = json.dumps(value, ensure_ascii=False)
    if isinstance(value, Sequence) and not isinstance(value, str) and len(written) + len(key) + 4 > _WIDTH:
        return f"  {key}: [\n" + "\n".join(_filled(value)) + "\n  ]"
    return f"  {key}: {written}"


def _filled(names: Sequence[str]) -> list[str]:
    """Names in lines that are not too long."""
    lines: list[str] = []
    line = "    "
    for name in names:
        written = json.dumps(name, ensure_ascii=False) + ", "
        if len(line) + len(written) > _WIDTH:
            lines.append(line.rstrip())
            line = "    "
        line += written
    return [*lines, line.rstrip(", ")]
