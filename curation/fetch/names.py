"""Resolves host names by a deadline, which getaddrinfo does not have.

Look-ups run in a few daemon threads; a caller whose deadline passes goes on without the answer. Answers are kept for a
short time, so that the addresses that were checked are the addresses that are used.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillWaiting
from dataclasses import dataclass
from ipaddress import ip_address

from curation.core.url import Address
from curation.fetch.rejected import FetchRejected, timed_out
from schemas.reasons import Reason

Resolve = Callable[[str], Sequence[str]]
"""Returns all addresses of a host name as literals; raises ``OSError`` when there is none."""

KEPT_SECONDS = 60.0
KEPT_NAMES = 4096
_TEMPORARY = {socket.EAI_AGAIN, socket.EAI_MEMORY, socket.EAI_SYSTEM}


def system_resolve(host: str) -> list[str]:
    """Return all addresses that the system resolves a name to, in its order of preference."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class _Answer:
    addresses: tuple[Address, ...]
    error: str = ""
    transient: bool = False


class Names:
    """Resolves names with at most ``threads`` look-ups at once."""

    def __init__(self, threads: int, resolve: Resolve | None = None) -> None:
        self._resolve = resolve or system_resolve
        self._limit = threads
        self._threads = 0
        self._unanswered = 0
        self._lock = threading.Lock()
        self._asked: queue.SimpleQueue[tuple[str, Future[_Answer]] | None] = queue.SimpleQueue()
        self._known: OrderedDict[str, tuple[float, Future[_Answer]]] = OrderedDict()

    def addresses(self, host: str, deadline: float) -> tuple[Address, ...]:
        """Return all addresses of a name, at least one, by ``deadline`` (of ``time.monotonic``).

        Raises ``FetchRejected`` with NAME_NOT_RESOLVED or TIMEOUT.
        """
        future = self._future(host)
        try:
            answer = future.result(max(0.0, deadline - time.monotonic()))
        except StillWaiting:
            raise timed_out(f"resolving {host}") from None
        if answer.error:
            if answer.transient:
                self._forget(host, future)
            raise FetchRejected(Reason.NAME_NOT_RESOLVED, f"{host}: {answer.error}", transient=answer.transient)
        return answer.addresses

    def close(self) -> None:
        """End the threads, each after the look-up that it is at."""
        with self._lock:
            for _ in range(self._threads):
                self._asked.put(None)
            self._threads = 0

    def _future(self, host: str) -> Future[_Answer]:
        now = time.monotonic()
        with self._lock:
            known = self._known.get(host)
            if known is not None and (known[0] > now or not known[1].done()):
                return known[1]
            future: Future[_Answer] = Future()
            self._known[host] = (now + KEPT_SECONDS, future)
            self._known.move_to_end(host)
            while len(self._known) > KEPT_NAMES:
                self._known.popitem(last=False)
            self._unanswered += 1
            if self._unanswered > self._threads and self._threads < self._limit:
                self._threads += 1
                threading.Thread(target=self._work, name="names", daemon=True).start()
            self._asked.put((host, future))
            return future

    def _forget(self, host: str, future: Future[_Answer]) -> None:
        with self._lock:
            known = self._known.get(host)
            if known is not None and known[1] is future:
                del self._known[host]

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            host, future = asked
            answer = self._look_up(host)
            with self._lock:
                self._unanswered -= 1
            future.set_result(answer)

    def _look_up(self, host: str) -> _Answer:
        try:
            found = tuple(ip_address(literal) for literal in self._resolve(host))
        except (OSError, ValueError) as error:  # UnicodeError, from a label too long for DNS, is a ValueError
            again = isinstance(error, socket.gaierror) and error.errno in _TEMPORARY
            return _Answer((), str(error), transient=again)
        return _Answer(found) if found else _Answer((), "no address")
