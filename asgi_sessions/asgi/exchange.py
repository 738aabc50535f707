"""What applications ask of a connection: log in, refresh, sign out; and what leaves with its answer."""

import logging
from collections.abc import Collection
from typing import Any

from starlette.types import Message, Scope

from asgi_sessions.asgi import presented
from asgi_sessions.asgi.authentication import Authentication
from asgi_sessions.asgi.client_device import device_of
from asgi_sessions.asgi.credentials import Credentials
from asgi_sessions.asgi.error_responses import answerable, install_default_handler
from asgi_sessions.asgi.outcome import Renewal
from asgi_sessions.errors import (
    ConfigurationError,
    SessionError,
    StoreUnavailable,
    TokenTheftDetected,
    TooManyCookies,
    Unauthorised,
)
from asgi_sessions.manager.lifecycle import Lifecycle
from asgi_sessions.manager.records import Login
from asgi_sessions.manager.session import Session, after_login
from asgi_sessions.protocol.access_token import AccessToken

_log = logging.getLogger(__name__)


class Exchange(Authentication):
    """A connection with what applications ask of it, through the manager or a dependency.

    One operation runs after the other on one connection. Each kind of connection has its own way to `send`.
    """

    __slots__ = ()

    # -- operations

    async def create(self, login: Login, *, allowed: Collection[str] = ()) -> Session[Any, Any]:
        """Log in; see `SessionManager.create_new_session`."""
        lifecycle = self.manager.lifecycle
        if self._has_begun:
            raise ConfigurationError("The response has started: create_new_session can no longer set its cookies.")
        self._needs_tokens("create_new_session")
        self._refuse_ahead()
        carried = self._transport.read(self._headers)
        if not (carried.bearer or self.answer.in_headers):
            self._guard.check_login(carried, allowed)
        async with self._one_at_a_time:
            replaces = await self._held(lifecycle, carried)
            await lifecycle.impersonator.require_the_user(login, replaces, self._access)
            device = device_of(self._scope, lifecycle.settings.ip_address, self.manager.device_label.of)
            try:
                tokens = await lifecycle.create(login, device=device, replaces=replaces)
            except Unauthorised as error:
                self.answer.refused(error)
                raise
            self.answer.issued(tokens, **self._now(lifecycle))
            self._renewal = Renewal.LOGIN
            if not self.answer.in_headers:
                self._transport.plain_http.look(self._scope)
            self._set_aside()
            return after_login(self._take(tokens.access, lifecycle), tokens)

    async def refresh(self, *, extend: bool | None = None) -> Session[Any, Any]:
        """Rotate; see `SessionManager.refresh_session`."""
        lifecycle = self.manager.lifecycle
        self._looked = True
        self._needs_tokens("refresh_session")
        carried = self._transport.read(self._headers, refreshing=True)
        if not carried.bearer:
            self._guard.check_origin(carried, method="POST")
        self._refuse_ahead()
        async with self._one_at_a_time:
            try:
                access = await presented.access_token(lifecycle, carried)
                extends = not self._is_background if extend is None else extend
                session = await self._refresh(lifecycle, carried, access, inline=False, extend=extends)
            except (Unauthorised, TokenTheftDetected) as error:
                self.answer.refused(error)
                raise
            self._renewal = Renewal.REFRESH
            return session

    async def sign_out(self) -> bool:
        """End every session that the request proves to hold, by tokens that may have expired, and clear the cookies.

        Returns:
            Whether one was still alive.
        """
        lifecycle = self.manager.lifecycle
        self._looked = True
        carried = self._transport.read(self._headers)
        if not carried.bearer:
            self._guard.check_origin(carried, method="POST")
        async with self._one_at_a_time:
            revoked = [
                await lifecycle.revoker.revoke(handle, actor=await lifecycle.impersonator.actor_in(handle, access))
                for handle, access in (await self._held(lifecycle, carried)).items()
            ]
            self.answer.session_ended(by_user=True)
        return any(revoked)

    def _needs_tokens(self, method: str) -> None:
        """Raise where the answer can never carry what this method of the manager makes."""

    async def _held(self, lifecycle: Lifecycle, carried: Credentials) -> dict[str, AccessToken | None]:
        """Every session that the request proves to hold, and that of a login on this very connection."""
        own = self._access if self._renewal is Renewal.LOGIN else None
        try:
            return {**({} if own is None else {own.handle: own}), **await presented.held(lifecycle, carried)}
        except TooManyCookies:
            self.answer.forget_older()
            raise

    # -- the answer

    async def recheck_tokens(self) -> None:
        """Let the tokens of an answer leave only while they are good, and with the newest payload.

        Every answer with tokens is looked at before it starts, whichever call made them. By then the jar may hold
        another session's tokens, none after a logout, or those of a newer answer; late cookies would overwrite them.
        """
        answer = self.answer
        access = answer.access
        if access is None:
            return
        lifecycle = self.manager.lifecycle
        if not answer.needs_a_look(lifecycle.data.payload_changes):
            return
        if answer.too_late:
            if answer.logged_in:
                lifecycle.abandon(access.handle)
                _log.warning("Session %s: the response took too long to log the user in.", access.handle)
            else:
                _log.info("Session %s: the response took too long to carry its new tokens.", access.handle)
            answer.withdraw()
            return
        try:
            newest = await lifecycle.data.newest(access)
        except StoreUnavailable:
            if not answer.logged_in:  # a new session stands, as far as one can know: nobody else has its tokens
                answer.withdraw()
        except SessionError:
            answer.withdraw()
        else:
            if newest is not None:
                answer.access_token_changed(*newest)

    async def _let_out(self, start: Message) -> None:
        """Send what begins the response and carries the tokens. If it cannot be sent, a login that it carries ends."""
        try:
            await self._to_server(start)
        except BaseException:
            self._abandon_login()
            raise
        self.answer.handed_out()  # an application's mistakes from now on are no reason to end it

    def _abandon_login(self) -> None:
        """End a session that was begun on this connection and whose tokens have not left."""
        answer = self.begun_answer
        if answer is not None and answer.logged_in and answer.access is not None:
            self.manager.lifecycle.abandon(answer.access.handle)
            answer.handed_out()

    def cut_off(self) -> None:
        """Let nothing leave any more, and end a session that was begun and whose tokens have not left.

        For an application that was cancelled, has failed, or leaves a socket without an answer to its handshake: its
        client has gone, or is answered further out, where no cookies are set.
        """
        self._abandon_login()
        self._started = self.answer.started = True  # also for what a task that is left behind does

    # -- the application's errors

    def serve(self, scope: Scope) -> None:
        """Let errors be answered where the application asks, which may be a mounted one with a copy of the scope."""
        install_default_handler(scope)

    async def answered(self, error: Exception) -> bool:
        """Answer an error of the application that is the client's business, if the response has not started.

        Returns:
            Whether nothing is left to do: it is answered, or only tells that its connection was terminated.
        """
        if self.termination is not None and self.termination.explains(error):
            return True
        answered = answerable(error)
        if answered is None or self._has_begun:
            return False
        await self._respond(answered)
        return True

    async def _respond(self, error: SessionError) -> None:
        """Answer in place of the application, whose error it is."""
        raise NotImplementedError
