"""`Session`: what the application holds of a verified session."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, NoReturn

from typing_extensions import TypeVar, deprecated

from asgi_sessions.errors import Unauthorised
from asgi_sessions.manager.connection_tokens import Connection, ResponseTokens
from asgi_sessions.manager.functions import plain_function
from asgi_sessions.manager.lifecycle import Lifecycle
from asgi_sessions.manager.records import IssuedToken, SessionRecord, TokenSet, UserIdT
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.durations import from_ms

PayloadT = TypeVar("PayloadT", default=Any)

_UNREAD: Any = object()


class Session(Generic[UserIdT, PayloadT]):
    """A verified session of one user on one device.

    Get it from ``Depends(get_session)``, ``await get_session(connection)`` or the manager; do not build it yourself.
    Its methods also change the response: `revoke_session` clears the cookies. The manager's methods by handle or user
    do not.

    Attributes:
        session_handle: Names the session in lists and logs. It is public and opens nothing.
        user_id: The id given at login, of the same type.
        expires_at: When the session ends at the latest (absolute timeout). Aware, UTC.
        auth_time: When the user logged in. Aware, UTC.
        persistent: Whether the session outlives the browser. Applications that set cookies themselves leave out Max-Age
            and Expires where it is False.
    """

    __slots__ = (
        "__weakref__",
        "_access",
        "_connection",
        "_evicted",
        "_lifecycle",
        "_payload",
        "session_handle",
        "user_id",
    )

    session_handle: str
    user_id: UserIdT
    _evicted: Sequence[SessionRecord[UserIdT]]

    def __init__(self, access: AccessToken, lifecycle: Lifecycle, connection: Connection | None = None) -> None:
        self.session_handle = access.handle
        self.user_id = access.user_id  # type: ignore[assignment]  # the type that the application declares
        self._access = access
        self._lifecycle = lifecycle
        self._connection = connection
        self._payload: Any = _UNREAD

    @property
    def jwt_payload(self) -> PayloadT:
        """The payload given at login or by `update_jwt_payload`. This Session has its own copy of it."""
        if self._payload is _UNREAD:
            self._payload = self._access.payload
        payload: PayloadT = self._payload
        return payload

    @property
    def expires_at(self) -> datetime:
        return from_ms(self._access.session_expires_at)

    @property
    def auth_time(self) -> datetime:
        return from_ms(self._access.auth_time)

    @property
    def persistent(self) -> bool:
        return self._access.persistent

    @property
    def evicted_sessions(self) -> Sequence[SessionRecord[UserIdT]]:
        """The user's sessions that this login, being one too many, has ended: to tell which devices were logged out.

        Where it was no login that returned this Session, there are none. Nor are there any where nobody has set a
        limit: what is beyond the default ends beside the logins.
        """
        return getattr(self, "_evicted", ())  # set at a login alone

    async def revoke_session(self) -> None:
        """Log out here: revoke the session, and clear its cookies with whatever response goes out.

        Call the method before you return a streaming response. Once the response has started, the method still revokes
        the session, but the cookies stay until the next request clears them (logged at WARNING).

        Raises:
            StoreUnavailable: Nothing was revoked, and the cookies stay.
        """
        lifecycle = self._lifecycle.here()
        response = self._response
        if response is not None:
            response.signing_out(self.session_handle)
        try:
            revoked = await lifecycle.revoker.revoke(self.session_handle)
        except BaseException:
            if response is not None:
                response.signing_out(None)
            raise
        if response is not None and (revoked or not self._lifecycle.settings.speaks_supertokens):
            response.session_ended(self.session_handle, by_user=True)

    async def revoke_other_sessions(self) -> int:
        """Revoke all other sessions of this user. Touches no cookie.

        Returns:
            How many other sessions were revoked.

        Raises:
            StoreUnavailable: Some sessions may have been revoked all the same, and stay revoked: call again for the
                rest.
        """
        return await self._lifecycle.here().revoker.revoke_all(self.user_id, except_handle=self.session_handle)

    async def get_session_info(self) -> Any:
        """Return the server-side data of this session, a JSON value.

        Raises:
            Unauthorised: The session is gone; its cookies are cleared.
        """
        try:
            return await self._lifecycle.here().data.get_info(self.session_handle)
        except Unauthorised as error:
            self._refuse(error)

    async def change_session_info(self, change: Callable[[Any], Any]) -> Any:
        """Replace the server-side data of this session by what a function makes of it. No change of others is lost.

        Args:
            change: A plain function: given the info, a fresh object, it returns the new one. It is called again where
                another request has changed the info meanwhile, so that it should do nothing else.

        Returns:
            The new info, as `change` returned it.

        Raises:
            Unauthorised: The session is gone; its cookies are cleared.
            TypeError, ValueError: `change` is no plain function, or returned no JSON value, or None (which
                `update_session_info` stores). Nothing has changed; nor where `change` raises.
            StoreUnavailable: The change may have been made all the same, or not.
        """
        plain_function(change, "change")
        try:
            return await self._lifecycle.here().data.change_info(self.session_handle, change)
        except Unauthorised as error:
            self._refuse(error)

    async def update_session_info(self, info: Any) -> None:
        """Replace the server-side data of this session, whatever it is by now; see `change_session_info`.

        Args:
            info: Any JSON value.

        Raises:
            Unauthorised: The session is gone; its cookies are cleared.
            TypeError: `info` holds a value that JSON cannot store exactly; the text names it.
        """
        try:
            await self._lifecycle.here().data.set_info(self.session_handle, info)
        except Unauthorised as error:
            self._refuse(error)

    async def update_jwt_payload(self, payload: PayloadT) -> IssuedToken:
        """Replace the payload in the database, and set a new access token on this response.

        The new token expires when the old one would have. Sessions on other devices do not change.

        Args:
            payload: Any JSON value that fits into a cookie.

        Returns:
            The new access token, for applications that carry tokens themselves.

        Raises:
            Unauthorised: The session is gone; its cookies are cleared.
            TypeError: `payload` holds a value that JSON cannot store exactly; the text names it.
            PayloadTooLarge: The token would not fit into a cookie. Nothing has changed.
        """
        try:
            token, access = await self._lifecycle.here().data.set_payload(self._access, payload)
        except Unauthorised as error:
            self._refuse(error)
        self._access, self._payload = access, _UNREAD
        if self._connection is not None:
            self._connection.access_token_changed(token, access)
        return token

    async def get_idle_expires_at(self) -> datetime:
        """Return when the session ends unless it is used before. Aware, UTC. To ask extends nothing.

        Raises:
            Unauthorised: The session has ended. If the response has not started, it clears the session's cookies.
            StoreUnavailable: The database did not answer.
        """
        try:
            return from_ms(await self._lifecycle.here().idle_expires_at(self.session_handle))
        except Unauthorised as error:
            self._refuse(error)

    async def check(self) -> None:
        """Make a liveness check in the database now; for WebSockets and long streams.

        Raises:
            Unauthorised: The session has ended. If the response has not started, it clears the session's cookies.
        """
        try:
            await self._lifecycle.here().check(self.session_handle)
        except Unauthorised as error:
            self._refuse(error)

    async def wait_until_ended(self) -> None:
        """Return when this session has ended: revoked on any worker, stolen, or at its absolute timeout.

        The method is for jobs and loops of the application's own, for example in a task group beside them. Sockets and
        streams do not need it, because the middleware closes them. With ``revocation_check="none"`` the method notices
        only this worker's own revocations.
        """
        await self._lifecycle.here().wait_until_ended(self._access)

    @deprecated("Session.ended() is called wait_until_ended() now.")
    async def ended(self) -> None:
        """The earlier name of `wait_until_ended`."""
        await self.wait_until_ended()

    @property
    def _response(self) -> ResponseTokens | None:
        return None if self._connection is None else self._connection.answer

    def _refuse(self, error: Unauthorised) -> NoReturn:
        if (response := self._response) is not None:
            response.refused(error, self.session_handle)
        raise error

    def __repr__(self) -> str:
        return f"<Session {self.session_handle} of user {self.user_id!r}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A Session belongs to its request and cannot be pickled or copied; keep session.session_handle."
        )

    def __iter__(self) -> NoReturn:
        raise TypeError(_NOT_A_RESPONSE)

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: Any) -> NoReturn:
        raise TypeError(_NOT_A_RESPONSE)


def after_login(session: Session[UserIdT, PayloadT], tokens: TokenSet) -> Session[UserIdT, PayloadT]:
    """The same Session, which knows what its login has ended."""
    if tokens.evicted:
        session._evicted = tokens.evicted
    return session


_NOT_A_RESPONSE = (
    "A Session is not response or request data. To receive one, write `session: CurrentSession` or "
    "`session: Session = Depends(get_session)`; to answer with it, return what the client may see, "
    'e.g. {"user": session.user_id}.'
)
