"""Pydantic's errors as problems of a recipe: at the place of the value, in plain words."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from jepa_core.config import Config
from jepa_core.recipe.keys import Step, describe, describe_field, key_names, model_at, models_below, type_at
from jepa_core.recipe.problems import Place, Problems
from jepa_core.recipe.scalars import BadScalar, resolve
from jepa_core.recipe.yaml_tree import ListNode, Node, ScalarNode, SectionNode, UnusableNode

_LONGEST_SHOWN = 40
_LOOK_ALIKE = 0.6
_LOOK_SAME = 0.75
_RANGES_AND_CHOICES = {
    "greater_than",
    "greater_than_equal",
    "less_than",
    "less_than_equal",
    "literal_error",
    "enum",
    "int_from_float",
}


@dataclass(frozen=True)
class Section:
    """A part of a recipe that one config class describes.

    path: its dotted key. title: what messages call it. frame: keys that the recipe itself reads there, such as `use`.
    """

    path: str
    title: str
    model: type[Config]
    node: SectionNode
    frame: tuple[str, ...] = ()

    def keys(self) -> list[str]:
        """Every key that may stand here."""
        return [*self.frame, *key_names(self.model)]


@dataclass(frozen=True)
class _Spot:
    """Where in a section an error points: the steps that exist in the text, the value there and its key."""

    path: tuple[Step, ...]
    node: Node
    key: Place


def validate(section: Section, sections: Sequence[Section], problems: Problems) -> Config | None:
    """The section's config; None after noting every problem it has. `sections` are where a stray key may belong."""
    values = {key: plain(entry.node) for key, entry in section.node.entries.items() if key not in section.frame}
    try:
        # Strict: text is no number and `no` no truth value. As JSON: lists still become tuples and text paths.
        return section.model.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _explain(detail, section, sections, problems)
    except Exception as error:  # a config class is a plugin's code: its fault must not look like the recipe's
        message = f"the config class of {section.title} failed: {type(error).__name__}: {error}"
        hint = f"a fault of the plugin, in {section.model.__module__}"
        problems.add(section.node.place, message, hint, broken_plugin=True)
    return None


def plain(node: Node) -> Any:
    """The values of a tree."""
    if isinstance(node, SectionNode):
        return {key: plain(entry.node) for key, entry in node.entries.items()}
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return node.value if isinstance(node, ScalarNode) else None


def shown(node: Node) -> str:
    """A value as a message names it."""
    if isinstance(node, SectionNode):
        return "a section of keys"
    if isinstance(node, ListNode):
        return "a list"
    if isinstance(node, UnusableNode) or node.value is None:
        return "nothing"
    text = node.text if len(node.text) <= _LONGEST_SHOWN else f"{node.text[:_LONGEST_SHOWN]}..."
    return f"'{text}'" if isinstance(node.value, str) else text


def _explain(detail: Any, section: Section, sections: Sequence[Section], problems: Problems) -> None:
    spot = _spot(section.node, detail["loc"])
    if detail["type"] == "extra_forbidden":
        _unknown_key(section, spot, sections, problems)
    elif isinstance(spot.node, UnusableNode):
        return
    elif detail["type"] == "missing":
        _missing_key(section, spot, str(detail["loc"][-1]), problems)
    elif _is_about_type_or_range(detail["type"]) and (found := type_at(section.model, spot.path)):
        # Every member of a union that refuses a value gives an error of its own; they become one problem here.
        expected, node = describe(*found), spot.node
        problems.add(node.place, f"expected {expected}, found {shown(node)}", _value_hint(expected, node))
    else:
        problems.add(spot.node.place, _own_words(detail))


def _spot(node: Node, loc: Sequence[Step]) -> _Spot:
    """Follow a pydantic location. Steps that the text does not have name members of unions, or the missing key."""
    path: list[Step] = []
    key = node.place
    for step in loc:
        if isinstance(node, SectionNode) and step in node.entries:
            key, node = node.entries[str(step)].key, node.entries[str(step)].node
        elif isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            key = node.place
        else:
            continue
        path.append(step)
    return _Spot(tuple(path), node, key)


def _title(section: Section, path: Sequence[Step]) -> str:
    return f"'{'.'.join(map(str, path))}' of {section.title}" if path else section.title


def _unknown_key(section: Section, spot: _Spot, sections: Sequence[Section], problems: Problems) -> None:
    *parents, last = spot.path
    key = str(last)
    model = model_at(section.model, parents)
    fields = key_names(model) if model else {}
    known = list(fields) if parents else section.keys()
    near = difflib.get_close_matches(key, known, n=1, cutoff=_LOOK_ALIKE)
    alike = difflib.SequenceMatcher(None, key, near[0]).ratio() if near else 0
    homes = _homes(key, section, sections)
    if homes and alike < _LOOK_SAME:
        hint = "it belongs at the top of the recipe" if "" in homes else f"it belongs under {' or '.join(homes[:3])}"
    elif near:
        described = f" ({describe_field(fields[near[0]])})" if near[0] in fields else ""
        hint = f"did you mean '{near[0]}'?{described}"
    else:
        hint = f"keys here: {', '.join(known)}"
    problems.add(spot.key, f"unknown key '{key}' in {_title(section, parents)}", hint)


def _homes(key: str, section: Section, sections: Sequence[Section]) -> list[str]:
    """Dotted sections that have a key of that name: in the same section if there are any, else in the others."""
    for candidates in ([section], sections):
        homes = [
            ".".join([candidate.path, *path] if candidate.path else path)
            for candidate in candidates
            for path, model in models_below(candidate.model)
            if key in (candidate.keys() if not path else key_names(model))
        ]
        if homes:
            return homes
    return []


def _missing_key(section: Section, spot: _Spot, key: str, problems: Problems) -> None:
    model = model_at(section.model, spot.path)
    field = key_names(model).get(key) if model else None
    hint = f"{key}: {describe_field(field)}" if field else ""
    if field and field.description:
        hint += f" ({field.description})"
    problems.add(spot.node.place, f"{_title(section, spot.path)} needs the key '{key}'", hint)


def _is_about_type_or_range(kind: str) -> bool:
    return kind in _RANGES_AND_CHOICES or kind.endswith(("_type", "_parsing"))


def _value_hint(expected: str, node: Node) -> str:
    """What to write instead, where the mistake is a common one."""
    if not isinstance(node, ScalarNode):
        return ""
    if not isinstance(node.value, str):
        if isinstance(node.value, float) and node.value.is_integer() and "whole number" in expected:
            return f"write {int(node.value)}"
        return f'put it in quotes: "{node.text}"' if node.value is not None and expected in ("text", "a path") else ""
    options = expected.split("'")[1::2]
    if near := difflib.get_close_matches(node.value, options, n=1, cutoff=_LOOK_SAME):
        return f"did you mean '{near[0]}'?"
    if "true or false" in expected and node.value.lower() in ("no", "off", "n", "yes", "on", "y", "true", "false"):
        return f"write {'true' if node.value.lower() in ('yes', 'on', 'y', 'true') else 'false'}"
    return _number_hint(node.value) if "number" in expected else ""


def _number_hint(text: str) -> str:
    written = text.replace("_", "").replace(",", "").strip()
    try:
        number = resolve(written)
    except BadScalar:
        return ""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return ""
    return f"write {written}" if written != text else f"write {written} without quotes"


def _own_words(detail: Any) -> str:
    """The message of a config's own check, or pydantic's where a type cannot be put into our words."""
    reason = (detail.get("ctx") or {}).get("error")
    message = str(reason) if isinstance(reason, Exception) else str(detail["msg"])
    return message[:1].lower() + message[1:]
