"""Pages of the reference, one for each package, and the links of all pages."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from os.path import relpath
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import find_pending_xref_condition, make_refnode

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "support"))

from module_list import modules, sentence  # noqa: E402 - of the folder that was just added

DOCS = REPOSITORY / "docs"
PAGES = DOCS / "reference"
BESIDE = {REPOSITORY / "README.md": PAGES / "readme.md", REPOSITORY / "findings/README.md": PAGES / "findings.md"}
"""Pages that lie elsewhere in the repository, and where the site has them."""

SECTION = re.compile(r"^## (.+)\n\n((?:\* .*\n(?:  .*\n)*)+)", re.MULTILINE)
PAGE = re.compile(r"^\* \[[^]]+\]\((\w[\w-]*)\.md\)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")
FROM_THE_NETWORK = re.compile(r"<(script|img|iframe)[^>]+src=.(https?:)?//|<link[^>]+stylesheet[^>]+//|url\(.?http")


def packages() -> dict[str, list[Path]]:
    """Modules of each package of the core and of the plugins, by the package's name."""
    pages: dict[str, list[Path]] = {}
    for path in modules():
        if path.name != "__main__.py":  # importing that one runs it
            pages.setdefault(".".join(path.parent.relative_to(_root(path)).parts), []).append(path)
    return pages


def write(app: Sphinx, config: object) -> None:
    """Import what is described and write the pages anew; those that say what they said stay as they are, so that
    Sphinx need not read them."""
    pages = {PAGES / f"{name}.md": _page(name, paths) for name, paths in packages().items()}
    pages |= {there: _linked(here.read_text(), here.parent, PAGES) for here, there in BESIDE.items()}
    pages[PAGES / "index.md"] = _overview()
    PAGES.mkdir(exist_ok=True)
    for old in set(PAGES.glob("*.md")) - set(pages):
        old.unlink()
    for path, text in pages.items():
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


def _root(path: Path) -> Path:
    plugins = REPOSITORY / "plugins"
    return plugins if path.is_relative_to(plugins) else REPOSITORY


def _module(path: Path) -> str:
    return ".".join(path.relative_to(_root(path)).with_suffix("").parts).removesuffix(".__init__")


def _page(name: str, paths: list[Path]) -> str:
    parts = [f"# {name}\n"]
    for path in paths:
        module = _module(path)
        import_module(module)  # Sphinx would do it as type checkers do, and meet circles
        heading = "" if module == name else f"## {module.removeprefix(name + '.')}\n\n"
        parts.append(f"{heading}```{{eval-rst}}\n.. automodule:: {module}\n```\n")
    return "\n".join(parts)


OVERVIEW = """# Reference

Every public class and function, from the docstrings of the code. The interfaces of all components are one page:
[contracts](jepa_core.md#contracts).

{packages}

```{{toctree}}
:hidden:

readme
findings
{names}
```
"""


def _overview() -> str:
    lines = [f"* [{name}]({name}.md): {sentence(paths[0])}" for name, paths in packages().items()]
    return OVERVIEW.format(packages="\n".join(lines), names="\n".join(packages()))


# --- links ------------------------------------------------------------------------------------------------------------


def into_the_site(app: Sphinx, page: str, text: list[str]) -> None:
    """Links that leave docs/ lead to what the site has of it; sections of the first page become the navigation."""
    if page.startswith("reference/"):
        return
    text[0] = _linked(text[0], DOCS, DOCS)
    if page == "index":
        sections = [(title, PAGE.findall(links)) for title, links in SECTION.findall(text[0])]
        for title, names in [*sections, ("Reference", ["reference/index"])]:
            text[0] += "\n".join(["", "```{toctree}", ":hidden:", f":caption: {title}", "", *names, "```", ""])


def _linked(text: str, before: Path, after: Path) -> str:
    """A page with its links as they are from another folder."""

    def link(found: re.Match[str]) -> str:
        path = (before / found[1]).resolve()
        if path.suffix == ".py" and path.is_relative_to(REPOSITORY / "jepa_core"):
            package, _, module = _module(path).rpartition(".")
            return f"]({relpath(PAGES / f'{package}.md', after)}#{module})"
        return f"]({relpath(BESIDE.get(path, path), after)}{found[2] or ''})"

    return LINK.sub(link, text)


class NamesByTheirLastPart(SphinxPostTransform):
    """A name in a docstring or a signature leads to the one class or function that is called so, if there is one.

    Sphinx would search all names for each, and could not tell which of the name's modules is meant.
    """

    default_priority = 5  # before Sphinx resolves references, at 10

    def run(self, **kwargs: Any) -> None:
        """Replace every reference to a name by a link or by its text."""
        homes = self._homes()
        for node in list(self.document.findall(addnodes.pending_xref)):
            if node.get("refdomain") != "py":
                continue
            home = homes.get(str(node["reftarget"]).rpartition(".")[2])
            short = find_pending_xref_condition(node, "resolved") or node
            shown = nodes.inline("", "", *short.children)
            if home:
                shown = make_refnode(self.app.builder, self.env.docname, *home, shown)
            node.replace_self(shown)

    def _homes(self) -> dict[str, tuple[str, str]]:
        """Page and place of every class and function whose name is its own."""
        homes: dict[str, list[tuple[str, str]]] = {}
        for name, entry in self.env.domains.python_domain.objects.items():
            if entry.objtype in ("class", "function", "exception"):
                homes.setdefault(name.rpartition(".")[2], []).append((entry.docname, entry.node_id))
        return {name: entries[0] for name, entries in homes.items() if len(entries) == 1}


def check(app: Sphinx, error: Exception | None) -> None:
    """Refuse a site of which a page would load something from the network, or names a folder of this machine."""
    for path in [] if error else sorted(Path(app.outdir).rglob("*.[hc][ts][ms]*")):
        text = path.read_text()
        if FROM_THE_NETWORK.search(text):
            raise ExtensionError(f"{path.relative_to(app.outdir)} loads something from the network")
        if any(str(folder) in text for folder in (REPOSITORY, Path.home())):
            raise ExtensionError(f"{path.relative_to(app.outdir)} names a folder of the machine that it was made on")
