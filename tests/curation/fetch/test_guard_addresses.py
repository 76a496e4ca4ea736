"""Which addresses are globally routable."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.core.errors import RecipeError
from curation.fetch.guard import Guard, why_forbidden
from curation.fetch.names import Names


@pytest.mark.parametrize(
    "literal",
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
        "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1",
        "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.7",
        "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1",
        "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "ff0e::1",
    ],
)  # fmt: skip
def test_special_addresses_are_forbidden(literal: str) -> None:
    assert why_forbidden(ip_address(literal))


@pytest.mark.parametrize(
    "literal",
    ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1", "223.255.255.255",
     "2606:4700::1111", "2a00:1450::1", "2001:4860:4860::8888", "64:ff9b::808:808"],
)  # fmt: skip
def test_global_addresses_pass(literal: str) -> None:
    assert why_forbidden(ip_address(literal)) is None


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_never_laxer_than_the_standard_library_on_ipv4(address: IPv4Address) -> None:
    if why_forbidden(address) is None:
        assert address.is_global
        assert not (address.is_multicast or address.is_private or address.is_reserved or address.is_loopback)


@given(st.integers(0, 2**128 - 1).map(IPv6Address))
def test_never_laxer_than_the_standard_library_on_ipv6(address: IPv6Address) -> None:
    if why_forbidden(address) is None:
        assert address.is_global
        assert not (address.is_multicast or address.is_private or address.is_reserved or address.is_loopback)


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_an_embedded_ipv4_address_opens_no_door(inner: IPv4Address) -> None:
    value = int(inner)
    assert why_forbidden(IPv6Address(value))  # IPv4-compatible
    assert why_forbidden(IPv6Address((0xFFFF << 32) | value))  # IPv4-mapped
    assert why_forbidden(IPv6Address((0x2002 << 112) | (value << 80)))  # 6to4
    assert why_forbidden(IPv6Address((0x20010000 << 96) | (value ^ 0xFFFFFFFF)))  # Teredo
    nat64 = IPv6Address((0x64FF9B << 96) | value)
    assert (why_forbidden(nat64) is None) == (why_forbidden(inner) is None)


@pytest.mark.parametrize(
    "entry", ["", "http://127.0.0.1", "a b", "host:port", "host:0", "host:99999", "user@host", "[::1"]
)
def test_an_allowed_host_that_is_none_is_a_recipe_error(entry: str) -> None:
    with pytest.raises(RecipeError, match="allow_private_hosts"):
        Guard(Names(1), [entry])
