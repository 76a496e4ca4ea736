"""Chooses the server for the next request: its picture's own (see ``homes``), else the least busy one that is alive.

Nothing here sends a request; ``server.py`` does, and reports the outcome.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from curation.caption.model.connection import shown
from curation.caption.model.homes import Homes
from curation.core.errors import EndpointsGone

_FIRST_REST = 1.0
_LONGEST_REST = 30.0

log = logging.getLogger(__name__)


@dataclass
class Endpoint:
    """A server and its state. Times are the event loop's, in seconds."""

    url: str
    client: Any
    busy: int = 0
    failures: int = 0  # since its last reply
    rests: int = 0  # how often in a row it was taken out
    out: bool = False
    look_at: float = 0.0  # when to check it again while it is out
    paused_until: float = 0.0  # what it asked for with 429
    looking: bool = False  # whether a check is under way
    refusals: int = 0  # how often in a row it refused requests of all kinds
    refused: float = 0.0  # when the latest request that it refused so was sent
    answered: float = 0.0  # when the latest request that it answered was sent
    error: str = ""

    @property
    def refuses(self) -> bool:
        """Whether it has answered nothing that was sent after its last refusal of all requests."""
        return self.refused > self.answered


class Endpoints:
    """Gives each server to at most ``concurrency`` requests at once.

    A server is taken out when it cannot be reached, when it fails as often in a row as it has places, or when it
    refuses so many requests that it cannot mean a single one. It is then checked (``alive``), in the last case at
    once, else after rests of 1 to 30 s, and gets one request first. When all servers are out and none has shown a
    sign of life for ``patience`` seconds of asking, they count as gone. That a server is busy is a sign of life as
    long as it has given a reply in the last ``busy_patience`` seconds.
    """

    def __init__(
        self,
        endpoints: list[Endpoint],
        concurrency: int,
        patience: float,
        alive: Callable[[Endpoint], Awaitable[bool]],
        gone: Callable[[], str | None] = lambda: None,
        *,
        busy_patience: float = 0.0,
    ) -> None:
        """``gone`` returns why waiting is useless, where that is known."""
        self._all = endpoints
        self._concurrency = concurrency
        self._patience = patience
        self._busy_patience = busy_patience
        self._alive = alive
        self._gone = gone
        self._homes = Homes(endpoints, self._well, self._places)
        # Each waiter with the server that it wants; none for any.
        self._waiting: dict[tuple[int, int], tuple[asyncio.Future[None], Endpoint | None]] = {}
        self._arrivals = count()
        self._asking = 0
        self._last_sign = self._last_reply = self.now()

    @contextmanager
    def asking(self, picture: str = "") -> Iterator[None]:
        """Surrounds the time in which a request waits for its reply; only then does silence count.

        ``picture`` names the picture that it is about, if any.
        """
        if not self._asking:
            self._last_sign = self._last_reply = self.now()
        self._asking += 1
        try:
            with self._homes.asked_about(picture):
                yield
        finally:
            self._asking -= 1

    async def take(self, turn: int = 0, picture: str = "") -> Endpoint:
        """Waits for a free place. The waiter with the lowest ``turn`` gets it first, among equal turns the oldest.

        With a ``picture`` it is one of that picture's home. Raises ``EndpointsGone``.
        """
        waiter = (turn, next(self._arrivals))
        while True:
            now = self.now()
            home = self._homes.of(picture)
            wanted = self._all if home is None else [home]
            free = [e for e in wanted if self._well(e) and e.busy < self._places(e)]
            if free:
                chosen = min(free, key=lambda e: e.busy)
                chosen.busy += 1
                return chosen
            if all(e.out or e.rests for e in self._all) and (given_up := self._gone()):
                raise self._obituary(given_up)
            due = [e for e in self._all if e.out and e.look_at <= now]
            if due:
                await self._look(due[0])
                continue
            # A server that is being checked, or tried with a request, may be back in a moment.
            if all(e.out and not e.looking for e in self._all) and now - self._last_sign > self._patience:
                raise self._obituary()
            wakes = [e.look_at for e in self._all if e.out]
            wakes += [e.paused_until for e in self._all if e.paused_until > now]
            await self._wait(waiter, home, max(0.01, min(wakes, default=now + 1.0) - now))

    def give_back(self, endpoint: Endpoint) -> None:
        """Frees a place; call it once for each ``take``."""
        endpoint.busy -= 1
        # One waiter for each free place: waking all of them each time costs more than a request does.
        self._wake(max(1, self._places(endpoint) - endpoint.busy), endpoint)

    def replied(self, endpoint: Endpoint, sent: float) -> None:
        """It answered a request that was ``sent`` then, if only by refusing that one: it is alive."""
        self._last_sign = self._last_reply = self.now()
        endpoint.answered = max(endpoint.answered, sent)
        if endpoint.refuses:
            return  # sent before what it refused
        endpoint.failures = endpoint.refusals = endpoint.rests = 0
        endpoint.out = False

    def asked_to_wait(self, endpoint: Endpoint, error: str, seconds: float) -> None:
        """It is busy and says for how long; that is a sign of life."""
        endpoint.error = error
        endpoint.paused_until = max(endpoint.paused_until, self.now() + seconds)
        self._last_sign = self.now()
        self._wake(len(self._waiting), endpoint)  # another one may be their pictures' home meanwhile

    def turned_away(self, endpoint: Endpoint, error: str) -> None:
        """It is busy, perhaps for ever, and does not say for how long."""
        if self.now() - self._last_reply <= self._busy_patience:
            self._last_sign = self.now()
        self.failed(endpoint, error, unreachable=self.now() - self._last_sign > self._patience)

    def refuses_all(self, endpoint: Endpoint, error: str, sent: float, *, again: bool) -> None:
        """It refused a request that was ``sent`` then for a reason that meets all requests (an unknown key, say).

        Perhaps it means this request alone. ``again``: it refused it before, and has answered nothing since.
        """
        endpoint.error = error
        endpoint.refused = max(endpoint.refused, sent)
        if not endpoint.refuses:
            return
        endpoint.refusals += 1
        if not endpoint.out and (again or endpoint.refusals >= max(2, self._concurrency // 8)):
            self._rest(endpoint, 0.0)

    def failed(self, endpoint: Endpoint, error: str, *, unreachable: bool) -> bool:
        """It did not answer. Returns whether it is out now, in which case the request is not to blame."""
        endpoint.failures += 1
        endpoint.error = error
        if not endpoint.out and (unreachable or endpoint.rests or endpoint.failures >= max(3, self._concurrency)):
            self._rest(endpoint, _FIRST_REST * 2**endpoint.rests)
        return endpoint.out

    def give_up_if_silent(self) -> None:
        """Raises ``EndpointsGone`` where no request has been answered for ``patience`` seconds, busy servers or not."""
        if self.now() - self._last_reply > self._patience:
            raise self._obituary()

    def _well(self, endpoint: Endpoint) -> bool:
        return not endpoint.out and endpoint.paused_until <= self.now()

    def _places(self, endpoint: Endpoint) -> int:
        return 1 if endpoint.rests else self._concurrency

    def _rest(self, endpoint: Endpoint, seconds: float) -> None:
        endpoint.out = True
        endpoint.look_at = self.now() + min(_LONGEST_REST, seconds)
        endpoint.rests += 1
        log.warning("model server %s gets no requests for now: %s", shown(endpoint.url), endpoint.error)
        self._wake(len(self._waiting), endpoint)  # their pictures have another home now

    async def _look(self, endpoint: Endpoint) -> None:
        endpoint.look_at = self.now() + _LONGEST_REST  # one check at a time is enough
        endpoint.looking = True
        try:
            alive = await self._alive(endpoint)
        finally:
            endpoint.looking = False
        if alive:
            log.warning("model server %s is back", shown(endpoint.url))
            endpoint.out = False
            endpoint.failures = 0
            self._wake(self._places(endpoint), endpoint)
        elif endpoint.out:
            self._rest(endpoint, _FIRST_REST * 2**endpoint.rests)
            self._wake(len(self._waiting))  # they wait for the end of this check

    async def _wait(self, waiter: tuple[int, int], home: Endpoint | None, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = woken, home
        try:
            async with asyncio.timeout(seconds):
                await woken
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            if woken.done() and not woken.cancelled():
                self._wake(1, home)  # the place goes to the next waiter
            raise
        finally:
            self._waiting.pop(waiter, None)

    def _wake(self, places: int, endpoint: Endpoint | None = None) -> None:
        """Wakes so many of those that wait for a place at this server; without one, of all that wait."""
        for waiter in heapq.nsmallest(places, self._waiting_for(endpoint)):
            self._waiting.pop(waiter)[0].set_result(None)

    def _waiting_for(self, endpoint: Endpoint | None) -> Iterator[tuple[int, int]]:
        for waiter, (woken, home) in self._waiting.items():
            if not woken.done() and (home is None or endpoint is None or home is endpoint):
                yield waiter

    def _obituary(self, given_up: str | None = None) -> EndpointsGone:
        errors = "; ".join(f"{shown(e.url)}: {e.error or 'no answer'}" for e in self._all)
        why = given_up or f"no model server has given a reply for {self._patience:g} s ({errors})"
        return EndpointsGone(
            f"{why}; all finished replies are kept: mend or restart the server, or name another in the recipe's "
            "endpoints, and repeat the command"
        )

    @staticmethod
    def now() -> float:
        """Seconds on the event loop's clock."""
        return asyncio.get_running_loop().time()
