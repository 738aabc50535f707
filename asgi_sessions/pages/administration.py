"""The administrators' pages: sessions of others are found and ended, and the log says by whom."""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from asgi_sessions.asgi.notices import NoticeCookie
from asgi_sessions.asgi.submitted_form import submitted
from asgi_sessions.errors import ImpersonationRefused
from asgi_sessions.manager.audit import Event, record
from asgi_sessions.manager.functions import is_async
from asgi_sessions.manager.records import SessionRecord
from asgi_sessions.manager.session import Session
from asgi_sessions.pages.asked import Asked
from asgi_sessions.pages.found import PAGE, FoundPage, found, page_of
from asgi_sessions.pages.frame import Frame, Permission
from asgi_sessions.pages.wanted import (
    MOST_FOUND,
    TYPES,
    Belonging,
    Fields,
    OfUser,
    Unfindable,
    Wanted,
    cursor_of,
    unfolded,
    wanted_of,
)
from asgi_sessions.pages.worker import this_worker
from asgi_sessions.protocol.durations import from_ms

__all__ = ["ROOT", "Administration", "administrators"]

ROOT: Final = "sessions"
"""The last part of the path of the first page."""
DONE = ("ended", "gone", "none-chosen")
"""What the list may say of the form before."""
CurrentSession = Session[Any, Any]


def administrators(permission: Any) -> Permission:
    """Who may see the pages: whom the application lets, and nobody who acts as somebody else.

    Raises:
        TypeError: It is no async function.
    """
    if not (callable(permission) and is_async(permission)):
        raise TypeError(
            "permission must be an async function of the request that returns the administrator's Session, such as "
            'require_session(claims={"admin": True}).'
        )

    async def permitted(request: Request) -> CurrentSession:
        session = await permission(request)
        if not isinstance(session, Session):
            raise TypeError(f"permission must return a Session or raise, and has returned {type(session).__name__}.")
        if session.actor is not None:  # the log must know who it was
            raise ImpersonationRefused
        return session

    return permitted


class Administration:
    """The pages.

    Args:
        frame: Around each of them.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._sessions = frame.sessions
        self._place = Asked("place", frame.configuration.place, frame.sessions.clock)
        self._done_before = NoticeCookie(DONE, name="administrators-notice")

    async def start(self, request: Request, session: CurrentSession) -> Response:
        """The forms by which sessions are found."""
        return await self._search(request, session)

    async def found(self, request: Request, session: CurrentSession) -> Response:
        """A page of the sessions that are asked for."""
        fields = _query(request)
        try:
            wanted = wanted_of(fields)
        except Unfindable as error:
            return await self._search(request, session, fields, error.why)
        after = cursor_of(fields)
        now = from_ms(self._sessions.time())
        accuracy = self._sessions.settings.access_token_lifetime
        records = await wanted.page(self._sessions, limit=PAGE + 1, after=after)
        self._tell(session, "list", wanted)
        page = page_of(records, session.session_handle, now=now, accuracy=accuracy)
        done = self._done_before.read(request)
        values = {
            **_about(wanted, after),
            "page": page,
            "now": now,
            "accuracy": accuracy,
            "places": await self._places(page),
            "namesakes": [] if after else await wanted.namesakes(self._sessions),
            "done": done,
        }
        answer = await self._frame.show(request, session, "administrators/found.html", values)
        self._done_before.clear(request, answer)
        return answer

    async def ask_to_end(self, request: Request, session: CurrentSession) -> Response:
        """What will happen, before it does, to the sessions that are chosen."""
        fields = unfolded(_query(request))
        wanted, after = _meant(fields), cursor_of(fields)
        handles = fields.get("session", ())
        if not handles:
            return self._done(request, wanted, "none-chosen", after=after)
        chosen = await self._chosen(session, wanted, after, handles)
        if not chosen:
            return self._done(request, wanted, "gone", after=after)
        now = from_ms(self._sessions.time())
        values = {
            **_about(wanted, after),
            "chosen": [found(each, session.session_handle, now=now) for each in chosen],
            "is_kept": session.session_handle in handles and len(set(handles)) > 1,
            "now": now,
        }
        return await self._frame.show(request, session, "administrators/end.html", values)

    async def end(self, request: Request, session: CurrentSession) -> Response:
        """End the sessions that the form names, as far as they are among those that it was about."""
        fields = unfolded(await submitted(request))
        wanted, after = _meant(fields), cursor_of(fields)
        handles = [
            each.session_handle for each in await self._chosen(session, wanted, after, fields.get("session", ()))
        ]
        if not handles:
            return self._done(request, wanted, "gone", after=after)
        is_own = handles == [session.session_handle]
        count: int | None = None
        try:
            if is_own:
                await session.revoke_session()
                count = 1
            else:
                count = await self._sessions.revoke_multiple_sessions(handles)
        finally:  # some may have ended, whatever went wrong
            which = {"session_handle": handles[0]} if len(handles) == 1 else {"session_handles": handles}
            self._tell(session, "end", wanted, **which, count=count)
        if is_own:
            return await self._frame.signed_out(request)
        return self._done(request, wanted, "ended" if count else "gone", count, after=after)

    async def ask_to_end_all(self, request: Request, session: CurrentSession) -> Response:
        """What will happen, before it does, to all of a user or of an index."""
        wanted = _meant(_query(request))
        records = await wanted.page(self._sessions, limit=MOST_FOUND, after=None)
        ending = [each for each in records if each.session_handle != session.session_handle]
        if not ending:
            return self._done(request, wanted, "gone")
        values = {
            **_about(wanted, None),
            "number": len(ending),
            "is_more": len(records) == MOST_FOUND,
            "is_kept": len(ending) < len(records),
        }
        return await self._frame.show(request, session, "administrators/end_all.html", values)

    async def end_all(self, request: Request, session: CurrentSession) -> Response:
        """End all but the administrator's own."""
        wanted = _meant(unfolded(await submitted(request)))
        count: int | None = None
        try:
            count = await wanted.end_all(self._sessions, but=session.session_handle)
        finally:  # some may have ended, whatever went wrong
            self._tell(session, "end_all", wanted, count=count)
        return self._done(request, wanted, "ended" if count else "gone", count)

    async def worker(self, request: Request, session: CurrentSession) -> Response:
        """How the worker that answers is."""
        values = {"worker": this_worker(self._sessions), "now": from_ms(self._sessions.time())}
        return await self._frame.show(request, session, "administrators/worker.html", values)

    async def _search(
        self, request: Request, session: CurrentSession, fields: Fields | None = None, wrong: str = ""
    ) -> Response:
        typed = {name: values[0][:1000] for name, values in (fields or {}).items() if values}
        values = {"typed": {"user": "", "type": TYPES[0], "name": "", "value": "", **typed}, "wrong": wrong}
        return await self._frame.show(
            request, session, "administrators/start.html", values, status_code=422 if wrong else 200
        )

    async def _chosen(
        self, session: CurrentSession, wanted: Wanted, after: str | None, handles: Sequence[str]
    ) -> list[SessionRecord[Any]]:
        """Those of the sessions that are to end: the administrator's own only if no other is chosen."""
        records = await wanted.page(self._sessions, limit=MOST_FOUND, after=after)
        wished = set(handles)
        chosen = [each for each in records if each.session_handle in wished]
        others = [each for each in chosen if each.session_handle != session.session_handle]
        return chosen if wished == {session.session_handle} else others

    async def _places(self, page: FoundPage) -> dict[str, str]:
        known = await self._place.of_each(each.address for each in page.sessions if each.address)
        return {address: str(place) for address, place in known.items()}

    def _tell(self, session: CurrentSession, action: str, wanted: Wanted, **more: Any) -> None:
        record(
            Event.ADMINISTERED,
            **wanted.facts,
            action=action,
            administrator=session.user_id,
            administrator_session=session.session_handle,
            **more,
        )

    def _done(
        self, request: Request, wanted: Wanted, what: str, count: int | None = None, *, after: str | None = None
    ) -> Response:
        position = {} if after is None else {"after": after}
        url = f"{self._frame.url_of(request, 'found')}?{urlencode(wanted.fields | position)}#notice"
        answer = RedirectResponse(url, 303, {"Cache-Control": "no-store"})
        self._done_before.leave(request, answer, what, count)
        return answer


def _query(request: Request) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        fields.setdefault(name, []).append(value)
    return fields


def _meant(fields: Fields) -> OfUser | Belonging:
    """What a page is asked for that no one asks for who has not found it.

    Raises:
        HTTPException: 400: nothing is found by this.
    """
    try:
        return wanted_of(fields)
    except Unfindable:
        raise HTTPException(400) from None


def _about(wanted: OfUser | Belonging, after: str | None) -> dict[str, Any]:
    """Whose sessions a page is about."""
    position = {} if after is None else {"after": after}
    return {
        "user": wanted if isinstance(wanted, OfUser) else None,
        "index": wanted if isinstance(wanted, Belonging) else None,
        "query": urlencode(wanted.fields),
        "here_query": urlencode(wanted.fields | position),
        "is_first": after is None,
    }
