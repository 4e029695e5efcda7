"""The frame of every page: one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import resources

from jepa_core.report.html import Markup, element, start

NO_REQUESTS = "default-src 'none'; style-src 'unsafe-inline'"
"""Content security policy: whatever stands in the page, the browser runs no script and asks no server for anything."""
LEVELS = {"bad": "not sound", "warning": "with care", "good": "sound"}

Section = tuple[str, str, Markup]
"""A section of a page: its anchor, its title, its content."""


def document(title: str, first_screen: Iterable[Markup | None], sections: Sequence[Section]) -> str:
    """A whole page as HTML: what is read first, links to the sections, and the sections."""
    style = Markup(resources.files("jepa_core.report").joinpath("style.css").read_text(encoding="utf-8"))
    head = element(
        "head",
        start("meta", charset="utf-8"),
        start("meta", http_equiv="Content-Security-Policy", content=NO_REQUESTS),
        start("meta", name="viewport", content="width=device-width, initial-scale=1"),
        start("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", style),
    )
    links = (element("a", name, href=f"#{anchor}") for anchor, name, _ in sections)
    nav = element("nav", *links, aria_label="Sections")
    parts = (element("section", element("h2", name), content, id=anchor) for anchor, name, content in sections)
    body = element("body", element("main", element("header", *first_screen, nav), *parts))
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def judgement(level: str, text: str, source: str = "") -> Markup:
    """A verdict as an item of a list of class `verdicts`."""
    told = element("span", text[:1].upper() + text[1:], " ", element("span", source, class_="source"))
    return element("li", element("span", LEVELS[level], class_="level"), told, class_=f"verdict {level}")
