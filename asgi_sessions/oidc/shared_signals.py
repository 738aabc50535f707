"""The receiver of shared signals: security events of CAEP and RISC, pushed by HTTP (RFC 8935).

What must hold
==============

*What began after an event does not end by it*, however late the event comes, and however often. So a repetition that
nobody remembers is harmless.

*Who sends is told what the specification says, and no more*: 202 for what has been taken in, also where nobody here is
meant; 400 for what will be no better the next time; 503 for what might.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from asgi_sessions.asgi.submitted_body import whole_body
from asgi_sessions.manager.function_call import result_of
from asgi_sessions.manager.functions import is_async
from asgi_sessions.manager.manager import SessionManager, require_manager
from asgi_sessions.oidc.carrying_out import Undecided, carried_out
from asgi_sessions.oidc.issuer import several
from asgi_sessions.oidc.known_issuers import KeysUnavailable, KnownIssuers
from asgi_sessions.oidc.provider import token_mark
from asgi_sessions.oidc.provider_keys import ProviderKeys
from asgi_sessions.oidc.security_event import Follows, SecurityEvent, event_in
from asgi_sessions.oidc.signed_jwt import InvalidToken, Presented, identifier
from asgi_sessions.oidc.subjects import Subject
from asgi_sessions.oidc.transmitter import SSFTransmitter, is_authorized, understands
from asgi_sessions.oidc.whose_sessions import ASKED_SECONDS, UnknownSubject, WhoseSessions

__all__ = ["SharedSignals", "StreamVerified"]

StreamVerified: TypeAlias = Callable[[str, str | None], Awaitable[object]]
"""Told of a stream that works: its issuer, and the `state` that was asked for."""

TYPE: Final = "application/secevent+jwt"
REMEMBERED_MS: Final = 7 * 24 * 3_600_000
"""For so long a token is known again. Who is less patient than that repeats it no more."""
_SECOND_MS: Final = 1000
_SEEN: Final = "ssf_jti"
_HEADERS: Final = {"Cache-Control": "no-store"}

_log = logging.getLogger("asgi_sessions")


class SharedSignals:
    """Takes security event tokens in. No cookie is read or set.

    Args:
        sessions: Whose sessions end.
        transmitters: Who may end them; no issuer twice.
        on_stream_verified: Told of each verification event.
        keys: Makes what fetches a transmitter's keys.

    Raises:
        TypeError, ValueError: A transmitter is none, or there is none.
    """

    def __init__(
        self,
        sessions: SessionManager,
        transmitters: Sequence[SSFTransmitter],
        on_stream_verified: StreamVerified | None = None,
        keys: Callable[[SSFTransmitter], ProviderKeys] = ProviderKeys,
    ) -> None:
        require_manager(sessions, "sessions")
        if on_stream_verified is not None and not is_async(on_stream_verified):
            raise TypeError('on_stream_verified: the function must be async: define it with "async def"')
        self._transmitters = KnownIssuers(transmitters, SSFTransmitter, "transmitters", keys)
        self._sessions = sessions
        self._whose = WhoseSessions(sessions)
        self._on_stream_verified = on_stream_verified

    async def endpoint(self, request: Request) -> Response:
        """Answer a transmitter's push."""
        try:
            await self._take_in(await _token(request), request.headers.get("authorization"))
        except HTTPException as refused:
            return _refusal(refused.status_code, refused.detail)
        except InvalidToken as invalid:
            return _refusal(400, str(invalid), invalid.code)
        except KeysUnavailable:
            return _refusal(503, "The transmitter's keys could not be fetched.")
        except Undecided as undecided:
            return _refusal(503, str(undecided))
        return Response(status_code=202, headers=_HEADERS)

    async def _take_in(self, presented: Presented, authorization: str | None) -> None:
        transmitter = self._transmitters.of(presented)
        if not is_authorized(transmitter, authorization):  # before anything is fetched for it
            raise InvalidToken("The push is not authorized.", "authentication_failed")
        await self._transmitters.require_signed(presented)
        event = event_in(
            presented,
            several(transmitter.audience, "audience"),
            frozenset(several(transmitter.ends, "ends", least=0)),
            self._sessions.time(),
            older=transmitter.older_subjects,
        )
        if event.follows is Follows.END and event.subject is not None:
            await self._end(transmitter, event, event.subject)
        elif event.follows is Follows.VERIFIED:
            await self._verified(transmitter, event)
        elif event.follows is Follows.STREAM_UPDATED:
            told = [str(event.claims.get(name))[:200] for name in ("status", "reason")]
            _log.warning("%s has changed the stream of events: status %r, reason %r.", transmitter.issuer, *told)
        else:
            _log.info("%s has told of %r, from which nothing follows here.", transmitter.issuer, event.type)

    async def _end(self, transmitter: SSFTransmitter, event: SecurityEvent, subject: Subject) -> None:
        if not understands(transmitter, subject):
            _log.warning("An event of %s was passed over: its subject has critical members.", transmitter.issuer)
            return

        async def once(stored: Callable[[], object]) -> None:
            try:
                owner = await self._whose.of(transmitter, subject, session=event.is_about_session)
            except UnknownSubject as unknown:
                level = logging.INFO if unknown.status == 404 else logging.WARNING
                _log.log(level, "An event of %s has ended nothing: %s", transmitter.issuer, unknown)
                return
            # The event's time is one of whole seconds, in which the session may have begun before it.
            before = event.happened_at // _SECOND_MS * _SECOND_MS + _SECOND_MS
            count = await self._whose.end(owner, before, stored)
            await self._remember(transmitter, event)
            _log.info("%s has ended %d sessions: %s.", transmitter.issuer, count, event.type)

        await carried_out(self._sessions, transmitter.issuer, partial(self._is_repeated, transmitter, event), once)

    async def _verified(self, transmitter: SSFTransmitter, event: SecurityEvent) -> None:
        state = identifier(event.claims, "state")

        async def once(stored: Callable[[], object]) -> None:
            await self._remember(transmitter, event)
            stored()
            _log.info("The stream of events of %s works.", transmitter.issuer)
            if self._on_stream_verified is not None:
                try:
                    await result_of(self._on_stream_verified, transmitter.issuer, state, seconds=ASKED_SECONDS)
                except Exception:
                    _log.exception("on_stream_verified failed.")

        await carried_out(self._sessions, transmitter.issuer, partial(self._is_repeated, transmitter, event), once)

    async def _is_repeated(self, transmitter: SSFTransmitter, event: SecurityEvent) -> object:
        """Something where it has been taken in before."""
        mark = token_mark(_SEEN, transmitter.issuer, event.jti)
        return mark if await self._sessions.lifecycle.index.is_marked([mark]) else None

    async def _remember(self, transmitter: SSFTransmitter, event: SecurityEvent) -> None:
        mark = token_mark(_SEEN, transmitter.issuer, event.jti)
        await self._sessions.lifecycle.index.mark(mark, self._sessions.time() + REMEMBERED_MS)


async def _token(request: Request) -> Presented:
    body = await whole_body(request, TYPE, untyped=False, what="security event token")
    if not body.isascii():
        raise InvalidToken("It is no signed JWT.")
    return Presented.read(body.decode())


def _refusal(status: int, description: str, code: str = "invalid_request") -> Response:
    content: dict[str, Any] = {"err": code, "description": description}
    headers = _HEADERS | {"Content-Language": "en"}
    if status == 503:
        del content["err"]  # RFC 8935 has none for it
        headers["Retry-After"] = "5"
    return JSONResponse(content, status, headers)
