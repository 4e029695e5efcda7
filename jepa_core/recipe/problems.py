"""What is wrong with a recipe: problems by key path, and the one exception that reports them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from jepa_core.errors import PluginError, RecipeError, printable

Step = str | int
LONGEST_MESSAGE = 300
_MOST_SHOWN = 50


@dataclass(frozen=True)
class KeyPath:
    """Where a value stands in a recipe, file or not.

    steps: keys, and the numbers of items of lists. dotted: the same as overrides address it, components in lists by
    name.
    """

    steps: tuple[Step, ...] = ()
    dotted: str = field(default="", compare=False)

    def __truediv__(self, key: Step) -> KeyPath:
        """The path of a key below, or of an item that has no name."""
        return self.item(key, str(key))

    def item(self, number: Step, name: str) -> KeyPath:
        """The path of an item that goes by name."""
        return KeyPath((*self.steps, number), f"{self.dotted}.{name}" if self.dotted else name)

    def __str__(self) -> str:
        return self.dotted or "the recipe"


@dataclass(frozen=True)
class Problem:
    """One mistake in a recipe.

    at_key: whether the key itself is the mistake, rather than its value. other: a second path that the hint names, as
    `{other}`. broken_plugin: whether a plugin that cannot be loaded is the cause, rather than the recipe.
    """

    path: KeyPath
    message: str
    hint: str = ""
    at_key: bool = False
    other: KeyPath | None = None
    broken_plugin: bool = False

    def __str__(self) -> str:
        """The key path, what is wrong there, and the hint below."""
        told = self.to_dict()
        return f"  {self.path}  {told['message']}" + (f"\n     {told['hint']}" if told["hint"] else "")

    def hint_with(self, other: str) -> str:
        """The hint, where `other` says how its second path is to be called."""
        return self.hint.replace("{other}", other) if self.other is not None else self.hint

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        hint = self.hint_with(str(self.other))
        return {
            "key": self.path.dotted,
            "message": printable(self.message, LONGEST_MESSAGE),
            "hint": printable(hint, LONGEST_MESSAGE),
        }


class Reported(Protocol):
    """A problem as it is shown: by key path, or at its place in a file."""

    @property
    def broken_plugin(self) -> bool: ...

    def to_dict(self) -> dict[str, Any]: ...


class InvalidRecipe(RecipeError):
    """Every problem of a recipe, in its order. where: what they are in, after their number, such as `in mine.yaml`.

    exit_code is 2, or that of PluginError where plugins that cannot be loaded are the only cause.
    """

    def __init__(self, problems: Sequence[Reported], where: str) -> None:
        self.problems = tuple(problems)
        self.exit_code = (
            PluginError.exit_code if all(problem.broken_plugin for problem in problems) else RecipeError.exit_code
        )
        count = f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"
        more = len(self.problems) - _MOST_SHOWN
        last = [f"  ... and {more} more"] if more > 0 else []
        super().__init__("\n".join([f"{count} {where}", *map(str, self.problems[:_MOST_SHOWN]), *last]))

    def to_list(self) -> list[dict[str, Any]]:
        """The problems as plain values, for `--json`."""
        return [problem.to_dict() for problem in self.problems]
