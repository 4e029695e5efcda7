"""Pydantic's errors as problems of a recipe: by key path, in plain words."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from jepa_core.config import Config
from jepa_core.errors import Preempted
from jepa_core.recipe.keys import as_yaml, describe_field, describe_type, key_names, model_at, models_below, type_at
from jepa_core.recipe.problems import KeyPath, Problem, Step
from jepa_core.recipe.scalars import BadScalar, resolve

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
_KEY_OF_A_SECTION = "[key]"
"""Last step of pydantic's location where a key of a section, not its value, is the mistake."""

ConfigT = TypeVar("ConfigT", bound=Config)


class Unreadable:
    """Stands for a value that could not be read, which has been told already."""


Texts = Mapping[KeyPath, str]
"""How scalars were written, by path, where that is known: messages show them so."""


@dataclass(frozen=True)
class Section(Generic[ConfigT]):
    """A part of a recipe that one config class describes.

    path: where it stands. title: what messages call it. values: what it holds. frame: keys that the recipe itself reads
    there, such as `use`. texts: of its scalars.
    """

    path: KeyPath
    title: str
    model: type[ConfigT]
    values: Mapping[str, Any]
    frame: tuple[str, ...] = ()
    texts: Texts = field(default_factory=dict)

    def keys(self) -> list[str]:
        """Every key that may stand here."""
        return [*self.frame, *key_names(self.model)]

    def shown(self, spot: _Spot) -> str:
        """The value at a spot as a message names it."""
        return shown(spot.value, self.texts.get(spot.path))


@dataclass(frozen=True)
class _Spot:
    """Where in a section an error points: the steps that there are among its values, and the value there."""

    path: KeyPath
    steps: tuple[Step, ...]
    value: Any


def section_config(
    section: Section[ConfigT], sections: Sequence[Section[Any]], problems: list[Problem]
) -> ConfigT | None:
    """The section's config; None after noting every problem it has. `sections` are where a stray key may belong."""
    values = {key: value for key, value in section.values.items() if key not in section.frame}
    try:
        # Strict: text is no number and `no` no truth value. As JSON: lists still become tuples and text paths.
        return section.model.model_validate_json(json.dumps(values, default=lambda _: None), strict=True)
    except ValidationError as error:
        problems += [
            problem for detail in error.errors(include_url=False) if (problem := _explain(detail, section, sections))
        ]
    except Preempted:
        raise
    except Exception as error:  # a config class is a plugin's code: its fault must not look like the recipe's
        message = f"the config class of {section.title} failed: {type(error).__name__}: {error}"
        hint = f"a fault of the plugin, in {section.model.__module__}"
        problems.append(Problem(section.path, message, hint, broken_plugin=True))
    return None


def validate_in_part(section: Section[ConfigT], sections: Sequence[Section[Any]], problems: list[Problem]) -> ConfigT:
    """The section's config, with the default of every key whose value has a problem, after noting it. Each key has a
    default."""
    explained: list[Problem] = []
    config = section_config(section, sections, explained)
    problems += explained
    if config is not None:
        return config
    depth = len(section.path.steps)
    wrong = {problem.path.steps[depth] for problem in explained if len(problem.path.steps) > depth}
    kept = {key: value for key, value in section.values.items() if key not in wrong and not has_unreadable(value)}
    return section_config(replace(section, values=kept), [], []) or section.model()


def has_unreadable(value: Any) -> bool:
    """Whether something below a value could not be read."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return isinstance(value, Unreadable) or any(has_unreadable(element) for element in inner)


def shown(value: Any, text: str | None = None) -> str:
    """A value as a message names it. text: as it was written, where that is known."""
    if isinstance(value, Mapping):
        return "a section of keys"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, Unreadable) or value is None:
        return "nothing"
    written = text if text is not None else value if isinstance(value, str) else as_yaml(value)
    cut = written if len(written) <= _LONGEST_SHOWN else f"{written[:_LONGEST_SHOWN]}..."
    return f"'{cut}'" if isinstance(value, str) else cut


def _explain(detail: Any, section: Section[Any], sections: Sequence[Section[Any]]) -> Problem | None:
    spot = _spot(section, detail["loc"])
    if detail["type"] == "extra_forbidden":
        return _unknown_key(section, spot, sections)
    if isinstance(spot.value, Unreadable):
        return None
    if detail["type"] == "missing":
        return _missing_key(section, spot, str(detail["loc"][-1]))
    if detail["loc"][-1:] == (_KEY_OF_A_SECTION,):
        return Problem(spot.path, _own_words(detail), at_key=True)
    if _is_about_type_or_range(detail["type"]) and (annotation := type_at(section.model, spot.steps)):
        # Every member of a union that refuses a value gives an error of its own; they become one problem here.
        expected, text = describe_type(*annotation), section.texts.get(spot.path)
        hint = _value_hint(expected, spot.value, text)
        return Problem(spot.path, f"expected {expected}, found {section.shown(spot)}", hint)
    return Problem(spot.path, _own_words(detail))


def _spot(section: Section[Any], loc: Sequence[Step]) -> _Spot:
    """Follow a pydantic location. Steps that the values do not have name members of unions, or the missing key."""
    path, value = section.path, section.values
    steps: list[Step] = []
    for step in loc:
        if isinstance(value, Mapping) and step in value:
            value = value[str(step)]
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            continue
        path /= step
        steps.append(step)
    return _Spot(path, tuple(steps), value)


def _title(section: Section[Any], steps: Sequence[Step]) -> str:
    return f"'{'.'.join(map(str, steps))}' of {section.title}" if steps else section.title


def _unknown_key(section: Section[Any], spot: _Spot, sections: Sequence[Section[Any]]) -> Problem:
    *parents, last = spot.steps
    key = str(last)
    model = model_at(section.model, parents)
    fields = key_names(model) if model else {}
    known = list(fields) if parents else section.keys()
    near = difflib.get_close_matches(key, known, n=1, cutoff=_LOOK_ALIKE)
    alike = difflib.SequenceMatcher(None, key, near[0]).ratio() if near else 0
    homes = _homes(key, section, sections)
    if homes and alike < _LOOK_SAME:
        top = next((part.title for part in sections if not part.path.steps), "")
        hint = f"it belongs at the top of {top}" if "" in homes else f"it belongs under {' or '.join(homes[:3])}"
    elif near:
        described = f" ({describe_field(fields[near[0]])})" if near[0] in fields else ""
        hint = f"did you mean '{near[0]}'?{described}"
    else:
        hint = f"keys here: {', '.join(known)}"
    return Problem(spot.path, f"unknown key '{key}' in {_title(section, parents)}", hint, at_key=True)


def _homes(key: str, section: Section[Any], sections: Sequence[Section[Any]]) -> list[str]:
    """Dotted sections that have a key of that name: in the same section if there are any, else below it, else in the
    others."""
    steps = section.path.steps
    below = [candidate for candidate in sections if steps and candidate.path.steps[: len(steps)] == steps]
    for candidates in ([section], below, sections):
        homes = [
            ".".join([candidate.path.dotted, *path] if candidate.path.dotted else path)
            for candidate in candidates
            for path, model in models_below(candidate.model)
            if key in (candidate.keys() if not path else key_names(model))
        ]
        if homes:
            return homes
    return []


def _missing_key(section: Section[Any], spot: _Spot, key: str) -> Problem:
    model = model_at(section.model, spot.steps)
    field = key_names(model).get(key) if model else None
    hint = f"{key}: {describe_field(field)}" if field else ""
    if field and field.description:
        hint += f" ({field.description})"
    return Problem(spot.path, f"{_title(section, spot.steps)} needs the key '{key}'", hint)


def _is_about_type_or_range(kind: str) -> bool:
    return kind in _RANGES_AND_CHOICES or kind.endswith(("_type", "_parsing"))


def _value_hint(expected: str, value: Any, text: str | None) -> str:
    """What to write instead, where the mistake is a common one."""
    if isinstance(value, Mapping | list) or value is None:
        return ""
    if not isinstance(value, str):
        if isinstance(value, float) and value.is_integer() and "whole number" in expected:
            return f"write {int(value)}"
        return f'put it in quotes: "{text or as_yaml(value)}"' if expected in ("text", "a path") else ""
    options = expected.split("'")[1::2]
    if near := difflib.get_close_matches(value, options, n=1, cutoff=_LOOK_SAME):
        return f"did you mean '{near[0]}'?"
    if "true or false" in expected and value.lower() in ("no", "off", "n", "yes", "on", "y", "true", "false"):
        return f"write {'true' if value.lower() in ('yes', 'on', 'y', 'true') else 'false'}"
    return _number_hint(value) if "number" in expected else ""


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
