"""What the names of columns say of them, as far as they are usual ones."""

from __future__ import annotations

import re
from collections.abc import Sequence

ID = re.compile(
    r"(.*[_. ])?(id|unit|machine|device|engine|series|subject|recording|trajectory|episode|asset|run|trial|session|"
    r"serial|simulation_?run|station|bearing|vehicle|case|customer|user|order|participant)"
    r"([_. ]?(id|no|nr|number|name)|:concept:name)?",
    re.I,
)
CAMEL_ID = re.compile(r"[A-Za-z]+(ID|Id)")
TIME = re.compile(
    r"(.*[_. ])?(time|timestamp|stamp|date|datetime)([_. (].*)?|"
    r"(ts|t|days?|cycles?|samples?|ticks?|epoch|minutes?|seconds?|hours?)([_. (].*)?",
    re.I,
)
UNITS = (("min", r"min(ute)?s?"), ("h", r"hours?"), ("d", r"days?"), ("ms", r"ms|milliseconds?"))
"""Units of time and what they are called."""
CHANNEL = re.compile(
    r"(.*[_. ])?(channel|variable|parameter|sensor|signal|tag|metric|measure|feature|name|item|event|code)s?", re.I
)
VALUE = re.compile(r"value|val|reading|measurement|result", re.I)
ACTION = re.compile(
    r"(op_?)?(setting|action|control|command|set_?point).*|x?mv[_. ]?\d+|.*[_. -](sp|set_?point)", re.I
)
ROW_NUMBER = re.compile(r"index|row([_. ]?(no|nr|number|id))?|(no|nr|obs|#)\.?", re.I)
SAMPLE = re.compile(r"(t|time|ts|sample|step|day|hour|minute|second|h|d|m|s|week|month|year|y|at)?[_. -]?", re.I)
"""What stands before the number of a sample."""

_LABEL = re.compile(
    r"(.*[_. /-])?(labels?|targets?|class(es)?([_. -]?(id|name))?|outcomes?|anomal(y|ies|ous)|is_?anomaly|outliers?|"
    r"change_?points?|attacks?|"
    r"fault(s|y|_?(no|number|type|code|id|label))?|fail(s|ed|ures?)?([_. -]?(type|mode|code|within.*|in_?\d+.*))?|"
    r"(machine|health|fault|failure)_?(status|state)|rul|ttf|tte|remaining.*|"
    r"(time|cycles?|hours?|days?|steps?|minutes?|seconds?)_?(to|till|until|before)_?.*|defect(s|ive)?|broken?|breakdown|"
    r"soh|state_of_health|ground[_ ]?truth|gt|y_true|annotations?|diagnos[ie]s|churn(ed)?|"
    r"died|dead|death|survived|expired?)([_. -]?\d+)?|[a-z0-9]*label",
    re.I,
)
_QUALIFIER = re.compile(r"(?<=.)([ _]*\(.*\)|[_. -](flag|detected|indicator|occurred|observed|present|binary))$", re.I)
"""What may stand behind the name of a label."""
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ANOMALY = re.compile(r"(.*[_. /-])?(anomal(y|ies|ous)|is_?anomaly|attacks?|outliers?)", re.I)
_NOUN = re.compile(
    r"(?:.*[_. ])?(machine|device|engine|recording|episode|asset|run|trial|session|station|bearing|vehicle|pump|"
    r"turbine|motor|battery|sensor|meter|player|house|building|plant|unit|case|customer|user|order|participant)s?"
    r"(?:[_. ]?(?:id|no|nr|number|name)|:concept:name)?",
    re.I,
)
"""A column of ids that says what one of them is called."""
_LATER = re.compile(
    r".*[_. (-](next|future|ahead|lead|t ?\+ ?\d+|plus_?\d+)([_. -]?\d+.*)?\)?|(next|future)[_. -].*|"
    r".*[_. -](within[_. -]?\d+.*|in[_. -]?\d+[_. -]?(s|sec|min|h|d|w|m|seconds?|minutes?|hours?|days?|weeks?|months?|"
    r"cycles?|steps?))",
    re.I,
)
EARLIER = re.compile(r"(.*[_. (-])?(lag(ged)?|prev(ious)?|last|past|t ?- ?\d+|minus_?\d+)([_. -]?\d+.*)?\)?", re.I)
"""What a column is called that tells the past of another one."""


def is_label(name: str) -> bool:
    """Whether a column's name says that it holds an answer, or what comes."""
    return any(_LABEL.fullmatch(way) or _LATER.fullmatch(way) for way in _ways_of(name))


def is_anomaly(name: str) -> bool:
    """Whether a column's name says that it marks when something was wrong."""
    return any(_ANOMALY.fullmatch(way) for way in _ways_of(name))


def _ways_of(name: str) -> tuple[str, str]:
    """A name as it is, and with its words apart and without what only says that it marks something."""
    return name, _QUALIFIER.sub("", _HUMP.sub("_", name))


def noun_of(names: Sequence[str]) -> str:
    """What one of the ids in some columns is called, as the last that says so tells; nothing if none does."""
    spelled = [_HUMP.sub("_", name) for name in names]
    return next((match[1].lower() for name in reversed(spelled) if (match := _NOUN.fullmatch(name))), "")
