"""OpenID Connect RP-Initiated Logout 1.0: where the browser goes so that the user is signed out at the provider too.

The application's own session has ended before: whatever the provider does, or does not, this logout stands. All of the
address comes from the application; nothing of a request is in it unless the application puts it there.
"""

import re
from collections.abc import Collection
from typing import Any, Final
from urllib.parse import urlencode

from asgi_sessions.oidc.issuer import require_address
from asgi_sessions.oidc.provider import OIDCProvider
from asgi_sessions.oidc.signed_jwt import SHAPE

__all__ = ["oidc_logout_url", "require_id_token"]

LONGEST: Final = 1000
"""Characters of a state or a hint."""
_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")


def oidc_logout_url(
    provider: OIDCProvider,
    *,
    id_token_hint: str | None = None,
    post_logout_redirect_uri: str | None = None,
    state: str | None = None,
    logout_hint: str | None = None,
    ui_locales: Collection[str] = (),
) -> str:
    """Say where to send the browser once the session here has ended, so that it ends at the provider as well.

    The provider asks the user, or does not; ends its session; tells its other applications by back-channel logout; and
    sends the browser back, if it knows `post_logout_redirect_uri`. Answer with 303, so that a form's POST becomes a
    GET.

    Args:
        provider: With its `end_session_endpoint`. Its `client_id` is always sent.
        id_token_hint: The ID token of the login (`kept_id_token`), by which the provider knows whom to sign out. Many
            ask the user without it, and some go nowhere afterwards.
        post_logout_redirect_uri: Where the provider sends the browser afterwards, as registered there to the last
            character. Never take it from a request.
        state: Comes back with the browser. Keep it with the browser meanwhile, and compare.
        logout_hint: Whom to sign out, where there is no ID token: what the provider takes, an e-mail address perhaps.
        ui_locales: Languages of the provider's pages, the best first: ``["de-CH", "de"]``.

    Raises:
        TypeError, ValueError: The provider has no such address, a value is none that can be meant, or there is a
            `state` and nowhere to bring it back to. The text names what is wrong, and holds nothing of the ID token.

    Source: OpenID Connect RP-Initiated Logout 1.0, section 2.
    """
    if not isinstance(provider, OIDCProvider):
        raise TypeError(f"provider must be an OIDCProvider, not {type(provider).__name__}")
    if provider.end_session_endpoint is None:
        raise ValueError("provider: it has no end_session_endpoint; the provider's discovery document names it")
    if id_token_hint is not None:
        require_id_token(id_token_hint, "id_token_hint")
    if post_logout_redirect_uri is not None:
        require_address(post_logout_redirect_uri, "post_logout_redirect_uri")
    elif state is not None:
        raise ValueError("state comes back to post_logout_redirect_uri alone: give both, or neither")
    given = {
        "id_token_hint": id_token_hint,
        "client_id": provider.client_id,
        "post_logout_redirect_uri": post_logout_redirect_uri,
        "state": _text(state, "state"),
        "logout_hint": _text(logout_hint, "logout_hint"),
        "ui_locales": _languages(ui_locales),
    }
    query = urlencode({name: value for name, value in given.items() if value is not None})
    return f"{provider.end_session_endpoint}{'&' if '?' in provider.end_session_endpoint else '?'}{query}"


def require_id_token(value: Any, name: str) -> None:
    """Raise where a value does not look like an ID token; the text holds nothing of it.

    Raises:
        TypeError, ValueError: It does not.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
    if not SHAPE.fullmatch(value):
        raise ValueError(f"{name} must be an ID token as the provider has sent it: a signed JWT")


def _text(value: Any, name: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
    if not 0 < len(value) <= LONGEST or not value.isprintable() or not _is_unicode(value):
        raise ValueError(f"{name} must have 1 to {LONGEST} printable characters")
    return value


def _is_unicode(text: str) -> bool:
    """Half a character, as JSON can carry it, fits into no address."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _languages(tags: Any) -> str | None:
    if isinstance(tags, str) or not isinstance(tags, Collection):
        raise TypeError(f"ui_locales must be a list of languages, not {type(tags).__name__}")
    for tag in tags:
        if not isinstance(tag, str) or not _LANGUAGE.fullmatch(tag):
            raise ValueError("ui_locales must be languages as in BCP 47: de, pt-BR")
    return " ".join(tags) or None
