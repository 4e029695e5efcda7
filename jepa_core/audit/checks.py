"""What an audit says: checks with a result each, as a page and as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from textwrap import wrap
from typing import Any, Literal, get_args

from jepa_core.errors import some_of

Result = Literal["pass", "warning", "fail", "not verified"]
"""A warning is what may be right and is worth a look; it fails nothing."""

_WIDTH = 100


@dataclass(frozen=True)
class LeakCheck:
    """One thing that was looked for. words: what was seen, and of what; never anything of a record. channels: names of
    those that it is about."""

    name: str
    result: Result
    words: str
    channels: tuple[str, ...] = ()


def verdict(name: str, leaking: Sequence[str], bad: str, good: str) -> LeakCheck:
    """A check that fails where some channels leak."""
    return LeakCheck(name, "fail" if leaking else "pass", bad if leaking else good, tuple(leaking))


def audit_page(folder: str, checks: Iterable[LeakCheck]) -> dict[str, Any]:
    """An audit as plain values."""
    rows = [asdict(check) | {"channels": list(check.channels)} for check in checks]
    counts = {result: sum(row["result"] == result for row in rows) for result in get_args(Result)}
    return {"folder": folder, "counts": counts, "checks": rows}


def audit_text(page: dict[str, Any]) -> str:
    """An audit for people: a row for each check."""
    names = max(len(row["name"]) for row in page["checks"])
    results = max(len(row["result"]) for row in page["checks"])
    lines = [page["folder"], ""]
    for row in page["checks"]:
        named = some_of(row["channels"], otherwise="")
        told = wrap(row["words"] + (f": {named}" if named else ""), _WIDTH) or [""]
        margin = " " * (names + results + 4)
        lines.append(f"{row['name']:<{names}}  {row['result']:<{results}}  {told[0]}")
        lines += [margin + line for line in told[1:]]
    counts = ", ".join(f"{count} {result}" for result, count in page["counts"].items())
    return "\n".join([*lines, "", counts])
