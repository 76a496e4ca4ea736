"""Opt-outs in response headers."""

from __future__ import annotations

import pytest

from curation.signals import policy
from schemas.reasons import Reason
from tests.support.fetchers import fetcher, rejection
from tests.support.hostile_web import HostileWeb, body, redirect, status


@pytest.mark.parametrize(
    ("user_agent", "token"),
    [("lapidary", "lapidary"), ("Lapidary/1.0 (+https://x)", "lapidary"), ("my-bot_2 x", "my-bot_2"), ("(x)", "")],
)
def test_the_token_is_the_product_of_the_user_agent(user_agent: str, token: str) -> None:
    assert policy.token(user_agent) == token


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
