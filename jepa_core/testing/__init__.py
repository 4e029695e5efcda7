"""Conformance checks for the authors of plugins: what every component of a kind must do, one named check a rule.

    import pytest
    from jepa_core.testing import checks_for

    @pytest.mark.parametrize("check", checks_for("phase", "my_phase"), ids=str)
    def test_conformance(check):
        check()

`jepa check-plugin` runs the same checks. They test a component with tiny parts of their own (`oscillators`), so that
nothing but the component itself needs to be installed.
"""

from __future__ import annotations

from jepa_core.testing.suite import Check, CheckResult, NotApplicable, checks_for, checks_of, run_check

__all__ = ["Check", "NotApplicable", "CheckResult", "checks_for", "checks_of", "run_check"]
