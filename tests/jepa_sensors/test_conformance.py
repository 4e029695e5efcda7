"""The source keeps the contract of sources, with rows and with shares of time as samples."""

from __future__ import annotations

import pytest

from jepa_core.testing import Check, checks_of
from jepa_sensors import jepa_components

COMPONENT = next(iter(jepa_components()))
STEPS = ({"samples": 3}, {"seconds": 20, "samples": 2})


@pytest.mark.parametrize("check", [check for step in STEPS for check in checks_of(COMPONENT, {"step": step})], ids=str)
def test_conformance(check: Check) -> None:
    check()
