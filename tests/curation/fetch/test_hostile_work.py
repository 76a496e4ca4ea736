"""Hostile bytes cost time that grows with their number alone: no pattern goes over them again and again.

Where a function has no limit of its own it is given millions of bytes: work that grew with their square would not end
before the suite's own limit. No test here looks at a clock.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.core.url import parse
from curation.fetch.host_files import MAX_BYTES, HostFiles
from curation.images.facts import PixelsRejected
from curation.images.sniff import image_format
from curation.signals.embedded import image_signs
from curation.signals.headers import header_signs
from curation.signals.policy import Policy
from curation.signals.robots import parse_robots
from curation.signals.x_robots import opts_out
from curation.signals.xmp import xmp_signs
from schemas.reasons import Reason
from schemas.recipe import Download
from tests.support.fetchers import fetcher, rejection
from tests.support.hostile_web import HostileWeb, Page, Visit, body, raw

ROOT = Path(__file__).resolve().parents[3]
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

SNIFFED = """
import pickle, sys
from curation.images.sniff import PixelsRejected, image_format
for data in pickle.load(sys.stdin.buffer):
    try:
        image_format(data)
    except PixelsRejected as rejected:
        print(rejected.reason.value)
"""


def test_what_begins_like_a_drawing_for_ever_is_no_image() -> None:
    pieces = [
        b"<!---->",
        b"<?xml?>",
        b"<!DOCTYPE svg>",
        b"<!-- -->\n",
        b"<!--",
        b"<?xml",
        b"<!DOCTYPE svg",
        b"\n",
        b"x:",
    ]
    pieces += [b"<!DOCTYPE svg[ ]>", b"<!DOCTYPE svg[", b"<!DOCTYPE svg[]", b"<!DOCTYPE svg[>] "]
    bodies = [piece * (4096 // len(piece)) for piece in pieces]
    # In a process that can be ended: a pattern that runs wild holds the interpreter's lock.
    command = [sys.executable, "-c", SNIFFED]
    done = subprocess.run(command, input=pickle.dumps(bodies), capture_output=True, cwd=ROOT, check=True, timeout=60)
    assert done.stdout.decode().split() == ["not_an_image"] * len(bodies)


ENTITIES = """<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "svg11.dtd" [
    <!ENTITY ns_svg "http://www.w3.org/2000/svg"> <!ENTITY ns_xlink "http://www.w3.org/1999/xlink">
] >"""
PARTS = st.sampled_from(
    ["<!-- drawn -->", "<?xml version='1.0'?>", "<!DOCTYPE  svg PUBLIC 'x'>", ENTITIES, "\n", "  ", "\t"]
)


@given(st.booleans(), st.lists(PARTS, max_size=8), st.sampled_from(["<svg>", "<SVG ", "<svg:svg>", "<x:svg\n"]))
@settings(max_examples=100, deadline=None)
def test_a_drawing_is_known_behind_any_prologue(mark: bool, prologue: list[str], root: str) -> None:
    data = b"\xef\xbb\xbf" * mark + ("".join(prologue) + root).encode()
    with pytest.raises(PixelsRejected) as caught:
        image_format(data + b" width='10'/>")
    assert (caught.value.reason, caught.value.detail) == (Reason.UNSUPPORTED_FORMAT, "svg")


ENDLESS_TAGS = ["a{}!: x", "1{}: x", "a/{} : x", "a:{}", " {}: noai2", ",{}", "-{}:"]


@pytest.mark.parametrize("form", ENDLESS_TAGS)
def test_an_endless_robots_tag_is_read_once(form: str) -> None:
    before, after = form.split("{}")
    assert not opts_out(before * 2_000_000 + after, {"lapidary"})
    with HostileWeb() as web, fetcher(web.authority, timeout=30.0) as fetch:
        value = (before * 60_000)[:60_000].strip() + after
        url = web.page("/a.jpg", body(b"image", [("X-Robots-Tag", value)]))
        assert fetch.fetch(url).data == b"image"


@given(st.text("ab1.-_+*/ ", max_size=12))
@settings(max_examples=300, deadline=None)
def test_a_name_of_letters_digits_and_dots_with_a_letter_scopes_what_follows(name: str) -> None:
    head, slash, version = name.strip().partition("/")
    plain = head != "" and set(head) <= set("ab1.-_+") and any(c.isalpha() for c in head)
    sound = (plain or head == "*") and not (slash and any(c.isspace() for c in version))
    ours = not sound or head == "*"
    assert opts_out(f"{name}: noai", {"lapidary"}) is ours


def in_pieces(*pieces: bytes) -> Page:
    """The response a piece at a time, far enough apart to arrive so."""

    def send(visit: Visit) -> bool:
        for piece in pieces:
            visit.send(piece)
            time.sleep(0.002)
        return False

    return send


BLANKS = b" " * 60_000
LINES: dict[str, Page] = {
    "header": raw(OK + b"X-A:" + BLANKS + b"\0\r\n\r\n"),
    "header_of_tabs": raw(OK + b"X-A:" + b" \t" * 30_000 + b"\0\r\n\r\n"),
    "header_in_pieces": in_pieces(OK + b"X-A:", *[b" " * 400] * 150, b"\0\r\n\r\n"),
    "interim": raw((b"HTTP/1.1 103 Hints\r\nX-A:" + b" " * 20_000 + b"b\r\n\r\n") * 20),
    "trailer": raw(CHUNKED + b"0\r\nX-A:" + BLANKS + b"\0\r\n\r\n"),
    "trailer_in_pieces": in_pieces(CHUNKED + b"0\r\nX-A:", *[b" " * 400] * 150, b"\0\r\n\r\n"),
    "chunk_extension": raw(CHUNKED + b"1;" + BLANKS + b"\n\r\nx\r\n"),
    "chunk_extension_in_pieces": in_pieces(CHUNKED + b"1;", *[b" " * 400] * 150, b"\n\r\nx\r\n"),
}


@pytest.mark.parametrize("name", LINES)
def test_a_broken_line_of_countless_blanks_is_not_http(name: str) -> None:
    with HostileWeb() as web, fetcher(web.authority, timeout=30.0) as fetch:
        assert rejection(fetch, web.page("/a.jpg", LINES[name])).reason is Reason.HTTP_UNEXPECTED


@given(
    st.binary(max_size=50),
    st.integers(0, 9000),
    st.lists(st.integers(1, 400), max_size=12),
    st.sampled_from(["chunked", "length", "neither"]),
)
@settings(max_examples=40, deadline=None)
def test_blanks_in_a_body_are_part_of_it(data: bytes, blanks: int, cuts: list[int], form: str) -> None:
    sent = data + b" \t" * blanks + data
    match form:
        case "chunked":
            half = len(sent) // 2
            chunks = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in (sent[:half], sent[half:]) if c)
            answer = CHUNKED + chunks + b"0\r\n\r\n"
        case "length":
            answer = OK + b"Content-Length: %d\r\n\r\n" % len(sent) + sent
        case _:
            answer = OK + b"\r\n" + sent
    pieces = []
    for cut in cuts:  # the head's end falls between two of them now and then
        pieces.append(answer[:cut])
        answer = answer[cut:]
    with HostileWeb() as web, fetcher(web.authority, timeout=30.0) as fetch:
        assert fetch.fetch(web.page("/a.jpg", in_pieces(*filter(None, pieces), answer))).data == sent


class _Body:
    def __init__(self, data: bytes) -> None:
        self.data = data


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028"])
@pytest.mark.parametrize("directive", ["user-agent:", "useragent ", "user\tagent ", "User   Agent "])
def test_robots_in_any_spelling_do_not_multiply_their_rules(end: str, directive: str) -> None:
    names = [f"{directive}robot{n}" for n in range(2500)]
    rules = [f"disallow:/{n}" for n in range(2500)]
    text = end.join([*names, *rules, f"{directive}lapidary", "disallow:/ours"])
    assert len(text.encode()) < MAX_BYTES
    policy = Policy.of_recipe(Download(robots_txt=True), None)
    files = HostFiles(lambda url: _Body(text.encode()), policy)
    assert files.signs(parse("http://x.test/free")) == []
    assert policy.against(files.signs(parse("http://x.test/ours"))) is not None
    (known,) = files._known.values()
    robots = known.result().robots
    assert robots is not None
    assert len(robots.rules._user_agents) == 2  # ours and all others, not 2500


@pytest.mark.parametrize("blanks", [" ", "\t ", "\xa0"])
def test_endless_blanks_in_a_line_of_robots_txt_are_read_once(blanks: str) -> None:
    line = blanks * (200_000 // len(blanks))
    text = f"user-agent: lapidary\ndisallow{line}\ndisallow{line}/a{line}\nlicense{line}\ncontent-usage{line}x\n"
    found = list(parse_robots(text.encode(), "lapidary").signs("http://x.test/a", "/a"))
    assert [s.what for s in found] == ["robots.txt"]


@pytest.mark.parametrize("piece", ["<", "a-", "plus:DataMining", "<a:DataMining ", "x:DataMining='", "dc:rights>&"])
def test_an_endless_packet_of_xmp_is_read_once(piece: str) -> None:
    assert all(len(s.verbatim) <= 1000 for s in xmp_signs((piece * 1_000_000).encode()[: 1 << 20]))


@pytest.mark.parametrize("piece", [b"jumb", b"<x:xmpmeta", b"jumd\0\0\0\0jumb"])
def test_a_file_of_nothing_but_beginnings_is_read_once(piece: bytes) -> None:
    assert image_signs(piece * (20_000_000 // len(piece))) == []


@pytest.mark.parametrize("piece", [b"<", b"<a>;", b"<a>; rel=", b";rel ", b'<a>;rel="'])
def test_an_endless_link_is_read_once(piece: bytes) -> None:
    assert len(header_signs([(b"Link", piece * 100_000)], ())) <= 1
