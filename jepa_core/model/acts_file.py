"""A what-if in a file: YAML 1.2, read as recipes are, with every mistake at its place.

otherwise: none        # or `recorded`: what the data record goes on beside the acts
acts:
  - {channel: push, value: 1.5, unit: N, from: 24, to: 30}      # steps from 0; the last is not included
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from jepa_core.contracts import Act, Otherwise
from jepa_core.model.acts import Written
from jepa_core.model.request_file import read_request

SHAPE = "a what-if is a section with the keys `acts` and `otherwise`, such as `acts: []`"


class _File(BaseModel):
    """Keys of the file."""

    model_config = ConfigDict(extra="forbid")

    acts: list[Written]
    otherwise: Otherwise = "none"


@dataclass(frozen=True)
class WhatIf:
    """What is done, and what besides. file: that says so; None where no file does."""

    acts: list[Act]
    otherwise: Otherwise
    file: Path | None


def read_what_if(path: Path) -> WhatIf:
    """The what-if in a file.

    Raises RecipeError if the file is not there or holds anything else, naming line and key of every mistake.
    """
    written = read_request(path, _File, SHAPE)
    return WhatIf([act.act() for act in written.acts], written.otherwise, path)
