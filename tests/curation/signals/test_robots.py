"""robots.txt as evidence: whom it excludes, what it says of use, and with which lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protego import Protego

from curation.signals.robots import parse_robots
from schemas.signals import AGENTS, SignalVerdict


def signs(text: str | bytes, path: str = "/img/a.jpg", others: tuple[str, ...] = AGENTS) -> list[tuple[str, str, str]]:
    data = text.encode() if isinstance(text, str) else text
    found = parse_robots(data, "lapidary", others).signs(f"http://h.example{path}", path)
    return [(s.what, s.verdict.value, s.verbatim) for s in found]


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        ("User-agent: *\nDisallow: /", ["User-agent: * / Disallow: /"]),
        ("User-agent: *\nDisallow: /\nDisallow: /img/ # no\n", ["User-agent: * / Disallow: /img/"]),
        ("User-agent: lapidary\nDisallow: /img\nUser-agent: *\nDisallow:", ["User-agent: lapidary / Disallow: /img"]),
        ("User-agent: CCBot\nDisallow: /", ["User-agent: ccbot / Disallow: /"]),
        ("User-agent: img2dataset\nDisallow: /*.jpg$\n", ["User-agent: img2dataset / Disallow: /*.jpg$"]),
        ("user-agent: gptbot\nuser-agent: ccbot\ndisallow: /", ["User-agent: ccbot / disallow: /"]),
        ("User-agent: GPTBot\nDisallow: /\nAllow: /img/", []),
        ("User-agent: GPTBot\nDisallow: /other/", []),
        ("User-agent: GPTBot\nDisallow:", []),
        ("User-agent: SomeSearch\nDisallow: /", []),
        ("User-agent: *\nDisallow: /\n\nUser-agent: lapidary\nAllow: /", []),
        ("User-agent: Google-Extended\n\nUser-agent: CCBot\n# both\nDisallow: /img/", None),
        ("", []),
        ("<html><body>not found</body></html>", []),
    ],
)
def test_who_is_excluded_and_by_which_line(text: str, evidence: list[str] | None) -> None:
    found = signs(text)
    assert {(what, verdict) for what, verdict, _ in found} <= {("robots.txt", "forbids")}
    if evidence is None:
        assert len(found) == 1 and found[0][2].endswith("Disallow: /img/")
    else:
        assert [line for _, _, line in found] == evidence


def test_a_robot_that_the_recipe_does_not_name_excludes_nobody() -> None:
    text = "User-agent: CCBot\nDisallow: /"
    assert signs(text, others=("GPTBot",)) == []
    assert len(signs(text, others=("ccbot",))) == 1


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["Content-Usage: train-ai=n"], [("forbids", "Content-Usage: train-ai=n")]),
        (["Content-Usage: train-ai=y", "Content-Usage: /img/ train-ai=n"], [("forbids", None)]),
        (["Content-Usage: train-ai=n", "Content-Usage: /img/ train-ai=y"], [("allows", None)]),
        (["Content-Usage: /img/ train-ai=y", "Content-Usage: /img/ train-ai=n"], [("forbids", None)]),
        (["Content-Usage: /img/ train-ai=n", "Content-Usage: /img/ train-ai=y"], [("forbids", None)]),
        (["Content-Usage: /img/a.jpg$ train-ai=n", "Content-Usage: /img/ train-ai=y"], [("forbids", None)]),
        (["Content-Usage: /other/ train-ai=n"], []),
        (["Content-Usage: train-ai=no"], [("unknown", "Content-Usage: train-ai=no")]),
        (["Content-Usage: /img/ Train-AI=n"], [("unknown", None)]),
    ],
)
def test_the_longest_path_wins_and_of_equals_the_stricter(
    lines: list[str], found: list[tuple[str, str | None]]
) -> None:
    got = signs("\n".join(["User-agent: *", "Allow: /", *lines]))
    assert [(what, verdict) for what, verdict, _ in got] == [("content-usage", verdict) for verdict, _ in found]
    assert all(line is None or line == verbatim for (_, line), (_, _, verbatim) in zip(found, got, strict=True))


def test_preferences_count_in_our_group_in_those_of_named_robots_and_before_all_groups() -> None:
    usage = "Content-Usage: train-ai=n\n"
    assert signs(f"User-agent: other\n{usage}Allow: /\nUser-agent: *\nAllow: /") == []
    assert signs(f"User-agent: lapidary\nAllow: /\nUser-agent: *\n{usage}") == []
    assert len(signs(f"User-agent: CCBot\n{usage}User-agent: *\nAllow: /")) == 1
    assert len(signs(f"{usage}User-agent: *\nAllow: /")) == 1
    cloudflare = "# comments\nUser-Agent: *\nContent-Signal: search=yes,ai-train=no\nAllow: /\n"
    assert signs(cloudflare) == [("content-signal", "forbids", "Content-Signal: search=yes,ai-train=no")]


def test_a_licence_is_for_all_robots() -> None:
    text = "License: https://h.example/rsl.xml\nUser-agent: other\nDisallow: /\n"
    assert signs(text) == [("rsl-license", "licence", "https://h.example/rsl.xml")]
    assert signs("User-agent: x\nlicense: /rsl.xml # relative") == [("rsl-license", "unknown", "/rsl.xml")]


def test_spellings_of_one_path_are_one_path() -> None:
    text = "User-agent: *\nContent-Usage: /caf%C3%A9/%7Eme/ train-ai=n"
    assert [v for _, v, _ in signs(text, "/caf%c3%a9/~me/a.jpg")] == ["forbids"]
    assert signs("User-agent: *\nContent-Usage: /a%2Fb train-ai=n", "/a/b") == []


@given(st.binary(max_size=400), st.sampled_from(["/", "/a.jpg", "/%zz?x=%", "/é"]))
def test_any_bytes_are_read(data: bytes, path: str) -> None:
    for what, verdict, verbatim in signs(data, path):
        assert what and verdict in SignalVerdict and len(verbatim) <= 1000


_WORDS = ["user-agent: *", "user-agent: lapidary", "user-agent: ccbot", "user-agent: x", "disallow: /", "disallow:"]
_WORDS += ["allow: /a", "disallow: /a/*.jpg$", "content-usage: /a train-ai=n", "content-signal: ai-train=no", ""]
_WORDS += ["sitemap: http://h/s", "license: http://h/l", "# nothing", "crawl-delay: 1", "content-usage:", "disallow /a"]


@given(st.lists(st.sampled_from(_WORDS), max_size=12))
def test_rules_for_us_are_those_that_protego_reads_in_the_whole_file(lines: list[str]) -> None:
    text, url = "\n".join(lines), "http://h.example/a/b.jpg"
    theirs = Protego.parse(text).can_fetch(url, "lapidary")
    found = parse_robots(text.encode(), "lapidary").signs(url, "/a/b.jpg")
    assert all(s.what != "robots.txt" for s in found) is theirs


def test_a_file_of_countless_names_and_rules_is_no_bomb() -> None:
    names = b"".join(b"User-agent: %s\n" % name.encode() for name in AGENTS)
    rules = b"".join(b"Disallow: /%d\n" % n for n in range(14_000))
    groups = b"".join(b"User-agent: %s\nDisallow: /x%d\n" % (n.encode(), i) for i, n in enumerate(AGENTS))
    found = parse_robots(groups + names + rules, "lapidary", AGENTS)
    assert found.of_others == ()
    (sign,) = found.signs("http://h.example/13.jpg", "/13.jpg")
    assert (sign.verdict, sign.what) == (SignalVerdict.UNKNOWN, "robots.txt")
