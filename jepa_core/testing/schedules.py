"""Checks of schedules: each asks for the factors of phases of several lengths."""

from __future__ import annotations

import math
import random

from jepa_core.contracts import Schedule
from jepa_core.testing import bench as base
from jepa_core.testing.bench import require, require_no_global_draws, require_silent

LENGTHS = (1, 2, 3, 7, 40)
"""Steps of phases that a recipe may ask for."""


class ScheduleBench(base.Bench):
    """A schedule, asked for all of its factors."""

    def factors(self, schedule: Schedule, steps: int) -> list[float]:
        """Its factors over a phase of so many steps."""
        return [schedule.factor(step, steps) for step in range(steps)]


def check_factors_in_range(bench: ScheduleBench) -> None:
    """Every factor is a number from 0 to 1, over phases of one step and of many: `peak` is what the recipe says."""
    schedule = bench.make()
    for steps in LENGTHS:
        for step, factor in enumerate(bench.factors(schedule, steps)):
            require(
                isinstance(factor, float) and math.isfinite(factor) and 0 <= factor <= 1,
                f"at step {step} of {steps} the factor is {factor!r}; give a float from 0 to 1",
            )


def check_something_is_learned(bench: ScheduleBench) -> None:
    """The first step of a phase has a rate above 0, so that a phase of one step trains."""
    schedule = bench.make()
    still = [steps for steps in LENGTHS if not schedule.factor(0, steps) > 0]
    require(not still, f"the first of {still[:1]} steps has the factor 0; let a warm-up begin above it")


def check_function_of_the_step(bench: ScheduleBench) -> None:
    """A factor depends on the step and the number of steps alone, whatever was asked before: a resumed phase asks from
    the middle on."""
    schedule, steps = bench.make(), max(LENGTHS)
    asked = [(step, schedule.factor(step, steps)) for step in range(steps)]
    random.Random(0).shuffle(asked)
    fresh = bench.make()
    changed = [step for step, factor in asked if fresh.factor(step, steps) != factor]
    require(not changed, f"step {changed[:1]} has another factor when it is asked first; keep nothing between calls")
    require_no_global_draws(lambda: bench.factors(schedule, steps))


def check_no_prints(bench: ScheduleBench) -> None:
    """The schedule prints nothing: stdout is the result of a command, and stderr its log."""
    require_silent(lambda: bench.factors(bench.make(), max(LENGTHS)))
