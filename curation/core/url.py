"""URLs as browsers read them (the URL standard of the WHATWG), in one canonical spelling.

What is checked is what is connected to: a host in any spelling that browsers accept (decimal, octal, hexadecimal
and short IPv4, percent-encoded and full-width letters, IDNA) becomes one name or address before the guard sees it.
A user name and a password before the host are dropped: nothing is sent on behalf of whoever wrote the list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

Address = IPv4Address | IPv6Address

MAX_LENGTH = 8192
_PORTS = {"http": 80, "https": 443}
_SCHEME = re.compile(r"[\x00-\x20]*([A-Za-z][A-Za-z0-9+.-]*):")
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_NOT_IN_A_HOST = re.compile(r"[/\\?#@\s]")


class BadUrl(ValueError):
    """The text is no http or https URL that can be requested; the message says why."""


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
        """The value of the Host header: the port only where it is not the scheme's default."""
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        return self.origin + self.path


def parse(text: str) -> Target:
    """Parse an absolute URL. Raises ``BadUrl`` for anything but http or https with a valid host and port."""
    return _target(text, None)


def join(base: Target, location: str) -> Target:
    """Resolve the Location of a redirect from ``base``. Raises ``BadUrl``."""
    return _target(location, base.url)


def parse_host(name: str) -> tuple[str, Address | None]:
    """The canonical host, and its address where the name is an address in any spelling. Raises ``BadUrl``."""
    if _NOT_IN_A_HOST.search(name) or (":" in name and not name.startswith("[")):
        raise BadUrl(f"host {name[:64]!r} is not valid")
    target = parse(f"http://{name}/")
    return target.host, target.address


def _target(text: str, base: str | None) -> Target:
    if len(text) > MAX_LENGTH:
        raise BadUrl(f"{len(text)} characters, the limit is {MAX_LENGTH}")
    from ada_url import URL  # not in the base installation, which declares stages and asks no URL

    try:
        url = URL(text, base)
    except UnicodeEncodeError as error:
        raise BadUrl("a lone surrogate is not a character") from error
    except ValueError as error:
        raise BadUrl(_why_invalid(text)) from error
    scheme = url.protocol.removesuffix(":")
    if scheme not in _PORTS:
        raise BadUrl(f"scheme {scheme[:32]!r} is not http or https")
    port = int(url.port) if url.port else _PORTS[scheme]
    if not port:
        raise BadUrl("port 0 cannot be connected to")
    host, address = _host(url.hostname)
    path = url.pathname + url.search
    if not url.search and url.href.partition("#")[0].endswith("?"):
        path += "?"  # an empty query is part of the request
    if len(path) > 3 * MAX_LENGTH:
        raise BadUrl(f"{len(path)} characters in the path when percent-encoded, the limit is {3 * MAX_LENGTH}")
    return Target(scheme, host, address, port, path)


def _host(name: str) -> tuple[str, Address | None]:
    """A host as the standard writes it; ``URL.host_type`` does not know that of a base."""
    if name.startswith("["):
        address = IPv6Address(name.strip("[]"))
        return str(address), address
    host = name.removesuffix(".")
    if host.rpartition(".")[2].isdigit():  # then it is an IPv4 address, and written as such
        return host, IPv4Address(host)
    # The standard lets through what no resolver can look up.
    if not host or len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise BadUrl(f"host {name[:64]!r} is not a domain name")
    return host, None


def _why_invalid(text: str) -> str:
    scheme = _SCHEME.match(text)
    if scheme is None:
        return "not an absolute URL"
    if scheme.group(1).lower() not in _PORTS:
        return f"scheme {scheme.group(1)[:32]!r} is not http or https"
    return "the host or port is not valid"
