"""How a plugin says what it brings: component declarations, hook specifications, discovery.

A plugin is an installed package with one entry point in the group `jepa`, naming a module that imports fast (no torch)
and holds hook implementations:

    from jepa_core.plugin import Component, hookimpl

    @hookimpl
    def jepa_components():
        yield Component("phase", "my_phase", config=MyPhaseConfig, implementation="my_package.phase:MyPhase")

Entry points are loaded one by one: a plugin that fails to import is listed as broken and takes nothing down. Two
plugins that bring a component of the same kind and name are refused, naming both packages.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pluggy

from jepa_core import config, rates
from jepa_core.config import Config
from jepa_core.errors import PluginError, Preempted
from jepa_core.kinds import KINDS, Kind
from jepa_core.libraries import advice, culprit

if TYPE_CHECKING:
    from jepa_core.contracts import Listener
    from jepa_core.runs.run import Run

PROJECT = "jepa"
ENTRY_POINT_GROUP = "jepa"

CONFIG_BASES: dict[Kind, type[Config]] = {kind: getattr(config, f"{kind.capitalize()}Config") for kind in KINDS}
"""What the config of a component of each kind derives from; recipes and plans rely on it."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True)
class Component:
    """One thing that a recipe can name.

    kind: what it is. name: what a recipe calls it. config: the pydantic model of its keys. implementation:
    `module:Class`, imported only when a run needs it; the class is built as `Class(config, ...)` with the arguments its
    contract names. example: keys of a small instance, where the defaults make a big one or some key has none; the
    conformance checks (jepa_core.testing) build it.
    """

    kind: Kind
    name: str
    config: type[Config]
    implementation: str
    example: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise PluginError(
                f"component '{self.name}' has the unknown kind '{self.kind}'; kinds are {', '.join(KINDS)}"
            )
        if not self.name.isidentifier():
            raise PluginError(
                f"the name '{self.name}' of a {self.kind} must be a plain identifier, such as my_{self.kind}"
            )
        base = CONFIG_BASES[self.kind]
        if not issubclass(self.config, base):
            raise PluginError(
                f"the config of {self.kind} '{self.name}' must derive from jepa_core.config.{base.__name__}"
            )

    @property
    def summary(self) -> str:
        """First line of the config's docstring."""
        return (self.config.__doc__ or "").strip().split("\n")[0]

    def load(self) -> type[Any]:
        """Import the implementation.

        Raises PluginError if it cannot be imported, naming the library that is to blame and what installs it.
        """
        module_name, _, attribute = self.implementation.partition(":")
        try:
            return getattr(importlib.import_module(module_name), attribute)
        except Exception as error:  # a library that is broken may fail in any way
            name = culprit(error, own=module_name.partition(".")[0])
            if name is None and not isinstance(error, (ImportError, AttributeError)):
                raise
            reason = str(error) if name is None else advice(name, error)
            raise PluginError(
                f"{self.kind} '{self.name}' cannot be imported from {self.implementation}: {reason}"
            ) from error


@dataclass(frozen=True)
class FileDescription:
    """What a plugin finds in files of raw data.

    page: what there is to say, in the order in which it is said: plain values, and tables as lists of rows with equal
    keys; columns called `missing` and `irregular` are shares. No identifier, no text and no time of a record. recipe: a
    recipe to start from, as YAML that validates and runs, for the folder that it is to lie in: the paths of a recipe go
    by its folder.
    """

    page: Mapping[str, Any]
    recipe: Callable[[Path], str]


class Hooks:
    """What a plugin may implement. Every hook is optional and takes any subset of the arguments given here."""

    @hookspec
    def jepa_components(self) -> Iterable[Component]:
        """The components that this plugin brings."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    def jepa_describe_files(self, paths: Sequence[Path]) -> FileDescription | None:
        """What is in files of raw data, which are given by their paths, by folders or by wildcards; None for files of a
        kind that this plugin does not read. Reads no model.

        Raises DataError if the files are of its kind and break its contract.
        """

    @hookspec
    def jepa_listeners(self, run: Run) -> Iterable[Listener]:
        """What is to be told how a run goes on (jepa_core.contracts.Listener), made for this run alone; called once
        whenever a run begins, goes on or is evaluated again."""
        raise NotImplementedError


@dataclass(frozen=True)
class Plugin:
    """An entry point of the group `jepa`, and how loading it went."""

    name: str
    package: str
    version: str
    error: str | None = None
    details: str | None = None
    """Traceback of the error, shown on request."""
    components: tuple[Component, ...] = ()

    @property
    def status(self) -> Literal["ok", "broken"]:
        return "broken" if self.error else "ok"


@cache
def framework() -> Plugin:
    """What the framework itself brings, installed plugins or not: that without which no phase takes a step."""
    methods = "jepa_core.training"
    components = (
        Component("optimizer", "adamw", rates.AdamwConfig, f"{methods}.optimizers:Adamw"),
        Component("optimizer", "muon", rates.MuonConfig, f"{methods}.optimizers:Muon"),
        Component("optimizer", "sgd", rates.SgdConfig, f"{methods}.optimizers:Sgd"),
        Component("schedule", "constant", rates.ConstantConfig, f"{methods}.schedules:Constant"),
        Component("schedule", "cosine", rates.CosineConfig, f"{methods}.schedules:Cosine"),
        Component(
            "schedule", "warmup_stable_decay", rates.WarmupStableDecayConfig, f"{methods}.schedules:WarmupStableDecay"
        ),
    )
    return Plugin("framework", "jepa-core", importlib.metadata.version("jepa-core"), components=components)


@dataclass
class Registry:
    """The plugins found, and the components they bring, with those of the framework itself."""

    plugins: list[Plugin] = field(default_factory=list)
    manager: pluggy.PluginManager = field(default_factory=lambda: _new_manager())

    def components(self, kind: Kind) -> dict[str, Component]:
        """Components of one kind by name, in alphabetical order."""
        brought = [component for plugin in self.bringing for component in plugin.components]
        components = [component for component in brought if component.kind == kind]
        return {component.name: component for component in sorted(components, key=lambda component: component.name)}

    @property
    def bringing(self) -> list[Plugin]:
        """All that may bring components: the framework itself, then the plugins."""
        return [framework(), *self.plugins]

    def component(self, kind: Kind, name: str) -> Component:
        """The component of that kind and name.

        Raises PluginError that names what is there, or the broken plugins that might have brought it.
        """
        components = self.components(kind)
        if name in components:
            return components[name]
        raise PluginError(self.unknown(kind, name))

    def unknown(self, kind: Kind, name: str) -> str:
        """Message for a name that no loaded plugin brings."""
        names = list(self.components(kind))
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
        parts = [f"unknown {kind} '{name}'"]
        parts.append(f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(names) or 'none'}")
        broken = [plugin.package for plugin in self.plugins if plugin.error]
        if broken:
            parts.append(f"(broken and not loaded: {', '.join(broken)}; see `jepa plugins`)")
        return "; ".join(parts[:2]) + (f" {parts[2]}" if broken else "")

    def owner(self, component: Component) -> Plugin:
        """The plugin that brought a component."""
        return next(plugin for plugin in self.bringing if component in plugin.components)

    def taking_part(self, components: Iterable[Component]) -> list[Plugin]:
        """The plugins that a run of these components depends on: those that bring one, and those that listen to
        runs."""
        used = set(components)
        return [plugin for plugin in self.plugins if not used.isdisjoint(plugin.components) or self._listens(plugin)]

    def _listens(self, plugin: Plugin) -> bool:
        module = self.manager.get_plugin(plugin.name)
        callers = (module and self.manager.get_hookcallers(module)) or []
        return any(caller.name == "jepa_listeners" for caller in callers)

    def listeners(self, run: Run) -> list[Listener]:
        """The listeners that plugins bring for a run, plugins in alphabetical order."""
        brought = self.manager.hook.jepa_listeners(run=run)  # of the plugin that was loaded last, first
        return [listener for listeners in reversed(brought) for listener in listeners]


def _new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    return manager


def discover(entry_points: Iterable[importlib.metadata.EntryPoint] | None = None) -> Registry:
    """Load every installed plugin, each on its own.

    Set JEPA_RAISE_PLUGIN_ERRORS=1 to let the first failure through.

    Raises PluginError if two plugins bring a component of the same kind and name.
    """
    registry = Registry()
    points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP) if entry_points is None else entry_points
    for entry_point in sorted(points, key=lambda point: point.name):
        registry.plugins.append(_load(registry.manager, entry_point))
    _refuse_duplicates([framework(), *registry.plugins])
    return registry


def _load(manager: pluggy.PluginManager, entry_point: importlib.metadata.EntryPoint) -> Plugin:
    package = entry_point.dist.name if entry_point.dist else entry_point.value
    version = entry_point.dist.version if entry_point.dist else "?"
    try:
        module = entry_point.load()
        manager.register(module, name=entry_point.name)
        manager.check_pending()
        components = tuple(_declared(module))
    except Preempted:
        raise
    except Exception as error:  # a plugin may fail in any way; whichever way, it must not take the host down
        if os.environ.get("JEPA_RAISE_PLUGIN_ERRORS") == "1":
            raise
        if manager.has_plugin(entry_point.name):
            manager.unregister(name=entry_point.name)
        reason = f"{type(error).__name__}: {error}"
        return Plugin(entry_point.name, package, version, reason, traceback.format_exc())
    return Plugin(entry_point.name, package, version, components=components)


def _declared(module: Any) -> Iterator[Component]:
    declare = getattr(module, "jepa_components", None)
    for component in declare() if declare else ():
        if not isinstance(component, Component):
            raise PluginError(f"jepa_components yielded {type(component).__name__}, not a Component")
        yield component


def _refuse_duplicates(plugins: list[Plugin]) -> None:
    seen: dict[tuple[str, str], Plugin] = {}
    for plugin in plugins:
        for component in plugin.components:
            key = (component.kind, component.name)
            if key in seen:
                raise PluginError(
                    f"{component.kind} '{component.name}' is brought by two packages, {seen[key].package} and "
                    f"{plugin.package}; uninstall one of them"
                )
            seen[key] = plugin


@cache
def shared_registry() -> Registry:
    """The registry of this process: what is installed is looked up once."""
    return discover()
