"""The company whose accounts sign in here too, where the environment names its OpenID provider; None elsewhere."""

import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from authlib.integrations.starlette_client import OAuth, OAuthError
from fastapi import Request, Response
from httpx2 import HTTPError
from joserfc.errors import JoseError

from asgi_sessions.oidc import OIDCProvider, kept_id_token, oidc_logout_url
from example_app.sessions import MemberSession, sessions

_NAMES: Final = ("EXAMPLE_OIDC_ISSUER", "EXAMPLE_OIDC_CLIENT_ID", "EXAMPLE_OIDC_CLIENT_SECRET")
_STATE: Final = "logout_state"


class SignInFailed(Exception):
    """Nobody has been signed in; the first argument is the notice that says why."""


@dataclass(frozen=True)
class SignedInThere:
    """Who has signed in at the company.

    Attributes:
        claims: Of the ID token, verified.
        id_token: As it came.
    """

    claims: Mapping[str, Any]
    id_token: str


class Company:
    """One OpenID provider.

    Args:
        issuer: Its address, as in its ID tokens.
        client_id: Ours there.
        client_secret: Ours there.

    Attributes:
        state_key: What signs the state of a login: the same on all workers.
    """

    def __init__(self, issuer: str, client_id: str, client_secret: str) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._provider: OIDCProvider | None = None
        self._oauth = OAuth()
        self._oauth.register(
            "company",
            client_id=client_id,
            client_secret=client_secret,
            server_metadata_url=f"{issuer.removesuffix('/')}/.well-known/openid-configuration",
            client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256"},
        )
        self.state_key = hmac.digest(client_secret.encode(), b"the state of a login", "sha256").hex()

    @property
    def provider(self) -> OIDCProvider:
        """The provider, once `open` has asked for its addresses."""
        if self._provider is None:
            raise RuntimeError("the company's provider has not been asked yet")
        return self._provider

    @property
    def origin(self) -> str:
        """Where the provider's page for signing out is: pages with the form for it have to allow that."""
        address = urlsplit(self.provider.end_session_endpoint or self._issuer)
        return f"{address.scheme}://{address.netloc}"

    async def open(self) -> None:
        """Ask the provider for its addresses.

        Raises:
            RuntimeError: It does not answer, or is another one.
        """
        try:
            metadata = await self._oauth.company.load_server_metadata()
        except (HTTPError, ValueError) as error:
            raise RuntimeError(f"EXAMPLE_OIDC_ISSUER: no provider answers at {self._issuer}: {error!r}") from None
        if metadata.get("issuer") != self._issuer:
            raise RuntimeError(f"EXAMPLE_OIDC_ISSUER: the provider there calls itself {metadata.get('issuer')}")
        self._provider = OIDCProvider(
            issuer=self._issuer,
            client_id=self._client_id,
            jwks_uri=metadata["jwks_uri"],
            end_session_endpoint=metadata.get("end_session_endpoint"),
        )

    async def to_sign_in(self, request: Request) -> Response:
        """Send the browser to the provider.

        Raises:
            SignInFailed: The provider does not answer.
        """
        try:
            answer: Response = await self._oauth.company.authorize_redirect(
                request, request.url_for("company_callback")
            )
        except HTTPError:
            raise SignInFailed("company-away") from None
        return answer

    async def signed_in(self, request: Request) -> SignedInThere:
        """Who has come back from the provider.

        Raises:
            SignInFailed: Nobody: this browser has not asked, the user has said no, or the provider's answer is wrong.
        """
        try:
            token = await self._oauth.company.authorize_access_token(request)
        except (OAuthError, JoseError):
            raise SignInFailed("company-not-finished") from None
        except HTTPError:
            raise SignInFailed("company-away") from None
        return SignedInThere(token["userinfo"], token["id_token"])

    async def to_sign_out(self, request: Request, session: MemberSession) -> str | None:
        """Where the browser goes to sign out there too; None where the session has not begun there, or nowhere."""
        info = await session.get_session_info()
        if not isinstance(info, dict) or not info.get("company") or self.provider.end_session_endpoint is None:
            return None
        request.session[_STATE] = state = secrets.token_urlsafe()
        return oidc_logout_url(
            self.provider,
            id_token_hint=await kept_id_token(sessions, session),
            post_logout_redirect_uri=str(request.url_for("company_signed_out")),
            state=state,
        )

    def has_signed_out(self, request: Request) -> bool:
        """Whether it was this browser that went to sign out there, and it comes back for the first time."""
        begun, state = request.session.pop(_STATE, ""), request.query_params.get("state", "")
        return bool(begun) and secrets.compare_digest(begun.encode(), state.encode())


def company_of(environment: Mapping[str, str]) -> Company | None:
    """The company that the environment names.

    Raises:
        RuntimeError: It names only a part of it.
    """
    given = [environment.get(name, "") for name in _NAMES]
    if missing := [name for name, value in zip(_NAMES, given, strict=True) if not value]:
        if len(missing) < len(_NAMES):
            raise RuntimeError(f"{', '.join(missing)} missing: the three EXAMPLE_OIDC_… variables go together")
        return None
    return Company(*given)


company = company_of(os.environ)
