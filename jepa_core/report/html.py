"""HTML by function calls, so that nothing can be forgotten to be escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Signs that neither HTML nor XML can hold, however they are written."""


class Markup(str):
    """Text that is HTML already. Everything else is escaped where it is put in."""


def writable(text: str) -> str:
    """The text with a replacement character for every sign that a page cannot hold, such as NUL."""
    return _UNWRITABLE.sub("\ufffd", text)


def element(name: str, /, *children: str | None, **attributes: str | int | None) -> Markup:
    """An element with escaped children and attributes; a None is left out.

    An attribute may end in an underscore (`class_`), and underscores within it stand for hyphens (`aria_label`).
    """
    return Markup(f"{start(name, **attributes)}{join(children)}</{name}>")


def start(name: str, /, **attributes: str | int | None) -> Markup:
    """The start tag of an element; all there is of one without content, such as `meta`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(writable(str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>")


def join(children: Iterable[str | None]) -> Markup:
    """Children one after the other, escaped unless they are Markup; a None is left out."""
    parts = (
        child if isinstance(child, Markup) else html.escape(writable(child)) for child in children if child is not None
    )
    return Markup("".join(parts))
