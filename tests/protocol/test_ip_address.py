"""A truncated address tells the network, and nothing of the rest gets through, however the address is written."""

import ipaddress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from asgi_sessions.protocol.ip_address import truncated


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.255", "192.0.2.0"),
        ("192.0.2.0", "192.0.2.0"),
        ("255.255.255.255", "255.255.255.0"),
        ("2001:db8:85a3:8d3:1319:8a2e:370:7348", "2001:db8:85a3::"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::"),
        ("::1", "::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:192.0.2.7", "192.0.2.0"),
        ("::ffff:c000:207", "192.0.2.0"),
        ("2002:c000:0207::1", "192.0.2.0"),  # 6to4 of 192.0.2.7
        ("64:ff9b::192.0.2.7", "64:ff9b::"),  # NAT64
        ("192.0.2.7:5678", None),
        ("192.0.2.07", None),
        ("[2001:db8::1]", None),
        ("testclient", None),
        ("unknown", None),
        ("", None),
        ("%eth0", None),
        ("1" * 10_000, None),
        ("\ud800", None),
    ],
)
def test_of_an_address_the_network_stays(address: str, network: str | None) -> None:
    assert truncated(address) == network


@given(st.ip_addresses(), st.integers(0, 2**80 - 1))
def test_addresses_of_one_network_cannot_be_told_apart(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, rest: int
) -> None:
    below = 2**8 if address.version == 4 or address.ipv4_mapped else 2**80
    neighbour = type(address)(int(address) // below * below + rest % below)
    assume(getattr(neighbour, "ipv4_mapped", None) is None or below == 2**8)
    assert truncated(str(neighbour)) == truncated(str(address)) is not None


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_the_same_in_whatever_it_is_wrapped(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    mapped = ipaddress.IPv6Address(0xFFFF << 32 | number)
    six_to_four = ipaddress.IPv6Address(0x2002 << 112 | number << 80)
    assert truncated(str(mapped)) == truncated(str(six_to_four)) == truncated(str(address))


@given(st.text(max_size=60))
def test_any_text_gives_a_short_plain_one_or_none(address: str) -> None:
    network = truncated(address)
    assert network is None or (network.isascii() and len(network) <= 45)
