"""JSON too long for memory, read an item at a time: a list, an object's members, or one value a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any, Literal

from curation.core.errors import SourceError

Shape = Literal["list", "object", "lines"]

_CHUNK = 1 << 20
LONGEST = 64 << 20  # characters of one item; no article with its captions is longer
_BLANK = " \t\r\n"


def shape_of(start: str) -> Shape | None:
    """What a file that begins with these characters may be: an object on a line of its own is the first of lines."""
    text = start.lstrip("\ufeff" + _BLANK)
    if text.startswith("["):
        return "list"
    if not text.startswith("{"):
        return None
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):  # whoever reads it tells what is wrong
        return "object"
    rest = text[end:].lstrip(" \t\r")
    return "lines" if not rest.strip() or rest.startswith("\n") else None


def read_items(file: IO[str], shape: Shape, where: str) -> Iterator[tuple[str | None, Any]]:
    """The items of a list, (key, value) of an object's members, or the values on lines; in order.

    Memory holds some items, never the file. Raises ``SourceError`` where the JSON breaks off or is damaged,
    naming the item; those before it have been yielded.
    """
    return _lines(file, where) if shape == "lines" else _Reader(file, where).items(keyed=shape == "object")


def _lines(file: IO[str], where: str) -> Iterator[tuple[str | None, Any]]:
    number = 0
    while line := file.readline(LONGEST):
        number += 1
        if not line.strip(_BLANK + "\ufeff"):
            continue
        try:
            value = json.loads(line.lstrip("\ufeff"))
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{where} is no JSON on line {number} ({error}): {_AGAIN}") from error
        yield None, value


_AGAIN = "it is half-written or damaged; fetch it again or leave it out"


class _Reader:
    """Decodes from a window over the file that moves on as items are taken out."""

    def __init__(self, file: IO[str], where: str) -> None:
        self._file = file
        self._where = where
        self._text = ""
        self._at = 0
        self._ended = False
        self._seen = 0
        self._decoder = json.JSONDecoder()

    def items(self, *, keyed: bool) -> Iterator[tuple[str | None, Any]]:
        self._more()
        self._text = self._text.lstrip("\ufeff")
        closing = "}" if keyed else "]"
        self._expect("{" if keyed else "[")
        if self._next() == closing:
            self._at += 1
        else:
            while True:
                key: str | None = None
                if keyed:
                    found = self._value()
                    if not isinstance(found, str):
                        raise self._damaged("a key was expected")
                    key = found
                    self._expect(":")
                yield key, self._value()
                self._seen += 1
                if self._next() == closing:
                    self._at += 1
                    break
                self._expect(",")
        if self._next():
            raise self._damaged("there is text behind its end")

    def _value(self) -> Any:
        self._next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except RecursionError as error:
                raise self._damaged("nested too deep") from error
            except ValueError as error:
                if self._ended:
                    raise self._damaged(str(error)) from error
                if len(self._text) - self._at > LONGEST:
                    raise self._damaged(f"no end within {LONGEST} characters") from error
            else:
                # A number at the window's edge may go on behind it: 1 | .5
                part = isinstance(value, (int, float)) and self._text[end : end + 1].strip(",]}" + _BLANK) != ""
                if self._ended or (end < len(self._text) and not part):
                    self._at = end
                    return value
            self._more()

    def _expect(self, sign: str) -> None:
        found = self._next()
        if found != sign:
            raise self._damaged(f"{sign!r} was expected, found {found!r}" if found else "it ends too early")
        self._at += 1

    def _next(self) -> str:
        """The next sign that is no blank; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _BLANK:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._more()

    def _more(self) -> None:
        # What waits doubles, so that a long item is not tried again and again for a few bytes more.
        left = self._text[self._at :]
        chunk = self._file.read(max(_CHUNK, len(left)))
        self._ended = not chunk
        self._text, self._at = left + chunk, 0

    def _damaged(self, why: str) -> SourceError:
        return SourceError(f"{self._where} is no whole JSON behind item {self._seen} ({why}): {_AGAIN}")
