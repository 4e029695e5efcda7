import pytest

from jepa_core.testing import Check, checks_for


@pytest.mark.parametrize("check", checks_for("my_kind", "my_component"), ids=str)
def test_conformance(check: Check) -> None:
    check()
