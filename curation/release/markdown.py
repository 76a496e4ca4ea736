"""Values as cells of a table in Markdown."""

from __future__ import annotations

import json
from typing import Any


def cell(value: Any) -> str:
    """A value as code, for one cell; plain data as JSON, an empty text as nothing."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True) if not isinstance(value, str) else value
    return f"`{escaped(text)}`" if text else ""


def escaped(text: str) -> str:
    """A text in one line in which nothing ends a cell or code."""
    return " ".join(text.split()).replace("|", "\\|").replace("`", "'")


def share(part: int, whole: int) -> str:
    """A part of a whole in percent; nothing where there is no whole."""
    return f"{part / whole:.1%}" if whole else ""
