"""The guard: a connection may go to globally routable addresses, and to private hosts that the recipe names.

What is globally routable is judged by IANA's special-purpose registries. ``ipaddress.is_global`` alone is not enough:
it lets multicast and several addresses pass that carry an IPv4 address inside, and its tables differ between patch
releases of Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from curation.core.errors import RecipeError
from curation.core.url import Address, BadUrl, Target, parse_host
from curation.fetch.names import Names
from curation.fetch.rejected import FetchRejected
from schemas.reasons import Reason

_IPV4_SPECIAL = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a carrier"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignment"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        # Globally routable on paper, but inside Azure it is the host's own service.
        ("168.63.129.16/32", "a cloud's host"),
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_IPV6_SPECIAL = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("2001::/32", "Teredo"),
        ("2001::/23", "protocol assignment"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
    )
)


class Guard:
    """Resolves a target and refuses it unless all its addresses may be connected to.

    ``allow_private_hosts`` holds ``host``, for all its ports, or ``host:port``; the addresses of that name alone are
    not checked. Raises ``RecipeError`` for an entry that is neither.
    """

    def __init__(self, names: Names, allow_private_hosts: Sequence[str]) -> None:
        self._names = names
        self._allowed = frozenset(_allowed(entry) for entry in allow_private_hosts)

    def addresses(self, target: Target, deadline: float) -> tuple[Address, ...]:
        """Return the target's addresses, at least one, after all of them were checked.

        Raises ``FetchRejected`` with FORBIDDEN_ADDRESS when any of them is not globally routable: a name with one
        private address among public ones is an attack, or an error that looks like one.
        """
        found = (target.address,) if target.address else self._names.addresses(target.host, deadline)
        if (target.host, target.port) in self._allowed or (target.host, 0) in self._allowed:
            return found
        for address in found:
            if kind := why_forbidden(address):
                where = str(address) if target.address else f"{target.host} is {address}"
                raise FetchRejected(Reason.FORBIDDEN_ADDRESS, f"{where}: {kind}")
        return found


@lru_cache(maxsize=4096)
def why_forbidden(address: Address) -> str | None:
    """Why an address is not globally routable; None when it is.

    Of IPv6 only global unicast passes, and NAT64's well-known prefix where the IPv4 address inside it
    does: a network without IPv4 reaches half the web through that one.
    """
    if isinstance(address, IPv4Address):
        return _why_forbidden_ipv4(address)
    if address in _NAT64:
        inner = _why_forbidden_ipv4(IPv4Address(int(address) & 0xFFFFFFFF))
        return None if inner is None else f"NAT64 of {inner}"
    if address not in _GLOBAL_UNICAST:
        return _kind_of_ipv6(address)
    for network, kind in _IPV6_SPECIAL:
        if address in network:
            return kind
    return None if address.is_global else "not global"


def _why_forbidden_ipv4(address: IPv4Address) -> str | None:
    for network, kind in _IPV4_SPECIAL:
        if address in network:
            return kind
    return None if address.is_global else "not global"


def _kind_of_ipv6(address: IPv6Address) -> str:
    if address.ipv4_mapped is not None:
        return "IPv4-mapped"
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    if address.is_multicast:
        return "multicast"
    return "not global unicast"


def _allowed(entry: str) -> tuple[str, int]:
    """An entry as (host, port), port 0 for any."""
    text = entry.strip()
    try:
        if text.count(":") > 1 and not text.startswith("["):
            return parse_host(str(IPv6Address(text)).join("[]"))[0], 0
        host, colon, port = text.rpartition(":")
        if not colon or text.endswith("]"):
            return parse_host(text)[0], 0
        if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
            raise BadUrl(f"port {port!r} is not a number from 1 to 65535")
        return parse_host(host)[0], int(port)
    except ValueError as error:
        raise RecipeError(
            f"download.allow_private_hosts: {entry!r} is neither host nor host:port ({error}); "
            "write for example 127.0.0.1:8000 or images.example.com"
        ) from error
