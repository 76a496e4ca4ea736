"""The ways through a pattern, to prove that each holds one of some pieces of text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_GAP = "\0"  # what may be anything; no sign reaches across it
_MARKS = "’–—："  # beyond ASCII, without a case
_MOST = 12  # characters of a class that are followed one by one


def every_match_has_one(pattern: re.Pattern[str], signs: Sequence[str], *, ascii_only: bool = False) -> bool:
    """Whether each way through a pattern holds one of the signs.

    A sign is looked for as in ``curation.caption.signs.flat`` of a text: in lower case, one space for any white
    space, and a space at both ends. ``ascii_only`` leaves out the ways that need a character beyond ASCII.
    """
    assert all(
        sign and sign == sign.lower() and all(c.isascii() or c in _MARKS for c in sign) and "  " not in sign
        for sign in signs
    )
    return not _Ways(signs, ascii_only).through(parser.parse(pattern.pattern, pattern.flags), {""})


class _Ways:
    """Follows all ways at once. Of each that holds no sign yet it keeps the end that may become one."""

    def __init__(self, signs: Sequence[str], ascii_only: bool) -> None:
        self._signs = tuple(signs)
        self._ascii_only = ascii_only
        self._begun = {sign[:n] for sign in signs for n in range(len(sign))}

    def through(self, items: Iterable[tuple[Any, Any]], ways: set[str]) -> set[str]:
        for code, value in items:
            if ways:
                ways = self._item(code, value, ways)
        return ways

    def _item(self, code: Any, value: Any, ways: set[str]) -> set[str]:
        if code is codes.LITERAL:
            return self._letter(chr(value), ways)
        if code in (codes.ANY, codes.NOT_LITERAL, codes.GROUPREF):
            return self._add(_GAP, ways)
        if code is codes.IN:
            return self._one_of(value, ways)
        if code is codes.BRANCH:
            return set().union(*(self.through(branch, ways) for branch in value[1]))
        if code is codes.SUBPATTERN:
            return self.through(value[3], ways)
        if code is codes.ATOMIC_GROUP:
            return self.through(value, ways)
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            least, most, item = value
            several = self._several(item, ways) if most > 1 else self.through(item, ways)
            return several | (set() if least else ways)
        if code is codes.AT:
            at_end = value in (codes.AT_BEGINNING, codes.AT_BEGINNING_STRING, codes.AT_END, codes.AT_END_STRING)
            return self._add(" ", ways) if at_end else ways
        if code is codes.ASSERT and value[0] > 0:  # what must follow may hold the sign
            return ways if self.through(value[1], ways) else set()
        if code in (codes.ASSERT, codes.ASSERT_NOT):
            return ways  # takes no character
        raise AssertionError(f"a pattern with {code} was not expected")

    def _several(self, item: Any, ways: set[str]) -> set[str]:
        """The ways with an item once or more often, also more often than the pattern allows."""
        found = self.through(item, ways)
        further = self.through(item, found)
        if further <= found:  # as for white space, of which a run counts as one space
            return found
        # Only the last of them is followed, with anything in front of it.
        return found | self.through(item, {_GAP})

    def _one_of(self, members: list[tuple[Any, Any]], ways: set[str]) -> set[str]:
        chars: list[str] = []
        for code, value in members:
            if code is codes.LITERAL:
                chars.append(chr(value))
            elif code is codes.RANGE and value[1] - value[0] < _MOST:
                chars.extend(map(chr, range(value[0], value[1] + 1)))
            elif code is codes.CATEGORY and value is codes.CATEGORY_SPACE:
                chars.append(" ")
            else:
                return self._add(_GAP, ways)
        return set().union(*(self._letter(char, ways) for char in chars))

    def _letter(self, char: str, ways: set[str]) -> set[str]:
        if self._ascii_only and not char.isascii():
            return set()
        if char.isspace():
            return self._add(" ", ways)
        if char.isascii() or char in _MARKS:
            return self._add(char.lower(), ways)
        return self._add(_GAP, ways)

    def _add(self, piece: str, ways: set[str]) -> set[str]:
        """The ways with a character more, without those that hold a sign now."""
        longer = (way if way.endswith(" ") and piece == " " else way + piece for way in ways)
        open_ways = (way for way in longer if not way.endswith(self._signs))
        return {next(end for n in range(len(way) + 1) if (end := way[n:]) in self._begun) for way in open_ways}
