"""Signals in response headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.signals.headers import header_signs, superseded
from curation.signals.sign import Sign
from curation.signals.x_robots import opts_out
from schemas.signals import SignalVerdict

AGENTS = ("lapidary", "ccbot")


def signs(*headers: tuple[str, str]) -> list[tuple[str, str, str]]:
    found = header_signs([(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers], AGENTS)
    return [(s.what, s.verdict.value, s.verbatim) for s in found]


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
        # so does one of those that the recipe names
        ("CCBot: noai", True), ("googlebot: all, ccbot: noindex", True), ("ccbot: all", False),
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
    assert opts_out(value, AGENTS) is out
    assert signs(("X-Robots-Tag", value)) == ([("x-robots-tag", "forbids", f"X-Robots-Tag: {value}")] if out else [])


@given(st.text(max_size=80))
def test_any_value_gets_an_answer(value: str) -> None:
    assert opts_out(value, AGENTS) in (True, False)
    assert opts_out(value + ", *: noai", AGENTS)


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([("x-ROBOTS-tag", "nofollow"), ("X-Robots-Tag", "NoAI")], [("x-robots-tag", "forbids")]),
        ([("X-Robots-Tag", "googlebot: all"), ("X-Robots-Tag", "noml")], [("x-robots-tag", "forbids")]),
        ([("X-Robots-Tag", "\xff\xfe, noai")], [("x-robots-tag", "forbids")]),
        ([("X-Robots", "noai"), ("Robots", "noai")], []),
        ([("TDM-Reservation", "1")], [("tdm-reservation", "forbids")]),
        ([("tdm-reservation", " 1 ")], [("tdm-reservation", "forbids")]),
        ([("tdm-reservation", "0")], [("tdm-reservation", "allows")]),
        ([("tdm-reservation", "10")], [("tdm-reservation", "unknown")]),
        ([("tdm-reservation", "yes")], [("tdm-reservation", "unknown")]),
        ([("tdm-policy", "https://h/p.json")], [("tdm-policy", "licence")]),
        ([("tdm-policy", " ")], [("tdm-policy", "unknown")]),
        ([("Content-Usage", "train-ai=n")], [("content-usage", "forbids")]),
        ([("Content-Usage", "search=y"), ("content-usage", "train-ai=n")], [("content-usage", "forbids")]),
        ([("Content-Usage", "train-ai=n"), ("Content-Usage", "train-ai=y")], [("content-usage", "allows")]),
        ([("Content-Usage", "train-ai=n"), ("Content-Usage", "!")], [("content-usage", "unknown")]),
        ([("Content-Signal", "ai-train=no")], [("content-signal", "forbids")]),
        ([("Link", '<https://h/l>; rel="license"')], [("link-license", "licence")]),
        ([("link", "<a>; rel=next, <b>; rel=license, <c>; REL='x'")], [("link-license", "licence")]),
        ([("Link", '<https://h/l>; type="application/rsl+xml"; rel="x License"')], [("link-license", "licence")]),
        ([("Link", '<https://h/l>; rel="licenses"; title="license"')], []),
        ([("Link", "<https://h/l")], []),
        ([], []),
    ],
    ids=str,
)
def test_every_header_gets_its_verdict(headers: list[tuple[str, str]], found: list[tuple[str, str]]) -> None:
    assert [(what, verdict) for what, verdict, _ in signs(*headers)] == found


def test_evidence_is_the_header_as_it_came() -> None:
    assert signs(("X-Robots-Tag", "\xff\xfe, noai"))[0][2] == "X-Robots-Tag: ÿþ, noai"
    assert signs(("Content-Usage", "search=y"), ("CONTENT-USAGE", "a=1"))[0][2] == "Content-Usage: search=y, a=1"
    assert signs(("Link", '<https://h/l?a=1>; rel="license"'))[0][2] == "https://h/l?a=1"


_NAMES = st.sampled_from(
    [b"X-Robots-Tag", b"Content-Usage", b"tdm-reservation", b"tdm-policy", b"Link", b"Content-Signal"]
)


@given(st.lists(st.tuples(_NAMES | st.binary(max_size=8), st.binary(max_size=60)), max_size=6))
def test_any_headers_are_read(headers: list[tuple[bytes, bytes]]) -> None:
    assert all(s.verdict in SignalVerdict and len(s.verbatim) <= 1000 for s in header_signs(headers, AGENTS))


def test_the_header_supersedes_the_file_and_other_signs_stay() -> None:
    reserved = Sign("tdmrep.json", "{}", SignalVerdict.FORBIDS, "https://h/.well-known/tdmrep.json", "h")
    robots = Sign("robots.txt", "Disallow: /", SignalVerdict.FORBIDS)
    for value, holds in (("0", False), ("1", False), ("maybe", True)):
        of_file = superseded([reserved, robots], header_signs([(b"tdm-reservation", value.encode())], AGENTS))
        assert (of_file[0].verdict is SignalVerdict.FORBIDS) is holds
        assert of_file[1] == robots and of_file[0].verbatim == "{}"
