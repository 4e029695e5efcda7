"""The checks of a component, and how they are run."""

from __future__ import annotations

import importlib
import inspect
import traceback
import unittest
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from jepa_core.plugin import Component, Kind, shared_registry


class NotApplicable(unittest.SkipTest):
    """A check that says nothing about this component, and why; test runners report it as skipped."""


@dataclass(frozen=True)
class Check:
    """One rule, and one component that it is checked on. Call it: it returns, or raises AssertionError saying what to
    do, or NotApplicable.

    name: such as check_frozen_params_unchanged. rule: what must hold, and why.
    """

    component: Component
    name: str
    rule: str
    run: Callable[[], None]

    def __call__(self) -> None:
        self.run()

    def __str__(self) -> str:
        return f"{self.component.kind}/{self.component.name}-{self.name}"


@dataclass(frozen=True)
class CheckResult:
    """How a check went. reason: why it failed or was skipped."""

    component: str
    check: str
    outcome: Literal["pass", "fail", "skip"]
    reason: str = ""
    details: str = ""

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


def checks_for(kind: Kind, name: str, keys: Mapping[str, Any] | None = None) -> list[Check]:
    """The checks of an installed component.

    keys: of its config, on top of the example that its declaration gives.
    Raises PluginError if there is no such component.
    """
    return checks_of(shared_registry().component(kind, name), keys)


def checks_of(component: Component, keys: Mapping[str, Any] | None = None) -> list[Check]:
    """The checks of a component, installed or not: those of every component, then those of its kind."""
    own = importlib.import_module(f"jepa_core.testing.{component.kind}s")
    common = importlib.import_module("jepa_core.testing.components")
    bench = getattr(own, f"{component.kind.capitalize()}Bench")(component, {**component.example, **(keys or {})})
    return [
        Check(component, name, inspect.cleandoc(function.__doc__ or ""), _bound(function, bench))
        for module in (common, own)
        for name, function in vars(module).items()
        if name.startswith("check_") and function.__module__ == module.__name__
    ]


def _bound(function: Callable[[Any], None], bench: Any) -> Callable[[], None]:
    return lambda: function(bench)


def run_check(check: Check) -> CheckResult:
    """Run a check. Whatever it raises is a result, so that one broken component hides nothing of the others."""
    component = f"{check.component.kind}/{check.component.name}"
    try:
        check()
    except NotApplicable as reason:
        return CheckResult(component, check.name, "skip", str(reason))
    except AssertionError as error:
        return CheckResult(component, check.name, "fail", str(error))
    except Exception as error:  # a component may fail in any way
        return CheckResult(component, check.name, "fail", f"{type(error).__name__}: {error}", traceback.format_exc())
    return CheckResult(component, check.name, "pass")
