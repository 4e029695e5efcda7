"""Which component a config in Python belongs to: the one that was declared with its class."""

from __future__ import annotations

from typing import Any

from jepa_core.config import Config
from jepa_core.plugin import CONFIG_BASES, KINDS, Component, Kind, Registry
from jepa_core.recipe.explain import shown
from jepa_core.recipe.problems import KeyPath, Problem
from jepa_core.recipe.uses import Use


def choose(use: Use[Any], kind: Kind, path: KeyPath, registry: Registry) -> Component | Problem:
    """The component that a use stands for.

    A config class belongs to one component. Where two declare the same class, a file tells them apart by name; in
    Python, `Use(config, chosen=...)` does.
    """
    config, installed = use.config, registry.components(kind)
    if not isinstance(config, CONFIG_BASES[kind]):
        return _another_kind(config, kind, path, registry)
    taking = [component for component in installed.values() if component.config is type(config)]
    if use.chosen is not None:
        return use.chosen if use.chosen in taking else _not_its_own(use.chosen, config, kind, path)
    if len(taking) == 1:
        return taking[0]
    name = type(config).__name__
    if taking:
        names = " and ".join(f"'{component.name}' ({registry.owner(component).package})" for component in taking)
        hint = f"say which: Use({name}(...), chosen=registry.component('{kind}', '{taking[0].name}'))"
        return Problem(path, f"{name} is the config of more than one {kind}: {names}", hint)
    return Problem(path, f"no installed plugin declares a {kind} with the config {name}", _there_are(kind, registry))


def _not_its_own(chosen: Component, config: Config, kind: Kind, path: KeyPath) -> Problem:
    message = f"{type(config).__name__} is not the config of the {chosen.kind} '{chosen.name}'"
    if chosen.kind == kind and chosen.config is type(config):
        message = f"the {kind} '{chosen.name}' was chosen, and no installed plugin declares it"
    return Problem(path, message, f"leave `chosen` out, or choose {_a(kind)} from the registry")


def _another_kind(config: Any, kind: Kind, path: KeyPath, registry: Registry) -> Problem:
    """What is wrong with something that is not the config of a component of this kind."""
    expected = f"expected the config of {_a(kind)}, found "
    if isinstance(config, type) and issubclass(config, Config):
        return Problem(path, f"{expected}the class {config.__name__}", f"write {config.__name__}(...)")
    for other in KINDS:
        if isinstance(config, CONFIG_BASES[other]):
            return Problem(path, f"{expected}{type(config).__name__}, of {_a(other)}", _there_are(kind, registry))
    plain = config is None or isinstance(config, str | int | float | list | tuple | dict)
    return Problem(path, expected + (shown(config) if plain else type(config).__name__), _there_are(kind, registry))


def _there_are(kind: Kind, registry: Registry) -> str:
    names = [component.config.__name__ for component in registry.components(kind).values()]
    return f"there are: {', '.join(names) or 'none'}"


def _a(kind: Kind) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
