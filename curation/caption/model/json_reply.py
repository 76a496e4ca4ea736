"""Find the one JSON value that a model's reply holds: bare, in a fence, after thinking, or with a note behind it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pydantic import BaseModel, ValidationError

# What models are reported to put around their thinking: XML-like tags of any prefix (<think>, <seed:think>,
# <reasoning> …), Mistral's [THINK], Kimi's ◁think▷, <|begin_of_thought|>, Command's <|START_THINKING|>, Gemma's
# <|channel>thought … <channel|> and MedGemma's <unused94>, and the analysis channel of gpt-oss.
_TAG = r"(?:\w+[:_])?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflect(?:ion)?|analysis|scratchpad)(?:_\w+)?"
_OPEN = re.compile(
    rf"<{_TAG}>|\[{_TAG}\]|◁{_TAG}▷|<\|(?:begin_of_thought|START_THINKING|{_TAG})\|>|<unused94>"
    r"|<\|channel>thought|<\|channel\|>(?:analysis|commentary)",
    re.I,
)
_CLOSE = re.compile(
    rf"</{_TAG}>|\[/{_TAG}\]|◁/{_TAG}▷|<\|(?:end_of_thought|END_THINKING|/{_TAG})\|>|<unused95>"
    r"|<channel\|>|<\|channel\|>final\s*(?:<\|constrain\|>\s*json\s*)?<\|message\|>",
    re.I,
)
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


def without_thinking(text: str) -> str:
    """The part of a reply behind its thinking; the part before it where the thinking never ends."""
    ends = [m.end() for m in _CLOSE.finditer(text)]
    answer = text[ends[-1] :] if ends else text
    begun = _OPEN.search(answer)
    return answer[: begun.start()] if begun else answer


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
