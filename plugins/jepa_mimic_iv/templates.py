"""How an hour is put into words: the form of the published reference (Clin-JEPA, arXiv 2605.10840), and ours.

The two share order, names, sentinels and what is left out as noise. Ours departs where the reference loses or repeats
something: small doses are not rounded to 0; ionised calcium is in mmol/L, as measured; magnesium is shown; what repeats
a reading beside it (the urine and weight of the urine rates, the creatinine of the kidney stages) is not; what a
ventilator measures stands with the observations, not with the actions; every administration of a drug that reached the
patient is shown, not two kinds of them; the Charlson index of earlier admissions follows the race.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from jepa_core.data.words import plain_number, rounded
from jepa_mimic_iv.derived import VARIABLES


@dataclass(frozen=True)
class Template:
    """number: how a value is written. hidden: channels that are left out. units: of channels that the store has in
    another unit's name. acted: observed channels that are written with the actions. given: kinds of administration
    that are shown, all if empty. charlson: whether the static text tells the index of earlier admissions."""

    name: str
    number: Callable[[float], str]
    hidden: frozenset[str]
    units: Mapping[str, str] = field(default_factory=dict)
    acted: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()
    charlson: bool = False


def two_decimals(value: float) -> str:
    """A number as the reference writes it: two decimals at most, without trailing zeros."""
    return rounded(value, 2)


MEAN_RATES = frozenset(variable.channel for variable in VARIABLES if variable.group == "mean_rate")
"""For numbers only: the rates themselves are written."""

DEFAULT = Template(
    "default",
    plain_number,
    hidden=frozenset({"urine_output_rate/uo", "urine_output_rate/weight", "kdigo_stages/creat"}) | MEAN_RATES,
    charlson=True,
)
REFERENCE = Template(
    "reference",
    two_decimals,
    hidden=frozenset({"chemistry/magnesium", "urine_output/irrigant_alone"}) | MEAN_RATES,
    units={"bg/calcium": "mg/dL"},
    acted=frozenset(
        variable.channel
        for variable in VARIABLES
        if variable.group == "ventilator_setting" and variable.role == "state"
    ),
    given=frozenset({"Administered", "Applied"}),
)
TEMPLATES: dict[str, Template] = {template.name: template for template in (DEFAULT, REFERENCE)}
