"""The receiver of back-channel logouts: a provider says that one of its sessions, or all of a subject's, have ended.

What must hold
==============

*A logout may overtake its login.* The provider's session is remembered as ended before ours are looked for, and a login
asks for that after it has stored its session: one of the two finds the other.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from asgi_sessions.asgi.submitted_form import submitted
from asgi_sessions.manager.manager import SessionManager, require_manager
from asgi_sessions.oidc.carrying_out import Undecided, carried_out
from asgi_sessions.oidc.known_issuers import KeysUnavailable, KnownIssuers
from asgi_sessions.oidc.logout_token import LogoutToken, verified
from asgi_sessions.oidc.provider import OIDCProvider, index_of, token_mark
from asgi_sessions.oidc.provider_keys import ProviderKeys
from asgi_sessions.oidc.signed_jwt import TOLERANCE_MS, InvalidToken, Presented

__all__ = ["BackchannelLogout"]

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
        require_manager(sessions, "sessions")
        self._providers = KnownIssuers(providers, OIDCProvider, "providers", keys)
        self._sessions = sessions

    async def endpoint(self, request: Request) -> Response:
        """Answer a provider's request."""
        try:
            presented = Presented.read(await _logout_token(request))
            provider = self._providers.of(presented)
            await self._providers.require_signed(presented)
            token = verified(presented, provider, self._sessions.time())
            before, work = partial(self._is_new, provider, token), partial(self._end, provider, token)
            is_new = await carried_out(self._sessions, provider.issuer, before, work)
        except HTTPException as refused:
            return _refusal(refused.status_code, refused.detail)
        except InvalidToken as invalid:
            return _refusal(400, str(invalid))
        except KeysUnavailable:
            return _refusal(503, "The provider's keys could not be fetched.")
        except Undecided as undecided:
            return _refusal(503, str(undecided))
        return _refusal(400, "It has been carried out before.") if is_new is False else Response(headers=_HEADERS)

    async def _is_new(self, provider: OIDCProvider, token: LogoutToken) -> bool | None:
        """False where it has been carried out before."""
        mark = token_mark(_SEEN, provider.issuer, token.jti)
        return False if await self._sessions.lifecycle.index.is_marked([mark]) else None

    async def _end(self, provider: OIDCProvider, token: LogoutToken, stored: Callable[[], object]) -> bool:
        index = self._sessions.lifecycle.index
        count = 0
        for name, value in index_of(provider.issuer, sid=token.sid, sub=None if token.sid else token.sub):
            count += await index.end_elsewhere(name, value, stored=stored)
        await index.mark(token_mark(_SEEN, provider.issuer, token.jti), token.expires_at + TOLERANCE_MS)
        _log.info("%s has ended %d sessions.", provider.issuer, count)
        return True


async def _logout_token(request: Request) -> str:
    tokens = (await submitted(request, untyped=False, most_fields=MOST_FIELDS)).get("logout_token", [])
    if len(tokens) != 1:
        raise HTTPException(400, "The form must have one logout_token.")
    return tokens[0]


def _refusal(status: int, description: str) -> Response:
    content: Any = {"error": "invalid_request", "error_description": description}
    headers = dict(_HEADERS)
    if status == 503:
        content["error"] = "temporarily_unavailable"
        headers["Retry-After"] = "5"
    return JSONResponse(content, status, headers)
