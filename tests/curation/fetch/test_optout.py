"""Opt-outs in response headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.fetch import optout
from schemas.reasons import Reason
from tests.support.fetchers import fetcher, rejection
from tests.support.hostile_web import HostileWeb, body, redirect, status


@pytest.mark.parametrize(
    ("value", "out"),
    [
        ("noai", True), ("noimageai", True), ("noindex", True), ("noimageindex", True), ("noml", True), ("none", True),
        ("NoAI", True), ("  noai  ", True), ("nofollow, noai", True), ("nofollow,noimageindex,noarchive", True),
        ("", False), (",", False), (":", False), ("all", False), ("index, follow", False), ("nofollow", False),
        ("noarchive, nosnippet, notranslate", False), ("noaim", False), ("noai2", False), ("no ai", False),
        # a scope names whom a directive is for
        ("lapidary: noai", True), ("LAPIDARY: NOAI", True), ("lapidary:noai", True), ("lapidary : noai", True),
        ("lapidary/1.0: noai", True), ("*: noai", True), ("googlebot: noai", False), ("otherlapidary: noai", False),
        ("lapidary2: noai", False), ("googlebot: nofollow, noindex", False), ("lapidary: nofollow, noindex", True),
        ("googlebot: noindex, otherbot: noai", False), ("googlebot: noindex, lapidary: noai", True),
        ("googlebot: noindex, lapidary: follow", False), ("lapidary: follow, googlebot: noindex, noai", False),
        ("noai, googlebot: all", True), ("360spider: noindex", False),
        # directives with a value of their own scope nothing
        ("max-snippet: 10, noai", True), ("max-image-preview: large, noimageai", True), ("max-snippet: -1", False),
        ("googlebot: max-snippet: 10, noai", False), ("lapidary: max-snippet: 10, noai", True),
        ("unavailable_after: 25 Jun 2010 15:00:00 PST", False),
        ("unavailable_after: 25 Jun 2010 15:00:00 PST, noai", True),
        ("unavailable_after: Friday, 25-Jun-10 15:00:00 GMT, noai", True),
        ("noai, unavailable_after: 25 Jun 2010 15:00:00 PST", True),
        ("otherbot: unavailable_after: Fri, 25 Jun 2010 15:00:00 GMT, noai", False),
        ("lapidary: unavailable_after: Fri, 25 Jun 2010 15:00:00 GMT, noai", True),
        ("unavailable_after: 2010-06-25T15:00:00Z, noai", True),
        ("noindex: googlebot", True),
    ],
)  # fmt: skip
def test_x_robots_tag(value: str, out: bool) -> None:
    assert optout.opts_out(value, "lapidary") is out


@pytest.mark.parametrize(
    ("headers", "evidence"),
    [
        ([(b"x-ROBOTS-tag", b"nofollow"), (b"X-Robots-Tag", b"NoAI")], "X-Robots-Tag: NoAI"),
        ([(b"X-Robots-Tag", b"googlebot: all"), (b"X-Robots-Tag", b"noml")], "X-Robots-Tag: noml"),
        ([(b"TDM-Reservation", b"1")], "TDM-Reservation: 1"),
        ([(b"tdm-reservation", b" 1 ")], "tdm-reservation:  1 "),
        ([(b"tdm-reservation", b"0")], None),
        ([(b"tdm-reservation", b"10")], None),
        ([(b"tdm-policy", b"https://example.com/1")], None),
        ([(b"X-Robots", b"noai"), (b"Robots", b"noai")], None),
        ([(b"X-Robots-Tag", b"\xff\xfe, noai")], "X-Robots-Tag: ÿþ, noai"),
        ([], None),
    ],
)
def test_evidence_is_the_header_as_it_came(headers: list[tuple[bytes, bytes]], evidence: str | None) -> None:
    assert optout.find(headers, "lapidary") == evidence


@pytest.mark.parametrize(
    ("user_agent", "token"),
    [("lapidary", "lapidary"), ("Lapidary/1.0 (+https://x)", "lapidary"), ("my-bot_2 x", "my-bot_2"), ("(x)", "")],
)
def test_the_token_is_the_product_of_the_user_agent(user_agent: str, token: str) -> None:
    assert optout.token(user_agent) == token


@given(st.text(max_size=80))
def test_any_value_gets_an_answer(value: str) -> None:
    assert optout.opts_out(value, "lapidary") in (True, False)
    assert optout.opts_out(value + ", *: noai", "lapidary")


def test_an_opt_out_is_honoured_before_the_body_is_read_and_its_evidence_kept() -> None:
    with HostileWeb() as web, fetcher(web.authority) as fetch:
        # The announced body never comes: whoever waits for it runs into the deadline instead.
        url = web.page("/a.jpg", status(200, b"", [("X-Robots-Tag", "noimageai"), ("Transfer-Encoding", "chunked")]))
        rejected = rejection(fetch, url)
        assert (rejected.reason, rejected.status) == (Reason.OPTED_OUT, 200)
        assert rejected.opt_out == "X-Robots-Tag: noimageai"


def test_an_opt_out_on_the_way_counts_and_one_on_an_error_page_does_not() -> None:
    with HostileWeb() as web, fetcher(web.authority) as fetch:
        web.page("/a.jpg", body(b"image"))
        on_the_way = web.page("/moved", redirect("/a.jpg", headers=[("tdm-reservation", "1")]))
        error = web.page("/gone", status(410, headers=[("X-Robots-Tag", "noindex")]))
        assert rejection(fetch, on_the_way).reason is Reason.OPTED_OUT
        assert rejection(fetch, error).reason is Reason.HTTP_410
        assert web.asked("/a.jpg") == 0


def test_an_opt_out_not_honoured_is_still_noted() -> None:
    with HostileWeb() as web, fetcher(web.authority, opt_out=False) as fetch:
        url = web.page("/a.jpg", body(b"image", [("X-Robots-Tag", "noai")]))
        fetched = fetch.fetch(url)
        assert (fetched.data, fetched.opt_out) == (b"image", "X-Robots-Tag: noai")


def test_an_opt_out_for_another_robot_is_not_ours() -> None:
    with HostileWeb() as web, fetcher(web.authority, user_agent="Lapidary/2") as fetch:
        theirs = web.page("/theirs.jpg", body(b"image", [("X-Robots-Tag", "googlebot: noindex")]))
        ours = web.page("/ours.jpg", body(b"image", [("X-Robots-Tag", "googlebot: all, lapidary: noai")]))
        assert fetch.fetch(theirs).data == b"image"
        assert rejection(fetch, ours).reason is Reason.OPTED_OUT
