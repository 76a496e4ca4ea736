"""Retries, caps, kept connections, proxies, certificates: how the fetcher behaves towards hosts."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace

import pytest

from curation.core.errors import RecipeError
from curation.fetch import host_limits
from curation.fetch.http import MAX_RETRY_AFTER, Fetched, Fetcher, FetchRejected
from schemas.reasons import Reason
from schemas.recipe import Download
from tests.support.certificates import contexts
from tests.support.fetchers import fetcher, rejection
from tests.support.hostile_web import HostileWeb, Visit, after, body, canary, in_turn, raw, redirect, reset, status

SHORT = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nxxxx")
IMAGE = body(b"image")


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
def test_a_transient_status_is_asked_again(code: int) -> None:
    with HostileWeb() as web, fetcher(web.authority, retries=2) as fetch:
        url = web.page("/a.jpg", in_turn(status(code), status(code), IMAGE))
        assert fetch.fetch(url).data == b"image"
        assert web.asked("/a.jpg") == 3
        for_ever = web.page("/b.jpg", status(code))
        rejected = rejection(fetch, for_ever)
        assert (rejected.status, rejected.transient) == (code, True)
        assert web.asked("/b.jpg") == 3


@pytest.mark.parametrize("first", [SHORT, raw(b""), reset(), reset(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nxx")])
def test_a_connection_that_breaks_is_tried_again(first: object) -> None:
    with HostileWeb() as web, fetcher(web.authority, retries=1) as fetch:
        url = web.page("/a.jpg", in_turn(first, IMAGE))  # type: ignore[arg-type]
        assert fetch.fetch(url).data == b"image"
        assert web.asked("/a.jpg") == 2


def test_a_timeout_is_tried_again() -> None:
    with HostileWeb() as web, fetcher(web.authority, retries=1, timeout=0.3) as fetch:
        url = web.page("/a.jpg", in_turn(after(1.0, IMAGE), IMAGE))
        assert fetch.fetch(url).data == b"image"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (201, Reason.HTTP_UNEXPECTED), (202, Reason.HTTP_UNEXPECTED), (204, Reason.HTTP_UNEXPECTED),
        (206, Reason.HTTP_UNEXPECTED), (300, Reason.HTTP_UNEXPECTED), (304, Reason.HTTP_UNEXPECTED),
        (400, Reason.HTTP_400), (401, Reason.HTTP_401), (403, Reason.HTTP_403), (404, Reason.HTTP_404),
        (405, Reason.HTTP_4XX), (410, Reason.HTTP_410), (418, Reason.HTTP_4XX), (451, Reason.HTTP_451),
        (501, Reason.HTTP_5XX), (521, Reason.HTTP_5XX), (600, Reason.HTTP_UNEXPECTED), (999, Reason.HTTP_UNEXPECTED),
    ],
)  # fmt: skip
def test_a_definite_status_is_asked_exactly_once(code: int, reason: Reason) -> None:
    with HostileWeb() as web, fetcher(web.authority, retries=3) as fetch:
        rejected = rejection(fetch, web.page("/a.jpg", status(code, b"")))
        assert (rejected.reason, rejected.status, rejected.transient) == (reason, code, False)
        assert web.asked("/a.jpg") == 1


@pytest.mark.parametrize(("code", "reason"), [(429, Reason.HTTP_429), (408, Reason.HTTP_4XX), (503, Reason.HTTP_5XX)])
def test_a_transient_status_that_stays_has_its_reason(code: int, reason: Reason) -> None:
    with HostileWeb() as web, fetcher(web.authority) as fetch:
        assert rejection(fetch, web.page("/a.jpg", status(code))).reason is reason


class Waits:
    """Stands for the fetcher's own event and notes how long it would have waited between tries."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return False

    def set(self) -> None: ...


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [("7", 7.0), (" 12 ", 12.0), ("99999999999999999999", MAX_RETRY_AFTER), (formatdate(time.time() + 9000), 30.0),
     ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER)],
)  # fmt: skip
def test_retry_after_is_waited_for_up_to_a_limit(wait: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits()
    with HostileWeb() as web, fetcher(web.authority, retries=1) as fetch:
        monkeypatch.setattr(fetch, "_closed", waits)
        url = web.page("/a.jpg", in_turn(status(429, headers=[("Retry-After", wait)]), IMAGE))
        assert fetch.fetch(url).data == b"image"
    assert waits.seconds == [seconds]


@pytest.mark.parametrize("wait", ["", "-5", "soon", "²", "Fri, 99 Xxx 2026", "1e9"])
def test_a_retry_after_that_is_none_is_ignored(wait: str) -> None:
    with HostileWeb() as web, fetcher(web.authority, retries=1) as fetch:
        header = b"HTTP/1.1 503 X\r\nRetry-After: " + wait.encode() + b"\r\nContent-Length: 0\r\n\r\n"
        assert fetch.fetch(web.page("/a.jpg", in_turn(raw(header), IMAGE))).data == b"image"


def test_closing_ends_the_wait_between_tries() -> None:
    with HostileWeb() as web:
        fetch = fetcher(web.authority, retries=1)
        busy = status(503, headers=[("Retry-After", "30")])

        def close(visit: Visit) -> bool:
            fetch.close()
            return busy(visit)

        assert rejection(fetch, web.page("/a.jpg", close)).reason is Reason.HTTP_5XX
        assert web.asked("/a.jpg") == 1  # a wait to its end would have led to a second try


def test_no_host_is_asked_more_than_so_much_at_once() -> None:
    with HostileWeb() as web, HostileWeb("127.0.0.2") as other, fetcher("127.0.0.1", "127.0.0.2", per_host=3) as fetch:
        urls = [w.page(f"/{n}", after(0.02, IMAGE)) for n in range(30) for w in (web, other)]
        with ThreadPoolExecutor(16) as pool:
            assert {f.data for f in pool.map(fetch.fetch, urls)} == {b"image"}
        assert (web.most_busy, other.most_busy) == (3, 3)
        assert not fetch._limits._hosts  # nothing is remembered of idle hosts


def test_no_host_is_asked_more_often_than_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    now = 100.0
    monkeypatch.setattr(host_limits, "time", SimpleNamespace(monotonic=lambda: now, sleep=slept.append))
    limits = host_limits.HostLimits(7, 20.0)
    for _ in range(7):
        with limits.hold("one.test"):
            pass
    with limits.hold("other.test"):
        pass
    assert slept == pytest.approx([n / 20 for n in range(1, 7)])
    now = 100.3  # six of the seven starts lie behind
    with limits.hold("one.test"):
        pass
    assert slept[6:] == pytest.approx([1 / 20])


def test_waiting_for_a_turn_is_not_held_against_the_deadline() -> None:
    with HostileWeb() as web, fetcher(web.authority, per_host=1, timeout=0.5) as fetch:
        urls = [web.page(f"/{n}", after(0.15, IMAGE)) for n in range(8)]
        with ThreadPoolExecutor(8) as pool:
            assert [f.data for f in pool.map(fetch.fetch, urls)] == [b"image"] * 8


def test_a_connection_serves_again_after_images_redirects_and_errors() -> None:
    with HostileWeb() as web, fetcher(web.authority) as fetch:
        web.page("/a.jpg", IMAGE)
        moved = web.page("/moved", redirect("/a.jpg"))
        for _ in range(3):
            fetched = replace(fetch.fetch(moved), retrieved_at=None)
            assert fetched == Fetched(b"image", 200, web.url("/a.jpg"))
            assert rejection(fetch, web.url("/none")).reason is Reason.HTTP_404
        assert web.connections == 1


def test_a_connection_that_was_closed_meanwhile_is_no_failure() -> None:
    with HostileWeb() as web, fetcher(web.authority) as fetch:
        close = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nimage", keep=False)
        url = web.page("/a.jpg", close)
        for _ in range(5):
            assert fetch.fetch(url).data == b"image"
            time.sleep(0.02)
        lazy = web.page("/b.jpg", in_turn(IMAGE, raw(b""), IMAGE))
        assert fetch.fetch(lazy).data == b"image"
        assert fetch.fetch(lazy).data == b"image"  # the kept connection broke, a new one answered
        assert web.asked("/b.jpg") == 3


def test_what_a_server_sends_unasked_is_never_taken_for_an_answer() -> None:
    smuggled = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    with HostileWeb() as web, fetcher(web.authority) as fetch:
        url = web.page("/a.jpg", raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nimage" + smuggled, keep=True))
        sound = web.page("/b.jpg", IMAGE)
        for _ in range(3):
            assert fetch.fetch(url).data == b"image"
            assert fetch.fetch(sound).data == b"image"
        assert web.connections == 4  # what said too much was never asked again


def test_idle_connections_are_few() -> None:
    names = {f"host{n}.test": ["127.0.0.1"] for n in range(12)}
    with HostileWeb() as web, fetcher(*names, names=names, threads=2) as fetch:
        web.page("/a.jpg", IMAGE)
        for name in names:
            fetch.fetch(web.url("/a.jpg", host=name))
        assert len(fetch._connections._idle) == 4
        fetch.fetch(web.url("/a.jpg", host="host11.test"))
        assert web.connections == 12


def test_the_request_names_us_and_nothing_else() -> None:
    with HostileWeb() as web, fetcher(web.authority, user_agent="lapidary/1", contact="https://example.com") as fetch:
        fetch.fetch(web.page("/a%20b?c=d", IMAGE))
        assert web.visits[0].headers == {
            "host": web.authority,
            "user-agent": "lapidary/1 (+https://example.com)",
            "accept": "image/*,*/*;q=0.8",
            "accept-encoding": "identity",
        }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("user_agent", ""), ("user_agent", "a\r\nX: b"), ("user_agent", "ü"), ("contact", "a\nb"),
        ("proxy", "socks5://127.0.0.1:1080"), ("proxy", "https://127.0.0.1:1"), ("proxy", "127.0.0.1:3128"),
        ("proxy", "http://"), ("proxy", "http://host:port"), ("allow_private_hosts", ["http://a"]),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_followed_are_a_recipe_error(key: str, value: object) -> None:
    with pytest.raises(RecipeError, match=f"download.{key}"):
        Fetcher(Download.model_validate({key: value}))


def test_a_proxys_password_stays_out_of_the_error() -> None:
    with pytest.raises(RecipeError) as caught:
        Fetcher(Download(proxy="https://user:secret@127.0.0.1:1"))
    assert "secret" not in str(caught.value)


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileWeb() as web, canary("127.0.0.2") as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        monkeypatch.delenv("no_proxy", raising=False)
        with fetcher(web.authority) as fetch:
            assert fetch.fetch(web.page("/a.jpg", IMAGE)).data == b"image"


def test_the_recipes_proxy_is_used_and_the_target_still_checked() -> None:
    table = {"public.test": ["127.0.0.9"], "evil.test": ["127.0.0.1"]}
    with HostileWeb() as proxy:
        proxy.page("*", IMAGE)
        with fetcher("public.test", names=table, proxy=f"http://me:pass@{proxy.authority}") as fetch:
            assert fetch.fetch("http://public.test/a.jpg").data == b"image"
            assert rejection(fetch, "http://evil.test/a.jpg").reason is Reason.FORBIDDEN_ADDRESS
            assert rejection(fetch, "http://10.0.0.1/a.jpg").reason is Reason.FORBIDDEN_ADDRESS
        (visit,) = proxy.visits
        assert (visit.method, visit.path) == ("GET", "http://public.test/a.jpg")
        assert (visit.headers["host"], visit.headers["proxy-authorization"]) == ("public.test", "Basic bWU6cGFzcw==")


def splice(visit: Visit) -> bool:
    """A proxy's CONNECT: bytes to and fro until either side ends."""
    host, _, port = visit.path.rpartition(":")
    with socket.create_connection((host, int(port))) as upstream:
        visit.send(b"HTTP/1.1 200 Connected\r\n\r\n")

        def back() -> None:
            with contextlib.suppress(OSError):
                while data := upstream.recv(65536):
                    visit.send(data)

        thread = threading.Thread(target=back)
        thread.start()
        while data := visit.sock.recv(65536):
            upstream.sendall(data)
        upstream.shutdown(socket.SHUT_RDWR)
        thread.join()
    return False


def test_https_goes_through_the_proxy_to_the_checked_address(tmp_path: Path) -> None:
    server, client = contexts(tmp_path, "secure.test")
    table = {"secure.test": ["127.0.0.1"]}
    with HostileWeb(tls=server) as web, HostileWeb() as proxy:
        proxy.page("*", splice)
        web.page("/a.jpg", IMAGE)
        with fetcher("secure.test", names=table, context=client, proxy=proxy.url("")) as fetch:
            assert fetch.fetch(web.url("/a.jpg", host="secure.test")).data == b"image"
        (visit,) = proxy.visits
        assert (visit.method, visit.path) == ("CONNECT", f"127.0.0.1:{web.port}")
        assert web.visits[0].headers["host"] == f"secure.test:{web.port}"
        assert "proxy-authorization" not in web.visits[0].headers


def test_a_proxy_that_refuses_is_a_failed_connection() -> None:
    with HostileWeb() as proxy:
        proxy.page("*", status(407))
        with fetcher("127.0.0.1", proxy=proxy.url("")) as fetch:
            assert rejection(fetch, "https://127.0.0.1/").reason is Reason.CONNECTION_FAILED


def test_a_certificate_must_be_the_names_own(tmp_path: Path) -> None:
    server, client = contexts(tmp_path, "secure.test", "127.0.0.1")
    table = {"secure.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]}
    allowed = ("127.0.0.1", "secure.test", "other.test")
    with HostileWeb(tls=server) as web:
        web.page("/a.jpg", IMAGE)
        with fetcher(*allowed, names=table, context=client, retries=2) as fetch:
            assert fetch.fetch(web.url("/a.jpg", host="secure.test")).data == b"image"
            assert fetch.fetch(web.url("/a.jpg")).data == b"image"
            rejected = rejection(fetch, web.url("/a.jpg", host="other.test"))
            assert (rejected.reason, rejected.transient) == (Reason.TLS_FAILED, False)
        with fetcher(*allowed, names=table) as fetch:  # the system's authorities do not know the test's
            assert rejection(fetch, web.url("/a.jpg", host="secure.test")).reason is Reason.TLS_FAILED
        assert web.asked("/a.jpg") == 2


def test_a_server_without_tls_fails_at_the_handshake() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, fetcher("127.0.0.1", timeout=30) as fetch:

        def answer_plainly() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=answer_plainly, daemon=True).start()
        rejected = rejection(fetch, f"https://127.0.0.1:{server.getsockname()[1]}/")
    assert rejected.reason is Reason.TLS_FAILED


def test_a_port_where_nobody_listens_is_a_failed_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with fetcher("127.0.0.1") as fetch:
        rejected = rejection(fetch, f"http://127.0.0.1:{port}/")
        assert (rejected.reason, rejected.transient) == (Reason.CONNECTION_FAILED, True)


def test_many_threads_share_one_fetcher() -> None:
    with HostileWeb() as web, fetcher(web.authority, per_host=16) as fetch:
        for n in range(20):
            web.page(f"/{n}", body(b"%d" % n * 5000))
            web.page(f"/to/{n}", redirect(f"/{n}"))

        def ask(n: int) -> bool:
            path = f"/{n % 20}" if n % 3 else f"/to/{n % 20}"
            try:
                return fetch.fetch(web.url(path if n % 7 else "/none")).data == b"%d" % (n % 20) * 5000
            except FetchRejected as rejected:
                return n % 7 == 0 and rejected.reason is Reason.HTTP_404

        with ThreadPoolExecutor(32) as pool:
            assert all(pool.map(ask, range(600)))
        assert web.connections <= 16 + 1
