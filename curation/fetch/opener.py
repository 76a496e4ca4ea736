"""What img2dataset fetches with: an opener that takes row references and never a URL.

img2dataset calls ``urllib.request.urlopen``. With this opener installed and references such as
``row:5f3a.17`` in the place of URLs, no hostile URL is ever read by urllib, and what becomes of a row is
known by its number, not by an error's text. Everything else goes to the opener that was there before.
"""

from __future__ import annotations

import threading
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol, Self

_SCHEME = "row:"


class Run(Protocol):
    """A shard under way, as the opener sees it."""

    def open(self, row: int) -> bytes:
        """Settles a row; returns what its resizer is to be given. Raises ``RowFailed``."""
        ...


class RowFailed(Exception):
    """No bytes came; the text is the reason, which img2dataset counts."""


class Answer:
    """As much of a response as img2dataset uses."""

    headers: Any = None

    def __init__(self, body: bytes) -> None:
        self._body = body

    def read(self) -> bytes:
        return self._body

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class RowOpener:
    """Knows the shards under way by the first part of their references."""

    def __init__(self, before: Any) -> None:
        self.before = before
        self._runs: dict[str, Run] = {}

    @contextmanager
    def serving(self, run: Run) -> Iterator[str]:
        """Yields the prefix of this run's references; ``reference`` makes them."""
        name = uuid.uuid4().hex
        self._runs[name] = run
        try:
            yield name
        finally:
            del self._runs[name]

    def open(self, request: Any, data: Any = None, timeout: Any = None) -> Any:
        """As ``urllib.request.OpenerDirector.open``."""
        url = request if isinstance(request, str) else request.full_url
        if not url.startswith(_SCHEME):
            other = self.before if self.before is not None else urllib.request.build_opener()
            return other.open(request, data, timeout)
        name, row = url.removeprefix(_SCHEME).split(".")
        run = self._runs.get(name)
        if run is None:
            raise RowFailed("its shard is over")
        return Answer(run.open(int(row)))


def reference(name: str, row: int) -> str:
    """What stands for a row's URL."""
    return f"{_SCHEME}{name}.{row}"


def row_of(reference: str) -> int:
    return int(reference.rsplit(".", 1)[1])


_lock = threading.Lock()
_users = 0


@contextmanager
def installed() -> Iterator[RowOpener]:
    """The process's row opener; the one before it is back once its last user has left."""
    global _users
    with _lock:
        opener = urllib.request._opener  # type: ignore[attr-defined]  # there is no other way to read it
        if not isinstance(opener, RowOpener):
            opener = RowOpener(opener)
            urllib.request.install_opener(opener)  # type: ignore[arg-type]  # open() is all that urlopen calls
        _users += 1
    try:
        yield opener
    finally:
        with _lock:
            _users -= 1
            if not _users and urllib.request._opener is opener:  # type: ignore[attr-defined]
                urllib.request.install_opener(opener.before)
