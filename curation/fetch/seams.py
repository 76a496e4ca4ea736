"""The objects that img2dataset takes at its three seams: the opener, the resizer and the sample writer.

img2dataset fetches with ``urllib.request.urlopen``. The opener installed here answers the requests of our shards with
the bytes that the guarded fetcher gets for the same URL, and leaves all others to the opener that was there before.
A shard's requests are known by img2dataset's own ``user_agent_token``, which is that shard's alone.
"""

from __future__ import annotations

import re
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from types import TracebackType
from typing import Any, Protocol, Self

from curation.images.pixels import Prepared

_TOKEN = re.compile(r"\(compatible; (lapidary-[0-9a-f]{32});")


class RowFailed(Exception):
    """No bytes came; the text is the reason, which img2dataset counts."""


@dataclass(frozen=True, slots=True)
class Preparing:
    """An image on its way from the resizer to the writer: its original bytes, and what becomes of them."""

    data: bytes
    pixels: Future[Prepared]


class ShardUnderWay(Protocol):
    """A shard as the seams use it."""

    def fetch(self, url: str) -> bytes:
        """The body behind the URL, in the form in which urllib writes it. Raises ``RowFailed``."""
        ...

    def prepare(self, data: bytes) -> Preparing:
        """Start preparing an image; waits while too many are being prepared."""
        ...

    def write(self, number: int, image: Preparing | None) -> None:
        """Take the outcome of a URL by its number. Never raises: img2dataset would print the error and go on."""
        ...


class Response:
    """As much of a response as img2dataset uses."""

    headers: Any = None  # read only where img2dataset is to honour opt-outs, which the fetcher does

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


class GuardedOpener:
    """Answers the requests of the shards under way in this process."""

    def __init__(self, before: Any) -> None:
        self.before = before
        self._shards: dict[str, ShardUnderWay] = {}

    @contextmanager
    def serving(self, shard: ShardUnderWay) -> Iterator[str]:
        """Yields the user agent token that the shard's requests have to carry."""
        token = f"lapidary-{uuid.uuid4().hex}"
        self._shards[token] = shard
        try:
            yield token
        finally:
            del self._shards[token]

    def open(self, request: Any, data: Any = None, timeout: Any = None) -> Any:
        """As ``urllib.request.OpenerDirector.open``."""
        agent = None if isinstance(request, str) else request.get_header("User-agent")
        token = _TOKEN.search(agent or "")
        if token is None:
            other = self.before if self.before is not None else urllib.request.build_opener()
            return other.open(request, data, timeout)
        shard = self._shards.get(token[1])
        if shard is None:
            raise RowFailed("its shard is over")
        return Response(shard.fetch(request.full_url))


class PixelResizer:
    """img2dataset calls it with the bytes of one image after the other, in one thread a shard.

    To use all cores it starts the work in threads of the shard's own, and img2dataset carries the outcome to come to
    the writer. Sizes and reasons stand in the images table, so that img2dataset is given none.
    """

    def __init__(self, shard: ShardUnderWay) -> None:
        self._shard = shard

    def __call__(
        self, img_stream: BytesIO, blurring_bbox_list: object = None
    ) -> tuple[Preparing, None, None, None, None, None]:
        return self._shard.prepare(img_stream.getvalue()), None, None, None, None, None


class TarSampleWriter:
    """Made by img2dataset once a shard; ``shard`` comes first, bound before the class is handed over."""

    def __init__(
        self,
        shard: ShardUnderWay,
        shard_id: int,
        output_folder: str,
        save_caption: bool,
        oom_shard_count: int,
        schema: object,
        encode_format: str,
    ) -> None:
        self._shard = shard

    def write(self, img_str: Preparing | None, key: str, caption: str | None, meta: dict[str, Any]) -> None:
        """Hand over one row of img2dataset's table; ``key`` is its number, since its shard's number is 0."""
        self._shard.write(int(key), img_str)

    def close(self) -> None:
        return None


_lock = threading.Lock()
_users = 0


@contextmanager
def installed() -> Iterator[GuardedOpener]:
    """The process's guarded opener; the one before it is back once its last user has left."""
    global _users
    with _lock:
        opener = urllib.request._opener  # type: ignore[attr-defined]  # there is no other way to read it
        if not isinstance(opener, GuardedOpener):
            opener = GuardedOpener(opener)
            urllib.request.install_opener(opener)  # type: ignore[arg-type]  # open() is all that urlopen calls
        _users += 1
    try:
        yield opener
    finally:
        with _lock:
            _users -= 1
            if not _users and urllib.request._opener is opener:  # type: ignore[attr-defined]
                urllib.request.install_opener(opener.before)
