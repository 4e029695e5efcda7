"""The pages of the documentation hang together, on GitHub and on the site that is made of them."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", REPOSITORY / "findings/README.md", *sorted(DOCS.glob("*.md"))]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Names of a page's sections, as GitHub makes them of the headings."""
    headings = HEADING.findall(FENCED.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """Links of a page that lead to no file, or to no section of it."""
    links = LINK.findall(FENCED.sub("", page.read_text()))
    targets = {f"{path}#{anchor}": ((page.parent / path) if path else page, anchor) for path, anchor in links}
    return [
        link
        for link, (path, anchor) in targets.items()
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path))
    ]


def test_every_link_leads_to_a_page_and_to_a_section_of_it() -> None:
    told = {page.relative_to(REPOSITORY).as_posix(): broken(page) for page in PAGES}
    assert {name: links for name, links in told.items() if links} == {}


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    fenced = "```\n# d\n[w](w.md)\n```"
    page.write_text(f"# A `b` of (c)\n[x](#a-b-of-c) [y](gone.md) [z](page.md#gone)\n{fenced}\n[v](#d)\n")
    assert broken(page) == ["gone.md#", "page.md#gone", "#d"]


def test_the_first_page_of_the_site_leads_to_every_page() -> None:
    links = [path for path, _ in LINK.findall((DOCS / "index.md").read_text())]
    pages = {page.name for page in DOCS.glob("*.md")} - {"index.md"}
    listed = re.findall(r"^\* \[[^]]+\]\(([\w-]+\.md)\)", (DOCS / "index.md").read_text(), re.MULTILINE)
    assert pages <= set(links) and sorted(set(listed)) == sorted(listed), "each in one section, or the site warns"


def test_docstrings_become_markup_whatever_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS / "site")
    monkeypatch.delitem(sys.modules, "prose", raising=False)
    import prose

    said = ["`x > 1` of", "`a_b`, |z|* alone_.", "", "* it's one`", "  more", "* second", "", "    a = b"]
    assert [line for line in prose.markup(said) if line] == [
        r"\ ``x > 1``\  of \ `a_b`\ , \|z\|\* alone\_.",
        "* it's one' more",
        "* second",
        ".. code-block:: none",
        "    a = b",
    ]


def test_the_lowest_versions_that_are_tried_are_the_bounds_of_pyproject() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    bounds = dict(re.match(r"([\w.-]+)>=([\d.]+)", text).groups() for text in project["dependencies"])
    lines = [line for line in (REPOSITORY / ".ci/lowest.txt").read_text().splitlines() if not line.startswith("#")]
    tried = dict(line.split("==") for line in lines)
    assert set(bounds) - set(tried) == {"torch"}
    assert {name: version for name, version in tried.items() if not f"{version}.".startswith(f"{bounds[name]}.")} == {}
