"""Patterns of paths as robots.txt and tdmrep.json have them: RFC 9309, section 2.2.2 and 2.2.3."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

# Everything that a URL may hold as it is; what is left is percent-encoded, so that two spellings become one.
_PLAIN = "/?#[]@!$&'()*+,;=:-._~"
_RESERVED = re.compile(r"%(?:2[1346789ABCF]|3[ABDF]|40|5[BD])", re.I)


def same_spelling(path: str) -> str:
    """A path or a pattern with every octet spelled one way; octets that are reserved stay encoded if they were."""
    kept = _RESERVED.findall(path)
    parts = _RESERVED.split(path)
    spelled = [quote(unquote_to_bytes(part.encode("utf-8", "replace")), safe=_PLAIN) for part in parts]
    return spelled[0] + "".join(code.upper() + part for code, part in zip(kept, spelled[1:], strict=True))


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern matches the beginning of a path: ``*`` is any text, ``$`` at the end is the path's end.

    Both are ``same_spelling``. Takes time linear in the path for each part between stars.
    """
    ends = pattern.endswith("$")
    first, *rest = (pattern[:-1] if ends else pattern).split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    if not rest:
        return at == len(path) or not ends
    *middle, last = rest
    for piece in middle:
        found = path.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    if ends:
        return len(path) - len(last) >= at and path.endswith(last)
    return path.find(last, at) >= 0
