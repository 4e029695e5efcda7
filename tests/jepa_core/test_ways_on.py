"""What a run that failed says can be done: it is resumed only where going on can get further."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import RECIPE

Jepa = Callable[..., subprocess.CompletedProcess[str]]

ANEW = "begin anew with other settings: jepa run run/recipe.resolved.yaml KEY=VALUE"
RESUME = "go on with: jepa resume run"


@pytest.fixture
def failed(jepa: Jepa, tmp_path: Path) -> Callable[..., str]:
    """Run the toy recipe with overrides under which it fails, and give what it said."""
    (tmp_path / "toy.yaml").write_text(RECIPE)

    def told(*overrides: str) -> str:
        done = jepa("run", "toy.yaml", "--out", "run", *overrides)
        assert done.returncode in (1, 3), done.stderr
        assert (tmp_path / "run" / "manifest.json").is_file()
        return done.stderr

    return told


@pytest.mark.parametrize(
    ("override", "why"),
    [
        ("windows={length: 400, stride: 4, min_length: 399}", "has the 399 steps of windows.min_length"),
        ("curriculum.warm.optimizer={encoder_lr: 1e18, predictor_lr: 1e18}", "was not finite"),
    ],
)
def test_a_run_that_its_own_recipe_stopped_is_to_begin_anew(
    failed: Callable[..., str], jepa: Jepa, override: str, why: str
) -> None:
    told = failed(override)
    assert why in told and f"resuming it would end there again; {ANEW}" in told
    assert RESUME not in told
    rates = [f"curriculum.warm.optimizer.{part}_lr=1e-3" for part in ("encoder", "predictor")]
    again = jepa("run", "run/recipe.resolved.yaml", "windows={length: 12, min_length: 3}", *rates, "--out", "second")
    assert again.returncode == 0, again.stderr


def test_a_run_whose_cause_can_be_mended_is_to_be_resumed_then(jepa: Jepa, tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(RECIPE)
    assert jepa("run", "toy.yaml", "--out", "run").returncode == 0
    (tmp_path / "run" / "fitted.json").write_text("{}")
    refused = jepa("resume", "run")
    assert refused.returncode == 3 and f"once that is mended, {RESUME}" in refused.stderr and ANEW in refused.stderr
    (tmp_path / "run" / "fitted.json").unlink()
    assert jepa("resume", "run").returncode == 0
