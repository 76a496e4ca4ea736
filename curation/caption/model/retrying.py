"""What an HTTP status of a model server means: whose fault it is, what to do, and when to try again."""

from __future__ import annotations

import random
from typing import Literal

from openai import APIStatusError

from curation.caption.model.openai_protocol import error_message

# ``busy`` and ``unwell`` pass; ``request``: another one may well be answered; ``server``: it answers nobody so.
Fault = Literal["busy", "unwell", "request", "server"]

GATEWAY = frozenset({502, 503, 504})  # what a gateway says of a server that it cannot reach
_OF_THE_REQUEST = frozenset({400, 413, 415, 422})
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 20.0
_LONGEST_PAUSE = 60.0


def fault_of(status: int) -> Fault:
    """Whose fault a status is that is not 200."""
    if status == 429:
        return "busy"
    if status == 408 or status >= 500:
        return "unwell"
    return "request" if status in _OF_THE_REQUEST else "server"


def told_of(error: APIStatusError) -> str:
    """Status and message on one line and, where nobody is answered so, what to do about it."""
    told = f"HTTP {error.status_code}: {' '.join(error_message(error).split())[:200]}"
    advice = _advice(error.status_code)
    return f"{told} ({advice})" if advice else told


def _advice(status: int) -> str:
    match status:
        case 401 | 403:
            return "look at the key that api_key_env names and at what it may do"
        case 402:
            return "the account is out of credit"
        case 404 | 405 | 410:
            return "look at the base URL, and at the name under which the model is served"
        case 407:
            return "a proxy in between wants a login; name the server itself"
        case 429:
            return "the quota is used up or the server is overloaded; wait, or lower concurrency"
        case _:
            return ""


def backoff(tries: int) -> float:
    """Seconds to wait after so many failed tries, from 1."""
    return jitter(_FIRST_WAIT * 2 ** min(tries - 1, 10))


def jitter(seconds: float) -> float:
    """The time, at most 20 s, half of it at random: what failed together does not come back together."""
    return min(_LONGEST_WAIT, seconds) * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, not a secret


def retry_after(error: APIStatusError) -> float:
    """Seconds, at most 60, that a server asks to wait; 0 when it does not say."""
    try:
        return min(_LONGEST_PAUSE, max(0.0, float(error.response.headers.get("retry-after", ""))))
    except ValueError:
        return 0.0
