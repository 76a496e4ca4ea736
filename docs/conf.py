"""How the site of the docs is built: ``make docs`` writes it to build/docs; open index.html there, no server needed.

Sphinx's source folder is the repository, so that the READMEs of the rooms are pages where they stand.
"""

import os
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "docs" / "extension")]
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

project = "Lapidary"
author = "the authors of Lapidary"
project_copyright = "the authors of Lapidary; Apache-2.0"
extensions = ["myst_parser", "sphinx.ext.autodoc", "recipe_reference"]

root_doc = "docs/index"
include_patterns = [
    *("docs/**.md", "curation/**README.md", "schemas/README.md", "flows/README.md", "infra/**README.md"),
    *("notebooks/README.md", "tests/README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"),
]
# Folders that are never looked into.
exclude_patterns = [".*", "build", "runs", "**/__pycache__", "tests/[!R]*"]

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
# suppress_warnings = ["myst.header"]  # a README may begin its own sections below a title of another level

autodoc_default_options = {"members": True, "member-order": "bysource", "undoc-members": False}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = "Lapidary"
html_show_sourcelink = False
html_copy_source = False
html_show_search_summary = False  # a page from disk may not fetch the pages that it found
html_additional_pages = {"index": "to_the_docs.html"}  # a browser that opens the site's folder
templates_path = ["templates"]
html_theme_options = {"navigation_with_keys": True}


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("html-page-context", _for_keyboards_and_screen_readers, priority=1000)  # behind the theme's own


def _for_keyboards_and_screen_readers(
    _app: Any, _page: str, _template: str, context: dict[str, Any], _doctree: Any
) -> None:
    """What scrolls can be reached by keys, and headings in the list of pages have a level."""
    tree, body = (str(context.get(name, "")) for name in ("furo_navigation_tree", "body"))
    context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')
    context["body"] = body.replace("<pre>", '<pre tabindex="0">')
