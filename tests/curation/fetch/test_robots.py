"""robots.txt, honoured where the recipe asks for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from curation.fetch.host_files import MAX_BYTES
from schemas.reasons import Reason
from tests.support.fetchers import fetcher, rejection
from tests.support.hostile_web import HostileWeb, Page, body, canary, endless, hang, in_turn, raw, redirect, status

IMAGE = body(b"image")


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("", True),
        ("User-agent: *\nDisallow: /", False),
        ("User-agent: *\nDisallow:", True),
        ("User-agent: *\nDisallow: /private/", True),
        ("User-agent: *\nDisallow: /img/*.jpg$", False),
        ("User-agent: *\nDisallow: /img/\nAllow: /img/a", True),
        ("User-agent: otherbot\nDisallow: /", True),
        ("User-agent: Lapidary\nDisallow: /", False),
        ("User-agent: *\nDisallow: /\n\nUser-agent: lapidary\nAllow: /", True),
        ("User-agent: a\nUser-agent: lapidary\nUser-agent: b\nDisallow: /img", False),
        ("user agent: LAPIDARY\ndisallow: /img", False),
        ("User-agent: a\nDisallow: /\nUser-agent: b\nDisallow: /\n", True),
        ("User-agent: a # a comment\nUser-agent: * # all\nDisallow: /\n", False),
        ("\ufeffUser-agent: *\r\nDisallow: /img\r\n", False),
        ("<html>not found</html>", True),
        ("User-agent: *\nDisallow: /\x00\x01", True),
    ],
)
def test_rules_are_followed(text: str, allowed: bool) -> None:
    with HostileWeb() as web, fetcher(web.authority, robots_txt=True, user_agent="Lapidary/1.0") as fetch:
        web.page("/robots.txt", body(text.encode()))
        url = web.page("/img/a.jpg", IMAGE)
        if allowed:
            assert fetch.fetch(url).data == b"image"
        else:
            rejected = rejection(fetch, url)
            assert rejected.reason is Reason.ROBOTS_TXT
            assert rejected.opt_out is not None and rejected.opt_out.startswith(
                f"robots.txt of {web.url('/robots.txt')}"
            )
            assert rejected.opt_out.lower().rpartition(" ")[2] in text.lower()
        assert web.asked("/img/a.jpg") == int(allowed)


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (status(404), None),
        (status(403), None),
        (status(401), None),
        (status(204, b""), None),
        (status(500), Reason.HTTP_5XX),
        (status(503), Reason.HTTP_5XX),
        (hang(), Reason.TIMEOUT),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nUser-agent: *"), Reason.TRUNCATED),
        (redirect("/robots.txt"), None),
        (redirect("/moved.txt"), Reason.ROBOTS_TXT),
        (in_turn(status(503), status(404)), None),
        (body(b"User-agent: *\nAllow: /", [("X-Robots-Tag", "noindex")]), None),
    ],
)
def test_what_could_not_be_read_is_judged_by_why(page: Page, reason: Reason | None) -> None:
    """A failure that may pass is reported as that failure: nothing is fetched, and nobody has opted out."""
    with HostileWeb() as web, fetcher(web.authority, robots_txt=True, timeout=0.4, retries=1) as fetch:
        web.page("/robots.txt", page)
        web.page("/moved.txt", body(b"User-agent: *\nDisallow: /"))
        url = web.page("/a.jpg", IMAGE)
        if reason is None:
            assert fetch.fetch(url).data == b"image"
        else:
            rejected = rejection(fetch, url)
            assert rejected.reason is reason and (rejected.opt_out is None) is (reason is not Reason.ROBOTS_TXT)
            assert "robots.txt" in rejected.detail and web.asked("/a.jpg") == 0


def test_nobody_is_asked_unless_the_recipe_says_so() -> None:
    with HostileWeb() as web, fetcher(web.authority) as fetch:
        web.page("/robots.txt", body(b"User-agent: *\nDisallow: /"))
        assert fetch.fetch(web.page("/a.jpg", IMAGE)).data == b"image"
        assert web.asked("/robots.txt") == 0


def test_an_origin_is_asked_once_by_all_threads() -> None:
    with HostileWeb() as web, fetcher(web.authority, robots_txt=True) as fetch:
        web.page("/robots.txt", body(b"User-agent: *\nDisallow: /no"))
        urls = [web.page(f"/{n}", IMAGE) for n in range(40)]
        with ThreadPoolExecutor(16) as pool:
            assert {f.data for f in pool.map(fetch.fetch, urls)} == {b"image"}
        assert rejection(fetch, web.page("/no.jpg", IMAGE)).reason is Reason.ROBOTS_TXT
        assert web.asked("/robots.txt") == 1


def test_a_redirect_asks_where_it_leads() -> None:
    with HostileWeb() as web, HostileWeb("127.0.0.2") as other:
        other.page("/robots.txt", body(b"User-agent: *\nDisallow: /"))
        other.page("/a.jpg", IMAGE)
        url = web.page("/a.jpg", redirect(other.url("/a.jpg")))
        with fetcher("127.0.0.1", "127.0.0.2", robots_txt=True) as fetch:
            rejected = rejection(fetch, url)
        assert (rejected.reason, rejected.final_url) == (Reason.ROBOTS_TXT, other.url("/a.jpg"))
        assert other.asked("/a.jpg") == 0


def test_robots_txt_is_fetched_behind_the_guard() -> None:
    with canary() as secret, HostileWeb("127.0.0.2") as web, fetcher("127.0.0.2", robots_txt=True) as fetch:
        assert rejection(fetch, secret.url("/a.jpg")).reason is Reason.FORBIDDEN_ADDRESS
        assert rejection(fetch, "http://none.test/a.jpg").reason is Reason.NAME_NOT_RESOLVED
        web.page("/robots.txt", redirect(secret.url("/robots.txt")))
        assert rejection(fetch, web.page("/a.jpg", IMAGE)).reason is Reason.FORBIDDEN_ADDRESS
        assert web.asked("/a.jpg") == 0


def test_of_an_endless_file_the_beginning_counts() -> None:
    with HostileWeb() as web, fetcher(web.authority, robots_txt=True, timeout=10) as fetch:
        start = b"HTTP/1.1 200 OK\r\n\r\nUser-agent: *\nDisallow: /no\n"
        web.page("/robots.txt", endless(start, b"Disallow: /x\n" * 5000))
        assert rejection(fetch, web.page("/no.jpg", IMAGE)).reason is Reason.ROBOTS_TXT
        assert fetch.fetch(web.page("/yes.jpg", IMAGE)).data == b"image"


def test_a_file_of_countless_robots_and_rules_is_no_bomb() -> None:
    agents = b"".join(b"User-agent: bot%d\n" % n for n in range(14_000))
    rules = b"".join(b"Disallow: /%d\n" % n for n in range(14_000))
    text = agents + b"User-agent: *\n" + rules
    assert len(text) < MAX_BYTES
    with HostileWeb() as web, fetcher(web.authority, robots_txt=True) as fetch:
        web.page("/robots.txt", body(text))
        assert fetch.fetch(web.page("/a.jpg", IMAGE)).data == b"image"
        assert rejection(fetch, web.page("/13.jpg", IMAGE)).reason is Reason.ROBOTS_TXT
        assert fetch._files is not None
        (known,) = fetch._files._known.values()
        robots = known.result().robots
        assert robots is not None
        assert len(robots.rules._user_agents) == 2  # all robots and those of other names, not 14,000
