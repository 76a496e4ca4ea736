"""Find the one JSON value that a model's reply holds: bare, in a fence, after thinking, or with a note behind it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pydantic import BaseModel, ValidationError

from curation.caption.model.thinking import without_thinking

_START = re.compile(r"[{\[]")
# A text of nothing but brackets must not cost the square of its length: characters read, by length; brackets tried.
_WORK = 8
_ATTEMPTS = 500
# Line ends and tabs written as they are inside of strings: against the letter of JSON, and clear.
_DECODER = json.JSONDecoder(strict=False)
_RAW = re.compile(r"[\x00-\x1f]")


class NotReadableError(ValueError):
    """The reply holds no usable JSON, or more than one candidate; the message says which."""


def read_json(text: str, reply_type: type[BaseModel]) -> str:
    """The part of a reply that is the JSON value asked for; the whole reply where that is one.

    A value inside of finished thinking, or of thinking that never ends, is no answer. Where several different
    values would do, none is chosen. Raises ``NotReadableError``.
    """
    try:
        reply_type.model_validate_json(text)
    except ValidationError as error:
        fault = error
    else:
        return text
    answer = without_thinking(text)
    if not answer.strip():
        raise NotReadableError("thinking without an answer")
    found: dict[str, str] = {}
    for candidate in _values(answer):
        try:
            value = reply_type.model_validate_json(candidate)
        except ValidationError as error:
            fault = error
        else:
            found.setdefault(value.model_dump_json(), candidate)
    if len(found) > 1:
        raise NotReadableError(f"{len(found)} different {reply_type.__name__} in one reply")
    if not found:
        first = fault.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(p) for p in first["loc"]) or "reply"
        raise NotReadableError(f"not a {reply_type.__name__}: {where}: {first['msg']}")
    return next(iter(found.values()))


def _values(text: str) -> Iterator[str]:
    """The outermost JSON objects and arrays in a text, re-encoded where a strict reader would fail."""
    at, work = 0, _WORK * len(text) + 10_000
    for _ in range(_ATTEMPTS):
        start = _START.search(text, at)
        if start is None or work < 0:
            return
        try:
            value, end = _DECODER.raw_decode(text, start.start())
        except json.JSONDecodeError as error:
            work -= error.pos - start.start()
            at = start.start() + 1
        except (RecursionError, ValueError):  # ValueError: a number of more digits than Python converts
            at = start.start() + 1
        else:
            written = text[start.start() : end]
            yield json.dumps(value, ensure_ascii=False) if _RAW.search(written) else written
            at = end
