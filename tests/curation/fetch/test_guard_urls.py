"""What counts as a URL, and where it leads."""

from __future__ import annotations

import ipaddress
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.fetch.url import BadUrl, Target, join, parse


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://example.com", "http://example.com/"),
        ("HTTP://EXAMPLE.com:80/A", "http://example.com/A"),
        ("https://example.com:443/a", "https://example.com/a"),
        ("https://example.com:8443/a", "https://example.com:8443/a"),
        ("http://example.com:/a", "http://example.com/a"),
        ("http://example.com./a", "http://example.com/a"),
        ("  http://example.com/a \r\n", "http://example.com/a"),
        ("http://example.com?q=1", "http://example.com/?q=1"),
        ("http://example.com/a#part", "http://example.com/a"),
        ("http://example.com/a b.jpg", "http://example.com/a%20b.jpg"),
        ("http://example.com/a%20b.jpg", "http://example.com/a%20b.jpg"),
        ("http://example.com/100%.jpg", "http://example.com/100%.jpg"),
        ("http://example.com/Zürich/図.jpg?n=é ", "http://example.com/Z%C3%BCrich/%E5%9B%B3.jpg?n=%C3%A9"),
        ('http://example.com/a"<b>\\c', "http://example.com/a%22%3Cb%3E%5Cc"),
        ("http://example.com/?u=http://other.com/b?c", "http://example.com/?u=http://other.com/b?c"),
        ("http://a_b.example-.com/x", "http://a_b.example-.com/x"),
        ("http://bücher.example/x", "http://xn--bcher-kva.example/x"),
        ("http://EXAMPLE。com/x", "http://example.com/x"),
        ("http://[2606:4700::1111]:8080/x", "http://[2606:4700::1111]:8080/x"),
        ("http://example.com//a//b", "http://example.com//a//b"),
    ],
)
def test_a_url_is_brought_to_one_spelling(text: str, url: str) -> None:
    assert parse(text).url == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/a.jpg",
        "//example.com/a.jpg",
        "file:///etc/passwd",
        "ftp://example.com/a",
        "data:image/png;base64,AAAA",
        "gopher://example.com/",
        "javascript:alert(1)",
        "http:example.com",
        "http:/example.com",
        "http://",
        "http:///a.jpg",
        "http://?a",
        "http://:80/",
        "http://user@example.com/",
        "http://user:secret@example.com/",
        "http://example.com@127.0.0.1/",
        "http://127.0.0.1\\@example.com/",
        "http://example.com\\.evil.com/",
        "http://exa mple.com/",
        "http://example.com:port/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:-1/",
        "http://example.com:8_0/",
        "http://example.com:８０/",
        "http://example.com:80:80/",
        "http://%31%32%37.0.0.1/",
        "http://example%2ecom/",
        "http://[::1/",
        "http://::1/",
        "http://[::1]x/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[v1.x]/",
        "http://[127.0.0.1]/",
        "http://1.2.3.4.5/",
        "http://256.256.256.256/",
        "http://1.2.3.08/",
        "http://4294967296/",
        "http://0x100000000/",
        "http://name.0x7f/",
        "http://1..2/",
        "http://a..b/",
        "http://.example.com/",
        "http://example.com../",
        "http://℀.example/",
        "http://\u200b/",
        "http://\ud800.example/",
        "http://example.com/\ud800",
        "http://example.com/\x00",
        "http://example.com/a\r\nHost: other",
        "http://exam\tple.com/",
        "http://example.com/\x7f",
        "http://" + "a" * 64 + ".com/",
        "http://" + "a." * 127 + "com/",
        "http://" + "ü" * 5000 + "/",
        "http://example.com/" + "a" * 9000,
    ],
)
def test_anything_else_is_a_bad_url(text: str) -> None:
    with pytest.raises(BadUrl):
        parse(text)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0X7F.1",
        "0x7f.0x0.0x0.0x1",
        "017700000001",
        "0177.0.0.01",
        "１２７.０.０.１",
        "127。0。0。1",
        "①②⑦.0.0.1",
    ],
)
def test_an_ipv4_address_is_known_in_every_spelling(host: str) -> None:
    assert parse(f"http://{host}/").address == ipaddress.ip_address("127.0.0.1")


@given(st.integers(0, 2**32 - 1))
def test_decimal_hexadecimal_and_octal_spell_the_same_address(value: int) -> None:
    address = ipaddress.IPv4Address(value)
    a, b, c, d = address.packed
    spellings = [f"{value}", f"{value:#x}", f"0{value:o}", f"{a}.{b}.{c}.{d}", f"{a}.{value & 0xFFFFFF}"]
    spellings.append(f"{a:#x}.{b}.0{c:o}.{d}")
    assert {parse(f"http://{s}/").address for s in spellings} == {address}


@given(st.text(max_size=60))
def test_no_text_does_worse_than_a_bad_url(text: str) -> None:
    for candidate in (text, "http://" + text, "https://example.com/" + text):
        try:
            target = parse(candidate)
        except BadUrl:
            continue
        assert_sound(target)


@given(st.text(max_size=60))
def test_no_redirect_does_worse_than_a_bad_url(location: str) -> None:
    try:
        target = join(parse("https://example.com/a/b?c"), location)
    except BadUrl:
        return
    assert_sound(target)


def assert_sound(target: Target) -> None:
    """Nothing in a target can break out of the request it is written into, and it parses to itself."""
    visible = set(string.printable) - set(string.whitespace)
    assert set(target.url) <= visible
    assert "@" not in target.authority
    assert parse(target.url) == target


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/x", "https://example.com/x"),
        ("x", "https://example.com/a/x"),
        ("?q", "https://example.com/a/b?q"),
        ("//other.com/x", "https://other.com/x"),
        ("http://other.com", "http://other.com/"),
        ("/\\evil.com/x", "https://example.com/%5Cevil.com/x"),
        ("../../../x", "https://example.com/x"),
        ("/ü", "https://example.com/%C3%BC"),
    ],
)
def test_a_redirect_is_relative_to_where_it_stands(location: str, url: str) -> None:
    assert join(parse("https://example.com/a/b"), location).url == url


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://example.com/", "data:,x", "http://a@b/", "http://["])
def test_a_redirect_elsewhere_is_a_bad_url(location: str) -> None:
    with pytest.raises(BadUrl):
        join(parse("https://example.com/a/b"), location)
