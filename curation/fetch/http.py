"""Fetches one URL behind the guard: checked address, total deadline, byte cap, opt-out, retries.

with Fetcher(recipe.download) as fetcher:
    try:
        fetched = fetcher.fetch("https://example.com/a.jpg")
    except FetchRejected as rejected:
        ...  # rejected.reason is a Reason
"""

from __future__ import annotations

import random
import re
import ssl
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from curation.core.closing import Closing
from curation.core.errors import RecipeError
from curation.core.url import BadUrl, Target, join, parse
from curation.fetch.connections import Connections, Proxy
from curation.fetch.guard import Guard
from curation.fetch.head import Head, location_text
from curation.fetch.host_files import MAX_BYTES, HostFiles
from curation.fetch.host_limits import HostLimits
from curation.fetch.http1 import Connection, Stale
from curation.fetch.names import Names, Resolve
from curation.fetch.rejected import FetchRejected, opted_out
from curation.fetch.sockets import default_context
from curation.fetch.statuses import refused
from curation.signals.headers import LAST_MODIFIED, header_signs, superseded
from curation.signals.policy import Policy
from curation.signals.sign import Sign
from curation.signals.tdmrep import TDMREP
from schemas.reasons import Reason
from schemas.recipe import Download
from schemas.signals import Signals, SignalVerdict

__all__ = ["FetchRejected", "Fetched", "Fetcher", "Resolve"]

MAX_REDIRECTS = 5
MAX_RETRY_AFTER = 30.0  # seconds
_WHOLE = frozenset({200, 203})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BODILESS = frozenset({204, 304})
_RANGE = re.compile(rb"bytes\s+0-(\d{1,18})/(\d{1,18})", re.I)
_DRAIN_SECONDS = 1.0
_DRAIN = 16 * 1024  # a body not worth reading, read to keep the connection when it is this small


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole body, which may be empty. ``final_url`` is None where there was no redirect.

    ``opt_out`` is the header that opts out, verbatim, where the recipe does not honour it; else None. ``signs`` are all
    that was said of rights on the way, and ``retrieved_at`` is when it was fetched, in seconds of UTC.
    """

    data: bytes
    status: int
    final_url: str | None = None
    opt_out: str | None = None
    signs: tuple[Sign, ...] = ()
    retrieved_at: float | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    """``location`` is where a redirect leads, None where the chain ends here."""

    status: int
    data: bytes
    location: str | None
    signs: tuple[Sign, ...]


class Fetcher(Closing):
    """Fetches URLs. Safe to call from many threads; a worker keeps one for its life.

    ``signals`` say which opt-outs are looked for besides those that the settings name. ``resolve`` and ``context``
    replace the system's name resolution and its certificate authorities. Raises ``RecipeError`` for settings that no
    request can be made with.

    With ``proxy`` set, names are still resolved and checked here first. An https request is then tunnelled
    to the checked address; in a plain http request the proxy resolves the name again, beyond our reach.
    """

    def __init__(
        self,
        settings: Download,
        resolve: Resolve | None = None,
        context: ssl.SSLContext | None = None,
        signals: Signals | None = None,
    ) -> None:
        self._settings = settings
        self._headers = _headers(settings)
        self.policy = Policy.of_recipe(settings, signals)
        self._names = Names(settings.threads, resolve)
        proxy = Proxy(settings.proxy) if settings.proxy else None
        guard = Guard(self._names, settings.allow_private_hosts)
        self._connections = Connections(guard, self._names, context or default_context(), proxy, 2 * settings.threads)
        self._limits = HostLimits(settings.per_host, settings.host_rate)
        asks = self.policy.robots or self.policy.tdmrep
        self._files = HostFiles(self._host_file, self.policy) if asks else None
        self._closed = threading.Event()
        self._ended = 0
        self._counting = threading.Lock()

    @property
    def ended(self) -> int:
        """The number of requests that have ended, with or without success. While it grows, the waiting ones get on."""
        return self._ended

    def waiting_for(self) -> dict[str, int]:
        """Hosts with their number of open requests, the most first."""
        return self._limits.open()

    def fetch(self, url: str) -> Fetched:
        """Return the body behind the URL. Raises ``FetchRejected`` for every failure of the URL, host or response."""
        return self._retried(url, image=True)

    def share_host_files(self, folder: Path) -> None:
        """Asks each host for its files once for all workers on this machine that share the folder."""
        if self._files is not None:
            self._files.share(folder, self._headers[0][1])

    def close(self) -> None:
        """Close idle connections and end waits between tries; requests under way end by their deadline."""
        self._closed.set()
        self._connections.close()
        self._names.close()
        if self._files is not None:
            self._files.close()

    def _host_file(self, url: str) -> Fetched:
        return self._retried(url, image=False)

    def _retried(self, url: str, *, image: bool) -> Fetched:
        tries = self._settings.retries + 1
        for count in range(tries):
            try:
                return self._once(url, image)
            except FetchRejected as rejected:
                if not rejected.transient or count + 1 == tries:
                    raise
                wait = self._settings.backoff * 2**count * random.uniform(0.75, 1.25)  # noqa: S311 - only jitter
                if self._closed.wait(max(wait, min(rejected.retry_after, MAX_RETRY_AFTER))):
                    raise
        raise AssertionError("the last try returns or raises")

    def _once(self, url: str, image: bool) -> Fetched:
        """One try, redirects included; its deadline stands still while it waits for its turn at a host."""
        left = self._settings.timeout
        try:
            target = parse(url)
        except BadUrl as error:
            raise FetchRejected(Reason.BAD_URL, str(error)) from error
        final_url: str | None = None
        signs: tuple[Sign, ...] = ()
        try:
            for _ in range(MAX_REDIRECTS + 1):
                of_host = self._files.signs(target) if image and self._files is not None else []
                self._refuse_at_once(of_host)
                with self._limits.hold(target.host):
                    started = time.monotonic()
                    try:
                        answer = self._ask(target, image, started + left, of_host)
                    finally:
                        with self._counting:
                            self._ended += 1
                    left -= time.monotonic() - started
                signs += answer.signs
                if answer.location is None:
                    not_honoured, now = self._not_honoured(signs), time.time()
                    return Fetched(answer.data, answer.status, final_url, not_honoured, self._kept(signs), now)
                target = join(target, answer.location)
                final_url = target.url
            raise FetchRejected(Reason.TOO_MANY_REDIRECTS, f"more than {MAX_REDIRECTS}", status=answer.status)
        except BadUrl as error:
            rejected = FetchRejected(Reason.BAD_URL, f"redirect: {error}", status=answer.status)
            rejected.final_url, rejected.signs = final_url, self._kept(signs)
            raise rejected from error
        except FetchRejected as rejected:
            rejected.final_url, rejected.signs = final_url, self._kept(signs + rejected.signs)
            raise

    def _refuse_at_once(self, of_host: list[Sign]) -> None:
        """Raises ``FetchRejected`` where the host's files forbid, whatever the response would say."""
        sign = self.policy.against(s for s in of_host if s.what != TDMREP)
        if sign is not None:
            raise opted_out(sign, signs=tuple(of_host))

    def _not_honoured(self, signs: tuple[Sign, ...]) -> str | None:
        """The first sign that forbids, of those for which nothing was rejected."""
        return next((s.verbatim[:500] for s in signs if s.verdict is SignalVerdict.FORBIDS), None)

    def _kept(self, signs: tuple[Sign, ...]) -> tuple[Sign, ...]:
        return signs if self.policy.keeps else ()

    def _ask(self, target: Target, image: bool, deadline: float, of_host: list[Sign]) -> _Answer:
        connection, head = self._response(target, deadline)
        done = False
        try:
            whole = _has_whole_body(head)
            location = head.get(b"location") if head.status in _REDIRECTS else None
            signs: tuple[Sign, ...] = ()
            if image:
                signs = self._signs(target, head, of_host, speaks=whole or location is not None)
            if whole:
                cap = self._settings.max_bytes if image else MAX_BYTES
                data = connection.body(head, cap, deadline, cut=not image)
                done = True
                return _Answer(head.status, data, None, signs)
            done = _drain(connection, head, deadline)
            if location is None:
                rejected = refused(head)
                rejected.signs = signs
                raise rejected
            return _Answer(head.status, b"", location_text(location), signs)
        finally:
            if done:
                self._connections.give_back(connection)
            else:
                connection.close()

    def _signs(self, target: Target, head: Head, of_host: list[Sign], *, speaks: bool) -> tuple[Sign, ...]:
        """What host and response say; an error page ``speaks`` for nothing. Raises ``FetchRejected`` where it forbids.

        No byte of the body has been read then.
        """
        if not speaks:
            return tuple(of_host)
        said = self.policy.looked_for(header_signs(head.headers, self.policy.agents))
        # A redirect's date is not that of the image.
        dated = (s for s in said if s.what != LAST_MODIFIED or head.status not in _REDIRECTS)
        said = [replace(s, place=target.url, host=target.host) for s in dated]
        signs = (*superseded(of_host, said), *said)
        if sign := self.policy.against(signs):
            raise opted_out(sign, status=head.status, signs=signs)
        return signs

    def _response(self, target: Target, deadline: float) -> tuple[Connection, Head]:
        proxy = self._connections.proxy
        plain_proxy = proxy is not None and target.scheme == "http"
        path = target.url if plain_proxy else target.path
        headers = [("Host", target.authority), *self._headers]
        if proxy is not None and plain_proxy:
            headers += proxy.headers
        if (kept := self._connections.kept(target)) is not None:
            try:
                return kept, kept.ask(path, headers, deadline)
            except Stale:
                kept.close()
            except BaseException:
                kept.close()
                raise
        connection = self._connections.new(target, deadline)
        try:
            return connection, connection.ask(path, headers, deadline)
        except BaseException:
            connection.close()
            raise


def _headers(settings: Download) -> list[tuple[str, str]]:
    agent = f"{settings.user_agent} (+{settings.contact})" if settings.contact else settings.user_agent
    if not agent.strip() or not agent.isascii() or not agent.isprintable():
        raise RecipeError(f"download.user_agent and download.contact: {agent!r} is not printable ASCII")
    return [("User-Agent", agent.strip()), ("Accept", "image/*,*/*;q=0.8"), ("Accept-Encoding", "identity")]


def _has_whole_body(head: Head) -> bool:
    """Whether the body is all of the resource: a range from the first byte to the last one is, too."""
    if head.status == 206 and (found := _RANGE.match(head.get(b"content-range") or b"")):
        return int(found[1]) + 1 == int(found[2])
    return head.status in _WHOLE


def _drain(connection: Connection, head: Head, deadline: float) -> bool:
    """Read away a small body, so that its connection can be reused; False where it cannot be."""
    if head.status in _BODILESS or head.length is None or head.length > _DRAIN:
        return False
    try:
        connection.discard(head, min(deadline, time.monotonic() + _DRAIN_SECONDS))
    except FetchRejected:
        return False
    return True
