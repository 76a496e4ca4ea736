"""The files by which a host says what may be done with its pages: robots.txt and /.well-known/tdmrep.json.

Each origin is asked once, before its first image, by one of the workers of a machine (``shared_answers``). Its answer
is kept for a day, as RFC 9309 allows at most; a failure to get it is kept for some minutes by the worker that had it,
and is never a verdict on an image.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from curation.core.url import Target
from curation.fetch.rejected import FetchRejected
from curation.fetch.shared_answers import SharedAnswers
from curation.signals.policy import Policy
from curation.signals.robots import DISALLOWED, RobotsTxt, parse_robots, placed
from curation.signals.sign import Sign, text_of
from curation.signals.tdmrep import TDMREP, TdmRep, parse_tdmrep
from schemas.reasons import Reason
from schemas.signals import SignalVerdict

MAX_BYTES = 500 * 1024
"""Of a file that is read; what RFC 9309 asks a crawler to read of robots.txt at least."""
KEPT_SECONDS, RETRY_SECONDS = 24 * 3600.0, 600.0
_KEPT_ORIGINS = 1 << 16
_KEPT_BYTES = 16 << 20  # of the files of all origins that are kept
_NO_CONTENT = 204
_HOST_IS_NONE = frozenset({Reason.FORBIDDEN_ADDRESS, Reason.NAME_NOT_RESOLVED})


class Body(Protocol):
    @property
    def data(self) -> bytes: ...


Ask = Callable[[str], Body]
"""Fetches a file, of which at most ``MAX_BYTES``; raises ``FetchRejected``."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What an origin's files say; ``why`` is set where robots.txt could not be asked for. ``until`` by the clock."""

    robots: RobotsTxt | None
    tdmrep: TdmRep | None
    unread: tuple[Sign, ...]
    why: FetchRejected | None
    until: float
    size: int


@dataclass(frozen=True, slots=True)
class _Files:
    """The bytes of both files, none where there is no file, and why one could not be had."""

    robots: bytes
    tdmrep: bytes
    no_robots: FetchRejected | None = None
    no_tdmrep: FetchRejected | None = None


class HostFiles:
    """Safe to call from many threads."""

    def __init__(self, ask: Ask, policy: Policy, clock: Callable[[], float] = time.monotonic) -> None:
        self._shared: SharedAnswers | None = None
        self._ask = ask
        self._policy = policy
        self._clock = clock
        self._known: OrderedDict[str, Future[_Answer]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def share(self, folder: Path, agent: str) -> None:
        """Shares answers with all workers of this machine that have the same folder, from now on.

        ``agent`` is the user agent. In a folder that cannot hold them nothing is shared.
        """
        with self._lock:
            if self._shared is not None and self._shared.folder == folder:
                return
            asks = f"{agent!r} {self._policy.robots} {self._policy.tdmrep}"
            self._shared = SharedAnswers.open(folder, asks)

    def close(self) -> None:
        """Lets go of what is shared; answers that are asked for from now on are this worker's own."""
        self._shared = None

    def signs(self, target: Target) -> list[Sign]:
        """What the host's files say of the URL.

        Of robots.txt, an answer of 4xx and a chain of redirects say nothing; after any other failure to get it,
        nothing of the host may be fetched (RFC 9309, 2.3.1): raises ``FetchRejected`` with the reason of that failure,
        which is no opt-out. Of tdmrep.json such a failure is a sign that is unknown.
        """
        if target.path in ("/robots.txt", "/.well-known/tdmrep.json"):
            return []
        answer = self._answer(target)
        if answer.why is not None:
            raise _unreachable(target, answer.why)
        if answer.robots is None and answer.tdmrep is None and not answer.unread:
            return []
        found = list(answer.unread)
        if answer.robots is not None:
            signs = answer.robots.signs(target.url, target.path)
            found += placed(signs, f"{target.origin}/robots.txt", target.host)
        if answer.tdmrep is not None:
            place = f"{target.origin}/.well-known/tdmrep.json"
            found += placed(answer.tdmrep.signs(target.path), place, target.host)
        return found

    def _answer(self, target: Target) -> _Answer:
        origin = target.origin
        while True:
            future, mine = self._future(origin)
            if mine:
                try:
                    answer = self._fetch(target)
                except BaseException as error:
                    self._forget(origin, future)
                    future.set_exception(error)  # or the others would wait for ever
                    raise
                future.set_result(answer)
                self._weigh(answer.size)
                return answer
            answer = future.result()
            if answer.until > self._clock():
                return answer
            self._forget(origin, future)

    def _future(self, origin: str) -> tuple[Future[_Answer], bool]:
        with self._lock:
            future = self._known.get(origin)
            if future is not None:
                self._known.move_to_end(origin)
                return future, False
            future = self._known[origin] = Future()
            return future, True

    def _forget(self, origin: str, future: Future[_Answer]) -> None:
        with self._lock:
            if self._known.get(origin) is future:
                del self._known[origin]
                self._bytes -= _size(future)

    def _weigh(self, size: int) -> None:
        """Counts an answer in, and drops those that were not asked for the longest time."""
        with self._lock:
            self._bytes += size
            while len(self._known) > _KEPT_ORIGINS or self._bytes > _KEPT_BYTES:
                origin, oldest = next(iter(self._known.items()))
                if not oldest.done():
                    return  # it is being asked for; the next one drops it
                del self._known[origin]
                self._bytes -= _size(oldest)

    def _fetch(self, target: Target) -> _Answer:
        """What the host's files say, from another worker of this machine where one has asked already."""
        shared = self._shared
        if shared is None:
            return self._read(target, self._ask_both(target), 0.0)
        with shared.alone(target.origin):
            said = shared.get(target.origin, KEPT_SECONDS)
            if said is not None:
                return self._read(target, _Files(said.robots, said.tdmrep), shared.clock() - said.at)
            files = self._ask_both(target)
            if files.no_robots is None and files.no_tdmrep is None:
                shared.put(target.origin, files.robots, files.tdmrep)
        return self._read(target, files, 0.0)

    def _ask_both(self, target: Target) -> _Files:
        robots, no_robots = b"", None
        tdmrep, no_tdmrep = b"", None
        if self._policy.robots:
            robots, no_robots = self._file(f"{target.origin}/robots.txt")
        if self._policy.tdmrep and no_robots is None:
            tdmrep, no_tdmrep = self._file(f"{target.origin}/.well-known/tdmrep.json")
        return _Files(robots, tdmrep, no_robots, no_tdmrep)

    def _read(self, target: Target, files: _Files, age: float) -> _Answer:
        """What the files say, which were asked for so many seconds ago."""
        policy, unread = self._policy, list[Sign]()
        robots = parse_robots(files.robots, policy.own, policy.others) if files.robots else None
        tdmrep = parse_tdmrep(files.tdmrep) if files.tdmrep else None
        if (lost := files.no_tdmrep) is not None:
            place = f"{target.origin}/.well-known/tdmrep.json"
            unread.append(Sign(TDMREP, text_of(lost.detail), SignalVerdict.UNKNOWN, place, target.host))
        lasting = KEPT_SECONDS if files.no_robots is None and not unread else RETRY_SECONDS
        size = len(files.robots) + len(files.tdmrep)
        return _Answer(robots, tdmrep, tuple(unread), files.no_robots, self._clock() + lasting - age, size)

    def _file(self, url: str) -> tuple[bytes, FetchRejected | None]:
        """A file's bytes, none where there is no file; and why it could not be had."""
        try:
            return self._ask(url).data, None
        except FetchRejected as rejected:
            empty = rejected.status is not None and (rejected.status == _NO_CONTENT or 400 <= rejected.status < 500)
            if empty or rejected.reason is Reason.TOO_MANY_REDIRECTS:
                return b"", None
            return b"", rejected


def _size(future: Future[_Answer]) -> int:
    return future.result().size if future.done() and future.exception() is None else 0


def _unreachable(target: Target, why: FetchRejected) -> FetchRejected:
    if why.reason in _HOST_IS_NONE and why.final_url is None:
        return FetchRejected(why.reason, why.detail, status=why.status)
    place = f"{target.origin}/robots.txt"
    sign = Sign(DISALLOWED, text_of(why.detail), SignalVerdict.UNKNOWN, place, target.host)
    detail = f"{place} could not be read, so that nothing of the host may be fetched: {why.detail}"
    return FetchRejected(why.reason, detail, status=why.status, signs=(sign,))
