from __future__ import annotations

from jepa_core.config import ScheduleConfig
from jepa_core.contracts import Schedule
from wrong import fails


class CourseConfig(ScheduleConfig):
    """Goes on."""


@fails("check_factors_in_range", "schedule", CourseConfig)
class GoesBeyondThePeak(Schedule[CourseConfig]):
    def factor(self, step, steps):
        return 2.0 * (step + 1) / steps


@fails("check_something_is_learned", "schedule", CourseConfig)
class BeginsAtNothing(Schedule[CourseConfig]):
    def factor(self, step, steps):
        return step / steps


@fails("check_function_of_the_step", "schedule", CourseConfig)
class CountsItsCalls(Schedule[CourseConfig]):
    calls = 0

    def factor(self, step, steps):
        self.calls += 1
        return 1 / self.calls


@fails("check_no_prints", "schedule", CourseConfig)
class Prints(Schedule[CourseConfig]):
    def factor(self, step, steps):
        print(step)
        return 1.0
