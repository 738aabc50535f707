"""What a connection has become: what is kept of it when it is over, for the tasks that it has left behind."""

from enum import Enum, auto
from typing import NamedTuple

from asgi_sessions.manager.connection import Finished
from asgi_sessions.protocol.access_token import AccessToken


class Renewal(Enum):
    """How the application has given the connection other tokens than those it came with."""

    LOGIN = auto()
    REFRESH = auto()


class Outcome(NamedTuple):
    """What a connection that is over has become, beyond what its headers say.

    Attributes:
        access: The last access token, None if there was none.
        presented: The one that the request came with.
        renewal: How it was replaced.
        session_ended: Whether the session ended on the connection itself.
        inner: The same of another manager's middleware inside, None if there was none.
    """

    access: AccessToken | None
    presented: AccessToken | None
    renewal: Renewal | None
    session_ended: bool
    inner: Finished | None
