"""URLs, parsed once and strictly: what is checked is what is connected to.

A host in any of the spellings that browsers accept (decimal, octal, hexadecimal and short IPv4, IDNA,
full-width digits) becomes one canonical name or address, following the URL standard of the WHATWG. What
that standard merely tolerates and attackers like (user names, percent-encoded hosts, backslashes before
the path, zone ids, control characters) is refused. Spaces and Unicode in the path, common in
real image lists, are percent-encoded.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote, urljoin

import idna

Address = IPv4Address | IPv6Address

MAX_LENGTH = 8192
_PORTS = {"http": 80, "https": 443}
_HEAD = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PLAIN = re.compile(r"[A-Za-z0-9._~:/?@!$&()*+,;=%\[\]|-]*")
# What the URL standard leaves as it is in a path; in a query the same without the apostrophe.
_KEEP_IN_PATH = "/%:@!$&'()*+,;=~[]|"
_KEEP_IN_QUERY = "/%:@!$&()*+,;=~[]|?`{}^"


class BadUrl(ValueError):
    """The text is no http or https URL that may be asked for; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. ``host`` is canonical: lower-case ASCII, an address without brackets."""

    scheme: str
    host: str
    address: Address | None
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What stands in the Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        return self.origin + self.path


def parse(text: str) -> Target:
    """Raises ``BadUrl`` for anything but an http or https URL with a sound host and port."""
    text = text.strip(" \t\r\n")
    if len(text) > MAX_LENGTH:
        raise BadUrl(f"{len(text)} characters are more than {MAX_LENGTH}")
    if found := _CONTROL.search(text):
        raise BadUrl(f"control character {found.group()!r}")
    match = _HEAD.fullmatch(text)
    if match is None:
        raise BadUrl(_why_no_match(text))
    scheme = match["scheme"].lower()
    name, port = _split_port(match["authority"], _PORTS[scheme])
    host, address = parse_host(name)
    return Target(scheme, host, address, port, _path(match["rest"]))


def join(base: Target, location: str) -> Target:
    """Where a redirect from ``base`` leads. Raises ``BadUrl``."""
    location = location.strip(" \t\r\n")
    if found := _CONTROL.search(location):  # urljoin would drop some of them silently
        raise BadUrl(f"control character {found.group()!r}")
    try:
        return parse(urljoin(base.url, location))
    except BadUrl:
        raise
    except ValueError as error:
        raise BadUrl(str(error)) from error


@lru_cache(maxsize=4096)
def parse_host(name: str) -> tuple[str, Address | None]:
    """The canonical host, and its address where the name is one in any spelling. Raises ``BadUrl``."""
    if name.startswith("[") and name.endswith("]"):
        return _ipv6(name[1:-1])
    if len(name) > 254:
        raise BadUrl(f"host {name[:64]!r}… is too long for a domain name")
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError, ValueError) as error:
            raise BadUrl(f"host {name[:64]!r} is not a domain name: {error}") from error
    host = name.lower().removesuffix(".")
    labels = host.split(".")
    if not host or len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadUrl(f"host {name[:64]!r} is not a domain name")
    if _NUMBER.fullmatch(labels[-1]):
        address = _ipv4(labels)
        return str(address), address
    return host, None


def _why_no_match(text: str) -> str:
    scheme = _SCHEME.match(text)
    if scheme is None:
        return "not an absolute URL"
    if scheme.group(1).lower() in _PORTS:
        return "no host"
    return f"scheme {scheme.group(1)[:32]!r} is not http or https"


def _split_port(authority: str, default: int) -> tuple[str, int]:
    if "@" in authority:
        raise BadUrl("a user name before the host")
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        return authority, default
    if not port:
        return host, default
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise BadUrl(f"port {port[:16]!r} is not a number from 1 to 65535")
    return host, int(port)


def _ipv4(labels: list[str]) -> IPv4Address:
    """The URL standard's IPv4 parser: one to four numbers, the last one filling the bytes that are left."""
    numbers = [_number(label) for label in labels]
    if len(numbers) > 4 or any(n > 255 for n in numbers[:-1]) or numbers[-1] >= 256 ** (5 - len(numbers)):
        raise BadUrl(f"host {'.'.join(labels)[:64]!r} is not an IPv4 address")
    value = numbers[-1]
    for place, number in enumerate(numbers[:-1]):
        value += number << (8 * (3 - place))
    return IPv4Address(value)


def _number(label: str) -> int:
    if _NUMBER.fullmatch(label):
        base = 16 if label.startswith("0x") else 8 if label.startswith("0") else 10
        with contextlib.suppress(ValueError):
            return int(label.removeprefix("0x") or "0", base)
    raise BadUrl(f"{label[:32]!r} is not a number of an IPv4 address")


def _ipv6(text: str) -> tuple[str, IPv6Address]:
    if "%" in text:
        raise BadUrl("a zone id in the host")
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError as error:
        raise BadUrl(f"host [{text[:64]}] is not an IPv6 address") from error
    return str(address), address


def _path(rest: str) -> str:
    rest = rest.partition("#")[0]
    if not rest.startswith("/"):
        rest = "/" + rest
    if _PLAIN.fullmatch(rest):
        return rest
    path, question, query = rest.partition("?")
    try:
        return quote(path, safe=_KEEP_IN_PATH) + question + quote(query, safe=_KEEP_IN_QUERY)
    except UnicodeEncodeError as error:
        raise BadUrl("a lone surrogate in the path") from error
