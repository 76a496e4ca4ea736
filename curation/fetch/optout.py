"""Opt-outs in response headers: X-Robots-Tag in all its forms, and tdm-reservation.

The grammar of X-Robots-Tag: directives between commas; ``name:`` before a directive limits it and those
after it to one user agent, until the next name. ``unavailable_after`` and the ``max-`` directives carry a
value behind a colon themselves, and a date behind the former carries colons and commas of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

DIRECTIVES = frozenset({"noai", "noimageai", "noindex", "noimageindex", "noml", "none"})
"""What opts an image out. ``none`` is short for noindex, nofollow."""

_VALUED = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
# A letter is looked for first, and nothing is given back: other forms take quadratic time on hostile values.
_AGENT = re.compile(r"(\*|(?=[0-9_.+-]*+[a-z])[a-z0-9_.+-]++)(/\S*)?")
_MOST = 500


def token(user_agent: str) -> str:
    """The product token that opt-outs name us by: ``Lapidary/1.0 (+https://…)`` is ``lapidary``."""
    match = re.match(r"[A-Za-z0-9_-]+", user_agent.strip())
    return match.group().lower() if match else ""


def find(headers: Iterable[tuple[bytes, bytes]], agent: str) -> str | None:
    """The first header that opts out, verbatim; None when there is none.

    ``agent`` is our own ``token``. What cannot be a user agent's name (a date's hour, say) scopes nothing.
    """
    for name, value in headers:
        lower = name.lower()
        if lower == b"x-robots-tag":
            found = opts_out(value.decode("latin-1"), agent)
        elif lower == b"tdm-reservation":
            found = re.match(rb"\s*1(?![0-9.])", value) is not None
        else:
            continue
        if found:
            return f"{name.decode('latin-1')}: {value.decode('latin-1')}"[:_MOST]
    return None


def opts_out(value: str, agent: str) -> bool:
    """Whether one X-Robots-Tag value opts out the user agent named ``agent``."""
    ours = True
    for part in value.lower().split(","):
        *scopes, directive = (piece.strip() for piece in part.split(":"))
        for scope in scopes:
            if scope in _VALUED:
                directive = ""  # what follows is its value
                break
            if scope in DIRECTIVES:
                if ours:
                    return True
            elif match := _AGENT.fullmatch(scope):
                ours = match.group(1) in ("*", agent)
        if ours and directive in DIRECTIVES:
            return True
    return False
