"""Streams the records of one long JSON value: one at a time, never the file."""

from __future__ import annotations

import codecs
from collections.abc import Container, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, Any

from curation.core.errors import DamagedSource
from curation.sources.source_metadata import clean

LONGEST = 64 << 20  # bytes of one record; no article with its captions is longer
BLANK = b" \t\r\n" + codecs.BOM_UTF8
_DEEPEST = 200  # levels of one record


@dataclass(frozen=True)
class Fault:
    """What stands in the place of a record that cannot be used."""

    why: str


def members(file: IO[bytes], where: str, *, keyed: bool) -> Iterator[tuple[str | None, Any]]:
    """The values of a list, or with ``keyed`` the keys and values of an object; in order.

    Raises ``DamagedSource`` where the JSON ends early or is damaged, with the number of the record; the records before
    it have been yielded.
    """
    return _values(file, where, "start_map" if keyed else "start_array", 1, None)


def listed(
    file: IO[bytes], where: str, names: Container[str] | None = None, *, first: bool = False
) -> Iterator[tuple[str, Any]]:
    """The values in these lists of an object, or in all, each with the name of its list; in the order of the file.

    With ``first`` only the first value of each. Raises as ``members`` does.
    """
    for name, value in _values(file, where, "start_map", 2, names, first=first):
        yield str(name), value


def _values(
    file: IO[bytes], where: str, begins: str, level: int, names: Container[str] | None, *, first: bool = False
) -> Iterator[tuple[str | None, Any]]:
    import ijson  # only lists that are one long JSON value need it

    seen = depth = 0
    key: str | None = None
    wanted = True
    item: ijson.ObjectBuilder | None = None
    text = _Limited(file)
    try:
        # ijson's own items() spells out each value's path, which takes quadratic memory where a value is nested deep.
        for event, value in ijson.basic_parse(text):
            if depth == 0 and event != begins:
                raise ValueError(f"{'an object' if begins == 'start_map' else 'a list'} was expected, found {event}")
            starts, ends = event.startswith("start_"), event.startswith("end_")
            if depth == 1 and event == "map_key":
                key = value
            elif depth == 1 and level == 2:
                wanted = event == "start_array" and (names is None or key in names)
            elif wanted and (depth > level or (depth == level and not ends)):
                item = item or ijson.ObjectBuilder()
                item.event(event, float(value) if isinstance(value, Decimal) else value)
            depth += starts - ends
            if depth > _DEEPEST:
                raise ValueError(f"nested deeper than {_DEEPEST} levels")
            if depth <= level:
                text.left = LONGEST
                if item is not None:
                    yield key, item.value
                    seen, item, wanted = seen + 1, None, not first
    except (ijson.JSONError, ValueError, RecursionError) as error:
        why = clean((str(error).strip() or type(error).__name__).splitlines()[0])[:200]
        raise DamagedSource(
            f"{where} is no whole JSON behind record {seen} ({why}): it is half-written or damaged; fetch the file "
            "again or leave it out"
        ) from error


class _Limited:
    """The bytes of a file without its byte order mark, at most ``left`` of them until ``left`` is set again."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._begun = False
        self.left = LONGEST

    def read(self, size: int = -1) -> bytes:
        """The next bytes. Raises ``ValueError`` when one record is longer than ``LONGEST``."""
        data = self._file.read(size)
        while data and not self._begun:
            data = data.lstrip(BLANK)
            self._begun = bool(data)
            data = data or self._file.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise ValueError(f"no end within {LONGEST} bytes")
        return data
