"""A what-if in a file: YAML 1.2, read as recipes are, with every mistake at its place.

otherwise: none        # or `recorded`: what the data record goes on beside the acts
acts:
  - {channel: push, value: 1.5, unit: N, from: 24, to: 30}      # steps from 0; the last is not included
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from jepa_core.contracts import Act, Otherwise
from jepa_core.errors import RecipeError
from jepa_core.model.acts import Written

if TYPE_CHECKING:
    from jepa_core.recipe.places import Place
    from jepa_core.recipe.yaml_tree import Node

SHAPE = "a what-if is a section with the keys `acts` and `otherwise`, such as `acts: []`"


PLAIN = {"extra_forbidden": "there is no such key", "missing": "this key is missing"}
"""What pydantic calls otherwise."""


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
    from jepa_core.recipe.places import Place, Problems
    from jepa_core.recipe.yaml_tree import SectionNode, parse_node, plain_values, report_unusable

    problems = Problems()
    node = parse_node(str(path), _text(path), {}, problems)
    if node is not None:
        report_unusable(node, problems)
        if not isinstance(node, SectionNode):
            problems.add(Place(node.place.text, node.place.line, node.place.column, 1), SHAPE)
    problems.refuse(str(path))
    assert node is not None, "what cannot be read has been refused"
    try:
        found = _File.model_validate(plain_values(node))
    except ValidationError as error:
        for one in error.errors():
            where = ".".join(map(str, one["loc"]))
            problems.add(_place(node, one["loc"]), f"{where}: {PLAIN.get(one['type'], one['msg'])}")
        problems.refuse(str(path))
        raise
    return WhatIf([act.act() for act in found.acts], found.otherwise, path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError(f"{path} is not there; give a file of acts") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} cannot be read as text ({type(error).__name__}); give a file of acts") from error


def _place(node: Node, path: tuple[int | str, ...]) -> Place:
    """Where a key path leads, or as far as it does."""
    from jepa_core.recipe.yaml_tree import ListNode, SectionNode

    place = node.place
    for step in path:
        if isinstance(node, SectionNode) and str(step) in node.entries:
            place, node = node.entries[str(step)].key, node.entries[str(step)].node
        elif isinstance(node, ListNode) and isinstance(step, int):
            node = node.items[step]
            place = node.place
        else:
            break
    return place
