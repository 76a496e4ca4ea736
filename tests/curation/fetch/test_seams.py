"""The seams that img2dataset calls, and what keeps decoding within bounds."""

from __future__ import annotations

import io
import threading
import time
import urllib.request
from concurrent.futures import Future
from typing import Any

import pytest

from curation.fetch.limiter import DecodeLimiter
from curation.fetch.seams import GuardedOpener, PixelResizer, Preparing, RowFailed, TarSampleWriter, installed


class Shard:
    """Serves two URLs and notes what it is called with."""

    def __init__(self) -> None:
        self.written: list[tuple[int, Preparing | None]] = []

    def fetch(self, url: str) -> bytes:
        if url.endswith("/gone.jpg"):
            raise RowFailed("http_404")
        return f"body of {url}".encode()

    def prepare(self, data: bytes) -> Preparing:
        return Preparing(data, Future())

    def write(self, number: int, image: Preparing | None) -> None:
        self.written.append((number, image))


def asked(url: str, token: str) -> Any:
    """As img2dataset asks."""
    agent = f"Mozilla/5.0 (compatible; {token}; +https://github.com/rom1504/img2dataset)"
    return urllib.request.urlopen(urllib.request.Request(url, headers={"User-Agent": agent}), timeout=1)


def test_the_opener_answers_a_rows_own_url_with_the_guarded_bytes() -> None:
    with installed() as opener, opener.serving(Shard()) as token:
        with asked("http://example.com/a b.jpg?c", token) as answer:
            assert answer.read() == b"body of http://example.com/a b.jpg?c"
        with pytest.raises(RowFailed, match="http_404"):
            asked("http://example.com/gone.jpg", token)


def test_two_shards_under_way_are_told_apart_at_the_same_url() -> None:
    class Other(Shard):
        def fetch(self, url: str) -> bytes:
            return b"other"

    with installed() as opener, opener.serving(Shard()) as one, opener.serving(Other()) as other:
        assert asked("http://x/a", other).read() == b"other"
        assert asked("http://x/a", one).read() == b"body of http://x/a"


def test_a_shard_that_is_over_is_not_served() -> None:
    with installed() as opener:
        with opener.serving(Shard()) as token:
            pass
        with pytest.raises(RowFailed, match="over"):
            asked("http://example.com/a.jpg", token)


def test_requests_of_others_go_to_the_opener_before() -> None:
    class Before:
        def open(self, request: Any, data: Any = None, timeout: Any = None) -> str:
            return f"before: {request if isinstance(request, str) else request.full_url}"

    opener = GuardedOpener(Before())
    with opener.serving(Shard()):
        assert opener.open("http://example.com/a") == "before: http://example.com/a"
        assert opener.open(urllib.request.Request("http://example.com/b")) == "before: http://example.com/b"


def test_the_resizer_prepares_the_bytes_of_its_stream_and_the_writer_gets_the_outcome() -> None:
    shard = Shard()
    image, *sizes, error = PixelResizer(shard)(io.BytesIO(b"body"), None)
    assert (image.data, sizes, error) == (b"body", [None] * 4, None)
    writer = TarSampleWriter(shard, 0, "", False, 1, None, "jpg")
    writer.write(image, "000017", None, {"url": "http://x/17"})
    writer.write(None, "000003", None, {"url": "http://x/3"})
    writer.close()
    assert shard.written == [(17, image), (3, None)]


def test_two_users_share_one_opener_and_the_last_one_restores() -> None:
    before: Any = urllib.request._opener
    with installed() as one:
        with installed() as other:
            assert one is other
        assert urllib.request._opener is one
    assert urllib.request._opener is before


@pytest.mark.parametrize(("each", "at_once"), [(10, 4), (30, 3), (60, 1), (1000, 1)])
def test_no_more_is_decoded_at_once_than_the_limits_allow(each: int, at_once: int) -> None:
    limiter = DecodeLimiter(pixels=100, images=4)
    inside = 0
    most = 0
    lock = threading.Lock()

    def decode() -> None:
        nonlocal inside, most
        with limiter.hold(each):
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.01)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=decode) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert not any(t.is_alive() for t in threads)
    assert most == at_once


def test_an_error_inside_gives_the_capacity_back() -> None:
    limiter = DecodeLimiter(pixels=10, images=1)
    with pytest.raises(ZeroDivisionError), limiter.hold(10):
        assert not limiter.has_capacity(1)
        raise ZeroDivisionError
    assert limiter.has_capacity(10)
    with limiter.hold(10):
        pass
