"""What pydantic models say about their keys, in plain words, and where among models a key belongs."""

from __future__ import annotations

import enum
import re
import types
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from jepa_core.recipe.problems import Step

NO_TEXTS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"}
"""Words that YAML, of one version or another, does not read as texts."""


def key_names(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by the names that a recipe writes."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def describe_field(field: FieldInfo) -> str:
    """What a key takes and its default, such as `a number from 0 to 1; default 0.996`."""
    words = describe_type(field.annotation, field.metadata)
    default = field.default
    if default is PydanticUndefined or isinstance(default, BaseModel):
        return words
    return f"{words}; default {as_yaml(default)}"


def describe_type(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """What values a type takes, in plain words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = [
            bound for mark in arguments[1:] for bound in (mark.metadata if isinstance(mark, FieldInfo) else [mark])
        ]
        return describe_type(arguments[0], [*inner, *metadata])
    if origin in (Union, types.UnionType):
        return _either([describe_type(member, metadata) for member in arguments])
    if origin is Literal:
        return _either([f"'{option}'" if isinstance(option, str) else str(option).lower() for option in arguments])
    if origin is tuple and Ellipsis not in arguments:
        return f"a list of {len(arguments)}, each {_either([describe_type(member) for member in arguments])}"
    if origin in (list, tuple, set, frozenset) or annotation in (list, tuple, set, frozenset):
        return f"a list, each {describe_type(arguments[0])}" if arguments else "a list"
    if origin is dict or annotation is dict:
        return "a section of keys"
    return _describe_class(annotation, metadata)


def type_at(model: type[BaseModel], path: Sequence[Step]) -> tuple[Any, Sequence[Any]] | None:
    """The type that stands at a path below a model, with its constraints; None if the path leaves what can be told."""
    pair: tuple[Any, Sequence[Any]] | None = (model, ())
    for step in path:
        if pair is None:
            return None
        pair = _inside(pair[0], step)
    return pair


def models_below(
    model: type[BaseModel], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """A model and the models of its keys, each with its path."""
    yield path, model
    for name, field in key_names(model).items():
        for inner in _models_in(field.annotation):
            if len(path) < 4:  # a model may hold itself
                yield from models_below(inner, (*path, name))


def model_at(model: type[BaseModel], path: Sequence[Step]) -> type[BaseModel] | None:
    """The model whose keys stand at a path below a model."""
    annotation = type_at(model, path)
    return next(iter(_models_in(annotation[0])), None) if annotation else None


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, types.UnionType, Annotated):
        for member in get_args(annotation):
            yield from _models_in(member)


def _inside(annotation: Any, step: Step) -> tuple[Any, Sequence[Any]] | None:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _inside(arguments[0], step)
    if origin in (Union, types.UnionType):
        return next((pair for member in arguments if (pair := _inside(member, step))), None)
    for model in _models_in(annotation):
        field = key_names(model).get(str(step))
        return (field.annotation, field.metadata) if field else None
    if origin is tuple and Ellipsis not in arguments:
        return (arguments[step], ()) if isinstance(step, int) and step < len(arguments) else None
    if origin in (list, tuple, set, frozenset) and isinstance(step, int):
        return arguments[0], ()
    if origin is dict and isinstance(step, str):
        return arguments[1], ()
    return None


def _describe_class(annotation: Any, metadata: Sequence[Any]) -> str:
    if annotation is Any:
        return "any value"
    if annotation is None or annotation is type(None):
        return "null"
    if not isinstance(annotation, type):
        return "another value"
    if issubclass(annotation, enum.Enum):
        return _either([f"'{member.value}'" for member in annotation])
    kinds = ((bool, "true or false"), (int, "a whole number"), (float, "a number"), (str, "text"), (PurePath, "a path"))
    for kind, words in (*kinds, (BaseModel, "a section of keys")):
        if issubclass(annotation, kind):
            return words + (_range(metadata) if kind in (int, float) else "")
    return "another value"


def _range(metadata: Sequence[Any]) -> str:
    bounds = {type(bound): bound for bound in metadata}
    at_least, above = bounds.get(annotated_types.Ge), bounds.get(annotated_types.Gt)
    at_most, below = bounds.get(annotated_types.Le), bounds.get(annotated_types.Lt)
    if at_least and at_most:
        return f" from {at_least.ge} to {at_most.le}"
    lower = f"of at least {at_least.ge}" if at_least else f"above {above.gt}" if above else ""
    upper = f"of at most {at_most.le}" if at_most else f"below {below.lt}" if below else ""
    words = " and ".join(part for part in (lower, upper) if part)
    return f" {words}" if words else ""


def _either(words: list[str]) -> str:
    distinct = list(dict.fromkeys(words))
    return " or ".join([", ".join(distinct[:-1]), distinct[-1]]) if len(distinct) > 1 else distinct[0]


def as_yaml(value: Any) -> str:
    """A plain value as a recipe would write it in one line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_yaml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {as_yaml(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, float):  # YAML 1.1 reads 1e-05 as a text, 1.0e-05 as a number
        return re.sub(r"^(-?\d+)e", r"\1.0e", str(value))
    return _text_as_yaml(value) if isinstance(value, str) else str(value)


def _text_as_yaml(text: str) -> str:
    """A text bare where YAML reads it as that text, else in quotes."""
    is_bare = re.fullmatch(r"[A-Za-z_@/.]([\w./@*+-]| (?=\w))*", text) and text.lower() not in NO_TEXTS
    return text if is_bare and not text.startswith("@") else "'" + text.replace("'", "''") + "'"
