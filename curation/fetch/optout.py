"""Opt-outs: the response headers X-Robots-Tag and tdm-reservation, and robots.txt where the recipe asks for it.

The grammar of X-Robots-Tag: directives between commas; ``name:`` before a directive limits it and those
after it to one user agent, until the next name. ``unavailable_after`` and the ``max-`` directives carry a
value behind a colon themselves, and a date behind the former carries colons and commas of its own.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from protego import Protego

from curation.fetch.rejected import FetchRejected
from curation.fetch.url import Target
from schemas.reasons import Reason

DIRECTIVES = frozenset({"noai", "noimageai", "noindex", "noimageindex", "noml", "none"})
"""Directives that opt an image out. ``none`` is short for noindex, nofollow."""

_VALUED = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
# A letter is looked for first, and nothing is given back: other forms take quadratic time on hostile values.
_AGENT = re.compile(r"(\*|(?=[0-9_.+-]*+[a-z])[a-z0-9_.+-]++)(/\S*)?")
_MOST = 500

MAX_ROBOTS_BYTES = 500 * 1024  # what RFC 9309 asks a crawler to read at least
KEPT_ORIGINS = 1024
_HOST_IS_NONE = frozenset({Reason.FORBIDDEN_ADDRESS, Reason.NAME_NOT_RESOLVED})
_AGENT_LINE = re.compile(r"(\s*user(?:-|\s*)agent\b\s*:?)([^#]*)", re.I)


def token(user_agent: str) -> str:
    """Return the product token by which opt-outs name this fetcher: ``Lapidary/1.0 (+https://…)`` is ``lapidary``."""
    match = re.match(r"[A-Za-z0-9_-]+", user_agent.strip())
    return match.group().lower() if match else ""


def find(headers: Iterable[tuple[bytes, bytes]], agent: str) -> str | None:
    """Return the first header that opts out, verbatim; None when there is none.

    ``agent`` is our own ``token``. Text before a colon that cannot be a user agent's name (the hour of a date, say)
    limits a directive to no user agent.
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
    """Return whether one X-Robots-Tag value opts out the user agent named ``agent``."""
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


class Body(Protocol):
    @property
    def data(self) -> bytes: ...


Ask = Callable[[str], Body]
"""Fetches a robots.txt, of which at most ``MAX_ROBOTS_BYTES``; raises ``FetchRejected``."""


@dataclass(frozen=True, slots=True)
class _Rules:
    """An origin's answer: ``rules`` when it has some, ``why`` when it could not be asked."""

    rules: Protego | None
    why: FetchRejected | None = None


class RobotsTxt:
    """robots.txt as RFC 9309 reads it, for the user agent token ``agent``. Safe to call from many threads.

    Each origin is asked once, and its rules are kept for a worker's life.
    """

    def __init__(self, ask: Ask, agent: str) -> None:
        self._ask = ask
        self._agent = agent
        self._known: OrderedDict[str, Future[_Rules]] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, target: Target) -> None:
        """Raises ``FetchRejected`` with ROBOTS_TXT where the origin's robots.txt forbids the URL.

        An answer of 4xx and a chain of redirects allow everything; any other failure to get the file
        forbids everything (RFC 9309, 2.3.1). A host that does not exist, or may not be asked, is rejected
        as just that.
        """
        rules = self._rules(target.origin)
        if rules.why is not None:
            why = rules.why
            if why.reason in _HOST_IS_NONE and why.final_url is None:
                raise FetchRejected(why.reason, why.detail, status=why.status)
            evidence = f"{target.origin}/robots.txt: {why.detail}"
            raise FetchRejected(Reason.ROBOTS_TXT, evidence, status=why.status, opt_out=evidence)
        if rules.rules is not None and not rules.rules.can_fetch(target.url, self._agent):
            evidence = f"{target.origin}/robots.txt disallows {target.path[:200]} for {self._agent}"
            raise FetchRejected(Reason.ROBOTS_TXT, evidence, opt_out=evidence)

    def _rules(self, origin: str) -> _Rules:
        with self._lock:
            future = self._known.get(origin)
            mine = future is None
            if future is None:
                future = self._known[origin] = Future()
                if len(self._known) > KEPT_ORIGINS:
                    self._known.popitem(last=False)
            else:
                self._known.move_to_end(origin)
        if mine:
            try:
                future.set_result(self._fetch(origin))
            except BaseException as error:
                future.set_exception(error)  # or the others would wait for ever
                raise
        return future.result()

    def _fetch(self, origin: str) -> _Rules:
        try:
            body = self._ask(f"{origin}/robots.txt")
        except FetchRejected as rejected:
            unavailable = rejected.status is not None and 400 <= rejected.status < 500
            if unavailable or rejected.reason is Reason.TOO_MANY_REDIRECTS:
                return _Rules(None)
            return _Rules(None, rejected)
        text = body.data.decode("utf-8", "replace").lstrip("\ufeff")
        return _Rules(Protego.parse(_for_us(text, self._agent)))


def _for_us(text: str, agent: str) -> str:
    """Give all other robots of the file the same name.

    Protego keeps a list of rules for every name: 500 KiB of names and rules, every name with every rule, would become
    gigabytes. Lines and words end here wherever they end for Protego.
    """

    def rename(line: str) -> str:
        found = _AGENT_LINE.match(line)
        if found is None or found[2].strip().lower().replace("*", "") in agent:
            return line  # the empty name is that of all robots
        return f"{found[1]} -"

    return "\n".join(map(rename, text.splitlines()))
