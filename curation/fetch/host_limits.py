"""Limits the load on each host: concurrent requests, and requests a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class _Host:
    freed: threading.Condition | None = None  # made for the first that has to wait
    busy: int = 0
    waiting: int = 0
    next_start: float = 0.0


class HostLimits:
    """The same limits for every host: ``at_once`` concurrent requests, ``rate`` starts a second (0 for no limit)."""

    def __init__(self, at_once: int, rate: float) -> None:
        self._at_once = at_once
        self._gap = 1.0 / rate if rate else 0.0
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, host: str) -> Iterator[None]:
        """Wait until a request to the host may start, and count it as ended at the end."""
        delay = self._take(host)
        try:
            if delay > 0:
                time.sleep(delay)
            yield
        finally:
            self._give_back(host)

    def open(self) -> dict[str, int]:
        """Hosts with their requests that are under way or wait for their turn, the most first."""
        with self._lock:
            found = {host: state.busy + state.waiting for host, state in self._hosts.items()}
        return dict(sorted(((h, n) for h, n in found.items() if n), key=lambda each: (-each[1], each[0])))

    def _take(self, host: str) -> float:
        with self._lock:
            state = self._hosts.get(host)
            if state is None:
                state = self._hosts[host] = _Host()
            if state.busy >= self._at_once:
                self._wait(state)
            state.busy += 1
            if not self._gap:
                return 0.0
            now = time.monotonic()
            start = max(now, state.next_start)
            state.next_start = start + self._gap
            return start - now

    def _wait(self, state: _Host) -> None:
        if state.freed is None:
            state.freed = threading.Condition(self._lock)
        state.waiting += 1
        while state.busy >= self._at_once:
            state.freed.wait()
        state.waiting -= 1

    def _give_back(self, host: str) -> None:
        with self._lock:
            state = self._hosts[host]
            state.busy -= 1
            if state.freed is not None and state.waiting:
                state.freed.notify()
            elif not state.busy and (not self._gap or state.next_start <= time.monotonic()):
                del self._hosts[host]
            if len(self._hosts) > 1024:
                self._prune()

    def _prune(self) -> None:
        """Drop idle hosts."""
        now = time.monotonic()
        for host in [h for h, s in self._hosts.items() if not s.busy and not s.waiting and s.next_start <= now]:
            del self._hosts[host]
