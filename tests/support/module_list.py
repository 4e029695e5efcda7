"""The list of modules in docs/architecture.md, made of the first sentence that each module says of itself.

python tests/support/module_list.py        # writes the list again, after a module came, went or changed
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "architecture.md"
HEADING = "## Every module"


def modules() -> Iterator[Path]:
    """Every module of the core and of the plugins, relative to the folder that it is imported from; packages first."""
    for root, pattern in ((REPOSITORY, "jepa_core/**/*.py"), (REPOSITORY / "plugins", "jepa_*/**/*.py")):
        for path in sorted(root.glob(pattern), key=lambda path: (path.parent.parts, path.name != "__init__.py", path)):
            if "templates" not in path.parts:
                yield path


def sentence(path: Path) -> str:
    """The first sentence of a module's docstring, in one line; empty if it says nothing."""
    said = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0]
    return re.split(r"(?<=\.)(?<!et al\.)\s", " ".join(said.split()), maxsplit=1)[0]


def section() -> str:
    """The whole section, with a table for every package."""
    lines: list[str] = []
    for path in modules():
        root = REPOSITORY / "plugins" if path.is_relative_to(REPOSITORY / "plugins") else REPOSITORY
        package = path.parent.relative_to(root).as_posix()
        if path.name == "__init__.py":
            lines += ["", f"**`{package}/`** {sentence(path)}"]
        else:
            if not lines[-1].startswith("|"):
                lines += ["", "| module | what it is |", "|---|---|"]
            lines.append(f"| `{path.name}` | {sentence(path).replace('|', '&#124;')} |")
    return "\n".join([HEADING, *lines, ""])


def write() -> None:
    """Put the section into the page, in place of the one that is there."""
    before, _, rest = PAGE.read_text().partition(f"{HEADING}\n")
    after = rest.partition("\n## ")
    PAGE.write_text(before.rstrip("\n") + "\n\n" + section() + "".join(after[1:]))


if __name__ == "__main__":
    write()
