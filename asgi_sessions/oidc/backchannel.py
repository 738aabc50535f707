"""The receiver of back-channel logouts: a provider says that one of its sessions, or all of a subject's, have ended.

What must hold
==============

*A provider may ask once.* Some do not try again after a 503, and wait two seconds for an answer. So a logout that has
been verified is this worker's to carry out, again and again while the database is down, whatever the answer was; and
the answer comes within a second.

*A logout may overtake its login.* The provider's session is remembered as ended before ours are looked for, and a login
asks for that after it has stored its session: one of the two finds the other.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from asgi_sessions.asgi.submitted_form import submitted
from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.manager.manager import SessionManager
from asgi_sessions.oidc.logout_token import TOLERANCE_MS, InvalidLogoutToken, LogoutToken, Presented, verified
from asgi_sessions.oidc.provider import OIDCProvider, index_of
from asgi_sessions.oidc.provider_keys import ProviderKeys
from asgi_sessions.protocol.session_index import Entry, entry

__all__ = ["BackchannelLogout"]

ANSWER_SECONDS: Final = 0.8
GIVE_UP_SECONDS: Final = 600.0
"""For so long the database may be down: by then the sessions' access tokens have been refused for long (``staleness``),
and the provider's own session would have been signed out of by hand."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 10.0
MOST_AT_WORK: Final = 1000
MOST_FIELDS: Final = 10
_HEADERS: Final = {"Cache-Control": "no-store"}
_SEEN: Final = "oidc_jti"

_log = logging.getLogger("asgi_sessions")


class BackchannelLogout:
    """Takes logout tokens in. No cookie is read or set.

    Args:
        sessions: Whose sessions end.
        providers: Who may end them; no issuer twice.
        keys: Makes what fetches a provider's keys.

    Raises:
        TypeError, ValueError: A provider is none, or there is none.
    """

    def __init__(
        self,
        sessions: SessionManager,
        providers: Sequence[OIDCProvider],
        keys: Callable[[OIDCProvider], ProviderKeys] = ProviderKeys,
    ) -> None:
        if not isinstance(sessions, SessionManager):
            raise TypeError(f"sessions must be a SessionManager, not {type(sessions).__name__}")
        for provider in providers:
            if not isinstance(provider, OIDCProvider):
                raise TypeError(f"providers must be OIDCProvider, not {type(provider).__name__}")
        self._providers = {provider.issuer: (provider, keys(provider)) for provider in providers}
        if not providers or len(self._providers) < len(providers):
            raise ValueError("providers: give at least one, and no issuer twice")
        self._sessions = sessions

    async def endpoint(self, request: Request) -> Response:
        """Answer a provider's request."""
        try:
            provider, token = await self._verified(await _logout_token(request))
            await self._require_new(provider, token)
        except HTTPException as refused:
            return _refusal(refused.status_code, refused.detail)
        except InvalidLogoutToken as invalid:
            return _refusal(400, str(invalid))
        except StoreUnavailable:
            pass  # whether it is new is asked again
        return await self._carried_out(provider, token)

    async def _verified(self, text: str) -> tuple[OIDCProvider, LogoutToken]:
        presented = Presented.read(text)
        known = self._providers.get(presented.issuer) if isinstance(presented.issuer, str) else None
        if known is None:
            raise InvalidLogoutToken("It is of no issuer that is known here.")
        provider, keys = known
        found = await keys.of(presented.key_id)
        if not found:
            raise HTTPException(503, "The provider's keys could not be fetched.")
        return provider, verified(presented, provider, found, self._sessions.time())

    async def _require_new(self, provider: OIDCProvider, token: LogoutToken) -> None:
        if await self._sessions.lifecycle.index.is_marked([_seen(provider, token)]):
            raise InvalidLogoutToken("It has been carried out before.")

    async def _carried_out(self, provider: OIDCProvider, token: LogoutToken) -> Response:
        lifecycle = self._sessions.lifecycle
        stored = asyncio.Event()
        task = lifecycle.start_beside(self._end(provider, token, stored), at_most=MOST_AT_WORK)
        if task is None:
            return _refusal(503, "Too many logouts wait for the database.")
        await asyncio.wait([task], timeout=ANSWER_SECONDS)
        if not task.done() and not stored.is_set():
            return _refusal(503, "The database does not answer; the logout is tried on.")
        return Response(status_code=200, headers=_HEADERS)

    async def _end(self, provider: OIDCProvider, token: LogoutToken, stored: asyncio.Event) -> None:
        index = self._sessions.lifecycle.index
        ended = index_of(provider.issuer, sid=token.sid, sub=None if token.sid else token.sub)
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + GIVE_UP_SECONDS, FIRST_PAUSE
        while True:
            try:
                count = 0
                for name, value in ended:
                    count += await index.end_elsewhere(name, value, stored=stored.set)
                await index.mark(_seen(provider, token), token.expires_at + TOLERANCE_MS)
            except StoreUnavailable as error:
                if loop.time() + pause > deadline:
                    _log.error("A logout of %s was given up: %s", provider.issuer, error.detail)
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                _log.info("%s has ended %d sessions.", provider.issuer, count)
                return


async def _logout_token(request: Request) -> str:
    tokens = (await submitted(request, untyped=False, most_fields=MOST_FIELDS)).get("logout_token", [])
    if len(tokens) != 1:
        raise HTTPException(400, "The form must have one logout_token.")
    return tokens[0]


def _seen(provider: OIDCProvider, token: LogoutToken) -> Entry:
    ((_, value),) = index_of(provider.issuer, sid=token.jti)
    return entry(_SEEN, value)


def _refusal(status: int, description: str) -> Response:
    content: Any = {"error": "invalid_request", "error_description": description}
    headers = dict(_HEADERS)
    if status == 503:
        content["error"] = "temporarily_unavailable"
        headers["Retry-After"] = "5"
    return JSONResponse(content, status, headers)
