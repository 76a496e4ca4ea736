"""The page: one HTML file that holds its style, its script and its data.

Texts of the web and replies of models are hostile. The data stand in a block that no browser runs, and the script
puts them into text nodes only; the policy in the page's head forbids every script but ours, every address but the
page's own folder, and (Trusted Types) every way of the DOM to read a text as HTML.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

INDEX = "index.html"
ICON = "icon.svg"
_STYLES = ("base.css", "blocks.css")
_SCRIPTS = (
    "dom.js",
    "charts.js",
    "texts.js",
    "card.js",
    "rows.js",
    "funnel.js",
    "sections.js",
    "figures.js",
    "main.js",
)
# What could end the data's block, or a line of a script, is escaped.
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def render(
    title: str,
    data: dict[str, Any],
    *,
    served: bool = False,
    further: Sequence[str] = (),
    scripts: tuple[str, ...] = _SCRIPTS,
) -> bytes:
    """The page of these data, the same for the same ones. ``served`` lets it ask the server that it came from.

    ``further`` are names of scripts and styles in ``static`` that this page has besides, ``scripts`` of those that
    another kind of page has instead.
    """
    style, script = _both(tuple(further), scripts)
    page = _static("page.html")
    inserted = {
        "POLICY": html.escape(policy(style, script, served=served), quote=True),
        "TITLE": html.escape(title, quote=True),
        "STYLE": style,
        "DATA": encoded(data),
        "SCRIPT": script,
    }
    # In one pass: what is inserted may itself hold such a mark.
    head, *rest = page.split("{{")
    parts = [head]
    for piece in rest:
        mark, _, after = piece.partition("}}")
        parts += [inserted[mark], after]
    return "".join(parts).encode("utf-8", "replace")


def title_of(root: str) -> str:
    """The title of a root's page."""
    return f"{root}: what became of its rows"


def icon() -> bytes:
    """The picture that a browser shows beside the title."""
    return _static(ICON).encode()


def policy(style: str, script: str, *, served: bool = False) -> str:
    """The Content-Security-Policy. ``file:`` is what browsers call the folder of a page that is opened from disk."""
    rules = {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "img-src": "'self'" if served else "'self' file:",
        "connect-src": "'self'" if served else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def policy_of_served(further: Sequence[str] = ()) -> str:
    """The same as a header; nobody may show the page inside of another one."""
    return policy(*_both(tuple(further)), served=True) + "; frame-ancestors 'none'"


def _both(further: tuple[str, ...], scripts: tuple[str, ...] = _SCRIPTS) -> tuple[str, str]:
    """The page's style and its script; the last one puts together what stands before it."""
    styles = (*_STYLES, *(name for name in further if name.endswith(".css")))
    together = (*scripts[:-1], *(name for name in further if name.endswith(".js")), scripts[-1])
    return _joined(styles), _joined(together)


def encoded(data: Any) -> str:
    """JSON that may stand in a script element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPES)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _joined(names: tuple[str, ...]) -> str:
    return "\n" + "\n".join(_static(name).rstrip("\n") for name in names) + "\n"


def _static(name: str) -> str:
    return resources.files("curation.report").joinpath("static", name).read_text(encoding="utf-8")
