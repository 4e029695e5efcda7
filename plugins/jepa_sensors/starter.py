"""A recipe to start from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jepa_sensors.config import SECONDS

_IRREGULAR = 0.05
"""Share of irregular intervals from which on steps are cut by time."""
_LONGEST = 500
"""Steps of a trajectory that a starter recipe aims not to exceed."""
_WIDTH = 120


def starter(source: Mapping[str, Any], lengths: Mapping[str, Any], sampling: Mapping[str, Any] | None) -> str:
    """YAML of a recipe for a table. source: keys of the source that say how to read it. lengths: samples of an id.
    sampling: its intervals, None without times."""
    lines = [
        "# jepa run RECIPE",
        f"# {Path(source['files']).name}: a recipe to start from, as `jepa inspect` wrote it.",
        "#",
        "# Say which channels are actions (settings, controls, known inputs), and what is to be predicted (labels,",
        "# outcomes): jepa show source/table lists every key.",
        "",
        "extends: five_phases",
        "",
        "source:",
        "  use: table",
        *(_entry(key, value) for key, value in source.items() if value not in ("", [], {}, ())),
        *_step(source, lengths, sampling),
        "",
        "encoder: {use: mlp}",
        "",
    ]
    return "\n".join(lines)


def _step(source: Mapping[str, Any], lengths: Mapping[str, Any], sampling: Mapping[str, Any] | None) -> list[str]:
    pieces = 1 if "id" in source else 24
    samples = max(1, round(lengths["median"] / pieces / _LONGEST))
    lines = []
    repeated = "layout" not in source and sampling is not None and sampling["repeated times"] > 0
    if sampling and sampling["median"] > 0 and (repeated or sampling["irregular"] > _IRREGULAR):
        seconds = (
            sampling["median"] * samples * (1 if sampling["unit"] == "s" else SECONDS[source.get("time_unit", "s")])
        )
        lines.append(f"  step: {{seconds: {seconds:g}}}     # the median interval")
    elif samples > 1:
        lines.append(f"  step: {{samples: {samples}}}")
    if repeated:
        lines.append("  repeats: mean")
    if "id" not in source:
        lines.append(f"  split: {{pieces: {max(3, min(24, int(lengths['median']) // samples // 72))}}}")
    return lines


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
