"""Gives each picture a server of its own, so that what is asked about it finds the image and prompt in its caches.

A picture's servers have an order that depends on nothing but their URLs and its bytes (rendezvous hashing, Thaler and
Ravishankar 1998). Its home is the first of them that is well and has no more than ``_SLACK`` times its share of all
requests (bounded loads, Mirrokni, Thorup and Zadimoghaddam 2018), so that a slow server holds up no other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Server(Protocol):
    """What is known of a server here."""

    @property
    def url(self) -> str: ...


S = TypeVar("S", bound=Server)
_SLACK = 1.25


@dataclass
class _Home(Generic[S]):
    endpoint: S | None = None
    requests: int = 0  # about the picture, those that wait included


class Homes(Generic[S]):
    """The homes of the pictures that are asked about now. A picture keeps its home while anything is asked about it,
    as long as that server is well.
    """

    def __init__(self, endpoints: Sequence[S], well: Callable[[S], bool], places: Callable[[S], int]) -> None:
        """``well``: whether a server takes requests now; ``places``: how many it may have at once."""
        self._all = endpoints
        self._well = well
        self._places = places
        self._found: dict[str, _Home[S]] = {}

    @contextmanager
    def asked_about(self, picture: str) -> Iterator[None]:
        """Surrounds a request about a picture, from before it is sent until it has its reply."""
        home = self._found.setdefault(picture, _Home[S]())
        home.requests += 1
        try:
            yield
        finally:
            home.requests -= 1
            if not home.requests:
                del self._found[picture]

    def of(self, picture: str) -> S | None:
        """The server for a picture; none while no server is well, or where there is no picture (an empty one)."""
        well = [e for e in self._all if self._well(e)] if picture else []
        if not well:
            return None
        home = self._found.get(picture, _Home[S]())
        if home.endpoint is None or not self._well(home.endpoint):
            home.endpoint = self._choose(picture, well)
        return home.endpoint

    def _choose(self, picture: str, well: Sequence[S]) -> S:
        loads = dict.fromkeys((e.url for e in well), 0)
        for home in self._found.values():
            if home.endpoint is not None and home.endpoint.url in loads:
                loads[home.endpoint.url] += home.requests
        fair = sum(loads.values()) / sum(self._places(e) for e in well)
        ranked = sorted(well, key=lambda e: _rank(e.url, picture))
        return next(
            (e for e in ranked if loads[e.url] < self._places(e) * max(1.0, _SLACK * fair)),
            ranked[0],
        )


def _rank(url: str, picture: str) -> bytes:
    return hashlib.blake2b(f"{url}\n{picture}".encode(), digest_size=8).digest()


class PictureKeys:
    """Names pictures by their bytes. The latest name is kept, because what is asked about one is asked in a row."""

    def __init__(self) -> None:
        self._latest: bytes | None = None
        self._key = ""

    def __call__(self, image: bytes | None) -> str:
        """An empty name for no picture."""
        if image is None:
            return ""
        if image is not self._latest:
            self._latest, self._key = image, hashlib.blake2b(image, digest_size=16).hexdigest()
        return self._key
