"""What counts as a URL, and where it leads."""

from __future__ import annotations

import ipaddress
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.core.url import BadUrl, Target, join, parse
from curation.fetch.head import location_text


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
        ('http://example.com/a"<b>\\c', "http://example.com/a%22%3Cb%3E/c"),
        ("http://example.com/?u=http://other.com/b?c", "http://example.com/?u=http://other.com/b?c"),
        ("http://a_b.example-.com/x", "http://a_b.example-.com/x"),
        ("http://bücher.example/x", "http://xn--bcher-kva.example/x"),
        ("http://EXAMPLE。com/x", "http://example.com/x"),
        ("http://[2606:4700::1111]:8080/x", "http://[2606:4700::1111]:8080/x"),
        ("http://example.com//a//b", "http://example.com//a//b"),
        # slashes, in any number and either direction
        ("http:example.com/a", "http://example.com/a"),
        ("http:/example.com/a", "http://example.com/a"),
        ("http:///example.com/a", "http://example.com/a"),
        ("https:\\\\example.com\\a\\b.jpg", "https://example.com/a/b.jpg"),
        ("http://example.com\\.other.com/", "http://example.com/.other.com/"),
        # dot segments
        ("http://example.com/a/../b.jpg", "http://example.com/b.jpg"),
        ("http://example.com/a/./b/../../c.jpg", "http://example.com/c.jpg"),
        ("http://example.com/../../a.jpg", "http://example.com/a.jpg"),
        ("http://example.com/a/%2e%2E/b.jpg", "http://example.com/b.jpg"),
        ("http://example.com/a/..b/...", "http://example.com/a/..b/..."),
        ("http://example.com/a?b=/../c", "http://example.com/a?b=/../c"),
        # blanks, tabs, line ends and control characters
        ("http://exam\tple.com/a\r\nb.jpg", "http://example.com/ab.jpg"),
        ("\x01 http://example.com/a\x00", "http://example.com/a"),
        ("http://example.com/a\x00b\x7f", "http://example.com/a%00b%7F"),
        ("http://example.com/a\r\nHost: other", "http://example.com/aHost:%20other"),
        ("http://example.com/a?q=a b\tc", "http://example.com/a?q=a%20bc"),
        # percent signs stay as they are
        ("http://example.com/a%2Fb%zz%4", "http://example.com/a%2Fb%zz%4"),
        ("http://example.com/%E9%u00e9?x=%27'&y=a+b", "http://example.com/%E9%u00e9?x=%27%27&y=a+b"),
        ("http://example.com/x-%25281%2529.jpg?a=1&amp;b=2", "http://example.com/x-%25281%2529.jpg?a=1&amp;b=2"),
        ("http://example.com/[1]|{2}^`.jpg?[1]|{2}^`", "http://example.com/[1]|%7B2%7D%5E%60.jpg?[1]|{2}^`"),
        ("http://example.com/a;b=c,d@e:f!$&'()*+", "http://example.com/a;b=c,d@e:f!$&'()*+"),
        # fragments and empty queries
        ("http://example.com/a?", "http://example.com/a?"),
        ("http://example.com/a?#b?", "http://example.com/a?"),
        ("http://example.com#b", "http://example.com/"),
        ("http://example.com/#/a.jpg", "http://example.com/"),
        # user names and passwords are dropped
        ("http://user@example.com/", "http://example.com/"),
        ("http://user:secret@example.com:81/a", "http://example.com:81/a"),
        ("http://a@b@example.com/", "http://example.com/"),
        ("http://@example.com/", "http://example.com/"),
        # hosts
        ("http://my_bucket.example.com/", "http://my_bucket.example.com/"),
        ("http://-a-.example.com/", "http://-a-.example.com/"),
        ("http://ab--cd.example.com/", "http://ab--cd.example.com/"),
        ("http://r3---sn-4g5e6nsz.example.com/", "http://r3---sn-4g5e6nsz.example.com/"),
        ("http://\U0001f600.example/", "http://xn--e28h.example/"),
        ("http://i\u2764\ufe0f.example/", "http://xn--i-7iq.example/"),
        ("http://xn--e28h.example/", "http://xn--e28h.example/"),
        ("http://faß.example/", "http://xn--fa-hia.example/"),
        ("http://BÜCHER.example/", "http://xn--bcher-kva.example/"),
        ("http://exam\u00adple.com/", "http://example.com/"),
        ("http://example%2ecom/", "http://example.com/"),
        ("http://b%C3%BCcher.example/", "http://xn--bcher-kva.example/"),
        ("http://１23.example/", "http://123.example/"),
        ("hTTpS://Example.COM:0443", "https://example.com/"),
        ("http://example.com:00081/", "http://example.com:81/"),
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
        "http://",
        "http://?a",
        "http://:80/",
        "http://exa mple.com/",
        "http://example.com:port/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:-1/",
        "http://example.com:8_0/",
        "http://example.com:８０/",
        "http://example.com:80:80/",
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
        "http://" + "a" * 64 + ".com/",
        "http://" + "a." * 127 + "com/",
        "http://" + "ü" * 5000 + "/",
        "http://example.com/" + "a" * 9000,
        "http://exam\x00ple.com/",
        "http://exam\x01ple.com/",
        "http://exam%00ple.com/",
        "http://exam%20ple.com/",
        "http://user:secret@/",
        "http://%2f/",
        "http:",
        "http:/",
        "http:\\",
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
        "%31%32%37.0.0.1",
        "127.0.0%2e1",
        "127\t.0.0.1",
        "example.com@127.0.0.1",
        "example.com:80@127.0.0.1",
        "127.0.0.1\\@example.com",
        "\\127.0.0.1",
        "/127.0.0.1",
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
        ("/\\evil.com/x", "https://evil.com/x"),
        ("\\x\\y", "https://example.com/x/y"),
        ("https:x", "https://example.com/a/x"),
        ("http:x", "http://x/"),
        ("", "https://example.com/a/b"),
        ("#part", "https://example.com/a/b"),
        (" /a b\t.jpg\r\n", "https://example.com/a%20b.jpg"),
        ("/100%.jpg?x=%2F", "https://example.com/100%.jpg?x=%2F"),
        ("./c/../d", "https://example.com/a/d"),
        ("http://user:secret@other.com/", "http://other.com/"),
        ("../../../x", "https://example.com/x"),
        ("/ü", "https://example.com/%C3%BC"),
    ],
)
def test_a_redirect_is_relative_to_where_it_stands(location: str, url: str) -> None:
    assert join(parse("https://example.com/a/b"), location).url == url


@pytest.mark.parametrize("location", ["/x", "x", "?q", "", "#f", "//127.1/x", "http:/\\2130706433/"])
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:7f00:1]"])
def test_a_redirect_keeps_the_address_of_its_base(host: str, location: str) -> None:
    target = join(parse(f"http://{host}/a"), location)
    assert target.address is not None
    assert target == parse(target.url)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://example.com/", "data:,x", "http://a@/", "http://["])
def test_a_redirect_elsewhere_is_a_bad_url(location: str) -> None:
    with pytest.raises(BadUrl):
        join(parse("https://example.com/a/b"), location)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"/caf\xc3\xa9", "/café"),
        (b"/caf\xe9?\xff", "/caf%E9?%FF"),
        (b"http://example.com/\xe9", "http://example.com/%E9"),
        (b"http://caf\xe9.example/\xe9", "http://café.example/%E9"),
        (b"\xe9/x", "%E9/x"),
    ],
)
def test_a_location_that_is_not_utf8_is_percent_encoded(value: bytes, text: str) -> None:
    assert location_text(value) == text
