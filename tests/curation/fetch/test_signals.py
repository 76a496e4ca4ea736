"""Signals of hosts and responses while images are fetched: what is asked for, what is refused, what is kept."""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest

from curation.core.url import parse
from curation.fetch.host_files import RETRY_SECONDS, HostFiles
from curation.fetch.http import Fetcher
from curation.fetch.process_row import HashedRow, process_row
from curation.fetch.rejected import FetchRejected
from curation.signals.policy import Policy
from curation.signals.sign import Sign, unpacked
from schemas.reasons import Reason
from schemas.recipe import Download
from schemas.signals import Signals, SignalVerdict
from tests.support.fetchers import fetcher, rejection
from tests.support.hostile_web import HostileWeb, body, canary, hang, redirect, status
from tests.support.images import encoded, natural
from tests.support.manifests import xmp_packet
from tests.support.source_rows import source_row

IMAGE = body(b"image")
ROBOTS, TDMREP = "/robots.txt", "/.well-known/tdmrep.json"


def looking(web: HostileWeb, **settings: object) -> Fetcher:
    return fetcher(web.authority, signals=Signals.model_validate(settings))


def reserved(location: str = "/", value: int = 1) -> bytes:
    return json.dumps([{"location": location, "tdm-reservation": value}]).encode()


@pytest.mark.parametrize(
    ("path", "text", "reason", "what", "verbatim"),
    [
        (ROBOTS, "User-agent: *\nDisallow: /img/", Reason.ROBOTS_TXT, "robots.txt", "User-agent: * / Disallow: /img/"),
        (ROBOTS, "User-agent: CCBot\nDisallow: /", Reason.ROBOTS_TXT, "robots.txt", "User-agent: ccbot / Disallow: /"),
        (
            *(ROBOTS, "User-agent: *\nContent-Usage: /img/ train-ai=n\nAllow: /", Reason.OPTED_OUT),
            *("content-usage", "Content-Usage: /img/ train-ai=n"),
        ),
        (
            *(ROBOTS, "User-agent: *\nContent-Signal: ai-train=no", Reason.OPTED_OUT),
            *("content-signal", "Content-Signal: ai-train=no"),
        ),
    ],
)
def test_what_robots_txt_forbids_is_not_asked_for(
    path: str, text: str, reason: Reason, what: str, verbatim: str
) -> None:
    with HostileWeb() as web, looking(web) as fetch:
        web.page(path, body(text.encode()))
        rejected = rejection(fetch, web.page("/img/a.jpg", IMAGE))
        place = web.url(ROBOTS)
        assert (rejected.reason, web.asked("/img/a.jpg")) == (reason, 0)
        assert rejected.signs == (Sign(what, verbatim, SignalVerdict.FORBIDS, place, web.host),)
        assert rejected.opt_out is not None and verbatim in rejected.opt_out
        if "/img/" in text:
            assert fetch.fetch(web.page("/other/a.jpg", IMAGE)).signs == () or "CCBot" in text


@pytest.mark.parametrize(
    ("header", "fetched"), [(None, False), ("1", False), ("0", True), ("what", False), ("10", False)]
)
def test_tdmrep_json_is_looked_at_first_and_a_header_supersedes_it(header: str | None, fetched: bool) -> None:
    with HostileWeb() as web, looking(web) as fetch:
        web.page(TDMREP, body(reserved("/img/")))
        headers = [("tdm-reservation", header)] if header is not None else []
        # The announced body never comes where it must not be read.
        page = body(b"image", headers) if fetched else status(200, b"", [*headers, ("Transfer-Encoding", "chunked")])
        url = web.page("/img/a.jpg", page)
        if fetched:
            found = fetch.fetch(url)
            assert found.data == b"image" and found.opt_out is None
            assert [(s.what, s.verdict.value) for s in found.signs] == [
                ("tdmrep.json", "notice"),
                ("tdm-reservation", "allows"),
            ]
        else:
            rejected = rejection(fetch, url)
            assert rejected.reason is Reason.OPTED_OUT
            assert (header == "1") is (rejected.opt_out == "tdm-reservation: 1")
        assert fetch.fetch(web.page("/b.jpg", IMAGE)).signs == ()


def test_a_header_reserves_what_the_file_does_not() -> None:
    with HostileWeb() as web, looking(web) as fetch:
        web.page(TDMREP, body(reserved(value=0)))
        url = web.page("/a.jpg", body(b"image", [("tdm-reservation", "1")]))
        assert rejection(fetch, url).reason is Reason.OPTED_OUT
        assert [s.verdict.value for s in fetch.fetch(web.page("/b.jpg", IMAGE)).signs] == ["allows"]


@pytest.mark.parametrize(
    "header",
    [("Content-Usage", "search=y, train-ai=n"), ("X-Robots-Tag", "gptbot: noai"), ("Content-Signal", "ai-train=no")],
)
def test_headers_forbid_before_the_body_is_read(header: tuple[str, str]) -> None:
    with HostileWeb() as web, looking(web) as fetch:
        url = web.page("/a.jpg", status(200, b"", [header, ("Transfer-Encoding", "chunked")]))
        rejected = rejection(fetch, url)
        assert (rejected.reason, rejected.opt_out) == (Reason.OPTED_OUT, ": ".join(header))
        (sign,) = rejected.signs
        assert (sign.place, sign.host, sign.what) == (url, web.host, header[0].lower())


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        ("licensed", [("Link", '<https://h/l>; rel="license"')]),
        ("licensed", [("tdm-policy", "https://h/p")]),
        ("constrained", [("Content-Signal", "use=reference")]),
    ],
)
def test_licences_and_conditions_are_recorded_and_by_recipe_honoured(kind: str, page: list[tuple[str, str]]) -> None:
    with HostileWeb() as web:
        url = web.page("/a.jpg", body(b"image", page))
        with looking(web) as fetch:
            found = fetch.fetch(url)
            assert found.opt_out is None and len(found.signs) == 1
        with looking(web, **{kind: "reject"}) as fetch:
            rejected = rejection(fetch, url)
            assert rejected.reason is Reason.USE_RESTRICTED and rejected.signs == found.signs


def test_what_forbids_is_kept_where_the_recipe_only_records_it() -> None:
    for settings, download in (({"forbidden": "record"}, {}), ({}, {"opt_out": False})):
        with HostileWeb() as web:
            signals = Signals.model_validate(settings)
            with fetcher(web.authority, signals=signals, **download) as fetch:
                web.page(ROBOTS, body(b"User-agent: *\nDisallow: /"))
                found = fetch.fetch(web.page("/a.jpg", body(b"image", [("X-Robots-Tag", "noai")])))
                assert [s.what for s in found.signs] == ["robots.txt", "x-robots-tag"]
                assert found.data == b"image" and found.opt_out == "User-agent: * / Disallow: /"
    with HostileWeb() as web, fetcher(web.authority, signals=Signals(forbidden="record"), robots_txt=True) as fetch:
        web.page(ROBOTS, body(b"User-agent: *\nDisallow: /"))
        assert rejection(fetch, web.page("/a.jpg", IMAGE)).reason is Reason.ROBOTS_TXT


def test_each_file_of_a_host_is_asked_for_once_by_all_threads() -> None:
    with HostileWeb() as web, looking(web) as fetch:
        web.page(ROBOTS, body(b"User-agent: *\nDisallow: /no"))
        urls = [web.page(f"/{n}", IMAGE) for n in range(40)]
        with ThreadPoolExecutor(16) as pool:
            assert {f.data for f in pool.map(fetch.fetch, urls)} == {b"image"}
        assert (web.asked(ROBOTS), web.asked(TDMREP)) == (1, 1)


def test_nobody_is_asked_for_what_the_recipe_leaves_out() -> None:
    with HostileWeb() as web:
        for settings, asked in (({"robots": False}, (0, 1)), ({"tdmrep": False}, (1, 1)), ({"enabled": False}, (1, 1))):
            with looking(web, **settings) as fetch:
                assert fetch.fetch(web.page("/a.jpg", IMAGE)).data == b"image"
            assert (web.asked(ROBOTS), web.asked(TDMREP)) == asked


def test_a_redirect_asks_every_host_and_keeps_what_each_said() -> None:
    with HostileWeb() as web, HostileWeb("127.0.0.2") as other:
        web.page(ROBOTS, body(b"License: https://h/rsl.xml"))
        other.page(TDMREP, body(reserved()))
        url = web.page("/a.jpg", redirect(other.page("/b.jpg", IMAGE)))
        with fetcher("127.0.0.1", "127.0.0.2", signals=Signals()) as fetch:
            rejected = rejection(fetch, url)
        assert (rejected.reason, rejected.final_url) == (Reason.OPTED_OUT, other.url("/b.jpg"))
        assert [(s.what, s.host) for s in rejected.signs] == [
            ("rsl-license", "127.0.0.1"),
            ("tdmrep.json", "127.0.0.2"),
        ]


@pytest.mark.parametrize("path", [ROBOTS, TDMREP])
def test_the_files_are_fetched_behind_the_guard(path: str) -> None:
    with canary() as secret, HostileWeb("127.0.0.2") as web, fetcher("127.0.0.2", signals=Signals()) as fetch:
        web.page(path, redirect(secret.url(path)))
        url = web.page("/a.jpg", IMAGE)
        if path == ROBOTS:
            assert rejection(fetch, url).reason is Reason.FORBIDDEN_ADDRESS
        else:
            (sign,) = fetch.fetch(url).signs
            assert (sign.what, sign.verdict, sign.host) == ("tdmrep.json", SignalVerdict.UNKNOWN, "127.0.0.2")


@pytest.mark.parametrize("page", [status(500), status(503), hang()], ids=["500", "503", "hang"])
def test_a_failure_that_may_pass_is_no_verdict(page: object) -> None:
    with HostileWeb() as web, fetcher(web.authority, signals=Signals(), timeout=0.4) as fetch:
        web.page(TDMREP, page)  # type: ignore[arg-type]
        url = web.page("/a.jpg", IMAGE)
        (sign,) = fetch.fetch(url).signs
        assert (sign.what, sign.verdict) == ("tdmrep.json", SignalVerdict.UNKNOWN)
    with HostileWeb() as web, fetcher(web.authority, signals=Signals(), timeout=0.4) as fetch:
        web.page(ROBOTS, page)  # type: ignore[arg-type]
        rejected = rejection(fetch, web.page("/a.jpg", IMAGE))
        assert rejected.reason in (Reason.HTTP_5XX, Reason.TIMEOUT) and rejected.opt_out is None
        assert [(s.what, s.verdict.value) for s in rejected.signs] == [("robots.txt", "unknown")]
        assert (web.asked("/a.jpg"), web.asked(TDMREP)) == (0, 0)


class _Host:
    """Answers for a host, and counts; ``lost`` is raised while it is set."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked = 0
        self.lost: FetchRejected | None = None

    def __call__(self, url: str) -> _Host:
        if url.endswith("robots.txt"):
            self.asked += 1
            if self.lost is not None:
                raise self.lost
            return self
        raise FetchRejected(Reason.HTTP_404, "status 404", status=404)


def test_a_host_that_could_not_be_asked_is_asked_again_later_and_an_answer_is_kept_for_a_day() -> None:
    now, host = [0.0], _Host(b"User-agent: *\nDisallow: /no")
    files = HostFiles(host, Policy.of_recipe(Download(), Signals()), clock=lambda: now[0])
    host.lost = FetchRejected(Reason.TIMEOUT, "late", transient=True)
    for _ in range(3):
        with pytest.raises(FetchRejected):
            files.signs(parse("http://h.example/no"))
    assert host.asked == 1
    host.lost, now[0] = None, RETRY_SECONDS + 1
    assert len(files.signs(parse("http://h.example/no"))) == 1
    assert files.signs(parse("http://h.example/yes")) == [] and host.asked == 2
    now[0] += 24 * 3600 + 1
    files.signs(parse("http://h.example/yes"))
    assert host.asked == 3


def test_of_more_hosts_than_are_kept_the_oldest_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.fetch.host_files._KEPT_BYTES", 1000)
    host = _Host(b"User-agent: *\nDisallow: /no\n".ljust(100, b"#"))
    files = HostFiles(host, Policy.of_recipe(Download(), Signals()))
    for n in range(30):
        files.signs(parse(f"http://h{n}.example/a"))
    assert len(files._known) <= 10 and files._bytes <= 1000
    files.signs(parse("http://h29.example/b"))
    assert host.asked == 30
    files.signs(parse("http://h0.example/b"))
    assert host.asked == 31


@pytest.mark.parametrize("honoured", [True, False])
def test_the_bytes_of_a_local_image_are_looked_at_too(tmp_path: Path, honoured: bool) -> None:
    path = tmp_path / "a.jpg"
    packet = xmp_packet("<plus:DataMining>DMI-PROHIBITED</plus:DataMining><dc:rights>mine</dc:rights>")
    path.write_bytes(encoded(natural(240, 240), "JPEG", xmp=packet))
    row = dataclasses.replace(source_row(0, ""), url=None, local_file=str(path))
    policy = Policy.of_recipe(Download(), Signals(forbidden="reject" if honoured else "record"))
    with fetcher() as nobody:
        result = process_row(row, nobody, Download(), lambda _: nullcontext(), policy=policy)
    assert isinstance(result.row, HashedRow) and result.row.signs is not None
    assert [(s.what, s.place) for s in unpacked(result.row.signs)] == [
        ("plus:DataMining", "image:xmp"),
        ("dc:rights", "image:xmp"),
    ]
    assert (result.data is None, result.row.reason) == ((True, Reason.OPTED_OUT) if honoured else (False, None))
    assert process_row(row, nobody, Download(), lambda _: nullcontext()).row.reason is None
