"""The face of the package: one object that applications build, and everything they ask of it."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Any, ClassVar, Literal, Self, TypeVar, overload
from weakref import WeakKeyDictionary

from asgi_sessions.errors import ConfigurationError, StoreUnavailable, TryRefreshToken, Unauthorised
from asgi_sessions.manager import arguments
from asgi_sessions.manager.audit import Event
from asgi_sessions.manager.connection import UNRESOLVED, ASGIConnection, SessionConnection, connection_of
from asgi_sessions.manager.events import Events, HookT
from asgi_sessions.manager.issuing import TokenSet
from asgi_sessions.manager.lifecycle import Device, Lifecycle
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.manager.refreshing import already_rotated
from asgi_sessions.manager.runtime import Runtime
from asgi_sessions.manager.session import IssuedSession, Session, SessionRecord
from asgi_sessions.protocol.anti_csrf import token_matches
from asgi_sessions.protocol.clock import Clock, system_clock
from asgi_sessions.protocol.user_id import UserId, type_name
from asgi_sessions.settings import SessionSettings, policy_summary, weakened_defaults
from asgi_sessions.store.engine import open_database
from asgi_sessions.store.event_loop import OTHER_LOOP, loop_or_none, running_loop
from asgi_sessions.store.migrations import upgrade
from asgi_sessions.store.repository import PAGE

UserT = TypeVar("UserT", bound=UserId)
_log = logging.getLogger("asgi_sessions")

_NOT_STARTED = (
    "The SessionManager is not running on this event loop. The middleware starts it with the application's lifespan: "
    "in tests use `with TestClient(app) as client:`; outside an application, and for a middleware on a mounted "
    "application, which gets none, use `async with sessions:`; where the server runs no lifespan give the middleware "
    'start_on="first_use".'
)
_NAMESAKE = "revoke_all_sessions_for_user: user %r (%s) has no other live session. User %r (%s) has %d: is it meant?"


class SessionManager:
    """Complete management of login sessions.

    One for each application; give it to `SessionMiddleware`, which starts and stops it. Outside a request (a job, a
    shell) use it as ``async with SessionManager(settings) as sessions:``. It may serve several event loops at once;
    engine, tasks and locks belong to each of them.

    Args:
        settings: Read from the environment where None.
        clock: The time in ms since the epoch, for tests.
    """

    _takes_any_clock: ClassVar[bool] = False

    def __init__(self, settings: SessionSettings | None = None, *, clock: Clock = system_clock) -> None:
        if not isinstance(settings, SessionSettings | None):
            raise TypeError(
                f"SessionManager: settings must be a SessionSettings, not {type(settings).__name__}: write "
                "SessionManager(SessionSettings(database_url=…)), or leave it out to read the environment."
            )
        if not callable(clock):
            raise TypeError(f"SessionManager: clock must be a function that returns ms, not {type(clock).__name__}.")
        self.settings = SessionSettings() if settings is None else settings
        self.clock = clock
        # Of what needs no session, so that the log is not anybody's to fill.
        self.cross_site_log = OncePerMinute(_log, logging.WARNING, clock)
        self.unavailable_log = OncePerMinute(_log, logging.WARNING, clock)
        self._namesakes_log = OncePerMinute(_log, logging.WARNING, clock)
        self._events = Events()
        self._runtimes: WeakKeyDictionary[asyncio.AbstractEventLoop, Runtime] = WeakKeyDictionary()
        self._latest: Runtime | None = None  # of the loop that asked last: most processes have but one

    # -- start and stop

    async def start(self) -> None:
        """Open the store on this event loop; further starts are counted and cost nothing.

        Raises:
            ConfigurationError: The settings do not fit the database, or no asyncio runs here.
            StoreUnavailable: The database does not answer, or refused. The text says which one and why.
        """
        loop = running_loop()
        for other in [known for known in self._runtimes if known.is_closed()]:
            del self._runtimes[other]  # ended without a stop, and its engine with it
            self._latest = None
        while True:
            runtime = self._runtimes.get(loop)
            if runtime is None:
                runtime = self._runtimes[loop] = Runtime(
                    self.settings, self._events, self.clock, takes_any_clock=self._takes_any_clock
                )
            async with runtime.opening:
                if self._runtimes.get(loop) is not runtime:
                    continue  # it was closed, or could not be opened, while this start waited
                if runtime.users == 0:
                    try:
                        await runtime.open()
                    except BaseException:
                        self._runtimes.pop(loop, None)
                        raise
                    self._announce()
                runtime.users += 1
                return

    async def stop(self) -> None:
        """Undo one start; the last one closes the store on this event loop."""
        loop = running_loop()
        runtime = self._runtimes.get(loop)
        if runtime is None:
            return
        async with runtime.opening:
            if self._runtimes.get(loop) is not runtime:
                return
            if runtime.users > 1:
                runtime.users -= 1
                return
            try:
                await self._events.settle()  # hooks at work may still ask this manager
            finally:
                runtime.users = 0
                self._runtimes.pop(loop, None)
                self._latest = None
                await asyncio.shield(runtime.close())

    def end_connections(self) -> None:
        """End what would hold up a server's stop: open sockets, with close code 1012, and event streams.

        Those of this event loop for which the application has asked for the session, and any that opens later. They may
        connect again, to another worker or after the restart. The middleware calls this when the server is told to stop
        by a signal (``end_connections_on_signal``); call it where yours is told otherwise. On another thread use
        ``loop.call_soon_threadsafe(sessions.end_connections)``.

        Raises:
            ConfigurationError: The manager has not been started on this loop.
        """
        self.lifecycle.shutdown.begin()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def upgrade_database(self) -> None:
        """Bring the tables up to date now, for those who set ``migrate_on_start=False``. Needs no running manager.

        Raises:
            ConfigurationError: The settings do not fit the database.
            StoreUnavailable: The database does not answer, or refused. The text says which one and why.
        """
        database = await open_database(self.settings.database_url.get_secret_value())
        try:
            await upgrade(database, self.settings.table_prefix)
        except StoreUnavailable as error:
            raise database.told(error) from error.__cause__
        finally:
            await database.close()

    def time(self) -> int:
        """The time, ms: this worker's, or the database's where they are too far apart."""
        runtime = self._latest
        return self.clock() if runtime is None else runtime.lifecycle.clock()

    @property
    def lifecycle(self) -> Lifecycle:
        """This event loop's sessions, without the public face.

        Raises:
            ConfigurationError: The manager has not been started on this loop; the text says what to do.
        """
        runtime = self._latest
        if runtime is None or runtime.loop is not loop_or_none():
            runtime = self._latest = self._runtime()
        return runtime.lifecycle

    def _runtime(self, *, anywhere: bool = False) -> Runtime:
        loop = loop_or_none()
        runtime = None if loop is None else self._runtimes.get(loop)
        if runtime is not None and runtime.users:
            return runtime
        elsewhere = [other for other in list(self._runtimes.values()) if other.users and other.loop.is_running()]
        if anywhere and len(elsewhere) == 1:
            return elsewhere[0]
        if elsewhere:
            raise ConfigurationError(OTHER_LOOP)
        if not anywhere:
            running_loop()
        raise ConfigurationError(_NOT_STARTED)

    def _announce(self) -> None:
        policy = policy_summary(self.settings)
        _log.info("Sessions: %s", ", ".join(f"{name}={value}" for name, value in policy.items()))
        for weakness in weakened_defaults(self.settings):
            _log.warning("%s", weakness)

    # -- with a request

    async def create_new_session(
        self,
        connection: ASGIConnection,
        user_id: UserT,
        *,
        jwt_payload: Any = None,
        session_info: Any = None,
    ) -> Session[UserT, Any]:
        """Log in: begin a session and set its cookies on the response.

        A session that the request already carried is revoked first, so that nobody can plant one (ASVS 7.2.4).

        Args:
            connection: The request, or a WebSocket before it is accepted.
            user_id: `str`, `int` or `uuid.UUID`; comes back as the same type.
            jwt_payload: A JSON value that travels in the access token, where its user can read it.
            session_info: A JSON value that stays in the database.

        Raises:
            CsrfRejected: Another site's page tried to log the user in.
            TypeError, ValueError: An id or value that cannot be kept exactly. Nothing was stored.
            PayloadTooLarge: The payload does not fit into a cookie. Nothing was stored.
            SessionLimitReached: With ``max_sessions_action="reject"``.
            StoreUnavailable: The database did not answer.
        """
        return await self._of(connection).create(user_id, jwt_payload, session_info)

    @overload
    async def get_session(
        self,
        connection: ASGIConnection,
        *,
        required: Literal[True] = ...,
        csrf: bool | None = ...,
        check_database: bool = ...,
    ) -> Session[Any, Any]: ...

    @overload
    async def get_session(
        self,
        connection: ASGIConnection,
        *,
        required: bool,
        csrf: bool | None = ...,
        check_database: bool = ...,
    ) -> Session[Any, Any] | None: ...

    async def get_session(
        self,
        connection: ASGIConnection,
        *,
        required: bool = True,
        csrf: bool | None = None,
        check_database: bool = False,
    ) -> Session[Any, Any] | None:
        """The session of a request.

        Args:
            connection: The request or WebSocket.
            required: False returns None where nobody is logged in.
            csrf: None checks as the settings say; True checks safe methods too; False does not check.
            check_database: Ask the database in any case whether the session still stands.

        Raises:
            Unauthorised: Nobody is logged in.
            TryRefreshToken: With ``refresh="endpoint"``: the access token has expired.
            TokenTheftDetected: A copied refresh token; the session has been revoked.
            CsrfRejected: Another site's page made the request.
            StoreUnavailable: The database was to be asked and did not answer.
        """
        exchange = self._of(connection)
        found = exchange.recognise(required, csrf, check_database)
        if found is UNRESOLVED:
            return await exchange.resolve(required=required, csrf=csrf, check_database=check_database)
        return found

    async def refresh_session(self, connection: ASGIConnection) -> Session[Any, Any]:
        """Rotate the refresh token of a request; the new tokens leave with the response.

        Raises:
            Unauthorised: There is no session to refresh.
            AlreadyRotated: Another tab was faster; the jar holds newer tokens in a moment.
            TokenTheftDetected: A copied refresh token; the session has been revoked.
            CsrfRejected: Another site's page made the request.
            StoreUnavailable: The database did not answer; nothing was decided.
        """
        return await self._of(connection).refresh()

    def _of(self, connection: ASGIConnection) -> SessionConnection:
        return connection_of(connection, self)

    # -- by session handle and by user; these touch no cookie

    async def revoke_session_using_session_handle(self, session_handle: str, *, user_id: UserId | None = None) -> bool:
        """End one session on every device and worker. Touches no cookie.

        Args:
            session_handle: Which one.
            user_id: Only if it is this user's, whose type matters: for a handle that comes from a client. None asks
                nobody.

        Returns:
            False if there is no such session (of this user), or it has already ended.

        Raises:
            TypeError: The handle is no `str`, or the user id none that can be.
        """
        handle = arguments.text(session_handle, "session_handle")
        return await self.lifecycle.revoker.revoke(handle, owner=user_id)

    async def revoke_all_sessions_for_user(self, user_id: UserId, *, except_handle: str | None = None) -> int:
        """End all of a user's sessions. Touches no cookie.

        One statement, all or nothing; of a user with more than two thousand one for each so many, one by one.

        Args:
            user_id: Whose; `1` and `"1"` are different users. Where nothing was ended and a user of the same text
                and another type has sessions, the log says so.
            except_handle: A session to keep.

        Returns:
            How many sessions were ended.

        Raises:
            TypeError, ValueError: `except_handle` is no session handle, or the user id none that can be. Nothing was
                ended.
            StoreUnavailable: Some may have ended all the same, and stay ended: call again for the rest.
        """
        except_handle = arguments.text_or_none(except_handle, "except_handle")
        lifecycle = self.lifecycle
        count = await lifecycle.revoker.revoke_all(user_id, except_handle=except_handle)
        if not count:
            with suppress(StoreUnavailable):  # this is for the log alone
                for other, live in await lifecycle.namesakes_of(user_id):
                    self._namesakes_log.say(_NAMESAKE, user_id, type_name(user_id), other, type_name(other), live)
        return count

    async def revoke_multiple_sessions(self, session_handles: Iterable[str]) -> int:
        """End several sessions, 500 with one statement; returns how many of them were still alive. Touches no cookie.

        Raises:
            TypeError: It is no iterable of `str`, or a single one. Nothing was ended.
            StoreUnavailable: Some may have ended all the same, and stay ended: call again for the rest.
        """
        return await self.lifecycle.revoker.revoke_many(arguments.handles(session_handles, "session_handles"))

    async def get_all_session_handles_for_user(self, user_id: UserId) -> list[str]:
        """The handles of a user's live sessions; `1` and `"1"` are different users."""
        return await self.lifecycle.handles_of(user_id)

    async def list_sessions_for_user(
        self, user_id: UserT, *, limit: int = PAGE, after: str | None = None
    ) -> list[SessionRecord[UserT]]:
        """A user's live sessions for a page "your devices", newest first. Never a secret.

        Sessions that begin or end meanwhile neither repeat nor hide others: a page begins where the last one ended.

        Args:
            user_id: Whose; `1` and `"1"` are different users.
            limit: How many at most, 1 to 1000.
            after: For the next page the last one's end, ``records[-1].cursor``. An empty page is the end.

        Raises:
            TypeError: An argument of another type.
            ValueError: No such limit, or no cursor.
        """
        arguments.instance(limit, int, "limit")
        after = arguments.text_or_none(after, "after")
        return await self.lifecycle.list_of(user_id, limit=limit, after=after)

    async def get_session_info(self, session_handle: str) -> Any:
        """The server-side data of a session.

        Raises:
            Unauthorised: The session is gone. No cookie is touched.
            TypeError: The handle is no `str`.
        """
        return await self.lifecycle.get_info(arguments.text(session_handle, "session_handle"))

    async def update_session_info(self, session_handle: str, info: Any) -> None:
        """Replace the server-side data of a session.

        Raises:
            Unauthorised: The session is gone. No cookie is touched.
            TypeError: The handle is no `str`, or `info` no JSON value.
        """
        await self.lifecycle.set_info(arguments.text(session_handle, "session_handle"), info)

    async def purge_expired_sessions(self, *, limit: int | None = None) -> int:
        """Delete expired sessions now; the manager does so by itself every `purge_interval`.

        Args:
            limit: At most so many.

        Returns:
            How many were deleted.

        Raises:
            TypeError: The limit is no `int`.
        """
        if limit is not None:
            arguments.instance(limit, int, "limit")
        return await self._runtime().purge(limit=limit)

    # -- hooks: async functions of a SessionEvent that run beside the request; a failing one is logged, nothing else

    def on_session_created(self, hook: HookT) -> HookT:
        """Call `hook` after each login on this worker. Also a decorator, as the three below."""
        return self._events.add(Event.CREATED, hook)

    def on_session_refreshed(self, hook: HookT) -> HookT:
        """Call `hook` whenever this worker has handed out the next tokens of a session."""
        return self._events.add(Event.REFRESHED, hook)

    def on_session_revoked(self, hook: HookT) -> HookT:
        """Call `hook` after each revocation by this worker: once for each call, however many sessions it ended."""
        return self._events.add(Event.REVOKED, hook)

    def on_session_theft(self, hook: HookT) -> HookT:
        """Call `hook` when this worker has ended a session whose refresh token was stolen, e.g. to mail its user."""
        return self._events.add(Event.THEFT, hook)

    # -- how things stand

    @property
    def revocation_staleness(self) -> timedelta | None:
        """How old this worker's news of revocations is, for a gauge; None with ``revocation_check="none"``.

        Beyond ``revocation_max_staleness`` requests get 503 (``revocation_check="feed"``). May be read from any thread.

        Raises:
            ConfigurationError: The manager is not running, or on several event loops and on none of them here.
        """
        return self._runtime(anywhere=True).staleness

    # -- without a request: for those who carry the tokens themselves

    async def create_new_session_without_request(
        self, user_id: UserT, *, jwt_payload: Any = None, session_info: Any = None
    ) -> IssuedSession[UserT, Any]:
        """Begin a session and return its tokens. Arguments and errors as `create_new_session`."""
        device = Device("Unknown device", None)
        return self._issued(await self.lifecycle.create(user_id, jwt_payload, session_info, device=device))

    async def get_session_without_request(
        self,
        access_token: str,
        anti_csrf_token: str | None = None,
        *,
        csrf: bool = True,
        check_database: bool = False,
    ) -> Session[Any, Any]:
        """The session of an access token.

        Args:
            access_token: As issued.
            anti_csrf_token: What came with the request, where the settings use such tokens.
            csrf: False does not compare it.
            check_database: Ask the database in any case whether the session still stands.

        Raises:
            TryRefreshToken: Not a good access token (any more), or the wrong anti-CSRF token.
            Unauthorised: The session has been revoked.
            StoreUnavailable: The database was to be asked and did not answer.
            TypeError: A token that is no `str`, such as an `IssuedToken` for its `value`.
        """
        token = arguments.text(access_token, "access_token")
        credentials = arguments.text_or_none(anti_csrf_token, "anti_csrf_token")
        del access_token, anti_csrf_token  # names that error reports do not leave out
        csrf = arguments.flag(csrf, "csrf")
        check_database = arguments.flag(check_database, "check_database")
        lifecycle = self.lifecycle
        verifier = lifecycle.verifier
        access = await verifier.authentic(token)
        if access is None or not verifier.in_time(access):
            raise TryRefreshToken
        if csrf and self.settings.uses_csrf_tokens and not token_matches(access.anti_csrf_token, credentials):
            raise TryRefreshToken
        await verifier.stands(access, check_database=check_database)
        return Session(access, lifecycle)

    async def refresh_session_without_request(self, refresh_token: str) -> IssuedSession[Any, Any]:
        """Rotate a refresh token and return what follows. Errors as `refresh_session`.

        Raises:
            TypeError: The token is no `str`, such as an `IssuedToken` for its `value`.
        """
        token = arguments.text(refresh_token, "refresh_token")
        del refresh_token  # a name that error reports do not leave out
        refresher = self.lifecycle.refresher
        found = await refresher.authentic(token)
        if found is None:
            raise Unauthorised
        refreshed = await refresher.refresh(found)
        if refreshed.tokens is None:
            raise already_rotated(found)
        return self._issued(refreshed.tokens)

    def _issued(self, tokens: TokenSet) -> IssuedSession[Any, Any]:
        return IssuedSession(
            session=Session(tokens.access, self.lifecycle),
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            anti_csrf_token=tokens.anti_csrf_token,
            id_refresh_token=tokens.id_refresh_token,
        )
