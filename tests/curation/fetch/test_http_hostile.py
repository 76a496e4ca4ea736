"""Whatever a server does, the fetch ends by its deadline, with the right reason and in little memory.

The slow servers here never end by themselves: a fetch that ends has kept its deadline.
"""

from __future__ import annotations

import socket
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from curation.fetch.http import Fetcher, FetchRejected
from curation.fetch.http1 import Connection
from schemas.reasons import Reason
from tests.support.fetchers import fetcher, rejection
from tests.support.hostile_web import (
    HostileWeb,
    Page,
    body,
    drip,
    endless,
    gzipped,
    hang,
    raw,
    redirect,
    reset,
    response,
    status,
)

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
MEGABYTE = 1 << 20
DEADLINE = 0.5


@pytest.fixture(scope="module")
def web() -> Iterator[HostileWeb]:
    with HostileWeb() as web:
        yield web


@pytest.fixture(scope="module")
def hasty(web: HostileWeb) -> Iterator[Fetcher]:
    with fetcher(web.authority, timeout=DEADLINE, max_bytes=MEGABYTE) as fetch:
        yield fetch


SLOW: dict[str, Page] = {
    "hang": hang(),
    "drip_from_the_first_byte": drip(b"", OK[:1]),
    "drip_headers": drip(OK, b"X-A: b\r\n"),
    "drip_one_header": drip(OK + b"X-A: ", b"b"),
    "drip_interim": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n", seconds=0.1),
    "drip_body": drip(OK + b"Content-Length: 1000\r\n\r\n"),
    "drip_body_without_length": drip(OK + b"\r\n"),
    "drip_chunks": drip(CHUNKED, b"1\r\nx\r\n"),
    "drip_chunk_size": drip(CHUNKED, b"0"),
    "drip_chunk_extension": drip(CHUNKED + b"1;", b"a"),
    "drip_trailers": drip(CHUNKED + b"1\r\nx\r\n0\r\n", b"X-A: b\r\n"),
    "drip_an_empty_gzip": drip(OK + b"Content-Encoding: gzip\r\n\r\n" + b"\x1f\x8b\x08\x00", b"\x00"),
    "stop_in_the_body": drip(OK + b"Content-Length: 1000\r\n\r\nx", b""),
    "redirect_that_drips": drip(b"HTTP/1.1 302 Found\r\nLocation: /hang\r\nContent-Length: 10\r\n\r\n"),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_slow_server_ends_by_the_deadline(web: HostileWeb, hasty: Fetcher, name: str) -> None:
    web.page("/hang", hang())
    url = web.page(f"/{name}", SLOW[name])
    rejected = rejection(hasty, url)
    assert (rejected.reason, rejected.transient) == (Reason.TIMEOUT, True)


def test_the_deadline_is_that_of_the_whole_chain(web: HostileWeb, hasty: Fetcher) -> None:
    def late(visit: object) -> bool:
        time.sleep(DEADLINE / 2.5)
        return redirect("/late")(visit)  # type: ignore[arg-type]

    assert rejection(hasty, web.page("/late", late)).reason is Reason.TIMEOUT


class Dripping:
    """A socket that gives ``data`` a byte at a time, then zeros for ever; each receive takes a tenth of a second."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.now = 0.0
        self.waits: list[float] = []

    def sendall(self, data: bytes) -> None: ...

    def settimeout(self, seconds: float) -> None:
        self.waits.append(seconds)

    def recv(self, most: int) -> bytes:
        self.now += 0.1
        byte, self.data = self.data[:1] or b"0", self.data[1:]
        return byte


HEADS = [b"", OK + b"\r\n", OK + b"Content-Length: 999\r\n\r\n", CHUNKED, CHUNKED + b"1\r\nx\r\n0\r\n"]
HEADS += [OK + b"Content-Encoding: gzip\r\n\r\n" + b"\x1f\x8b\x08\x08" + bytes(6)]  # a file name without end


@pytest.mark.parametrize("head", HEADS)
def test_every_receive_waits_for_what_is_left_of_the_deadline(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    sock = Dripping(head)
    monkeypatch.setattr("curation.fetch.rejected.time", SimpleNamespace(monotonic=lambda: sock.now))
    deadline = 0.1 * len(head) + 1.0
    connection = Connection(sock, ("http", "x", 80))  # type: ignore[arg-type]  # as much of a socket as is used
    with pytest.raises(FetchRejected) as caught:
        connection.body(connection.ask("/", [], deadline), MEGABYTE, deadline)
    assert caught.value.reason is Reason.TIMEOUT
    assert len(sock.waits) <= len(head) + 12  # a receive for each byte until the deadline, and the request
    assert all(0 < wait <= deadline for wait in sock.waits)
    assert sock.waits == sorted(sock.waits, reverse=True)


def test_a_listener_that_accepts_nothing_ends_by_the_deadline() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        host, port = listener.getsockname()
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex((host, port))
        with fetcher(host, timeout=DEADLINE) as fetch:
            for scheme in ("http", "https"):
                rejected = rejection(fetch, f"{scheme}://{host}:{port}/")
                assert (rejected.reason, rejected.transient) == (Reason.TIMEOUT, True)
        for filler in fillers:
            filler.close()


def test_a_tls_handshake_that_hangs_ends_by_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, fetcher("127.0.0.1", timeout=DEADLINE) as fetch:
        rejected = rejection(fetch, f"https://127.0.0.1:{listener.getsockname()[1]}/")
        assert (rejected.reason, rejected.transient) == (Reason.TIMEOUT, True)


BIG: dict[str, tuple[Page, Reason]] = {
    "endless_body": (endless(OK + b"\r\n"), Reason.TOO_MANY_BYTES),
    "endless_chunks": (endless(CHUNKED, b"8000\r\n" + b"x" * 0x8000 + b"\r\n"), Reason.TOO_MANY_BYTES),
    "endless_tiny_chunks": (endless(CHUNKED, b"1\r\nx\r\n" * 8000), Reason.HTTP_UNEXPECTED),
    "endless_chunk": (endless(CHUNKED + b"ffffffffffff\r\n"), Reason.TOO_MANY_BYTES),
    "negative_chunk": (endless(CHUNKED + b"-5\r\n"), Reason.HTTP_UNEXPECTED),
    "endless_header": (endless(OK + b"X-A: "), Reason.HTTP_UNEXPECTED),
    "endless_headers": (endless(OK, b"X-A: bbbbbbbbbbbbbbbb\r\n" * 3000), Reason.HTTP_UNEXPECTED),
    "ten_megabytes_of_headers": (
        raw(OK + b"X-A: bbbbbbbbbbbbbbbb\r\n" * 450_000 + b"\r\nbody"),
        Reason.HTTP_UNEXPECTED,
    ),
    "endless_trailers": (endless(CHUNKED + b"0\r\n", b"X-A: b\r\n" * 8000), Reason.HTTP_UNEXPECTED),
    "endless_interim": (endless(b"", b"HTTP/1.1 103 Early\r\n\r\n" * 3000), Reason.HTTP_UNEXPECTED),
    "endless_garbage": (endless(b"", b"\x00\xff" * 30_000), Reason.HTTP_UNEXPECTED),
    "announced_too_big": (raw(OK + b"Content-Length: 1048577\r\n\r\n", keep=True), Reason.TOO_MANY_BYTES),
    "announced_absurdly_big": (raw(OK + b"Content-Length: 99999999999999999999\r\n\r\n"), Reason.TOO_MANY_BYTES),
    "endless_after_gzip": (
        endless(OK + b"Content-Encoding: gzip\r\n\r\n" + zlib.compress(b"x", wbits=31)),
        Reason.TOO_MANY_BYTES,
    ),
}


@pytest.mark.parametrize("name", BIG)
def test_an_endless_server_costs_little_memory(web: HostileWeb, name: str) -> None:
    page, reason = BIG[name]
    url = web.page(f"/{name}", page)
    with fetcher(web.authority, timeout=5.0, max_bytes=MEGABYTE) as fetch, Peak() as peak:
        rejected = rejection(fetch, url)
    assert rejected.reason is reason
    assert peak.bytes < 6 * MEGABYTE


def bomb(megabytes: int, wbits: int) -> bytes:
    """Zeros, compressed a thousandfold without ever being in memory at once."""
    compress = zlib.compressobj(9, zlib.DEFLATED, wbits)
    zeros = bytes(MEGABYTE)
    return b"".join(compress.compress(zeros) for _ in range(megabytes)) + compress.flush()


@pytest.mark.parametrize(("encoding", "wbits"), [("gzip", 31), ("x-gzip", 31), ("deflate", 15), ("Deflate", -15)])
def test_a_bomb_is_defused(web: HostileWeb, hasty: Fetcher, encoding: str, wbits: int) -> None:
    url = web.page(f"/bomb{wbits}", body(bomb(300, wbits), [("Content-Encoding", encoding)]))
    with Peak() as peak:
        assert rejection(hasty, url).reason is Reason.TOO_MANY_BYTES
    assert peak.bytes < 6 * MEGABYTE


@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        ("gzip", zlib.compress(b"x", wbits=31) * 3 + bomb(60, 31) * 2),
        ("gzip, gzip", zlib.compress(bomb(300, 31), wbits=31)),
        ("deflate, gzip, gzip", zlib.compress(zlib.compress(bomb(300, 15), wbits=31), wbits=31)),
    ],
)
def test_a_bomb_in_members_or_layers_is_defused(web: HostileWeb, hasty: Fetcher, encoding: str, sent: bytes) -> None:
    url = web.page("/bomb", body(sent, [("Content-Encoding", encoding)]))
    with Peak() as peak:
        assert rejection(hasty, url).reason is Reason.TOO_MANY_BYTES
    assert peak.bytes < 6 * MEGABYTE


class Peak:
    """The most bytes that Python held at once within the block, on top of what it held before."""

    bytes = 0

    def __enter__(self) -> Peak:
        tracemalloc.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


BROKEN: dict[str, tuple[Page, Reason, bool]] = {
    "closed_at_once": (raw(b""), Reason.CONNECTION_FAILED, True),
    "closed_in_the_status_line": (raw(b"HTTP/1.1 20"), Reason.CONNECTION_FAILED, True),
    "closed_in_the_headers": (raw(OK + b"X-A: b\r\n"), Reason.CONNECTION_FAILED, True),
    "reset_at_once": (reset(), Reason.CONNECTION_FAILED, True),
    "reset_in_the_headers": (reset(OK), Reason.CONNECTION_FAILED, True),
    "reset_in_the_body": (reset(OK + b"Content-Length: 100\r\n\r\nxxxx"), Reason.TRUNCATED, True),
    "short_body": (raw(OK + b"Content-Length: 100\r\n\r\nxxxx"), Reason.TRUNCATED, True),
    "short_chunks": (raw(CHUNKED + b"5\r\nxxxxx\r\n"), Reason.TRUNCATED, True),
    "short_chunk": (raw(CHUNKED + b"5\r\nxx"), Reason.TRUNCATED, True),
    "short_gzip": (
        raw(OK + b"Content-Encoding: gzip\r\n\r\n" + zlib.compress(b"x" * 999, wbits=31)[:-6]),
        Reason.TRUNCATED,
        True,
    ),
    "no_gzip_at_all": (body(b"\xff\xd8\xff image", [("Content-Encoding", "gzip")]), Reason.HTTP_UNEXPECTED, False),
    "no_deflate_at_all": (
        body(b"\xff\xd8\xff image", [("Content-Encoding", "deflate")]),
        Reason.HTTP_UNEXPECTED,
        False,
    ),
    "brotli": (body(b"x", [("Content-Encoding", "br")]), Reason.HTTP_UNEXPECTED, False),
    "invalid_chunk_size": (raw(CHUNKED + b"xyz\r\nabc\r\n0\r\n\r\n"), Reason.HTTP_UNEXPECTED, False),
    "invalid_chunk_end": (raw(CHUNKED + b"1\r\nxyz0\r\n\r\n"), Reason.HTTP_UNEXPECTED, False),
    "two_lengths": (
        raw(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
        Reason.HTTP_UNEXPECTED,
        False,
    ),
    "negative_length": (raw(OK + b"Content-Length: -1\r\n\r\nxx"), Reason.HTTP_UNEXPECTED, False),
    "http_0_9": (raw(b"<html>hello</html>\r\n\r\n" * 10), Reason.HTTP_UNEXPECTED, False),
    "an_ssh_server": (raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), Reason.HTTP_UNEXPECTED, False),
    "status_zero": (raw(b"HTTP/1.1 000 X\r\n\r\n"), Reason.HTTP_UNEXPECTED, False),
    "status_of_four_digits": (raw(b"HTTP/1.1 2000 X\r\n\r\n"), Reason.HTTP_UNEXPECTED, False),
    "switching_protocols": (raw(b"HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n"), Reason.HTTP_UNEXPECTED, False),
    "redirect_nowhere": (status(302), Reason.HTTP_UNEXPECTED, False),
    "redirect_to_nothing": (redirect("http://:80/"), Reason.BAD_URL, False),
    "redirect_with_garbage": (
        raw(b"HTTP/1.1 302 X\r\nLocation: http://\xff\xfe/\r\nContent-Length: 0\r\n\r\n"),
        Reason.NAME_NOT_RESOLVED,
        False,
    ),
    "redirects_for_ever": (redirect("/redirects_for_ever"), Reason.TOO_MANY_REDIRECTS, False),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_response_has_its_reason(web: HostileWeb, hasty: Fetcher, name: str) -> None:
    page, reason, transient = BROKEN[name]
    rejected = rejection(hasty, web.page(f"/{name}", page))
    assert (rejected.reason, rejected.transient) == (reason, transient)
    assert rejected.detail


def test_five_redirects_are_followed_and_six_are_not(web: HostileWeb, hasty: Fetcher) -> None:
    for step in range(6):
        web.page(f"/step{step}", redirect(f"/step{step + 1}"))
    end = web.page("/step6", body(b"image"))
    fetched = hasty.fetch(web.url("/step1"))
    assert (fetched.data, fetched.final_url) == (b"image", end)
    rejected = rejection(hasty, web.url("/step0"))
    assert (rejected.reason, rejected.status, rejected.final_url) == (Reason.TOO_MANY_REDIRECTS, 302, end)


GOOD: dict[str, tuple[Page, bytes]] = {
    "plain": (body(b"image"), b"image"),
    "empty": (body(b""), b""),
    "exactly_the_cap": (body(b"x" * MEGABYTE), b"x" * MEGABYTE),
    "longer_than_announced": (raw(OK + b"Content-Length: 5\r\n\r\nimage and more"), b"image"),
    "until_the_end": (raw(b"HTTP/1.0 200 OK\r\n\r\nimage"), b"image"),
    "chunked": (raw(CHUNKED + b"3\r\nima\r\n2;x=y\r\nge\r\n0\r\nX-A: b\r\n\r\n", keep=True), b"image"),
    "interim": (raw(b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + response(200, b"image"), keep=True), b"image"),
    "bare_newlines": (raw(b"HTTP/1.1 200 OK\nContent-Length: 5\n\nimage"), b"image"),
    "no_reason_phrase": (raw(b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nimage"), b"image"),
    "latin_1_header": (raw(OK + b"X-A: caf\xe9\r\nContent-Length: 5\r\n\r\nimage"), b"image"),
    "same_length_twice": (raw(OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nimage"), b"image"),
    "gzip": (gzipped(b"image"), b"image"),
    "zlib": (body(zlib.compress(b"image"), [("Content-Encoding", "deflate")]), b"image"),
    "raw_deflate": (body(zlib.compress(b"image", wbits=-15), [("Content-Encoding", "deflate")]), b"image"),
    "identity": (body(b"image", [("Content-Encoding", "identity")]), b"image"),
    "a_word_that_is_no_encoding": (body(b"image", [("Content-Encoding", "utf-8")]), b"image"),
    "empty_gzip": (body(b"", [("Content-Encoding", "gzip")]), b""),
    "status_203": (status(203, b"image"), b"image"),
}


@pytest.mark.parametrize("name", GOOD)
def test_odd_but_sound_responses_are_read(web: HostileWeb, hasty: Fetcher, name: str) -> None:
    page, data = GOOD[name]
    assert hasty.fetch(web.page(f"/good/{name}", page)).data == data


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=100).map(OK.__add__),
        st.binary(max_size=100).map(CHUNKED.__add__),
        st.binary(max_size=60).map(lambda b: b"HTTP/1.1 302 X\r\nContent-Length: 0\r\nLocation: /" + b + b"\r\n\r\n"),
        st.binary(max_size=60).map(lambda b: OK + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08" + b),
    )
)
def test_no_bytes_do_worse_than_a_rejection(web: HostileWeb, hasty: Fetcher, data: bytes) -> None:
    try:
        hasty.fetch(web.page("/fuzz", raw(data)))
    except FetchRejected as rejected:
        assert rejected.detail
