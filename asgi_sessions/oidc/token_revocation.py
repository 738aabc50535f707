"""The receiver of Global Token Revocation (draft-parecki-oauth-global-token-revocation): a provider signs a user out.

Okta calls it Universal Logout. Each request has a token of its own, signed for this endpoint, and names a subject in
its body.

What must hold
==============

*A token orders one thing.* It does not cover the body: whoever repeats it for somebody else is refused. A repetition
for the same subject is answered as the first was, and ends nothing.

*Who logs in again stays.* What began after the request does not end by it, however long the database is down.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from asgi_sessions.asgi.submitted_body import whole_body
from asgi_sessions.manager.manager import SessionManager, require_manager
from asgi_sessions.oidc.carrying_out import Undecided, carried_out
from asgi_sessions.oidc.issuer import several
from asgi_sessions.oidc.known_issuers import KeysUnavailable, KnownIssuers
from asgi_sessions.oidc.provider import token_mark
from asgi_sessions.oidc.provider_keys import ProviderKeys
from asgi_sessions.oidc.signed_jwt import (
    TOLERANCE_MS,
    InvalidToken,
    Presented,
    json_object,
    require_audience,
    require_issued,
    required_identifier,
    time_of,
)
from asgi_sessions.oidc.subjects import Subject, subject_in
from asgi_sessions.oidc.whose_sessions import SubjectIssuer, UnknownSubject, WhoseSessions, require_subject_issuer
from asgi_sessions.protocol.session_index import Entry, entry

__all__ = ["TokenRevocation", "TokenRevoker"]

TYPES: Final = frozenset({"global-token-revocation+jwt", "application/global-token-revocation+jwt", "jwt", None})
LONGEST_LIFE_MS: Final = 3_600_000
"""A token that lasts longer was not made for one request."""
_OF_OTHERS: Final = ("events", "nonce", "scope", "scp")
"""Members of tokens that order something else: ID tokens, logout tokens, security events, access tokens."""
_CODES: Final = {400: "invalid_request", 403: "access_denied", 404: "not_found"}
_HEADERS: Final = {"Cache-Control": "no-store"}
_SEEN: Final = "gtr_jti"

_log = logging.getLogger("asgi_sessions")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRevoker(SubjectIssuer):
    """Who may order that all of a user's sessions end: a provider, or a tool that watches for incidents.

    Attributes:
        issuer: `iss` of its tokens, to the last character.
        audience: `aud` of its tokens: this endpoint's address, as it is registered there.
        jwks_uri: Where its keys are; nothing else is ever fetched. Without TLS only on this machine.
        algorithms: By which it may sign.
        subject: Your async function, given a subject identifier (RFC 9493) as a mapping with its `format`. It returns
            whose sessions are meant: a user id; a name and a value of your `index`, as a tuple; or None for nobody.
            Without it `iss_sub` is found by `oidc_index`.
        login_issuer: The issuer in the ID tokens of your logins where it is not `issuer`.
    """

    def __post_init__(self) -> None:
        """Raise on what cannot be meant.

        Raises:
            TypeError, ValueError: An attribute is wrong; the text names it.
        """
        require_subject_issuer(self)


class TokenRevocation:
    """Takes requests in. No cookie is read or set.

    Args:
        sessions: Whose sessions end.
        revokers: Who may end them; no issuer twice.
        keys: Makes what fetches a revoker's keys.

    Raises:
        TypeError, ValueError: A revoker is none, or there is none.
    """

    def __init__(
        self,
        sessions: SessionManager,
        revokers: Sequence[TokenRevoker],
        keys: Callable[[TokenRevoker], ProviderKeys] = ProviderKeys,
    ) -> None:
        require_manager(sessions, "sessions")
        self._revokers = KnownIssuers(revokers, TokenRevoker, "revokers", keys)
        self._sessions = sessions
        self._whose = WhoseSessions(sessions)

    async def endpoint(self, request: Request) -> Response:
        """Answer a revoker's request."""
        try:
            order = await self._authenticated(request)
        except InvalidToken as invalid:
            return _unauthorized(str(invalid))
        except KeysUnavailable:
            return _refusal(503, "The keys of the token's issuer could not be fetched.")
        try:
            subject = await _subject(request)
            return await self._carried_out(order, subject) or _done()
        except HTTPException as refused:
            return _refusal(refused.status_code, refused.detail)
        except InvalidToken as invalid:
            return _refusal(400, str(invalid))
        except Undecided as undecided:
            return _refusal(503, str(undecided))

    async def _authenticated(self, request: Request) -> "_Order":
        presented = Presented.read(_bearer(request))
        revoker = self._revokers.of(presented)
        await self._revokers.require_signed(presented)
        now = self._sessions.time()
        if presented.type not in TYPES:
            raise InvalidToken("Its typ is none of a request to revoke.")
        claims = presented.claims
        require_audience(claims, several(revoker.audience, "audience"))
        require_issued(claims, now)
        expires_at = time_of(claims, "exp")
        if expires_at <= now - TOLERANCE_MS:
            raise InvalidToken("It has expired.")
        if expires_at > now + LONGEST_LIFE_MS:
            raise InvalidToken("It lasts too long.")
        if "nbf" in claims and time_of(claims, "nbf") > now + TOLERANCE_MS:
            raise InvalidToken("It is not valid yet.")
        for name in _OF_OTHERS:
            if name in claims:
                raise InvalidToken(f"It has {name}, which no request to revoke has.")
        required_identifier(claims, "sub")
        return _Order(revoker, required_identifier(claims, "jti"), expires_at, now)

    async def _carried_out(self, order: "_Order", subject: Subject) -> Response | None:
        """Carry an order out."""
        index = self._sessions.lifecycle.index

        async def before() -> Response | None:
            if await index.is_marked([order.seen_for(subject)]):
                return _done()
            return _unauthorized("It has been used before.") if await index.is_marked([order.seen()]) else None

        async def once(stored: Callable[[], object]) -> Response:
            try:
                owner = await self._whose.of(order.revoker, subject, session=False)
            except UnknownSubject as unknown:
                _log.info("A request of %s has ended nothing: %s", order.revoker.issuer, unknown)
                return _refusal(unknown.status, str(unknown))
            apart = self._sessions.settings.workers_apart_ms  # by another worker's clock they began later
            count = await self._whose.end(owner, order.received_at + apart + 1, stored)
            for mark in (order.seen_for(subject), order.seen()):
                await index.mark(mark, order.expires_at + TOLERANCE_MS)
            _log.info("%s has ended %d sessions.", order.revoker.issuer, count)
            return _done()

        return await carried_out(self._sessions, order.revoker.issuer, before, once)


@dataclass(frozen=True, slots=True)
class _Order:
    revoker: TokenRevoker
    jti: str
    expires_at: int
    received_at: int

    def seen(self) -> Entry:
        return token_mark(_SEEN, self.revoker.issuer, self.jti)

    def seen_for(self, subject: Subject) -> Entry:
        return entry(_SEEN, json.dumps([self.revoker.issuer, self.jti, subject], sort_keys=True))


def _bearer(request: Request) -> str:
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "bearer":
        raise InvalidToken("It must be one header Authorization, with a Bearer token.")
    return token.strip(" ")


async def _subject(request: Request) -> Subject:
    return subject_in(
        json_object(await whole_body(request, "application/json", untyped=False, what="JSON object")).get("sub_id")
    )


def _done() -> Response:
    return Response(status_code=204, headers=_HEADERS)


def _unauthorized(description: str) -> Response:
    content = {"error": "invalid_token", "error_description": description}
    challenge = f'Bearer error="invalid_token", error_description="{description}"'
    return JSONResponse(content, 401, _HEADERS | {"WWW-Authenticate": challenge})


def _refusal(status: int, description: str) -> Response:
    content = {"error": _CODES.get(status, "invalid_request"), "error_description": description}
    headers = dict(_HEADERS)
    if status == 503:
        content["error"] = "temporarily_unavailable"
        headers["Retry-After"] = "5"
    return JSONResponse(content, status, headers)
