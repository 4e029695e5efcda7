"""HTML by function calls, so that nothing can be forgotten to be escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable


class Markup(str):
    """Text that is HTML already. Everything else is escaped where it is put in."""


def element(name: str, /, *children: str | None, **attributes: str | int | None) -> Markup:
    """An element with escaped children and attributes; a None is left out.

    An attribute may end in an underscore (`class_`), and underscores within it stand for hyphens (`aria_label`).
    """
    return Markup(f"{start(name, **attributes)}{join(children)}</{name}>")


def start(name: str, /, **attributes: str | int | None) -> Markup:
    """The start tag of an element; all there is of one without content, such as `meta`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>")


def join(children: Iterable[str | None]) -> Markup:
    """Children one after the other, escaped unless they are Markup; a None is left out."""
    parts = (child if isinstance(child, Markup) else html.escape(child) for child in children if child is not None)
    return Markup("".join(parts))
