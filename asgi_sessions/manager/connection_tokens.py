"""What a `Session` needs of its connection: to set and to clear the cookies of the response."""

from typing import Protocol

from asgi_sessions.errors import Unauthorised
from asgi_sessions.manager.records import IssuedToken
from asgi_sessions.protocol.access_token import AccessToken


class ResponseTokens(Protocol):
    """What a Session tells the response of its connection."""

    def signing_out(self, session_handle: str | None) -> None:
        """The application is about to end this session on this very connection, so that it will know; None: not so."""

    def session_ended(self, session_handle: str | None = None, *, by_user: bool) -> None:
        """The session is over: let the cookies leave with the response.

        Args:
            session_handle: The session; None for the session of the response.
            by_user: True for a logout, where it is worth a warning if the response is already on its way.
        """

    def refused(self, error: Unauthorised, session_handle: str | None = None) -> None:
        """A read found the session gone: clear the cookies as far as the error says so."""


class Connection(Protocol):
    """The middleware's side of a Session."""

    @property
    def answer(self) -> ResponseTokens:
        """What leaves with the response."""

    def access_token_changed(self, token: IssuedToken, access: AccessToken) -> None:
        """The same session, a new access token: set it."""
