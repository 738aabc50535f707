"""`SessionManager`: the one object that an application builds, with all methods that the application calls.

Each method calls `Lifecycle`, or the connection that the middleware has put into the scope.

The file is longer than others because it holds the public docstrings.
"""

import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar, overload

from asgi_sessions.errors import StoreUnavailable, TryRefreshToken, Unauthorised
from asgi_sessions.manager import arguments
from asgi_sessions.manager.audit import Event
from asgi_sessions.manager.claims_function import ClaimsFunctionT
from asgi_sessions.manager.connection import UNRESOLVED, ASGIConnection, SessionConnection, connection_of
from asgi_sessions.manager.device_label import DeviceLabel, LabelFunctionT
from asgi_sessions.manager.events import HookT
from asgi_sessions.manager.functions import plain_function
from asgi_sessions.manager.issued_session import IssuedSession
from asgi_sessions.manager.limit_function import LimitFunctionT
from asgi_sessions.manager.login_arguments import login_of
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.manager.records import Device, Login, SessionRecord, TokenSet
from asgi_sessions.manager.refreshing import already_rotated
from asgi_sessions.manager.session import Session, after_login, impersonation_by
from asgi_sessions.manager.starting import StartedOnLoops
from asgi_sessions.protocol.anti_csrf import token_matches
from asgi_sessions.protocol.clock import Clock, system_clock
from asgi_sessions.protocol.durations import to_ms
from asgi_sessions.protocol.session_index import entries
from asgi_sessions.protocol.user_id import UserId, type_name
from asgi_sessions.settings import SessionSettings, manager_log
from asgi_sessions.store.repository import PAGE

UserT = TypeVar("UserT", bound=UserId)

_NAMESAKE = "%s: user %r (%s) has no other live session. User %r (%s) has %d: is it meant?"


class SessionManager(StartedOnLoops):
    """Creates, verifies, refreshes, lists and ends login sessions. Owns the settings, the hooks, and the runtimes.

    Build one manager for each application and give it to `SessionMiddleware`, which starts and stops it. Outside a
    request (a job, a shell) use it as ``async with SessionManager(settings) as sessions:``. One manager may serve
    several event loops at once; each loop has its own `Runtime`, with engine, tasks and locks.

    Args:
        settings: None reads the settings from the environment.
        clock: Returns the time in ms since the epoch; for tests.
    """

    def __init__(self, settings: SessionSettings | None = None, *, clock: Clock = system_clock) -> None:
        super().__init__(settings, clock)
        # Of what needs no session, so that the log is not anybody's to fill.
        log = manager_log("asgi_sessions", self.settings)
        self.cross_site_log = OncePerMinute(log, logging.WARNING, clock)
        self.unavailable_log = OncePerMinute(log, logging.WARNING, clock)
        self.device_label = DeviceLabel(clock)
        self._namesakes_log = OncePerMinute(log, logging.WARNING, clock)

    # -- with a request

    async def create_new_session(
        self,
        connection: ASGIConnection,
        user_id: UserT,
        *,
        jwt_payload: Any = None,
        session_info: Any = None,
        persistent: bool = True,
        idle_timeout: timedelta | float | None = None,
        absolute_timeout: timedelta | float | None = None,
        authentication_methods: Collection[str] = (),
        index: Mapping[str, str | Collection[str]] | None = None,
        allow_origin: str | Collection[str] | None = None,
    ) -> Session[UserT, Any]:
        """Log a user in: begin a session and set its cookies on the response.

        The method first revokes a session that the request already carried, so that an attacker cannot plant one
        (ASVS 7.2.4).

        Args:
            connection: The request, or a WebSocket before it is accepted.
            user_id: `str`, `int` or `uuid.UUID`; the session keeps the type.
            jwt_payload: A JSON value that travels in the access token, where its user can read it.
            session_info: A JSON value that stays in the database.
            persistent: False for a user who does not want to stay signed in: browsers forget the cookies when they are
                closed, and ``nonpersistent_idle_timeout`` counts in place of ``idle_timeout``.
            idle_timeout: This session's own, `timedelta` or seconds, at least ``access_token_lifetime``. The setting is
                the limit, now and at each refresh: what is longer is cut to it, so that a deployment with shorter
                settings needs no other code; the log says so once.
            absolute_timeout: This session's own, at least 1 s; likewise. None, as above, means the setting.
            authentication_methods: How the user has just been authenticated, by the names of RFC 8176 or your own:
                ``("pwd",)``, ``("pwd", "otp")``. See `Session.authentication_methods`.
            index: What else the session is to be found by, to end it or list it: ``{"org": "acme"}``; see
                `revoke_sessions_by_index`. At most 16 values; a name may have several. The database keeps digests of
                them. Names that begin with ``oidc_`` or ``ssf_`` are the library's.
            allow_origin: Whose pages may bring this login by a form that the browser follows, beside those that may
                make any request: an identity provider's, such as ``https://appleid.apple.com``. Check its ``state``
                first, which says that this browser has asked for it.

        Raises:
            CsrfRejected: A page of another site tried to log the user in.
            ImpersonationRefused: The request comes from a session in which somebody acts as this very user. It stays;
                to log in as the user, log out first.
            TypeError, ValueError: The id or a value cannot be stored exactly, an origin is not exact, a timeout is too
                short, or a method is no name. Nothing was stored.
            PayloadTooLarge: The payload does not fit into a cookie. Nothing was stored.
            SessionLimitReached: With ``max_sessions_action="reject"``.
            StoreUnavailable: The database did not answer.
        """
        allowed = arguments.origins(allow_origin, "allow_origin")
        login = login_of(
            user_id,
            jwt_payload,
            session_info,
            persistent=persistent,
            idle_timeout=idle_timeout,
            absolute_timeout=absolute_timeout,
            authentication_methods=authentication_methods,
            index=index,
        )
        return await self._of(connection).create(login, allowed=allowed)

    async def impersonate(
        self,
        connection: ASGIConnection,
        user_id: UserT,
        *,
        actor: Session[Any, Any],
        lifetime: timedelta | float | None = None,
        jwt_payload: Any = None,
        session_info: Any = None,
        index: Mapping[str, str | Collection[str]] | None = None,
    ) -> Session[UserT, Any]:
        """Begin a session of a user in which another user, an administrator, acts ("log in as").

        Whether this administrator may act as this user is yours to decide, before. The session is set on the response
        as at a login, and ends the one that the request carried, also the administrator's own if it is of this manager:
        to return, log in again. `Session.actor` tells who acts. Such a session cannot change its payload, add methods
        of authentication, end the user's other sessions or begin another impersonation (`ImpersonationRefused`), and
        does not count for `max_sessions_per_user`.

        Args:
            connection: The request, or a WebSocket before it is accepted.
            user_id: Whose session it is.
            actor: The administrator's own session, of this manager or of another one.
            lifetime: How long the session lives at most, `timedelta` or seconds. None, and anything longer, means
                ``impersonation_lifetime``. No use makes it longer, and it ends no later than the administrator's own
                session could.
            jwt_payload: As in `create_new_session`: the user's. A function of `claims` is not asked.
            session_info: Likewise.
            index: Likewise.

        Raises:
            ImpersonationRefused: Somebody acts in `actor` already.
            Unauthorised: `actor` has ended.
            CsrfRejected: A page of another site made the request.
            TypeError, ValueError: An argument has another type, the lifetime is not positive, or a value cannot be
                stored exactly. Nothing was stored.
            PayloadTooLarge: The payload does not fit into a cookie. Nothing was stored.
            StoreUnavailable: The database did not answer.
        """
        if not isinstance(actor, Session):
            raise TypeError(f"actor must be a Session, not {type(actor).__name__}")
        wanted, longest = arguments.duration_or_none(lifetime, "lifetime"), self.settings.impersonation_lifetime
        if wanted is not None and to_ms(wanted) < 1:
            raise ValueError("lifetime must be longer than 0.")
        found_by = entries(index)
        exchange = self._of(connection)
        by = await impersonation_by(actor, lifetime=to_ms(longest if wanted is None else min(wanted, longest)))
        login = Login(
            user_id=user_id, jwt_payload=jwt_payload, session_info=session_info, impersonation=by, index=found_by
        )
        return await exchange.create(login)

    @overload
    async def get_session(
        self,
        connection: ASGIConnection,
        *,
        required: Literal[True] = ...,
        csrf: bool | None = ...,
        check_database: bool = ...,
        extend: bool | None = ...,
    ) -> Session[Any, Any]: ...

    @overload
    async def get_session(
        self,
        connection: ASGIConnection,
        *,
        required: bool,
        csrf: bool | None = ...,
        check_database: bool = ...,
        extend: bool | None = ...,
    ) -> Session[Any, Any] | None: ...

    async def get_session(
        self,
        connection: ASGIConnection,
        *,
        required: bool = True,
        csrf: bool | None = None,
        check_database: bool = False,
        extend: bool | None = None,
    ) -> Session[Any, Any] | None:
        """Return the session of a request.

        Args:
            connection: The request or WebSocket.
            required: False returns None if nobody is logged in.
            csrf: None checks as the settings say; True checks safe methods too; False does not check.
            check_database: True makes a liveness check in the database, whatever `revocation_check` says.
            extend: Whether the request extends the session; see `require_session`.

        Raises:
            Unauthorised: Nobody is logged in.
            TryRefreshToken: The access token has expired, with ``refresh="endpoint"``.
            TokenTheftDetected: The request carries a copied refresh token; the session has been revoked.
            CsrfRejected: A page of another site made the request.
            StoreUnavailable: The method had to ask the database, which did not answer.
        """
        exchange = self._of(connection)
        found = exchange.recognise(required, csrf, check_database)
        if found is UNRESOLVED:
            return await exchange.resolve(required=required, csrf=csrf, check_database=check_database, extend=extend)
        return found

    async def refresh_session(self, connection: ASGIConnection, *, extend: bool | None = None) -> Session[Any, Any]:
        """Rotate the refresh token of a request; the new tokens leave with the response.

        Args:
            connection: The request or WebSocket.
            extend: Whether the refresh extends the session; see `require_session`.

        Raises:
            Unauthorised: There is no session to refresh.
            AlreadyRotated: Another tab was faster; the browser has or soon gets newer tokens.
            TokenTheftDetected: The request carries a copied refresh token; the session has been revoked.
            CsrfRejected: A page of another site made the request.
            StoreUnavailable: The database did not answer; nothing was decided.
        """
        return await self._of(connection).refresh(extend=extend)

    def _of(self, connection: ASGIConnection) -> SessionConnection:
        return connection_of(connection, self)

    # -- by session handle and by user; these touch no cookie

    async def revoke_session_using_session_handle(self, session_handle: str, *, user_id: UserId | None = None) -> bool:
        """End one session on every device and worker. Touches no cookie.

        Args:
            session_handle: The session.
            user_id: The method ends the session only if it belongs to this user. Give it for a handle that comes from a
                client. The type of the id matters. With None any user's session is ended.

        Returns:
            True if the session was ended. False if there is no such session (of this user), or it had already ended.

        Raises:
            TypeError: The handle is no `str`, or the user id has a type that no user id can have.
        """
        handle = arguments.text(session_handle, "session_handle")
        return await self.lifecycle.revoker.revoke(handle, owner=user_id)

    async def revoke_all_sessions_for_user(
        self,
        user_id: UserId,
        *,
        before: datetime | None = None,
        except_handle: str | None = None,
        acting: bool = False,
    ) -> int:
        """End all of a user's sessions. Touches no cookie.

        Up to two thousand sessions end in one statement: all of them, or none. More end in one statement for each two
        thousand, which commit one by one.

        Args:
            user_id: The user; `1` and `"1"` are different users. If the call ends nothing, but a user of the same text
                and another type has sessions, the log says so.
            before: Only sessions that began before this, by the clock of the worker that began them; aware. They end
                in one statement for each 500.
            except_handle: A session to keep.
            acting: Whether those sessions end too in which this user acts as somebody else (`impersonate`). No index
                leads to them: the call then reads the whole table, with one statement for each thousand rows. Not
                together with `before`.

        Returns:
            How many sessions were ended.

        Raises:
            TypeError, ValueError: `except_handle` is no session handle, `user_id` cannot be a user id, `acting` is no
                `bool`, or `before` is naive or comes with `acting`. Nothing was ended.
            StoreUnavailable: Some sessions may have ended all the same, and stay ended: call again for the rest.
        """
        except_handle = arguments.text_or_none(except_handle, "except_handle")
        acting = arguments.flag(acting, "acting")
        begun_before = arguments.moment_or_none(before, "before")
        revoker = self.lifecycle.revoker
        if begun_before is None:
            count = await revoker.revoke_all(user_id, except_handle=except_handle, acting=acting)
        elif acting:
            raise ValueError("acting: cannot be chosen together with before")
        else:
            count = await revoker.revoke_begun_before(user_id, begun_before, except_handle=except_handle)
        if not count and (begun_before is None or not await self.get_all_session_handles_for_user(user_id)):
            await self._tell_of_namesakes("revoke_all_sessions_for_user", user_id)
        return count

    async def revoke_multiple_sessions(self, session_handles: Iterable[str]) -> int:
        """End several sessions, with one statement for each 500. Touches no cookie.

        Args:
            session_handles: The sessions.

        Returns:
            How many sessions were ended; those that had ended before are not counted.

        Raises:
            TypeError: The argument is no iterable of `str`, or is a single `str`. Nothing was ended.
            StoreUnavailable: Some sessions may have ended all the same, and stay ended: call again for the rest.
        """
        return await self.lifecycle.revoker.revoke_many(arguments.handles(session_handles, "session_handles"))

    async def revoke_sessions(
        self,
        *,
        before: datetime | None = None,
        except_handle: str | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """End everybody's sessions: after a breach, or a mistake that let the wrong people in. Touches no cookie.

        What stands when the call begins is over when it returns. About two thousand sessions end at a time, and other
        workers refuse them within a second of that. Whoever logs in meanwhile may have to do so once more.

        Args:
            before: Only sessions that began before this, by the clock of the worker that began them; aware.
            except_handle: A session to keep, such as the caller's own.
            progress: Called after each part with how many sessions have ended so far; must not block. What it raises
                ends the call.

        Returns:
            How many sessions were ended.

        Raises:
            TypeError, ValueError: An argument of another type, a naive `before`, or `except_handle` is no session
                handle. Nothing was ended.
            StoreUnavailable: Some may have ended all the same, and stay ended: call again for the rest.
        """
        return await self.lifecycle.revoker.revoke_everybody(
            begun_before=arguments.moment_or_none(before, "before"),
            except_handle=arguments.text_or_none(except_handle, "except_handle"),
            progress=None if progress is None else plain_function(progress, "progress"),
        )

    async def revoke_sessions_by_index(
        self, name: str, value: str, *, before: datetime | None = None, except_handle: str | None = None
    ) -> int:
        """End all sessions that are found by this name and value: a whole organisation. Touches no cookie.

        What stands when the call begins is over when it returns. 500 sessions end at a time, and other workers refuse
        them within a second of that.

        Args:
            name: As given to `create_new_session` in ``index``.
            value: Likewise.
            before: Only sessions that began before this, by the clock of the worker that began them; aware.
            except_handle: A session to keep, such as the caller's own.

        Returns:
            How many sessions were ended.

        Raises:
            TypeError, ValueError: An argument of another type, a naive `before`, a name that none can be, or
                `except_handle` is no session handle. Nothing was ended.
            StoreUnavailable: Some may have ended all the same, and stay ended: call again for the rest.
        """
        return await self.lifecycle.index.revoke(
            name,
            value,
            begun_before=arguments.moment_or_none(before, "before"),
            except_handle=arguments.text_or_none(except_handle, "except_handle"),
        )

    async def list_sessions_by_index(
        self, name: str, value: str, *, limit: int = PAGE, after: str | None = None
    ) -> list[SessionRecord[Any]]:
        """List the live sessions that are found by this name and value, newest first, page by page.

        Args:
            name: As given to `create_new_session` in ``index``.
            value: Likewise.
            limit: How many sessions at most, 1 to 1000.
            after: For the next page the ``records[-1].cursor`` of the last page. An empty page is the end.

        Raises:
            TypeError: An argument has another type.
            ValueError: A name that none can be, the limit is out of range, or `after` is no cursor.
        """
        arguments.instance(limit, int, "limit")
        after = arguments.text_or_none(after, "after")
        return await self.lifecycle.index.list_of(name, value, limit=limit, after=after)

    async def update_session_index(
        self, session_handle: str, changes: Mapping[str, str | Collection[str] | None]
    ) -> None:
        """Change by what a session is found; see `Session.update_index`. Touches no cookie.

        Raises:
            Unauthorised: The session is gone. No cookie is touched.
            TypeError, ValueError: The handle is no `str`, or as `Session.update_index`. Nothing has changed.
            StoreUnavailable: The session may be found by values of before and after: call again.
        """
        handle = arguments.text(session_handle, "session_handle")
        await self.lifecycle.index.update(handle, changes)

    async def get_all_session_handles_for_user(self, user_id: UserId) -> list[str]:
        """Return the handles of a user's live sessions; `1` and `"1"` are different users."""
        return await self.lifecycle.lists.handles_of(user_id)

    async def list_sessions_for_user(
        self, user_id: UserT, *, limit: int = PAGE, after: str | None = None
    ) -> list[SessionRecord[UserT]]:
        """List a user's live sessions for a page "your devices", newest first. The records hold no secret.

        Each page begins where the last one ended, so sessions that begin or end meanwhile neither repeat nor hide
        others.

        Args:
            user_id: The user; `1` and `"1"` are different users.
            limit: How many sessions at most, 1 to 1000.
            after: For the next page the ``records[-1].cursor`` of the last page. An empty page is the end.

        Raises:
            TypeError: An argument has another type.
            ValueError: The limit is out of range, or `after` is no cursor.
        """
        arguments.instance(limit, int, "limit")
        after = arguments.text_or_none(after, "after")
        return await self.lifecycle.lists.list_of(user_id, limit=limit, after=after)

    async def get_session_info(self, session_handle: str) -> Any:
        """Return the server-side data of a session, a JSON value.

        Raises:
            Unauthorised: The session is gone. No cookie is touched.
            TypeError: The handle is no `str`.
        """
        return await self.lifecycle.data.get_info(arguments.text(session_handle, "session_handle"))

    async def change_session_info(self, session_handle: str, change: Callable[[Any], Any]) -> Any:
        """Replace the server-side data of a session by what a function makes of it. No change of others is lost.

        Args:
            session_handle: Which one.
            change: A plain function: given the info, a fresh object, it returns the new one. It is called again where
                somebody else has changed the info meanwhile, so that it should do nothing else.

        Returns:
            The new info, as `change` returned it.

        Raises:
            Unauthorised: The session is gone. No cookie is touched.
            TypeError, ValueError: An argument of another type, or `change` returned no JSON value, or None (which
                `update_session_info` stores). Nothing has changed; nor where `change` raises.
            StoreUnavailable: The change may have been made all the same, or not.
        """
        handle = arguments.text(session_handle, "session_handle")
        return await self.lifecycle.data.change_info(handle, plain_function(change, "change"))

    async def update_session_info(self, session_handle: str, info: Any) -> None:
        """Replace the server-side data of a session, whatever it is by now; see `change_session_info`.

        Raises:
            Unauthorised: The session is gone. No cookie is touched.
            TypeError: The handle is no `str`, or `info` no JSON value.
        """
        await self.lifecycle.data.set_info(arguments.text(session_handle, "session_handle"), info)

    async def change_jwt_payload(self, session_handle: str, change: Callable[[Any], Any]) -> Any:
        """Replace the payload of a session by what a function makes of it: a role, a plan. Nobody is logged out.

        The change takes effect at the session's next request: on this worker at once, on the others within a second
        (``revocation_poll_interval``); with ``revocation_check="none"`` at the next refresh. That request has the new
        payload, and its response carries the access token for it. A Session that is held meanwhile, as by a WebSocket,
        keeps the payload that it has until it is checked (`Session.check`).

        Args:
            session_handle: Which one.
            change: A plain function: given the payload, a fresh object, it returns the new one. It is called again
                where somebody else has changed the payload meanwhile, so that it should do nothing else.

        Returns:
            The new payload, as `change` returned it.

        Raises:
            Unauthorised: The session is gone. No cookie is touched.
            TypeError, ValueError: An argument of another type, or `change` returned no JSON value, or None. Nothing has
                changed; nor where `change` raises.
            PayloadTooLarge: The session's access token would not fit into a cookie. Nothing has changed; if the session
                must not keep its payload, revoke it.
            StoreUnavailable: The change may have been made all the same, or not.
        """
        handle = arguments.text(session_handle, "session_handle")
        return await self.lifecycle.payloads.change(handle, plain_function(change, "change"))

    async def change_jwt_payload_for_user(self, user_id: UserId, change: Callable[[Any], Any]) -> int:
        """Replace the payload of each session of a user, as `change_jwt_payload` does.

        A session that begins meanwhile is not among them. Change first what its login reads.

        Args:
            user_id: The user; `1` and `"1"` are different users.
            change: See `change_jwt_payload`. It is called at least twice for each session.

        Returns:
            How many sessions have got another payload than they had.

        Raises:
            TypeError, ValueError: As `change_jwt_payload`.
            PayloadTooLarge: Some sessions have no room, and keep their payload; all others have got theirs. The error's
                `session_handles` name them: if they must not keep it, revoke them (`revoke_multiple_sessions`).
            StoreUnavailable: Some may have changed: call again for the rest.
        """
        return await self.lifecycle.payloads.change_of_user(user_id, plain_function(change, "change"))

    def export_user(self, user_id: UserId, *, acting: bool = False) -> AsyncIterator[dict[str, Any]]:
        """Give all that is kept about a user: ``async for session in sessions.export_user(42)``.

        Each session is a dictionary of JSON values by the names of the columns: all of them, but for the hashes of its
        tokens. Sessions that have ended are among them until they are purged. A few sessions are read at a time,
        however many there are.

        Args:
            user_id: The user; `1` and `"1"` are different users.
            acting: Whether the sessions follow in which this user acts as somebody else. They hold that user's data.

        Raises:
            TypeError: The id has a type that no user id can have, or `acting` is no `bool`.
            StoreUnavailable: While the sessions are read: the database did not answer.
        """
        return self.lifecycle.personal_data.export(user_id, acting=arguments.flag(acting, "acting"))

    async def erase_user(self, user_id: UserId) -> int:
        """End all sessions of a user, and erase what they hold about the user. Touches no cookie.

        Of each session only the handle and its times stay, as long as an access token of it might still be good; then
        the purge deletes them. The sessions in which the user acts as somebody else end and are erased too. Those that
        begin during the call are erased as well; see to it first that the user can no longer log in.

        Args:
            user_id: The user; `1` and `"1"` are different users. If nothing is kept about the user, but a user of the
                same text and another type has sessions, the log says so.

        Returns:
            How many sessions were erased, those that had ended before among them.

        Raises:
            TypeError: The id has a type that no user id can have.
            StoreUnavailable: Some sessions may have ended and been erased all the same: call again for the rest.
        """
        count = await self.lifecycle.personal_data.erase(user_id)
        if not count:
            await self._tell_of_namesakes("erase_user", user_id)
        return count

    async def _tell_of_namesakes(self, method: str, user_id: UserId) -> None:
        """Say in the log whether another user may have been meant."""
        with suppress(StoreUnavailable):
            for other, live in await self.lifecycle.lists.namesakes_of(user_id):
                self._namesakes_log.say(_NAMESAKE, method, user_id, type_name(user_id), other, type_name(other), live)

    async def purge_expired_sessions(self, *, limit: int | None = None) -> int:
        """Delete expired sessions now; the manager does so by itself every `purge_interval`.

        Args:
            limit: How many sessions to delete at most; None for all.

        Returns:
            How many sessions were deleted.

        Raises:
            TypeError: The limit is no `int`.
        """
        if limit is not None:
            arguments.instance(limit, int, "limit")
        return await self._runtime().purge(limit=limit)

    # -- hooks: async functions of a SessionEvent that run beside the request; a failing one is logged, nothing else

    def on_session_created(self, hook: HookT) -> HookT:
        """Call `hook` after each login on this worker. Works as a decorator too, like the three methods below."""
        return self._events.add(Event.CREATED, hook)

    def on_session_refreshed(self, hook: HookT) -> HookT:
        """Call `hook` after each rotation of a session's tokens by this worker."""
        return self._events.add(Event.REFRESHED, hook)

    def on_session_revoked(self, hook: HookT) -> HookT:
        """Call `hook` after each revocation by this worker: once for each call, however many sessions it ended."""
        return self._events.add(Event.REVOKED, hook)

    def on_session_theft(self, hook: HookT) -> HookT:
        """Call `hook` when this worker has ended a session because its refresh token was stolen."""
        return self._events.add(Event.THEFT, hook)

    def limit_sessions_per_user(self, function: LimitFunctionT) -> LimitFunctionT:
        """Let `function` say at each login how many sessions its user may have: by plan, role, kind. Also a decorator.

        Its answer replaces ``max_sessions_per_user``. If it raises, takes longer than two seconds or returns no such
        number, the setting counts, and the log says so. The sessions beyond the limit end before the login returns;
        `Session.evicted_sessions` lists them. With ``max_sessions_action="reject"`` the login is refused instead.

        Args:
            function: Async. It gets the user's id, of the type given at login, and the payload of the new session, and
                returns a whole number from 1, or None for any number of sessions.

        Raises:
            TypeError: It is no async function.
            ValueError: There is one already.
        """
        return self._limit_by_user.set(function)

    def claims(self, function: ClaimsFunctionT) -> ClaimsFunctionT:
        """Let `function` say at each login and refresh what the payload is: roles as they are now. Also a decorator.

        What it returns is stored, and replaces the payload. If it raises, takes longer than two seconds or returns no
        payload that fits, the payload stays as it is, and the log says so; if it does not fit, for which session. So
        let nothing into a payload whose length a client decides. A login or refresh waits for it. It is not asked for
        sessions of `impersonate`, whose payload is the one that was given there.

        Args:
            function: Async. It gets the user's id, of the type given at login, and the payload that the session has, a
                fresh object, and returns the payload that it is to have.

        Raises:
            TypeError: It is no async function.
            ValueError: There is one already.
        """
        return self._claims.set(function)

    def label_devices(self, function: LabelFunctionT) -> LabelFunctionT:
        """Let `function` say at each login what its device is called in lists of sessions. Also a decorator.

        The label is kept with the session: one line, cut to 100 characters. Whatever the function takes from a header,
        a client has chosen: escape it where it is shown. If the function raises or returns no text, the library's own
        label counts ("Firefox on Windows"), and the log says so.

        Args:
            function: A plain function. It gets the headers of the login's request, whose names are looked up in any
                case, and returns the label, or None for the library's own. A login waits for it, and so does the event
                loop: it must not block.

        Raises:
            TypeError: It is no plain function.
            ValueError: There is one already.
        """
        return self.device_label.set(function)

    # -- without a request: for applications that carry the tokens themselves

    async def create_new_session_without_request(
        self,
        user_id: UserT,
        *,
        jwt_payload: Any = None,
        session_info: Any = None,
        persistent: bool = True,
        idle_timeout: timedelta | float | None = None,
        absolute_timeout: timedelta | float | None = None,
        authentication_methods: Collection[str] = (),
        index: Mapping[str, str | Collection[str]] | None = None,
    ) -> IssuedSession[UserT, Any]:
        """Begin a session and return its tokens. The arguments and errors are those of `create_new_session`."""
        login = login_of(
            user_id,
            jwt_payload,
            session_info,
            persistent=persistent,
            idle_timeout=idle_timeout,
            absolute_timeout=absolute_timeout,
            authentication_methods=authentication_methods,
            index=index,
        )
        return self._issued(await self.lifecycle.create(login, device=Device("Unknown device", None)))

    async def get_session_without_request(
        self,
        access_token: str,
        anti_csrf_token: str | None = None,
        *,
        csrf: bool = True,
        check_database: bool = False,
        extend: bool = True,
    ) -> Session[Any, Any]:
        """Return the session of an access token.

        Args:
            access_token: The token as it was issued.
            anti_csrf_token: The anti-CSRF token of the request, if the settings use such tokens.
            csrf: False does not compare the anti-CSRF token.
            check_database: True makes a liveness check in the database, whatever `revocation_check` says.
            extend: False for a background request, which does not extend the session.

        Raises:
            TryRefreshToken: The access token is not good (any more), or the anti-CSRF token is wrong.
            Unauthorised: The session has been revoked.
            StoreUnavailable: The method had to ask the database, which did not answer.
            TypeError: A token is no `str`; for example an `IssuedToken` was given instead of its `value`.
        """
        token = arguments.text(access_token, "access_token")
        credentials = arguments.text_or_none(anti_csrf_token, "anti_csrf_token")
        del access_token, anti_csrf_token  # names that error reports do not leave out
        csrf = arguments.flag(csrf, "csrf")
        check_database = arguments.flag(check_database, "check_database")
        extend = arguments.flag(extend, "extend")
        lifecycle = self.lifecycle
        verifier = lifecycle.verifier
        access = await verifier.authentic(token)
        if access is None or not verifier.in_time(access):
            raise TryRefreshToken
        if csrf and self.settings.uses_csrf_tokens and not token_matches(access.anti_csrf_token, credentials):
            raise TryRefreshToken
        newest = await verifier.require_live(access, check_database=check_database, extend=extend)
        return Session(newest, lifecycle)

    async def refresh_session_without_request(
        self, refresh_token: str, *, extend: bool = True
    ) -> IssuedSession[Any, Any]:
        """Rotate a refresh token and return the next tokens. The other errors are those of `refresh_session`.

        Args:
            refresh_token: The token as it was issued.
            extend: False for a background request, which does not extend the session.

        Raises:
            TypeError: The token is no `str`; for example an `IssuedToken` was given instead of its `value`.
            PayloadTooLarge: The session's payload was accepted by other settings, and its tokens fit into no cookie by
                these. The refresh token stays good.
        """
        token = arguments.text(refresh_token, "refresh_token")
        del refresh_token  # a name that error reports do not leave out
        extend = arguments.flag(extend, "extend")
        refresher = self.lifecycle.refresher
        found = await refresher.authentic(token)
        if found is None:
            raise Unauthorised
        refreshed = await refresher.refresh(found, extend=extend)
        if refreshed.no_room is not None:
            raise refreshed.no_room
        if refreshed.tokens is None:
            raise already_rotated(found)
        return self._issued(refreshed.tokens)

    def _issued(self, tokens: TokenSet) -> IssuedSession[Any, Any]:
        return IssuedSession(
            session=after_login(Session(tokens.access, self.lifecycle), tokens),
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            anti_csrf_token=tokens.anti_csrf_token,
            id_refresh_token=tokens.id_refresh_token,
        )


def require_manager(value: Any, name: str) -> None:
    """Raise unless an argument of this name is a manager.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(value, SessionManager):
        raise TypeError(f"{name} must be a SessionManager, not {type(value).__name__}")
