"""`Session`: what the application holds of a verified session.

The file is longer than others because it holds the public docstrings.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, NoReturn

from typing_extensions import TypeVar, deprecated

from asgi_sessions.errors import ImpersonationRefused, PayloadChanged, PayloadTooLarge, Unauthorised
from asgi_sessions.manager.connection_tokens import Connection, ResponseTokens
from asgi_sessions.manager.functions import plain_function
from asgi_sessions.manager.lifecycle import Lifecycle
from asgi_sessions.manager.records import Impersonation, IssuedToken, SessionRecord, TokenSet, UserIdT
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.authentication_methods import Methods, checked, level
from asgi_sessions.protocol.durations import from_ms
from asgi_sessions.protocol.session_handle import form_tag
from asgi_sessions.protocol.user_id import UserId

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
        auth_time: When the user last gave a credential: at login, or in `add_authentication_method`. Aware, UTC.
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
        """The payload as it was when the request asked for the session. This Session has its own copy of it."""
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
    def form_tag(self) -> str:
        """What the forms of this session's pages send back, as the field ``form_tag``; not secret, 16 characters.

        It stays for the session's life. `require_session` with ``form_tag=True`` refuses forms with another tag, which
        were shown to another session.
        """
        return form_tag(self.session_handle)

    @property
    def actor(self) -> UserId | None:
        """Who acts as the user in this session (`SessionManager.impersonate`); None if it is the user."""
        return self._access.actor

    @property
    def authentication_methods(self) -> Mapping[str, datetime]:
        """How the user has been authenticated in this session: each method's name (RFC 8176), and its last use.

        As the application has said, by ``create_new_session(…, authentication_methods=…)`` and
        `add_authentication_method`. Empty where it has said nothing. Times are aware, UTC. If somebody acts as the
        user, these methods and `auth_time` are that one's.
        """
        return {name: from_ms(time) for name, time in self._access.methods}

    @property
    def authentication_level(self) -> int:
        """How many different factors these methods prove: something that the user knows, has, or is.

        ``pwd``, ``pin`` and ``kba`` are known; ``otp``, ``sms``, ``tel``, ``hwk``, ``swk``, ``pop`` and ``sc`` are
        held; ``face``, ``fpt``, ``iris``, ``retina`` and ``vbm`` are the user's own. ``mfa`` counts for two. Other
        names count for none.
        """
        return level(self._access.methods)

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
            revoked = await lifecycle.revoker.revoke(self.session_handle, actor=self.actor)
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
            Unauthorised: The session is gone, its cookies are cleared. Nothing was revoked.
            ImpersonationRefused: Somebody acts as the user. Nothing was revoked.
            StoreUnavailable: Some sessions may have been revoked all the same, and stay revoked: call again for the
                rest.
        """
        await require_alone(self)
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
            StoreUnavailable: The change may have been made all the same, or not.
        """
        try:
            await self._lifecycle.here().data.set_info(self.session_handle, info)
        except Unauthorised as error:
            self._refuse(error)

    async def update_jwt_payload(self, payload: PayloadT) -> IssuedToken:
        """Replace the payload in the database, and set a new access token on this response; see `change_jwt_payload`.

        The new token expires when the old one would have. Sessions on other devices do not change.

        Args:
            payload: Any JSON value that fits into a cookie.

        Returns:
            The new access token, for applications that carry tokens themselves.

        Raises:
            Unauthorised: The session is gone; its cookies are cleared.
            ImpersonationRefused: Somebody acts as the user. Nothing has changed.
            PayloadChanged: Somebody else has changed the payload since this Session was made, and that stays. This
                Session has the new payload, and the response the token for it. With a function of
                `SessionManager.claims` also where another request of the session has changed it.
            TypeError: `payload` holds a value that JSON cannot store exactly; the text names it.
            PayloadTooLarge: The token would not fit into a cookie. Nothing has changed.
            StoreUnavailable: The change may have been made all the same, or not.
        """
        self._for_the_user_alone()
        data = self._lifecycle.here().data
        try:
            try:
                changed = await data.set_payload(self._access, payload)
            except PayloadChanged:
                try:
                    newest = await data.newest(self._access, fresh=True)
                except PayloadTooLarge:  # for the settings of this worker, which are not those of who changed it
                    await self.check()
                else:
                    if newest is not None:
                        self._changed(*newest)
                raise
        except Unauthorised as error:
            self._refuse(error)
        return self._changed(*changed)

    async def change_jwt_payload(self, change: Callable[[Any], Any]) -> IssuedToken:
        """Replace the payload by what a function makes of it, as `update_jwt_payload`. No change of others is lost.

        Args:
            change: A plain function: given the payload, a fresh object, it returns the new one. It is called again
                where somebody else has changed the payload meanwhile, so that it should do nothing else.

        Returns:
            The new access token, for applications that carry tokens themselves.

        Raises:
            Unauthorised: The session is gone; its cookies are cleared.
            ImpersonationRefused: Somebody acts as the user. Nothing has changed.
            TypeError, ValueError: `change` is no plain function, or returned no JSON value, or None (which
                `update_jwt_payload` stores). Nothing has changed; nor where `change` raises.
            PayloadTooLarge: The token would not fit into a cookie. Nothing has changed.
            StoreUnavailable: The change may have been made all the same, or not.
        """
        plain_function(change, "change")
        self._for_the_user_alone()
        try:
            changed = await self._lifecycle.here().data.change_payload(self._access, change)
        except Unauthorised as error:
            self._refuse(error)
        return self._changed(*changed)

    async def add_authentication_method(self, method: str) -> IssuedToken:
        """Note that the user has just been authenticated in one more way (step-up), or once more in the same way.

        Call the method after you have verified the credential. It sets a new access token on this response, moves
        `auth_time` to now, and keeps the refresh token. Of several calls at once none is lost.

        Args:
            method: A name of RFC 8176, such as ``otp``, or your own: 1 to 30 lower-case letters, digits and ``_.:-``.

        Returns:
            The new access token, for applications that carry tokens themselves.

        Raises:
            Unauthorised: The session is gone; its cookies are cleared.
            ImpersonationRefused: Somebody acts as the user. Nothing has changed.
            TypeError, ValueError: It is no such name, or the session has ten methods already. Nothing has changed.
            PayloadTooLarge: The token would not fit into a cookie. Nothing has changed.
            StoreUnavailable: It may have been noted all the same, or not.
        """
        if not isinstance(method, str):
            raise TypeError(f"method must be str, not {type(method).__name__}")
        try:
            (name,) = checked([str.__str__(method)])
        except ValueError as error:
            raise ValueError(f"method {error}") from None
        self._for_the_user_alone()
        try:
            changed = await self._lifecycle.here().step_up.add(self._access, name)
        except Unauthorised as error:
            self._refuse(error)
        return self._changed(*changed)

    async def update_index(self, changes: Mapping[str, str | Collection[str] | None]) -> None:
        """Change by what this session is found (``index`` of `SessionManager.create_new_session`).

        Meanwhile, and where the database fails half-way, the session is found by the values of before and after.

        Args:
            changes: The names to change, with their new values; None takes a name away. Other names stay.

        Raises:
            Unauthorised: The session is gone; its cookies are cleared.
            ImpersonationRefused: Somebody acts as the user. Nothing has changed.
            TypeError, ValueError: A name or a value that none can be, or more than 16 values. Nothing has changed.
            StoreUnavailable: Some may have changed: call again.
        """
        self._for_the_user_alone()
        try:
            await self._lifecycle.here().index.update(self.session_handle, changes)
        except Unauthorised as error:
            self._refuse(error)

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

        Afterwards `jwt_payload` is what the database has, if somebody else has changed it. To check extends nothing.

        Raises:
            Unauthorised: The session has ended. If the response has not started, it clears the session's cookies.
        """
        try:
            access = await self._lifecycle.here().check(self._access)
        except Unauthorised as error:
            self._refuse(error)
        if access is not self._access:
            self._access, self._payload = access, _UNREAD

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

    def _for_the_user_alone(self) -> None:
        """Raise where somebody else acts, who must not change what the session may do, or the user's other sessions."""
        if self._access.actor is not None:
            raise ImpersonationRefused

    def _changed(self, token: IssuedToken, access: AccessToken) -> IssuedToken:
        """The access token says something else from now on: set it."""
        self._access, self._payload = access, _UNREAD
        if self._connection is not None:
            self._connection.access_token_changed(token, access)
        return token

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


async def impersonation_by(session: Session[Any, Any], *, lifetime: int) -> Impersonation:
    """The user of this session acts as another one, for so long at most, ms; see `Impersonator.by`."""
    try:
        return await session._lifecycle.here().impersonator.by(session._access, lifetime=lifetime)
    except Unauthorised as error:
        session._refuse(error)


async def require_alone(session: Session[Any, Any]) -> None:
    """Raise unless a session lives and is its user's alone: before it ends others of that user."""
    try:
        await session._lifecycle.here().impersonator.require_alone(session._access)
    except Unauthorised as error:
        session._refuse(error)


def methods_of(session: Session[Any, Any]) -> Methods:
    """The session's methods of authentication as its access token has them, in ms."""
    return session._access.methods


_NOT_A_RESPONSE = (
    "A Session is not response or request data. To receive one, write `session: CurrentSession` or "
    "`session: Session = Depends(get_session)`; to answer with it, return what the client may see, "
    'e.g. {"user": session.user_id}.'
)
