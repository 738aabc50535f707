"""All errors of this package, in one tree under `SessionError`.

Errors carry their data in attributes (``session_handle``, ``user_id``, ``status_code``, ``code``), so no text has to be
parsed. No text contains a token, or a reason that would help an attacker.

The file is longer than others because it holds the public docstrings.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

__all__ = [
    "AlreadyRotated",
    "ConfigurationError",
    "CsrfRejected",
    "FormForAnotherSession",
    "FetchedAhead",
    "GeneralError",
    "ImpersonationRefused",
    "InvalidClaim",
    "PayloadChanged",
    "PayloadTooLarge",
    "ReauthenticationRequired",
    "SessionError",
    "SessionLimitReached",
    "StoreUnavailable",
    "TokenTheftDetected",
    "TooManyCookies",
    "TryRefreshToken",
    "Unauthorised",
]


class SessionError(Exception):
    """The base of all errors that this package raises about a session.

    Attributes:
        status_code: The HTTP status of the response if no handler of the application takes the error.
        code: A stable, machine-readable name, sent as ``code`` in the response body.
        detail: A sentence for people, sent as ``detail``.
    """

    status_code: ClassVar[int] = 500
    code: ClassVar[str] = "session_error"
    detail: str = "The session could not be handled."

    def __init__(self, detail: str | None = None) -> None:
        if detail is not None:
            self.detail = detail
        super().__init__(self.detail)


class Unauthorised(SessionError):
    """The request has no live session. The user has to log in again.

    The request carried no tokens, or its session has expired or was revoked, or the library did not issue the tokens.

    Attributes:
        clear_cookies: Whether the answer clears the session cookies. False if the browser already holds the cookies of
            the next session, because a login has replaced this one a moment ago.
    """

    status_code = 401
    code = "unauthorised"
    detail = "Not logged in."

    def __init__(self, detail: str | None = None, *, clear_cookies: bool = True) -> None:
        super().__init__(detail)
        self.clear_cookies = clear_cookies


class TryRefreshToken(SessionError):
    """The access token is no longer good, but the session may be live: POST to the refresh path, then try again."""

    status_code = 401
    code = "try_refresh_token"
    detail = "The access token must be refreshed."


class TokenTheftDetected(SessionError):
    """A refresh token was presented of which two copies must exist, so one was stolen. The session has been revoked.

    Source: RFC 9700, section 4.14.2 (refresh token replay detection).

    Attributes:
        session_handle: The session that was revoked.
        user_id: The session's user, of the type given at login.
    """

    status_code = 401
    code = "token_theft_detected"
    detail = "The session was ended for safety. Please log in again."

    def __init__(self, session_handle: str, user_id: Any) -> None:
        super().__init__()
        self.session_handle = session_handle
        self.user_id = user_id

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.session_handle, self.user_id)


class FetchedAhead(SessionError):
    """The browser fetches a page ahead (``Sec-Purpose: prefetch``), for which the session would have to be refreshed.

    Nothing was done: nobody may ever look at the answer. The browser drops it, and asks again if the user wants the
    page.
    """

    status_code = 503
    code = "fetched_ahead"
    detail = "Not ahead of time. Ask again when the page is wanted."


class AlreadyRotated(SessionError):
    """The refresh token is a late parent: another tab has refreshed meanwhile. Try again once.

    The browser holds newer tokens, or will in a moment.

    Attributes:
        session_handle: The session.
        generation: The generation of the late parent.
    """

    status_code = 409
    code = "already_rotated"
    detail = "The session was refreshed by another request. Try again."

    def __init__(self, session_handle: str, generation: int) -> None:
        super().__init__()
        self.session_handle = session_handle
        self.generation = generation

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.session_handle, self.generation)


class PayloadChanged(SessionError):
    """Somebody else has changed the session's payload since the request came, so the request has not replaced it.

    The answer carries the new payload: the same request, repeated, is made with that.

    Attributes:
        session_handle: The session.
    """

    status_code = 409
    code = "payload_changed"
    detail = "The session was changed meanwhile. Try again."

    def __init__(self, session_handle: str) -> None:
        super().__init__()
        self.session_handle = session_handle

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.session_handle,)


class CsrfRejected(SessionError):
    """A page of another site made the request. The answer clears no cookie."""

    status_code = 403
    code = "csrf_rejected"
    detail = "The request came from another site."


class FormForAnotherSession(SessionError):
    """A form does not name the session that the request has, so it was not shown to this user. Nothing was done.

    Somebody has logged in from another tab since the page was loaded; or the page's forms name no session at all.

    Attributes:
        session_handle: The session that the request has.
    """

    status_code = 409
    code = "form_for_another_session"
    detail = "This page was made for another session. Load the page again, and look at whose it is."

    def __init__(self, session_handle: str) -> None:
        super().__init__()
        self.session_handle = session_handle

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.session_handle,)


class InvalidClaim(SessionError):
    """The session's payload lacks a claim that this route requires.

    Attributes:
        claim: The name of the claim that is missing or different.
        reason: What is wrong with it, a JSON object that the client may see; None where nobody has said. The default
            answer holds it with ``client_protocol="supertokens"`` alone, whose client expects it.
    """

    status_code = 403
    code = "invalid_claim"
    detail = "The session does not permit this."

    def __init__(self, claim: str, *, reason: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.claim = claim
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), reason=self.reason), (self.claim,)


class ReauthenticationRequired(SessionError):
    """The user has to be authenticated anew, or in another way, for this route (ASVS 7.5.1).

    The default answer says what is missing: in its body, and in its challenge as far as that has words for it.

    Source: RFC 9470, section 3 (``insufficient_user_authentication``).

    Attributes:
        methods: The methods of authentication that are missing, or were used too long ago.
        level: How many different factors the route requires, if there were too few; else None.
        max_age: How long ago the authentication may be, in whole seconds; None where the route does not say.
    """

    status_code = 403
    code = "reauthentication_required"
    detail = "Please confirm your login first."

    def __init__(
        self,
        detail: str | None = None,
        *,
        methods: Sequence[str] = (),
        level: int | None = None,
        max_age: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.methods = methods
        self.level = level
        self.max_age = max_age


class ImpersonationRefused(SessionError):
    """Somebody acts for the session's user, and this is for the user alone."""

    status_code = 403
    code = "impersonation_refused"
    detail = "Not while you act for another user."


class SessionLimitReached(SessionError):
    """The user has as many sessions as ``max_sessions_per_user`` allows, and the action is ``reject``."""

    status_code = 403
    code = "session_limit_reached"
    detail = "Too many sessions. Log out on another device first."


class TooManyCookies(SessionError):
    """The request carries too many cookies of one name, so an attacker must have planted some. Nothing was done.

    The answer clears the planted cookies and keeps the library's own, so the same request succeeds when it is repeated.
    Sign-out and login raise the error, because to go on might leave a session alive that has to end.

    Source: RFC 6585, section 5 (431 Request Header Fields Too Large).
    """

    status_code = 431
    code = "too_many_cookies"
    detail = "The browser sent too many cookies of one name. Please try again."


class GeneralError(SessionError):
    """The base of the errors on the server's side. The cookies stay as they are."""

    status_code = 500
    code = "general_error"
    detail = "The session could not be handled."


class StoreUnavailable(GeneralError):
    """The database did not answer, or did not answer in time. Nothing was decided; try again.

    Attributes:
        retry_after: The seconds to wait before another attempt.
    """

    status_code = 503
    code = "store_unavailable"
    detail = "The session store is unavailable."

    def __init__(self, detail: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class ConfigurationError(GeneralError):
    """The application's set-up has mistakes. The text names each mistake and the remedy.

    Attributes:
        problems: Every mistake that was found, one sentence each.
    """

    code = "configuration_error"

    def __init__(self, *problems: str) -> None:
        self.problems: Sequence[str] = problems
        super().__init__("\n".join(problems))


class PayloadTooLarge(GeneralError, ValueError):
    """The tokens would not fit into a cookie (4096 bytes with its name). Nothing was stored of it.

    Source: RFC 6265bis, section 5.6 (browsers drop larger cookies silently).

    Attributes:
        session_handles: The sessions that have no room, of a change by handle or by user; else empty. They keep the
            payload that they had. Revoke them if they must not.
    """

    code = "payload_too_large"

    def __init__(self, detail: str | None = None, *, session_handles: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.session_handles: Sequence[str] = session_handles
