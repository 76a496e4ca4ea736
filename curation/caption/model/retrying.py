"""Interprets a model server's error: its status, whether request or server is at fault, and when to try again.

A refusal is a status that is not 200, or an error object where an answer was expected: gateways send one with
status 200 as well. It is read by its machine-readable fields; only where there is none by the words of its message.
"""

from __future__ import annotations

import email.utils
import json
import random
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from curation.caption.model.chat import ChatReply
from curation.core.printable import first_words, printable

# ``busy`` and ``unwell`` pass; ``request``: another request may well be answered; ``server``: no request is answered.
Fault = Literal["busy", "unwell", "request", "server"]

GATEWAY = frozenset({502, 503, 504})  # what a gateway says of a server that it cannot reach
ABOUT_THE_SAMPLE = frozenset({403, 451})  # some servers moderate single requests with these
_OF_THE_REQUEST = frozenset({400, 413, 415, 422})
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 20.0
_LONGEST_PAUSE = 60.0
_MESSAGE_CHARACTERS = 200
_STATUS_KEYS = ("code", "status", "status_code", "statusCode", "http_status", "http_code", "error_code")
_NAME_KEYS = (*_STATUS_KEYS, "type", "error_type", "errorType", "reason")
_MESSAGE_KEYS = ("message", "detail", "msg", "error_message", "error", "errors", "title", "description")
# The names that servers give their errors, without signs between the words; the first that is found counts.
_NAMES: tuple[tuple[re.Pattern[str], int], ...] = (
    (re.compile("contentfilter|contentpolicy|contentmanagement|moderation|datainspection|safety"), 400),
    (re.compile("ratelimit|quota|throttl|toomanyrequests|resourceexhausted|overload|capacity|concurrency"), 429),
    (re.compile("credit|billing|payment|arrear|balance"), 402),
    (re.compile("unauthenticated|unauthori[sz]ed|authenticat|apikey"), 401),
    (re.compile("permission|forbidden|accessdenied"), 403),
    (re.compile("notfound|doesnotexist|unknownmodel"), 404),
    (re.compile("contextlength|badrequest|invalidrequest|invalidargument|invalidparam|validation|unsupported"), 400),
    (re.compile("timeout|timedout|deadline"), 504),
    (re.compile("unavailable|badgateway|notready|loading"), 503),
    (re.compile("internal|server|apierror|unknown|incompletegeneration|generation"), 500),
)
_FILTERED = _NAMES[0][0]
_BUSY_WORDS = re.compile(r"rate.?limit|too many requests|quota|overload|at capacity|throttl", re.I)
_UNNAMED = 500
_PAGE = re.compile(r"\s*<(?:!doctype|\?xml|html|head|body|!--)", re.I)
_MARKUP = re.compile(r"<!--.*?-->|<(style|script)\b.*?(?:</\1\s*>|\Z)|<[^>]*(?:>|\Z)", re.I | re.S)


@dataclass(frozen=True, slots=True)
class Tried:
    """One try. ``again``: another may do better; ``blame``: the failure counts against the request; ``busy``: the
    server has too much to do; ``wait``: the seconds that it asked for."""

    reply: ChatReply
    again: bool = False
    blame: bool = True
    busy: bool = False
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class ErrorObject:
    """An error as a server describes it. ``status`` is 0 where it names none; ``wait`` in seconds, 0 for none."""

    message: str
    status: int = 0
    filtered: bool = False
    wait: float = 0.0


class Refused(Exception):
    """A server answered with an error. ``status`` is the one that counts, ``sent`` the one of its HTTP response."""

    def __init__(
        self, sent: int, error: ErrorObject, *, wait: float = 0.0, location: str = "", keyed: bool = True
    ) -> None:
        self.sent = sent
        self.status = _status_of(sent, error)
        self.message = first_words(_words_of(error.message), _MESSAGE_CHARACTERS)
        self.filtered = error.filtered
        self.wait = max(wait, error.wait)
        self.location = printable(location)
        self.keyed = keyed
        super().__init__(self.text)

    @property
    def fault(self) -> Fault:
        """Who is meant."""
        return fault_of(self.status)

    @property
    def text(self) -> str:
        """Status and message on one line and, where no request is answered so, what to do about it."""
        status = f"HTTP {self.sent}" + (f" with an error that means {self.status}" if self.status != self.sent else "")
        advice = self._advice()
        return f"{status}: {self.message or 'no message'}" + (f" ({advice})" if advice else "")

    def _advice(self) -> str:
        match self.status:
            case 401 if not self.keyed:
                return "the server wants an API key: name the environment variable that holds it in api_key_env"
            case 403 if not self.keyed:
                return "if the server wants an API key, name the environment variable that holds it in api_key_env"
            case 401 | 403:
                return "check the key in the environment variable that api_key_env names, and what it may do"
            case 402:
                return "the account is out of credit"
            case 404 | 405 | 410:
                return "check the base URL, and the name under which the model is served"
            case 407:
                return "a proxy in between wants a login; name the server itself"
            case 429:
                return "the quota is used up or the server is overloaded; wait, or lower concurrency"
            case status if 300 <= status < 400 and self.location:
                return f"it redirects to {self.location}; set the endpoint to the base URL there"
            case status if 300 <= status < 400:
                return "it redirects; set the endpoint to the address that it redirects to"
            case _:
                return ""


def _words_of(message: str) -> str:
    """The words of a web page, which a wrong address answers with; any other message as it is."""
    return _MARKUP.sub(" ", message) if _PAGE.match(message) else message


def fault_of(status: int) -> Fault:
    """Classifies a status that is not 200."""
    if status == 429:
        return "busy"
    if status == 408 or status >= 500:
        return "unwell"
    return "request" if status in _OF_THE_REQUEST else "server"


def error_in(answer: Any) -> ErrorObject | None:
    """The error object in parsed JSON; None if there is none, as in a chat completion."""
    if isinstance(answer, list):
        answer = answer[0] if len(answer) == 1 else None
    if not isinstance(answer, dict):
        return None
    inner = answer.get("error") or answer.get("errors")
    if not inner and (answer.get("choices") or not _is_error(answer)):
        return None
    return _describe(inner, answer)


def error_of_body(raw: bytes) -> ErrorObject:
    """The message in the body of a response with an error status, JSON or not."""
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        answer = raw[:2000].decode("utf-8", "replace")
    return error_in(answer) or _describe(answer, answer if isinstance(answer, dict) else {})


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds, at most 60, that a response's headers ask to wait; 0 where they ask for nothing."""
    if (thousandths := _number(headers.get("retry-after-ms"))) is not None:
        return _pause(thousandths / 1000)
    value = headers.get("retry-after", "")
    if (seconds := _number(value)) is not None:
        return _pause(seconds)
    try:
        return _pause(email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def backoff(tries: int) -> float:
    """Seconds to wait after so many failed tries, from 1."""
    return jitter(_FIRST_WAIT * 2 ** min(tries - 1, 10))


def jitter(seconds: float) -> float:
    """The time, at most 20 s, half of it at random, so that requests that failed together do not return together."""
    return min(_LONGEST_WAIT, seconds) * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, not a secret


def _status_of(sent: int, error: ErrorObject) -> int:
    if sent == 200:
        return error.status or (429 if _BUSY_WORDS.search(error.message) else _UNNAMED)
    # Some gateways pass an overload or an exhausted account on as a bad request; that is no word about the request.
    passed_on = sent in _OF_THE_REQUEST and fault_of(error.status or 400) != "request"
    return error.status if passed_on else sent


def _is_error(answer: Mapping[str, Any]) -> bool:
    if answer.get("object") == "error" or answer.get("type") == "error":
        return True
    described = any(isinstance(answer.get(key), (str, list)) for key in ("detail", "message", "msg"))
    return described and ("detail" in answer or any(key in answer for key in _NAME_KEYS))


def _describe(inner: Any, outer: Mapping[str, Any]) -> ErrorObject:
    if isinstance(inner, list):
        inner = inner[0] if inner else None
    parts = [part for part in (inner, outer) if isinstance(part, Mapping)]
    names = [_plain(name) for part in parts for name in _values(part, _NAME_KEYS) if isinstance(name, str)]
    numbers = (_number(value) for part in parts for value in _values(part, _STATUS_KEYS))
    status = next((int(n) for n in numbers if n is not None and 400 <= n < 600), 0)
    if not status:
        status = next((s for name in names for pattern, s in _NAMES if pattern.search(name)), 0)
    waits = (_number(v) for part in parts for v in _values(part, ("retry_after", "retryAfter", "retry_after_seconds")))
    return ErrorObject(
        message=_message(inner, parts),
        status=status,
        filtered=any(_FILTERED.search(name) for name in names),
        wait=_pause(next((w for w in waits if w is not None), 0.0)),
    )


def _message(inner: Any, parts: list[Mapping[str, Any]]) -> str:
    if isinstance(inner, str):
        return inner
    for part in parts:
        for value in _values(part, _MESSAGE_KEYS):
            if isinstance(value, str) and value.strip():
                return value
    found = inner if inner not in (None, True) else (parts[0] if parts else "")
    return json.dumps(found, default=str)[:2000] if found else ""


def _values(part: Mapping[str, Any], keys: tuple[str, ...]) -> Iterator[Any]:
    return (part[key] for key in keys if key in part)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _pause(seconds: float) -> float:
    return min(_LONGEST_PAUSE, seconds) if seconds > 0 else 0.0  # also for what is no number
