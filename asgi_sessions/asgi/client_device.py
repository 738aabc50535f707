"""The device of a login, for the user's list of devices: from the User-Agent and the address of its request."""

import re
from collections.abc import MutableMapping
from typing import Any

from asgi_sessions.asgi.credentials import header_values
from asgi_sessions.manager.records import Device
from asgi_sessions.protocol import device

_ADDRESS = re.compile(r"[0-9A-Za-z.:_-]{1,45}")  # the longest IPv6 address has 45 characters


def device_of(scope: MutableMapping[str, Any]) -> Device:
    """The device that a connection's scope describes."""
    agents = header_values(scope["headers"], b"user-agent")
    client = scope.get("client")
    return Device(device.label(agents[0] if agents else None), _address(client[0]) if client else None)


def _address(host: str) -> str | None:
    """The client's address without its zone; None for what is none: behind a proxy clients may choose the text."""
    address = host.partition("%")[0]
    return address if _ADDRESS.fullmatch(address) else None
