"""The payload by a function of the application, asked at each login and each refresh: roles as they are now.

What must hold
==============

*Row and tokens say the same.* What the function returns is stored in the row, as a new version of the payload, before a
token says it.

*A function that fails keeps the payload that there is*: it raises, takes too long, or returns what is no payload. So
does one whose payload has no room in a session's tokens; the log names the session, since its user may have filled it.

*It is not asked for a session in which somebody acts as the user.* That payload is what the code has given that lets
them act: marks such as ``read_only`` stay.

*Rotation is decided when the function has answered.* A refresh token is judged before it is asked, since nobody asks
for a thief, and again afterwards: what the function takes counts against nobody's windows.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from asgi_sessions.errors import PayloadTooLarge
from asgi_sessions.manager.asked_function import NO_ANSWER, AskedFunction
from asgi_sessions.manager.issuing import Issuer
from asgi_sessions.protocol import json_value
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.store.repository import SessionRow

ClaimsFunction: TypeAlias = Callable[[Any, Any], Awaitable[Any]]
"""Given the user's id and the payload of the session, returns the payload that the session is to have."""
ClaimsFunctionT = TypeVar("ClaimsFunctionT", bound=ClaimsFunction)

_log = logging.getLogger("asgi_sessions")

_NO_ROOM = (
    "Session %s keeps the payload that it has: it has no room for what the function of claims returned. "
    "If it must not keep it, revoke the session."
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the function has said.

    Attributes:
        row: Of which row.
        text: The payload, as JSON.
    """

    row: SessionRow
    text: str

    def leaves_open(self, row: SessionRow) -> bool:
        """Whether it may be older than a payload that reads the same."""
        return row.payload_version != self.row.payload_version and row.jwt_payload == self.row.jwt_payload

    def payload_of(self, row: SessionRow) -> str:
        """What it has said of this payload; else the payload, which somebody else has replaced."""
        return self.text if row.payload_version == self.row.payload_version else row.jwt_payload


class Claims(AskedFunction):
    """Asks the function, if there is one. One manager's, on all event loops."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("claims", "the payload stays as it is", clock)

    async def of(self, row: SessionRow, issuer: Issuer) -> str:
        """The payload that a session is to have, as JSON: the row's where the function fails or is not asked.

        Args:
            row: The session.
            issuer: Knows how much room its tokens have.
        """
        if row.actor is not None:
            return row.jwt_payload
        payload = await self.ask(row)
        if payload is NO_ANSWER:
            return row.jwt_payload
        if payload is None and row.jwt_payload != "null":
            self.failed("it returned None")
            return row.jwt_payload
        try:
            text = json_value.dumps(payload, "jwt_payload")
            if text != row.jwt_payload:
                await issuer.require_room(row, text)
        except PayloadTooLarge:
            _log.error(_NO_ROOM, row.handle)
        except (TypeError, ValueError):
            self.failed("it returned what is no JSON value")
        else:
            return text
        return row.jwt_payload
