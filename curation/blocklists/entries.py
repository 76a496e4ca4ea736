"""A line of a list, by kind, as the keys under which it is found; and the keys of what is looked up."""

from __future__ import annotations

import re

from curation.blocklists.words import units
from curation.core.url import MAX_LENGTH, BadUrl, parse, parse_host
from schemas.blocklists import Kind

_PLAIN_HOST = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z][a-z0-9_-]{0,62}")
# Urls that the standard leaves as they are, which are nearly all; it takes a hundred times as long to say so.
_PLAIN_URL = re.compile(
    r"https?://((?:[a-z0-9_-]{1,63}\.)*[a-z][a-z0-9_-]{0,62})"
    r"(?:/(?!\.)[A-Za-z0-9_~!$&()*+,;=:@.-]*)+(?:\?[A-Za-z0-9_~!$&()*+,;=:@./?-]+)?"
)
_HEX = re.compile(r"[0-9a-f]+")
_DIGITS: dict[Kind, int] = {"sha256": 64, "phash": 16}
_NOWHERE = frozenset({"0.0.0.0", "127.0.0.1", "::", "::1", "0", "fe80::1%lo0", "255.255.255.255"})  # noqa: S104
_COMMENT = re.compile(r"\s+#.*")
_LONGEST = 40  # characters of a line that are shown
MOST_WORDS = 32  # of a phrase


def keys_of(kind: Kind, line: str) -> list[str]:
    """The keys of a line that is not blank; none for a comment. Raises ``ValueError`` saying what was expected.

    Behind an entry a comment begins with a blank and ``#``, save in lists of words.
    """
    if line.startswith("#"):
        return []
    if kind == "words":
        return [_phrase(line)]
    entry = _COMMENT.sub("", line)
    match kind:
        case "hosts":
            fields = entry.split()
            given = fields[1:] if len(fields) > 1 and fields[0] in _NOWHERE else [entry]
            return [_host(name) for name in given]
        case "urls":
            return [_url(entry)]
        case "sha256" | "phash":
            return [_hash(entry, _DIGITS[kind])]


def _host(name: str) -> str:
    text = name.removeprefix("*").removeprefix(".").removesuffix(".").lower()
    if _PLAIN_HOST.fullmatch(text) and "xn--" not in text and len(text) <= 253:
        return text
    try:
        if "://" in name:
            raise BadUrl("it is a url")
        return parse_host(f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text)[0]
    except BadUrl as error:
        raise _wrong(name, "a host such as pictures.example; lists of urls belong into blocklists.urls") from error


def _url(entry: str) -> str:
    try:
        return _normal(entry)[1]
    except BadUrl as error:
        raise _wrong(entry, "an http or https url; lists of hosts belong into blocklists.hosts") from error


def _normal(url: str) -> tuple[str, str]:
    """The host of a url, and the url, as ``core.url`` writes them. Raises ``BadUrl``."""
    plain = _PLAIN_URL.fullmatch(url)
    if plain is not None and len(plain[1]) <= 253 and "xn--" not in plain[1] and len(url) <= MAX_LENGTH:
        return plain[1], url
    target = parse(url)
    return target.host, target.url


def _hash(entry: str, digits: int) -> str:
    text = entry.lower()
    if len(text) != digits or not _HEX.fullmatch(text):
        raise _wrong(entry, f"{digits} hex digits, and found {len(text)} characters")
    return text


def _phrase(line: str) -> str:
    words = units(line)
    if not words:
        raise _wrong(line, "a word: letters or digits")
    if len(words) > MOST_WORDS:
        raise _wrong(line, f"{MOST_WORDS} words at most, and found {len(words)}")
    return " ".join(words)


def _wrong(found: str, expected: str) -> ValueError:
    shown = found if len(found) <= _LONGEST else f"{found[:_LONGEST]}…"
    return ValueError(f"{shown!r} is not what was expected: {expected}")


def host_keys(host: str) -> list[str]:
    """A host as it stands in a ``Target``, and the domains above it."""
    if _is_address(host):
        return [host]
    labels = host.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def _is_address(host: str) -> bool:
    return ":" in host or host.rpartition(".")[2].isdigit()


def url_keys(url: str | None) -> tuple[list[str], list[str]]:
    """The keys of a url's host, and of the url itself; none of what is no url."""
    if not url:
        return [], []
    try:
        host, normal = _normal(url.strip())
    except BadUrl:
        return [], []
    return host_keys(host), [normal]
