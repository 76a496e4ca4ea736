"""Which addresses are globally routable, judged by IANA's special-purpose registries.

``ipaddress.is_global`` alone is not enough: it lets multicast and several addresses pass that
carry an IPv4 address inside, and its tables differ between patch releases of Python.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from curation.fetch.url import Address

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


@lru_cache(maxsize=4096)
def why_forbidden(address: Address) -> str | None:
    """What makes an address not globally routable; None when it is.

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
