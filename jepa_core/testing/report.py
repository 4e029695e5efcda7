"""The checks of a whole plugin, for the command line."""

from __future__ import annotations

from typing import Any

from jepa_core.errors import PluginError
from jepa_core.plugin import Component, Plugin, Registry
from jepa_core.testing.suite import CheckResult, checks_of, run_check

_WORDS = {"pass": "ok", "fail": "FAILED", "skip": "skipped"}


def components_of(name: str, registry: Registry) -> list[Component]:
    """The components that a name stands for: of a plugin, of a package, or one component by KIND/NAME or NAME.

    Raises PluginError if there is none of that name, or if the plugin is broken.
    """
    chosen = [
        candidate
        for candidate in registry.bringing
        if name == candidate.name or _plain(name) == _plain(candidate.package)
    ]
    for plugin in chosen:
        if plugin.error:
            raise PluginError(
                f"the plugin {plugin.name} ({plugin.package}) is broken: {plugin.error}; see `jepa plugins --traceback`"
            )
    components = [component for plugin in chosen for component in plugin.components]
    if not chosen:
        everything = [component for plugin in registry.bringing for component in plugin.components]
        components = [
            component for component in everything if name in (component.name, f"{component.kind}/{component.name}")
        ]
    if not components:
        raise PluginError(
            f"{name} brings no component; "
            + ("declare some in jepa_components" if chosen else _known(registry.plugins))
        )
    return components


def _plain(package: str) -> str:
    return package.replace("_", "-").lower()


def _known(plugins: list[Plugin]) -> str:
    names = sorted(plugin.name for plugin in plugins)
    return f"there are the plugins {', '.join(names) or 'none'} (is the package installed here?)"


def check_components(components: list[Component]) -> list[CheckResult]:
    """Run every check of the components."""
    return [run_check(check) for component in components for check in checks_of(component)]


def results_page(results: list[CheckResult]) -> dict[str, Any]:
    """Everything that `jepa check-plugin` prints."""
    counts = {outcome: sum(result.outcome == outcome for result in results) for outcome in _WORDS}
    return {"results": [result.to_dict() for result in results], "counts": counts}


def results_text(page: dict[str, Any]) -> str:
    """The results for people, component by component."""
    lines: list[str] = []
    heading = ""
    for result in page["results"]:
        if result["component"] != heading:
            heading = result["component"]
            lines += ["", heading] if lines else [heading]
        lines.append(f"  {_WORDS[result['outcome']]:<8} {result['check']}")
        if result["reason"]:
            lines.append(f"           {result['reason']}")
    counts = page["counts"]
    return "\n".join([*lines, "", f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped"])
