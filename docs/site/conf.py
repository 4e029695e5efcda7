"""How Sphinx makes a site of the pages in docs/ and of the docstrings; `sphinx-build -W -c docs/site docs build/site`.

Nothing on the site comes from the network: the theme brings its scripts, and letters are those of the reader's machine.
"""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import prose  # noqa: E402 - of the folder that was just added
import reference  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402

project = "jepa-core"
release = version_of("jepa-core")
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["site"]
html_theme = "furo"
html_title = f"jepa-core {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False

myst_heading_anchors = 4  # sections are called as GitHub calls them
suppress_warnings = ["misc.highlighting_failure"]  # an example with an ellipsis is shown as it is
default_role = "py:obj"

autodoc_default_options = {"members": True, "ignore-module-all": True, "exclude-members": "model_config"}
autodoc_preserve_defaults = True  # as they are written: the value of one may be this machine's environment
toc_object_entries = False  # a page has hundreds
autodoc_inherit_docstrings = False  # torch and pydantic describe their own methods
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100


def setup(app: Sphinx) -> None:
    """Pages of the reference are written before Sphinx looks for pages, docstrings are read as they are meant."""
    app.connect("config-inited", reference.write)
    app.connect("source-read", reference.into_the_site)
    app.connect("autodoc-process-docstring", prose.read)
    app.add_post_transform(reference.NamesByTheirLastPart)
    app.connect("build-finished", reference.check)
