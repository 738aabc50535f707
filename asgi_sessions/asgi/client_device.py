"""The device of a login, for the user's list of devices: from the User-Agent and the address of its request.

Nowhere else does the library take a client's address.
"""

import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from starlette.datastructures import Headers

from asgi_sessions.manager.records import Device
from asgi_sessions.protocol.ip_address import truncated
from asgi_sessions.settings.choices import IpAddress

_ADDRESS = re.compile(r"[0-9A-Za-z.:_-]{1,45}")  # the longest IPv6 address has 45 characters


def device_of(
    scope: MutableMapping[str, Any], keeps: IpAddress, label_of: Callable[[Mapping[str, str]], str]
) -> Device:
    """The device that a connection's scope describes.

    Args:
        scope: The connection's.
        keeps: How much of its address is kept.
        label_of: Names a device by the headers of its request.
    """
    client = None if keeps == "none" else scope.get("client")
    address = _address(client[0]) if client else None
    if address is not None and keeps == "truncated":
        address = truncated(address)
    return Device(label_of(Headers(scope=scope)), address)


def _address(host: str) -> str | None:
    """The client's address without its zone; None for what is none: behind a proxy clients may choose the text."""
    address = host.partition("%")[0]
    return address if _ADDRESS.fullmatch(address) else None
