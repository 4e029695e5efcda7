"""Files that say what is asked of a model: YAML 1.2, read as recipes are, with every mistake at its place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from jepa_core.errors import RecipeError
from jepa_core.io.files import content_of

if TYPE_CHECKING:
    from jepa_core.recipe.places import Place
    from jepa_core.recipe.yaml_tree import Node

PLAIN = {"extra_forbidden": "there is no such key", "missing": "this key is missing"}
"""What pydantic calls otherwise."""

WrittenT = TypeVar("WrittenT", bound=BaseModel)


def read_request(path: Path, keys: type[WrittenT], shape: str) -> WrittenT:
    """What a file says. keys: those that it may have. shape: what to tell whoever gave something else.

    Raises RecipeError if the file is not there or holds anything else, naming line and key of every mistake.
    """
    from jepa_core.recipe.places import Place, Problems
    from jepa_core.recipe.yaml_tree import SectionNode, parse_node, plain_values, report_unusable

    problems = Problems()
    node = parse_node(str(path), _text(path), {}, problems)
    if node is not None:
        report_unusable(node, problems)
        if not isinstance(node, SectionNode):
            problems.add(Place(node.place.text, node.place.line, node.place.column, 1), shape)
    problems.refuse(str(path))
    assert node is not None, "what cannot be read has been refused"
    try:
        return keys.model_validate(plain_values(node))
    except ValidationError as error:
        for detail in error.errors():
            where = ".".join(map(str, detail["loc"]))
            problems.add(_place(node, detail["loc"]), f"{where}: {PLAIN.get(detail['type'], detail['msg'])}")
        problems.refuse(str(path))
        raise


def _text(path: Path) -> str:
    try:
        return content_of(path).decode()
    except FileNotFoundError:
        raise RecipeError(f"{path} is not there; give another") from None
    except OSError as error:
        raise RecipeError(f"{path} cannot be read ({error.strerror}); give another") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is no UTF-8 text; save it as UTF-8") from error


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
