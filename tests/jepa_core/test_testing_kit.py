"""For every check of the testing kit there is a component that is wrong in that one way, and fails it."""

from __future__ import annotations

import importlib

import pytest

from jepa_core.plugin import KINDS, Component
from jepa_core.testing import checks_of, run_check
from jepa_core.testing.oscillators import jepa_components
from wrong import WRONG

for module in ("components", *(f"{kind}s" for kind in KINDS)):
    importlib.import_module(f"wrong.{module}")


@pytest.mark.parametrize(("name", "component"), WRONG, ids=[f"{one.kind}-{name}" for name, one in WRONG])
def test_a_component_that_is_wrong_in_one_way_fails_the_check_for_it(name: str, component: Component) -> None:
    (check,) = [one for one in checks_of(component) if one.name == name]
    result = run_check(check)
    assert result.outcome == "fail" and result.reason, result


def test_every_check_has_a_component_that_fails_it() -> None:
    checked = {(kind, check.name) for kind in KINDS for check in checks_of(_any(kind))}
    failed = {(component.kind, name) for name, component in WRONG}
    missing = {(kind, name) for kind, name in checked - failed if ("phase", name) not in failed or kind == "phase"}
    assert not missing


def test_every_check_says_its_rule() -> None:
    for kind in KINDS:
        assert all(check.rule.endswith(".") for check in checks_of(_any(kind)))


def _any(kind: str) -> Component:
    """Some component of a kind: its checks are not run."""
    return next(one for one in [*jepa_components(), *(one for _, one in WRONG)] if one.kind == kind)
