"""The device of a login, for the user's list of devices: from the User-Agent and the address of its request.

Nowhere else does the library take a client's address.
"""

import re
from collections.abc import MutableMapping
from typing import Any

from asgi_sessions.asgi.credentials import header_values
from asgi_sessions.manager.records import Device
from asgi_sessions.protocol import device
from asgi_sessions.protocol.ip_address import truncated
from asgi_sessions.settings.choices import IpAddress

_ADDRESS = re.compile(r"[0-9A-Za-z.:_-]{1,45}")  # the longest IPv6 address has 45 characters


def device_of(scope: MutableMapping[str, Any], keeps: IpAddress) -> Device:
    """The device that a connection's scope describes.

    Args:
        scope: The connection's.
        keeps: How much of its address is kept.
    """
    agents = header_values(scope["headers"], b"user-agent")
    client = None if keeps == "none" else scope.get("client")
    address = _address(client[0]) if client else None
    if address is not None and keeps == "truncated":
        address = truncated(address)
    return Device(device.label(agents[0] if agents else None), address)


def _address(host: str) -> str | None:
    """The client's address without its zone; None for what is none: behind a proxy clients may choose the text."""
    address = host.partition("%")[0]
    return address if _ADDRESS.fullmatch(address) else None
