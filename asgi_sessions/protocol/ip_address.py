"""How much of a client's IP address is kept.

Truncated, an address names a network and no longer a connection: of IPv4 the first 24 bits stay, of IPv6 the first 48,
and the rest is zero. These lengths are those of web analytics' "IP masking": the last octet goes, and the last 80 bits.
An organisation may have a /48 of its own (RFC 6177), and can still be told.
"""

import ipaddress
from typing import Final

__all__ = ["truncated"]

IPV4_BITS: Final = 24
IPV6_BITS: Final = 48


def truncated(address: str) -> str | None:
    """The network of an address, written as an address whose other bits are zero.

    An IPv6 address that stands for an IPv4 address (``::ffff:192.0.2.1``, and 6to4, whose first 48 bits hold the whole
    of it: RFC 3056) is truncated as that one.

    Args:
        address: An IPv4 or IPv6 address, perhaps with a zone, which is left out.

    Returns:
        For example ``192.0.2.0`` or ``2001:db8:85a3::``; None for what is no address: nobody can tell what it holds.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found.sixtofour or found
    bits = IPV4_BITS if found.version == 4 else IPV6_BITS
    return str(ipaddress.ip_network((found, bits), strict=False).network_address)
