"""No forbidden address is ever contacted: a server listens there and sees nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from curation.core.url import Address
from curation.fetch import guard, names
from schemas.reasons import Reason
from tests.support.fetchers import fetcher, rejection
from tests.support.hostile_web import HostileWeb, body, canary, redirect

LOOPBACK = [
    "127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1",
    "017700000001", "0.0.0.0", "0", "１２７.０.０.１", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "%31%32%37.0.0.1",
    "public.test@127.0.0.1", "127。0。0。1", "127.0.0.1%2e",
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK)
def test_no_spelling_of_loopback_is_contacted(host: str) -> None:
    with canary() as web, fetcher() as fetch:
        assert rejection(fetch, f"http://{host}:{web.port}/").reason is Reason.FORBIDDEN_ADDRESS


@pytest.mark.parametrize("host", ["[::1]", "[::]"])
def test_no_spelling_of_ipv6_loopback_is_contacted(host: str) -> None:
    with canary("::1") as web, fetcher() as fetch:
        assert rejection(fetch, f"http://{host}:{web.port}/").reason is Reason.FORBIDDEN_ADDRESS


def test_the_systems_own_names_are_checked_too() -> None:
    with canary() as web, fetcher(names=names.system_resolve) as fetch:
        assert rejection(fetch, f"http://localhost:{web.port}/").reason is Reason.FORBIDDEN_ADDRESS


@pytest.mark.parametrize(
    "found",
    [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"], ["169.254.169.254"], ["2606:4700::1111", "::1"],
     ["10.0.0.1"], ["fe80::1%1"], ["64:ff9b::7f00:1"]],
)  # fmt: skip
def test_one_private_address_among_a_names_is_enough(found: Sequence[str]) -> None:
    with canary() as web, fetcher(names={"evil.test": found}) as fetch:
        assert rejection(fetch, f"http://evil.test:{web.port}/").reason is Reason.FORBIDDEN_ADDRESS


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://127.0.0.1:{port}/", Reason.FORBIDDEN_ADDRESS),
        ("//127.0.0.1:{port}/", Reason.FORBIDDEN_ADDRESS),
        ("http://2130706433:{port}/", Reason.FORBIDDEN_ADDRESS),
        ("http://[::ffff:127.0.0.1]:{port}/", Reason.FORBIDDEN_ADDRESS),
        ("http://evil.test:{port}/", Reason.FORBIDDEN_ADDRESS),
        ("https://127.0.0.1:{port}/", Reason.FORBIDDEN_ADDRESS),
        ("file:///etc/passwd", Reason.BAD_URL),
        ("ftp://127.0.0.1:{port}/", Reason.BAD_URL),
        ("data:image/png;base64,AAAA", Reason.BAD_URL),
        ("http://a@127.0.0.1:{port}/", Reason.FORBIDDEN_ADDRESS),
        ("/\\127.0.0.1:{port}/", Reason.FORBIDDEN_ADDRESS),
        ("http:\t//127.0.\t0.1:{port}/", Reason.FORBIDDEN_ADDRESS),
        ("http://%31%32%37.1:{port}/", Reason.FORBIDDEN_ADDRESS),
    ],
)
def test_no_redirect_leads_to_a_forbidden_place(location: str, reason: Reason) -> None:
    evil = {"evil.test": ["127.0.0.1"]}
    with canary() as secret, HostileWeb("127.0.0.2") as web, fetcher(web.authority, names=evil) as fetch:
        url = web.page("/a.jpg", redirect(location.format(port=secret.port)))
        rejected = rejection(fetch, url)
        assert rejected.reason is reason
        assert web.asked("/a.jpg") == 1


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "ftp://127.0.0.1:{port}/", "gopher://127.0.0.1:{port}/", "//x"]
)
def test_no_other_scheme_is_followed(url: str) -> None:
    with canary() as web, fetcher("127.0.0.1") as fetch:
        assert rejection(fetch, url.format(port=web.port)).reason is Reason.BAD_URL


def test_an_allowance_holds_for_its_name_and_port_alone() -> None:
    table = {"ours.test": ["127.0.0.1"], "theirs.test": ["127.0.0.1"]}
    with HostileWeb() as web, canary() as other:
        web.page("/a.jpg", body(b"image"))
        with fetcher(f"ours.test:{web.port}", names=table) as fetch:
            assert fetch.fetch(web.url("/a.jpg", host="ours.test")).data == b"image"
            for url in (
                web.url("/a.jpg", host="theirs.test"),
                web.url("/a.jpg"),
                other.url("/a.jpg", host="ours.test"),
            ):
                assert rejection(fetch, url).reason is Reason.FORBIDDEN_ADDRESS
        assert web.asked("/a.jpg") == 1
        with fetcher("OURS.test", names=table) as fetch:
            assert fetch.fetch(web.url("/a.jpg", host="ours.test")).data == b"image"


def test_an_ipv6_host_can_be_allowed() -> None:
    with HostileWeb("::1") as web:
        web.page("/a.jpg", body(b"image"))
        for allowed in ("::1", "[::1]", f"[::1]:{web.port}"):
            with fetcher(allowed) as fetch:
                assert fetch.fetch(web.url("/a.jpg", host="[::1]")).data == b"image"


def play_public(monkeypatch: pytest.MonkeyPatch, literal: str) -> None:
    """Lets one loopback address stand for a public one, since no test may reach a real one."""

    judge = guard.why_forbidden

    def why_forbidden(address: Address) -> str | None:
        return None if address == ip_address(literal) else judge(address)

    monkeypatch.setattr(guard, "why_forbidden", why_forbidden)


class Rebinding:
    """A name server that answers truthfully once, and with loopback from then on."""

    def __init__(self, first: str) -> None:
        self.first = first
        self.asked = 0

    def __call__(self, host: str) -> list[str]:
        self.asked += 1
        return [self.first] if self.asked == 1 else ["127.0.0.1"]


def test_a_rebound_name_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    play_public(monkeypatch, "127.0.0.2")
    monkeypatch.setattr(names, "KEPT_SECONDS", -1.0)  # every question asks the name server anew
    rebinding = Rebinding("127.0.0.2")
    with HostileWeb("127.0.0.2") as web, canary("127.0.0.1", port=web.port), fetcher(names=rebinding) as fetch:
        url = web.url("/a.jpg", host="rebind.test")
        web.page("/a.jpg", body(b"public"))
        assert fetch.fetch(url).data == b"public"
        assert (rebinding.asked, web.asked("/a.jpg")) == (1, 1)
        fetch._connections.close()  # the kept one leads to the checked address still
        assert rejection(fetch, url).reason is Reason.FORBIDDEN_ADDRESS
        assert (rebinding.asked, web.asked("/a.jpg")) == (2, 1)


@pytest.mark.parametrize("first", ["refuses", "hangs"])
def test_the_second_address_is_tried_where_the_first_is_dead(first: str) -> None:
    with HostileWeb("127.0.0.3") as web, socket.socket() as dead:
        dead.bind(("127.0.0.2", web.port))
        fillers = [socket.socket() for _ in range(3)]
        if first == "hangs":
            dead.listen(0)
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.2", web.port))
        url = web.url("/a.jpg", host="two.test")
        web.page("/a.jpg", body(b"image"))
        with fetcher("two.test", names={"two.test": ["127.0.0.2", "127.0.0.3"]}, timeout=1.0) as fetch:
            assert fetch.fetch(url).data == b"image"
        for filler in fillers:
            filler.close()


def test_a_name_that_is_none_is_known_at_once_and_one_that_hangs_by_the_deadline() -> None:
    asked: list[str] = []
    answer = threading.Event()

    def resolve(host: str) -> list[str]:
        asked.append(host)
        if host == "slow.test":
            answer.wait()
        raise socket.gaierror(socket.EAI_AGAIN if host == "busy.test" else socket.EAI_NONAME, "no")

    with fetcher(names=resolve, timeout=0.3, retries=2, threads=4) as fetch:
        assert rejection(fetch, "http://none.test/").reason is Reason.NAME_NOT_RESOLVED
        assert rejection(fetch, "http://none.test/other").reason is Reason.NAME_NOT_RESOLVED
        assert asked == ["none.test"]
        assert rejection(fetch, "http://busy.test/").reason is Reason.NAME_NOT_RESOLVED
        assert asked.count("busy.test") == 3
    with fetcher(names=resolve, timeout=0.3, threads=4) as fetch:
        # The answer never comes while it is waited for.
        assert rejection(fetch, "http://slow.test/").reason is Reason.TIMEOUT
        assert rejection(fetch, "http://none.test/").reason is Reason.NAME_NOT_RESOLVED
        answer.set()
