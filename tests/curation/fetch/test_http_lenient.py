"""Responses outside the grammar that browsers or curl read are read here too, with the same body."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.fetch.body import Stream, decoders, looks_whole
from curation.fetch.head import parse_head
from curation.fetch.http import Fetcher, FetchRejected
from schemas.reasons import Reason
from tests.support.fetchers import fetcher, rejection
from tests.support.hostile_web import HostileWeb, drip, hang, raw, reset
from tests.support.images import encoded, jpeg, natural

PIXELS = natural(40, 30)
IMAGE = jpeg(PIXELS)
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(IMAGE)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HALF = len(IMAGE) // 2


@pytest.fixture(scope="module")
def web() -> Iterator[HostileWeb]:
    with HostileWeb() as web:
        yield web


@pytest.fixture(scope="module")
def fetch(web: HostileWeb) -> Iterator[Fetcher]:
    with fetcher(web.authority, timeout=2.0, max_bytes=1 << 20) as fetch:
        yield fetch


def chunks(*pieces: bytes, size: bytes = b"%x", after_size: bytes = b"\r\n", after: bytes = b"\r\n") -> bytes:
    return b"".join(size % len(piece) + after_size + piece + after for piece in pieces)


# Each line stands between the status line and a Content-Length, on a connection that stays open: whoever loses the
# header behind it waits for ever.
LINES: dict[str, bytes] = {
    "blank_before_the_colon": b"X-Powered-By : PHP\r\n",
    "tab_before_the_colon": b"X-Powered-By\t: PHP\r\n",
    "blank_in_the_name": b"X Powered By: PHP\r\n",
    "no_colon": b"Access-Control-Allow-Origin *\r\n",
    "no_colon_and_then_a_continuation": b"Nonsense\r\n continued: 1\r\n",
    "no_name": b": value\r\n",
    "blank_name": b"   \t: value\r\n",
    "only_a_colon": b":\r\n",
    "no_value": b"X-A:\r\n",
    "quoted_whole": b'"X-XSS-Protection: 0"\r\n',
    "equals_sign": b"X-XSS-Protection=1;\r\n",
    "brackets": b"X-Cache(edge)[1]{2}<3>@: HIT\r\n",
    "utf8_name": "X-Größe: 3\r\n".encode(),
    "utf8_value": "X-A: größe 😀\r\n".encode(),
    "latin1": b"X-Gr\xf6\xdfe: \xe9\r\n",
    "control_characters": b"Set-Cookie: a=\x01\x02\x1b\x7fb\r\nX\x01: 1\r\n",
    "continuation": b"X-A: a\r\n b\r\n\tc\r\n",
    "continuation_without_text": b"X-A: a\r\n \r\n",
    "bare_newline": b"X-A: a\nX-B: b\n",
    "bare_carriage_return": b"X-A: a\rX-B: b\r\n",
    "two_carriage_returns": b"X-A: a\r\r\n",
    "status_line_again": b"HTTP/1.1 200 OK\r\n",
    "markup": b"<br />\r\n<b>Warning</b>:  headers already sent in <b>/a.php</b>\r\n",
    "long_line": b"X-A: " + b"a" * 30_000 + b"\r\n",
    "many_blanks": b"X-A:" + b" " * 30_000 + b"\r\n",
    "many_tabs_before_the_colon": b"X-A" + b"\t" * 30_000 + b":\r\n",
    "many_lines": b"X-A: a\r\n" * 3000,
}


@pytest.mark.parametrize("name", LINES)
def test_a_malformed_header_line_hides_no_other(web: HostileWeb, fetch: Fetcher, name: str) -> None:
    page = raw(OK + LINES[name] + LENGTH + b"\r\n" + IMAGE, keep=True)
    assert fetch.fetch(web.page(f"/line/{name}", page)).data == IMAGE


STATUS_LINES: dict[str, bytes] = {
    "no_reason": b"HTTP/1.1 200\r\n",
    "no_reason_but_a_blank": b"HTTP/1.1 200 \r\n",
    "many_blanks": b"HTTP/1.1   200   OK\r\n",
    "tabs": b"HTTP/1.1\t200\tOK\r\n",
    "nothing_between": b"HTTP/1.1 200OK\r\n",
    "reason_of_odd_bytes": b"HTTP/1.1 200 \xc3\xa9\xff\x01\r\n",
    "lower_case": b"http/1.1 200 ok\r\n",
    "icy": b"ICY 200 OK\r\n",
    "http_1": b"HTTP/1 200 OK\r\n",
    "http_2": b"HTTP/2 200\r\n",
    "http_2_0": b"HTTP/2.0 200 OK\r\n",
    "http_1_2": b"HTTP/1.2 200 OK\r\n",
    "http_0_9": b"HTTP/0.9 200 OK\r\n",
    "no_version": b"HTTP 200 OK\r\n",
    "no_status": b"HTTP/1.1 OK\r\n",
    "version_alone": b"HTTP/1.1\r\n",
    "empty_lines_before": b"\r\n\r\n\nHTTP/1.1 200 OK\r\n",
    "byte_order_mark": b"\xef\xbb\xbfHTTP/1.1 200 OK\r\n",
    "blanks_before": b"  HTTP/1.1 200 OK\r\n",
    "bare_newline": b"HTTP/1.1 200 OK\n",
    "two_carriage_returns": b"HTTP/1.1 200 OK\r\r\n",
}


@pytest.mark.parametrize("name", STATUS_LINES)
def test_an_odd_status_line_is_read(web: HostileWeb, fetch: Fetcher, name: str) -> None:
    page = raw(STATUS_LINES[name] + LENGTH + b"\r\n" + IMAGE)
    fetched = fetch.fetch(web.page(f"/status/{name}", page))
    assert (fetched.data, fetched.status) == (IMAGE, 200)


BOUNDS: dict[str, bytes] = {
    "length_twice": LENGTH * 2 + b"\r\n" + IMAGE,
    "length_as_a_list": b"Content-Length: %d, %d\r\n\r\n" % (len(IMAGE), len(IMAGE)) + IMAGE,
    "length_with_zeros": b"Content-Length: 000%d\r\n\r\n" % len(IMAGE) + IMAGE,
    "length_twice_with_zeros": LENGTH + b"Content-Length: 0%d\r\n\r\n" % len(IMAGE) + IMAGE,
    "length_continued": b"Content-Length:\r\n %d\r\n\r\n" % len(IMAGE) + IMAGE,
    "empty_length": b"Content-Length:\r\n\r\n" + IMAGE,
    "length_of_words": b"Content-Length: unknown\r\n\r\n" + IMAGE,
    "length_with_a_unit": b"Content-Length: 5 bytes\r\n\r\n" + IMAGE,
    "indented_headers": b" " + LENGTH + b" X-A: b\r\n\r\n" + IMAGE + b"garbage",
    "end_of_head_of_newlines": LENGTH.replace(b"\r", b"") + b"\n" + IMAGE,
    "end_of_head_mixed": LENGTH + b"X: y\n\r\n" + IMAGE,
    "end_of_head_of_two_carriage_returns": LENGTH + b"X: y\r\r\n\r\r\n" + IMAGE,
    "identity": b"Transfer-Encoding: identity\r\n" + LENGTH + b"\r\n" + IMAGE,
    "identity_to_the_end": b"Transfer-Encoding: identity\r\n\r\n" + IMAGE,
    "unknown_coding": b"Transfer-Encoding: nonsense\r\n" + LENGTH + b"\r\n" + IMAGE,
    "chunked_twice": CHUNKED * 2 + b"\r\n" + chunks(IMAGE[:HALF], IMAGE[HALF:], b""),
    "chunked_twice_in_a_list": b"Transfer-Encoding: chunked, Chunked\r\n\r\n" + chunks(IMAGE, b""),
    "chunked_and_identity": b"Transfer-Encoding: identity, chunked\r\n\r\n" + chunks(IMAGE, b""),
    "identity_after_chunked": CHUNKED + b"Transfer-Encoding: identity\r\n\r\n" + chunks(IMAGE, b""),
    "chunked_with_a_parameter": b"Transfer-Encoding: chunked;q=1\r\n\r\n" + chunks(IMAGE, b""),
    "chunked_in_capitals": b"TRANSFER-ENCODING: CHUNKED\r\n\r\n" + chunks(IMAGE, b""),
    "chunked_and_gzip": b"Transfer-Encoding: gzip, chunked\r\n\r\n" + chunks(gzip.compress(IMAGE), b""),
    "chunked_and_a_length": CHUNKED + b"Content-Length: 7\r\n\r\n" + chunks(IMAGE, b""),
    "chunked_and_two_lengths": CHUNKED + b"Content-Length: 7\r\nContent-Length: 8\r\n\r\n" + chunks(IMAGE, b""),
    "size_with_blanks": CHUNKED + b"\r\n" + chunks(IMAGE, b"", after_size=b"   \r\n"),
    "size_behind_blanks": CHUNKED + b"\r\n" + chunks(IMAGE, b"", size=b" \t%x"),
    "size_with_zeros": CHUNKED + b"\r\n" + chunks(IMAGE, b"", size=b"0000000000000000000%X"),
    "extension": CHUNKED + b"\r\n" + chunks(IMAGE, b"", after_size=b';a=b;c="d;e" ;\xff=\x01\r\n'),
    "empty_extension": CHUNKED + b"\r\n" + chunks(IMAGE, b"", after_size=b" ; \r\n"),
    "bare_newlines": CHUNKED + b"\r\n" + chunks(IMAGE[:HALF], IMAGE[HALF:], b"", after_size=b"\n", after=b"\n"),
    "empty_lines_between": CHUNKED + b"\r\n" + chunks(IMAGE[:HALF], IMAGE[HALF:], after=b"\r\n\r\n") + b"0\r\n\r\n",
    "nothing_between": CHUNKED + b"\r\n" + chunks(IMAGE[:HALF], IMAGE[HALF:], after=b"") + b"0\r\n\r\n",
    "trailers": CHUNKED + b"\r\n" + chunks(IMAGE) + b"0\r\nX-Sum: 1\r\nnonsense\r\n\r\n",
    "no_end_behind_the_last_chunk": CHUNKED + b"\r\n" + chunks(IMAGE) + b"0\r\n",
    "no_line_end_behind_the_last_size": CHUNKED + b"\r\n" + chunks(IMAGE) + b"0",
    "last_chunk_of_many_zeros": CHUNKED + b"\r\n" + chunks(IMAGE) + b"00000\r\n\r\n",
    "no_last_chunk": CHUNKED + b"\r\n" + chunks(IMAGE),
    "garbage_for_a_last_chunk": CHUNKED + b"\r\n" + chunks(IMAGE) + b"-1\r\n\r\n",
    "chunks_announced_and_not_sent": CHUNKED + b"\r\n" + IMAGE,
    "garbage_behind_the_last_chunk": CHUNKED + b"\r\n" + chunks(IMAGE, b"") + b"<!-- cached -->",
    "length_too_large": b"Content-Length: %d\r\n\r\n" % (len(IMAGE) + 100) + IMAGE,
    "length_too_large_for_gzip": b"Content-Length: 99999\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(IMAGE),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_a_body_of_odd_bounds_is_read(web: HostileWeb, fetch: Fetcher, name: str) -> None:
    assert fetch.fetch(web.page(f"/bounds/{name}", raw(OK + BOUNDS[name]))).data == IMAGE


FORMATS = {
    "jpeg": IMAGE,
    "png": encoded(PIXELS, "PNG"),
    "gif": encoded(PIXELS, "GIF"),
    "webp": encoded(PIXELS, "WEBP"),
}


@pytest.mark.parametrize("format", FORMATS)
def test_a_wrong_length_costs_no_whole_image_and_saves_no_cut_one(web: HostileWeb, fetch: Fetcher, format: str) -> None:
    data = FORMATS[format]
    head = OK + b"Content-Length: %d\r\n\r\n" % (len(data) + 50)
    assert fetch.fetch(web.page(f"/whole.{format}", raw(head + data))).data == data
    assert fetch.fetch(web.page(f"/reset.{format}", reset(head + data))).data == data
    assert rejection(fetch, web.page(f"/cut.{format}", raw(head + data[:-20]))).reason is Reason.TRUNCATED


@given(st.sampled_from(sorted(FORMATS)), st.integers(1, 300))
def test_an_image_that_was_cut_does_not_look_whole(format: str, missing: int) -> None:
    data = FORMATS[format]
    assert looks_whole(data)
    assert looks_whole(data + b"\r\n\0\0")
    cut = data[:-missing]
    assert not looks_whole(cut) or cut.endswith((b"\xff\xd9", b";"))


def test_a_whole_image_behind_which_nothing_comes_is_taken_at_the_deadline(web: HostileWeb) -> None:
    head = OK + b"Content-Length: %d\r\n\r\n" % (len(IMAGE) + 50)
    with fetcher(web.authority, timeout=0.3) as hasty:
        assert hasty.fetch(web.page("/waits", drip(head + IMAGE, b""))).data == IMAGE
        assert rejection(hasty, web.page("/never", hang())).reason is Reason.TIMEOUT


def members(*parts: bytes) -> bytes:
    return b"".join(map(gzip.compress, parts))


BARE = zlib.compressobj(9, zlib.DEFLATED, -15)
CODINGS: dict[str, tuple[bytes, bytes]] = {
    "gzip": (b"gzip", gzip.compress(IMAGE)),
    "x_gzip": (b"x-gzip", gzip.compress(IMAGE)),
    "capitals_and_blanks": (b"  GZip ", gzip.compress(IMAGE)),
    "quoted": (b'"gzip"', gzip.compress(IMAGE)),
    "two_members": (b"gzip", members(IMAGE[:HALF], IMAGE[HALF:])),
    "many_members": (b"gzip", members(*[IMAGE[at : at + 7] for at in range(0, len(IMAGE), 7)])),
    "empty_members": (b"gzip", members(b"", IMAGE[:HALF], b"", IMAGE[HALF:], b"")),
    "padded_members": (b"gzip", members(IMAGE[:HALF]) + bytes(50) + members(IMAGE[HALF:]) + bytes(50)),
    "garbage_behind": (b"gzip", gzip.compress(IMAGE) + b"<!-- cached -->"),
    "half_a_magic_behind": (b"gzip", gzip.compress(IMAGE) + b"\x1f"),
    "broken_member_behind": (b"gzip", gzip.compress(IMAGE) + b"\x1f\x8b\xff\xff\xff"),
    "checksum_cut_off": (b"gzip", gzip.compress(IMAGE)[:-8]),
    "zlib": (b"deflate", zlib.compress(IMAGE)),
    "bare_deflate": (b"deflate", BARE.compress(IMAGE) + BARE.flush()),
    "garbage_behind_zlib": (b"deflate", zlib.compress(IMAGE) + b"\r\n"),
    "gzip_of_gzip": (b"gzip, gzip", gzip.compress(gzip.compress(IMAGE))),
    "deflate_then_gzip": (b"deflate, gzip", gzip.compress(zlib.compress(IMAGE))),
    "gzip_and_identity": (b"identity, gzip", gzip.compress(IMAGE)),
    "gzip_said_twice": (b"gzip, gzip", gzip.compress(IMAGE)),
    "gzip_said_and_not_done": (b"gzip", IMAGE),
    "deflate_said_and_not_done": (b"deflate", IMAGE),
    "brotli_said_and_not_done": (b"br", IMAGE),
    "aws_chunked_and_gzip": (b"aws-chunked,gzip", gzip.compress(IMAGE)),
}
CODINGS |= {
    f"plain_{n}": (word, IMAGE)
    for n, word in enumerate(
        [b"", b"identity", b"none", b"None", b"utf-8", b"UTF8", b"binary", b"8bit", b"base64", b"aws-chunked",
         b"image/jpeg", b"jpeg", b"amz-1.0", b"null", b"*", b",", b"identity, identity", b"\xff"]
    )
}  # fmt: skip


@pytest.mark.parametrize("name", CODINGS)
@pytest.mark.parametrize("bounds", ["length", "chunked", "end"])
def test_an_odd_coding_is_undone(web: HostileWeb, fetch: Fetcher, name: str, bounds: str) -> None:
    coding, sent = CODINGS[name]
    head = OK + b"Content-Encoding: " + coding + b"\r\n"
    match bounds:
        case "length":
            answer = head + b"Content-Length: %d\r\n\r\n" % len(sent) + sent
        case "chunked":
            pieces = [sent[:1], sent[1:3], sent[3:20], sent[20:-1], sent[-1:]]
            answer = head + CHUNKED + b"\r\n" + chunks(*pieces, b"")
        case _:
            answer = head + b"\r\n" + sent
    assert fetch.fetch(web.page(f"/coding/{name}/{bounds}", raw(answer))).data == IMAGE


@given(st.sampled_from(sorted(CODINGS)), st.lists(st.integers(1, 80), max_size=60))
def test_a_coding_is_undone_however_it_arrives(name: str, cuts: list[int]) -> None:
    coding, sent = CODINGS[name]
    chain = decoders(parse_head(OK + b"Content-Encoding: " + coding), 1 << 20)
    out = b""
    for cut in [*cuts, len(sent)]:
        piece, sent = sent[:cut], sent[cut:]
        for decoder in chain:
            piece = decoder.decode(piece)
        out += piece
    assert out == IMAGE


REFUSED: dict[str, bytes] = {
    "a_nul_in_the_head": OK + b"X-A: \0\r\n" + LENGTH + b"\r\n" + IMAGE,
    "different_lengths": OK + LENGTH + b"Content-Length: 9\r\n\r\n" + IMAGE,
    "different_lengths_in_a_list": OK + b"Content-Length: 9, 10\r\n\r\n" + IMAGE,
    "a_negative_length": OK + b"Content-Length: -9\r\n\r\n" + IMAGE,
    "many_codings": OK + b"Content-Encoding: " + b"gzip," * 9 + b"\r\n\r\n" + IMAGE,
    "brotli": OK + b"Content-Encoding: br\r\n\r\n\x1b\x04\x00\xf8",
    "countless_members": OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"") * 20_000,
    "a_size_that_is_no_number": OK + CHUNKED + b"\r\n0x5\r\nimage\r\n0\r\n\r\n",
    "a_size_of_17_digits": OK + CHUNKED + b"\r\n1ffffffffffffffff\r\nimage\r\n0\r\n\r\n",
    "endless_empty_lines": OK + CHUNKED + b"\r\n" + b"\r\n" * 100,
    "part_of_a_range": b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-4/10\r\n\r\nimage",
    "later_part_of_a_range": b"HTTP/1.1 206 OK\r\nContent-Range: bytes 5-9/10\r\n\r\nimage",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_leaves_the_body_in_doubt_is_refused(web: HostileWeb, fetch: Fetcher, name: str) -> None:
    assert rejection(fetch, web.page(f"/refused/{name}", raw(REFUSED[name]))).reason is Reason.HTTP_UNEXPECTED


def test_a_range_of_everything_is_the_whole(web: HostileWeb, fetch: Fetcher) -> None:
    head = b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-%d/%d\r\n" % (len(IMAGE) - 1, len(IMAGE))
    assert fetch.fetch(web.page("/range", raw(head + LENGTH + b"\r\n" + IMAGE))).data == IMAGE


LOCATIONS: dict[str, bytes] = {
    "blanks": b"Location:   /found image.jpg \t\r\n",
    "percent_encoded": b"Location: /found%20image.jpg\r\n",
    "backslash": b"Location: \\found image.jpg\r\n",
    "dot_segments": b"Location: ./a/../found image.jpg\r\n",
    "control_characters": b"Location: \x01/found image.jpg\x02\r\n",
    "tab_inside": b"Location: /found\t image.jpg\r\n",
    "continued": b"Location:\r\n /found image.jpg\r\n",
    "fragment": b"Location: /found image.jpg#there\r\n",
    "first_one_empty": b"Location:\r\nLocation: /found image.jpg\r\n",
    "lower_case": b"location:/found image.jpg\r\n",
    "blank_before_the_colon": b"Location : /found image.jpg\r\n",
}


@pytest.mark.parametrize("name", LOCATIONS)
def test_an_odd_location_leads_to_the_image(web: HostileWeb, fetch: Fetcher, name: str) -> None:
    found = web.page("/found%20image.jpg", raw(OK + LENGTH + b"\r\n" + IMAGE))
    moved = web.page(f"/{name}", raw(b"HTTP/1.1 302 Found\r\n" + LOCATIONS[name] + b"Content-Length: 0\r\n\r\n"))
    fetched = fetch.fetch(moved)
    assert (fetched.data, fetched.final_url) == (IMAGE, found)


@pytest.mark.parametrize(("sent", "asked"), [(b"/caf\xc3\xa9.jpg", "/caf%C3%A9.jpg"), (b"/caf\xe9.jpg", "/caf%E9.jpg")])
def test_a_location_of_raw_bytes_leads_to_the_image(web: HostileWeb, fetch: Fetcher, sent: bytes, asked: str) -> None:
    web.page(asked, raw(OK + LENGTH + b"\r\n" + IMAGE))
    head = b"HTTP/1.1 301 Moved\r\nLocation: " + sent + b"\r\nContent-Length: 0\r\n\r\n"
    assert fetch.fetch(web.page("/moved", raw(head))).data == IMAGE


def test_a_body_whose_bounds_are_in_doubt_ends_its_connection() -> None:
    both = OK + CHUNKED + b"Content-Length: 7\r\n\r\n" + chunks(IMAGE, b"")
    with HostileWeb() as web, fetcher(web.authority) as fetch:
        for page in (raw(both, keep=True), raw(OK + LENGTH + b"\r\n" + IMAGE, keep=True)):
            assert fetch.fetch(web.page("/a", page)).data == IMAGE
        assert web.connections == 2


@given(st.binary(max_size=300), st.lists(st.integers(1, 60), max_size=20), st.lists(st.integers(1, 40), max_size=30))
def test_chunks_are_read_however_they_arrive(data: bytes, sizes: list[int], reads: list[int]) -> None:
    pieces, rest = [], data
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    sent = chunks(*filter(None, [*pieces, rest])) + b"0\r\n\r\n"
    arrivals = iter([*reads, *[1] * len(sent)])

    def receive(most: int) -> bytes:
        nonlocal sent
        size = min(next(arrivals), most)
        found, sent = sent[:size], sent[size:]
        return found

    stream = Stream(b"", receive)
    assert b"".join(stream.pieces(parse_head(OK + CHUNKED))) == data
    assert not stream.held


@given(st.binary(max_size=400))
@settings(max_examples=300)
def test_no_head_does_worse_than_a_rejection(block: bytes) -> None:
    for candidate in (block, OK + block, OK + b"Content-Length: 5\r\n" + block):
        try:
            head = parse_head(candidate)
        except FetchRejected as rejected:
            assert rejected.reason is Reason.HTTP_UNEXPECTED
            continue
        assert 100 <= head.status <= 999
        assert head.length is None or head.length >= 0
        assert all(name and not {10, 13} & {*name, *value} for name, value in head.headers)


@pytest.mark.parametrize(
    "piece", [b"\r", b"\r\n ", b"\n a", b":", b"a:", b" ", b"\t:", b",", b"a, ", b"HTTP", b"0", b";"]
)
def test_work_on_a_head_grows_with_its_length_alone(piece: bytes) -> None:
    # Work that grew with the square of two million bytes would not end before the suite's own limit.
    for name in (b"", b"X-A: ", b"Content-Length: ", b"Transfer-Encoding: ", b"Connection: "):
        block = OK + name + piece * (2_000_000 // len(piece))
        try:
            assert parse_head(block).persistent in (True, False)
        except FetchRejected as rejected:
            assert rejected.reason is Reason.HTTP_UNEXPECTED
