"""X-Robots-Tag: directives between commas, each for all robots or for one.

``name:`` before a directive limits it and those after it to one user agent, until the next name. ``unavailable_after``
and the ``max-`` directives carry a value behind a colon themselves, and a date behind the former carries colons and
commas of its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection

DIRECTIVES = frozenset({"noai", "noimageai", "noindex", "noimageindex", "noml", "none"})
"""Directives that opt an image out. ``none`` is short for noindex, nofollow."""

_VALUED = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
# A letter is looked for first, and nothing is given back: other forms take quadratic time on hostile values.
_AGENT = re.compile(r"(\*|(?=[0-9_.+-]*+[a-z])[a-z0-9_.+-]++)(/\S*)?")


def opts_out(value: str, agents: Collection[str]) -> bool:
    """Whether one value opts out all robots, or one of ``agents`` (in lower case).

    Text before a colon that cannot be a user agent's name (the hour of a date, say) limits a directive to no user
    agent.
    """
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
                ours = match.group(1) == "*" or match.group(1) in agents
        if ours and directive in DIRECTIVES:
            return True
    return False
