"""Whose sessions end: what a subject identifier means to the application, or to its logins.

By default a subject is who has logged in: `iss_sub` names all sessions whose login named that subject, and a session
of the issuer those of that session (`oidc_index`). An issuer speaks only of its own subjects.
"""

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final, TypeAlias

from asgi_sessions.manager.function_call import FunctionFailed, result_of
from asgi_sessions.manager.functions import is_async
from asgi_sessions.manager.manager import SessionManager
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.oidc.carrying_out import TryAgain
from asgi_sessions.oidc.issuer import TokenIssuer, require_issuer, require_text, several
from asgi_sessions.oidc.provider import index_of
from asgi_sessions.oidc.subjects import ALIASES, COMPLEX, Subject
from asgi_sessions.protocol import user_id
from asgi_sessions.protocol.durations import from_ms
from asgi_sessions.protocol.session_index import ENDS_REMEMBERED, entry

__all__ = ["Owner", "SubjectFunction", "SubjectIssuer", "UnknownSubject", "WhoseSessions", "require_subject_issuer"]

ASKED_SECONDS: Final = 2.0
"""For so long the application's function may take."""

IndexEntry: TypeAlias = tuple[str, str]
Owner: TypeAlias = user_id.UserId | IndexEntry
"""A user; or a name and a value by which sessions are found."""
SubjectFunction: TypeAlias = Callable[[Subject], Awaitable[Owner | None]]

_log = logging.getLogger("asgi_sessions")


class UnknownSubject(Exception):
    """Nobody here is meant.

    Attributes:
        status: Why: 404 where the application knows nobody, 403 for somebody else's subject, 400 for a format that is
            not understood.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectIssuer(TokenIssuer):
    """An issuer that orders ends by subject.

    Attributes:
        audience: Who we are to it, or several names: as in `aud`.
        subject: Your async function, given a subject identifier (RFC 9493) as a mapping with its `format`. It returns
            whose sessions are meant: a user id; a name and a value of your `index`, as a tuple; or None for nobody.
            Without it `iss_sub` and `session` are found by `oidc_index`.
        login_issuer: The issuer in the ID tokens of your logins where it is not `issuer`.
    """

    audience: str | Collection[str]
    subject: SubjectFunction | None = None
    login_issuer: str | None = None


def require_subject_issuer(issuer: SubjectIssuer) -> None:
    """Raise on an issuer that cannot be meant.

    Raises:
        TypeError, ValueError: An attribute is wrong; the text names it.
    """
    require_issuer(issuer)
    several(issuer.audience, "audience")
    if issuer.login_issuer is not None:
        require_text(issuer.login_issuer, "login_issuer")
    if issuer.subject is not None and not is_async(issuer.subject):
        raise TypeError('subject: the function must be async: define it with "async def"')


class WhoseSessions:
    """Finds out whose sessions are meant, and ends them.

    Args:
        sessions: Those that end.
    """

    def __init__(self, sessions: SessionManager) -> None:
        self._sessions = sessions
        self._failures = OncePerMinute(_log, logging.ERROR, sessions.time)

    async def of(self, issuer: SubjectIssuer, subject: Subject, *, session: bool) -> Owner:
        """Whose sessions a subject means.

        Args:
            issuer: Who speaks.
            subject: Of whom.
            session: Whether one session is meant where the subject names one.

        Raises:
            UnknownSubject: Nobody's.
            TryAgain: The application's function has failed.
        """
        if issuer.subject is None:
            return _by_login(issuer, subject, session=session)
        try:
            owner = await result_of(issuer.subject, subject, seconds=ASKED_SECONDS)
            if isinstance(owner, tuple):
                entry(*owner)
            elif owner is not None:
                user_id.encode(owner)
        except Exception as error:
            how = str(error) if isinstance(error, FunctionFailed) else type(error).__name__
            self._failures.say("The function subject of %s failed: %s.", issuer.issuer, how, exc_info=True)
            raise TryAgain("the function that knows subjects failed") from None
        if owner is None:
            raise UnknownSubject("Its subject is nobody who is known here.", 404)
        return owner

    async def end(self, owner: Owner, before: int, stored: Callable[[], object]) -> int:
        """End the sessions that began before a time, ms; returns how many.

        An issuer's session ends whenever ours began, and begins none for a while: see `SessionIndex.end_elsewhere`.

        Args:
            owner: Whose.
            before: ms.
            stored: Called as soon as the end is remembered.
        """
        if not isinstance(owner, tuple):
            return await self._sessions.revoke_all_sessions_for_user(owner, before=from_ms(before))
        name, value = owner
        index = self._sessions.lifecycle.index
        if name in ENDS_REMEMBERED:
            return await index.end_elsewhere(name, value, stored=stored)
        return await index.revoke(name, value, begun_before=before)


def _by_login(issuer: SubjectIssuer, subject: Subject, *, session: bool) -> Owner:
    kind = subject["format"]
    logged_in_by = issuer.login_issuer or issuer.issuer
    if kind == COMPLEX and session and "session" in subject:
        return _session_by_login(issuer, logged_in_by, subject["session"])
    if kind == COMPLEX and "user" in subject:
        return _by_login(issuer, subject["user"], session=False)
    if kind == ALIASES:
        return _first_by_login(issuer, subject, session=session)
    if kind == "opaque" and session:
        return _session_by_login(issuer, logged_in_by, subject)
    if kind == "iss_sub":
        _require_own(issuer, subject)
        return index_of(logged_in_by, sub=subject["sub"])[0]
    raise UnknownSubject("Subjects of its kind need a function here.", 400)


def _first_by_login(issuer: SubjectIssuer, aliases: Subject, *, session: bool) -> Owner:
    refusal = None
    for each in aliases["identifiers"]:
        try:
            return _by_login(issuer, each, session=session)
        except UnknownSubject as unknown:
            refusal = refusal or unknown
    raise refusal or UnknownSubject("It has no subject.", 400)


def _session_by_login(issuer: SubjectIssuer, logged_in_by: str, subject: Subject) -> Owner:
    if subject["format"] == "opaque":
        return index_of(logged_in_by, sid=subject["id"])[0]
    if subject["format"] == "iss_sub":
        _require_own(issuer, subject)
        return index_of(logged_in_by, sid=subject["sub"])[0]
    raise UnknownSubject("Sessions of its kind need a function here.", 400)


def _require_own(issuer: SubjectIssuer, subject: Subject) -> None:
    if subject["iss"] not in {issuer.issuer, issuer.login_issuer}:
        raise UnknownSubject("Its subject is of another issuer.", 403)
