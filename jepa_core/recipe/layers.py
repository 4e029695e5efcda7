"""A recipe in layers: the recipes it extends, the file itself, the command line. Each layer changes the ones below."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jepa_core.errors import RecipeError
from jepa_core.io.files import real_path
from jepa_core.recipe.locate import find_recipe
from jepa_core.recipe.places import COMMAND_LINE, OVERRIDES, Place, Problems, Text
from jepa_core.recipe.plain import name_of
from jepa_core.recipe.uses import IMPLIED, NAMED_LISTS, NAMES_ALONE
from jepa_core.recipe.yaml_tree import (
    LARGEST_FILE,
    Entry,
    ListNode,
    Node,
    ScalarNode,
    SectionNode,
    UnusableNode,
    is_null,
    parse_value,
    parse_yaml,
    plain_values,
    report_unusable,
)

Find = Callable[[str, Path], Path]
"""The file that a path, from a folder, or a shipped name stands for; raises RecipeError if there is none."""


def read_layers(
    path: Path, environment: Mapping[str, str], problems: Problems, find: Find = find_recipe
) -> tuple[list[SectionNode], bool]:
    """The file's tree, before it in the list that of the file it extends, and so on; and whether that is all of them.

    Where a file cannot be read, `problems` says why. What it would have held is unknown, so the rest cannot be judged.
    """
    layers: list[SectionNode] = []
    seen: list[Path] = []
    while True:
        seen.append(real_path(path))
        layer = read_file(path, environment, problems)
        if layer is None:
            return layers, False
        extends = layer.entries.pop("extends", None)
        layers.insert(0, layer)
        if extends is None or is_null(extends.node):
            return layers, True
        parent = _parent(extends.node, path, seen, problems, find)
        if parent is None:
            return layers, False
        path = parent


def read_file(path: Path, environment: Mapping[str, str], problems: Problems) -> SectionNode | None:
    """The tree of one file; None where it cannot be read, which `problems` then says.

    Raises RecipeError if it is not there or no text.
    """
    return parse_yaml(display_name(path), _content(path), environment, problems, path.absolute().parent)


_IMPLIED: Mapping[str, str] = {str(kind): name for kind, name in IMPLIED.items()}

Overrides = Sequence[str] | Mapping[str, Any]
"""What changes a recipe: `dotted.key=value`, as on the command line, or values by dotted key."""


def read_overrides(overrides: Overrides, environment: Mapping[str, str], problems: Problems) -> SectionNode | None:
    """The layer that overrides make together; of two for one key the later holds. None for none."""
    layer: SectionNode | None = None
    for text in _texts(overrides):
        section = _override(text, environment, problems)
        if section is not None:
            layer = section if layer is None else _joined(layer, section)
    return layer


def merge(below: SectionNode, above: SectionNode, problems: Problems, implied: str | None = None) -> SectionNode:
    """`below` as `above` changes it: sections merge key by key, anything else is replaced.

    Where a list goes by name, a section in its place changes items of the layer below, null removes one, and a new name
    with a `use` adds one at the end.
    Another `use` drops what the layer below said about that component, for its keys are not the new component's.
    implied: what the layer below is about where it says no `use`.
    """
    another = _uses_another(below, above, implied)
    entries = {} if another else dict(below.entries)
    for key, entry in above.entries.items():
        lower = entries.get(key)
        if key in NAMED_LISTS and isinstance(entry.node, SectionNode):
            node = _change_named(key, lower.node if lower else None, entry, problems)
        elif lower and isinstance(lower.node, SectionNode) and isinstance(entry.node, SectionNode):
            node = merge(lower.node, entry.node, problems, _IMPLIED.get(key))
        else:
            node = _spelled_out(entry.node) if key in NAMES_ALONE else entry.node
        entries[key] = Entry(entry.key, node)
    return SectionNode(entries, above.place if another else below.place)


def _spelled_out(node: Node) -> Node:
    """A list with each name that stands alone as `use: name`."""
    if not isinstance(node, ListNode):
        return node
    items = [
        SectionNode({"use": Entry(item.place, item)}, item.place)
        if isinstance(item, ScalarNode) and isinstance(item.value, str)
        else item
        for item in node.items
    ]
    return replace(node, items=tuple(items))


def display_name(path: Path) -> str:
    """The path from where the command runs, if it lies below."""
    absolute = real_path(path)
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(path)


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise RecipeError(f"{display_name(path)} cannot be read: {error.strerror}") from error
    if len(raw) > LARGEST_FILE:
        raise RecipeError(f"{display_name(path)} is larger than 1 MiB; a recipe is a short text")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise RecipeError(f"{display_name(path)}:{line} is not UTF-8 text; save the file as UTF-8") from error


def _parent(node: Node, child: Path, seen: list[Path], problems: Problems, find: Find) -> Path | None:
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
        report_unusable(node, problems)
        if not isinstance(node, UnusableNode):
            problems.add(node.place, "'extends' takes one path or one shipped name")
        return None
    try:
        parent = find(node.value, child.parent)
    except RecipeError as error:
        message, _, hint = str(error).partition("; ")
        problems.add(node.place, message, hint)
        return None
    if real_path(parent) in seen:
        circle = [*seen[seen.index(real_path(parent)) :], parent]
        problems.add(node.place, f"files extend one another in a circle: {' -> '.join(map(display_name, circle))}")
        return None
    return parent


def _texts(overrides: Overrides) -> Iterator[Text]:
    """Each override as it would stand on the command line; JSON is YAML."""
    if isinstance(overrides, Mapping):
        written = [f"{key}={json.dumps(value, ensure_ascii=False, default=str)}" for key, value in overrides.items()]
        yield from (Text(OVERRIDES, (line,), number) for number, line in enumerate(written, start=1))
    else:
        yield from (Text(COMMAND_LINE, (line,), number) for number, line in enumerate(overrides, start=1))


def _override(text: Text, environment: Mapping[str, str], problems: Problems) -> SectionNode | None:
    """One override as nested sections."""
    override = text.lines[0]
    dotted, equals, _ = override.partition("=")
    keys = dotted.split(".")
    if not equals or not all(keys):
        hint = "such as seed=1 or curriculum.NAME.steps=100"
        problems.add(Place(text, text.first_line, 1, len(override)), "expected key=value", hint)
        return None
    if keys[0] == "extends":
        problems.add(Place(text, text.first_line, 1, len("extends")), "'extends' can only stand in a file")
        return None
    node = parse_value(text, len(dotted) + 1, environment, problems)
    column = len(dotted) + 1
    for key in reversed(keys):
        column -= len(key)
        place = Place(text, text.first_line, column, len(key))
        section = node = SectionNode({key: Entry(place, node)}, place)
        column -= 1
    return section


def _joined(first: SectionNode, second: SectionNode) -> SectionNode:
    """Two overrides as one layer: they change the recipe together, in any order, unless they name the same key."""
    entries = dict(first.entries)
    for key, entry in second.entries.items():
        lower = entries.get(key)
        if lower and isinstance(lower.node, SectionNode) and isinstance(entry.node, SectionNode):
            entry = Entry(entry.key, _joined(lower.node, entry.node))
        entries[key] = entry
    return SectionNode(entries, second.place)


def _uses_another(below: SectionNode, above: SectionNode, implied: str | None) -> bool:
    old, new = below.get("use"), above.get("use")
    before = implied if old is None else old.value if isinstance(old, ScalarNode) else None
    return before is not None and isinstance(new, ScalarNode) and before != new.value


def _change_named(key: str, lower: Node | None, changes: Entry, problems: Problems) -> Node:
    """A named list of the layer below after the changes of a section, whose keys are names."""
    section = changes.node
    assert isinstance(section, SectionNode)
    kind = NAMED_LISTS[key]
    if not isinstance(lower, ListNode):
        if not isinstance(lower, UnusableNode):
            message = f"'{key}' is given by name here, but there is no list that it changes"
            problems.add(changes.key, message, f"write a list: `- use: ...` for each {kind}")
        return UnusableNode(changes.key)
    items = list(lower.items)
    for name, entry in section.entries.items():
        names = [name_of(plain_values(item)) for item in items]
        if name not in names:
            items += _added_item(name, [known for known in names if known], entry, kind, problems)
            continue
        at = names.index(name)
        items[at : at + 1] = _changed_item(name, items[at], entry, kind, problems)
    return replace(lower, items=tuple(items))


def _added_item(name: str, names: list[str], added: Entry, kind: str, problems: Problems) -> list[Node]:
    """An item of a new name, which comes last. What has no `use` was meant for one that is there."""
    if isinstance(added.node, SectionNode) and "use" in added.node.entries:
        label = ScalarNode(name, name, added.key)
        return [replace(added.node, entries={"name": Entry(added.key, label), **added.node.entries})]
    hint = did_you_mean(name, names)
    way = "" if hint.endswith("?") else f"; a new one is added with `{name}: {{use: ...}}`"
    problems.add(added.key, f"unknown {kind} '{name}'", hint + way)
    return []


def _changed_item(name: str, item: Node, change: Entry, kind: str, problems: Problems) -> list[Node]:
    """What stands in the item's stead: nothing after null, else the item with the change merged in."""
    if is_null(change.node):
        return []
    if isinstance(change.node, SectionNode) and isinstance(item, SectionNode):
        merged = merge(item, change.node, problems)
        if "name" not in merged.entries:
            # Another `use` would otherwise rename the item that the recipe has just addressed by name.
            kept = item.entries.get("name", item.entries["use"])
            label = ScalarNode(name, name, kept.node.place)
            merged.entries["name"] = Entry(kept.key, label)
        return [merged]
    report_unusable(change.node, problems)
    if not isinstance(change.node, UnusableNode):
        problems.add(change.node.place, f"expected the keys to change in {kind} '{name}', or null to remove it")
    return [item]


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """A hint at what may have been meant by a name that is not known."""
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(names) or 'none'}"
