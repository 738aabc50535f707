"""*Your devices*: where the user is signed in, a way out of each, and a name for each."""

from collections.abc import Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from asgi_sessions.asgi.background import is_background
from asgi_sessions.asgi.notices import NoticeCookie
from asgi_sessions.asgi.submitted_form import submitted
from asgi_sessions.errors import ImpersonationRefused
from asgi_sessions.manager.records import SessionRecord
from asgi_sessions.manager.session import Session, require_alone
from asgi_sessions.pages import names
from asgi_sessions.pages.addresses import address_of
from asgi_sessions.pages.asked import Asked
from asgi_sessions.pages.devices import MOST, Device, arranged, every, group_of
from asgi_sessions.pages.frame import Frame, together
from asgi_sessions.pages.options import SecurityNotice
from asgi_sessions.pages.rendering import list_url
from asgi_sessions.protocol.durations import from_ms

__all__ = ["YourDevices"]

DONE = ("logged-out", "renamed", "gone")
"""What the list may say of the form before."""
CurrentSession = Session[Any, Any]


class YourDevices:
    """The pages.

    Args:
        frame: Around each of them.
    """

    def __init__(self, frame: Frame) -> None:
        own = frame.configuration
        self._frame = frame
        self._sessions = frame.sessions
        self._place = Asked("place", own.place, frame.sessions.clock)
        self._notices = Asked("notices", own.notices, frame.sessions.clock)
        self._done_before = NoticeCookie(DONE, name="devices-notice")

    async def devices(self, request: Request, session: CurrentSession) -> Response:
        """The list."""
        records, known = await self._of(session)
        now = from_ms(self._sessions.time())
        try:
            page = arranged(
                records,
                known,
                session,
                now=now,
                accuracy=self._sessions.settings.access_token_lifetime,
                after=request.query_params.get("after"),
            )
        except ValueError:
            raise HTTPException(400) from None
        shown = [*([] if page.here is None else [page.here]), *(each for g in page.groups for each in g.devices)]
        places, notices = await together(
            self._place.of_each(device.address for device in shown if device.address),
            self._notices.of(session),
        )
        values = {
            "page": page,
            "now": now,
            "places": {address: str(place) for address, place in places.items()},
            "notices": _notices(notices),
            "may_change": session.actor is None,
            "accuracy": self._sessions.settings.access_token_lifetime,
            "change_password_url": address_of(self._frame.configuration.change_password_url, request),
        }
        if is_background(request.scope, ()):  # a script's look at the list is not the page after the form
            return await self._frame.show(request, session, "devices.html", values | {"done": None})
        done = self._done_before.read(request)
        answer = await self._frame.show(request, session, "devices.html", values | {"done": done})
        self._done_before.clear(request, answer)
        return answer

    async def ask_to_log_out(self, request: Request, session: CurrentSession) -> Response:
        """What will happen, before it does: for one session, or for all of one browser."""
        handle, of_group = request.query_params.get("session"), request.query_params.get("group")
        found = every(*await self._of(session), session, from_ms(self._sessions.time()))
        one = [device for device in found if device.handle == handle]
        devices = one if of_group is None else group_of(found, of_group)
        if not devices:
            return self._done(request, "gone")
        return await self._confirm(request, session, devices)

    async def log_out(self, request: Request, session: CurrentSession) -> Response:
        """End the sessions that the form names; others than this user's are left alone."""
        wanted = (await submitted(request)).get("session", [])
        if session.session_handle in wanted:
            await session.revoke_session()
            return await self._frame.signed_out(request)
        self._require_recent(session)
        await require_alone(session)
        own = await self._sessions.get_all_session_handles_for_user(session.user_id)
        count = await self._sessions.revoke_multiple_sessions(set(own).intersection(wanted))
        return self._done(request, "logged-out", count) if count else self._done(request, "gone")

    async def ask_to_log_out_others(self, request: Request, session: CurrentSession) -> Response:
        """What will happen, before it does."""
        known = await self._sessions.get_all_session_handles_for_user(session.user_id)
        others = len(set(known) - {session.session_handle})
        if not others:
            return self._done(request, "gone")
        return await self._frame.show(request, session, "log_out_others.html", {"others": others})

    async def log_out_others(self, request: Request, session: CurrentSession) -> Response:
        """End all sessions but this one."""
        self._require_recent(session)
        return self._done(request, "logged-out", await session.revoke_other_sessions())

    async def ask_for_a_name(self, request: Request, session: CurrentSession) -> Response:
        """The form for naming a device."""
        device = await self._one(session, request.query_params.get("session"))
        return self._done(request, "gone") if device is None else await self._name_form(request, session, device)

    async def rename(self, request: Request, session: CurrentSession) -> Response:
        """Name a device; an empty name gives it its own again."""
        form = await submitted(request)
        device = await self._one(session, form.get("session", [""])[0])
        if device is None:
            return self._done(request, "gone")
        typed = form.get("name", [""])[0]
        name = names.cleaned(typed[: 10 * names.LONGEST_NAME])
        if name is not None and len(name) > names.LONGEST_NAME:
            return await self._name_form(request, session, device, typed=typed, wrong="long")
        try:
            await names.rename(self._sessions, device.handle, name)
        except names.NoRoom:
            return await self._name_form(request, session, device, typed=typed, wrong="no-room")
        return self._done(request, "renamed")

    async def _of(self, session: CurrentSession) -> tuple[list[SessionRecord[Any]], dict[str, str]]:
        records = await self._sessions.list_sessions_for_user(session.user_id, limit=MOST)
        return records, await names.names_of(self._sessions, [record.session_handle for record in records])

    async def _one(self, session: CurrentSession, handle: str | None) -> Device | None:
        """One of the user's own devices, to be named.

        Raises:
            ImpersonationRefused: Somebody acts as the user.
        """
        await require_alone(session)
        found = every(*await self._of(session), session, from_ms(self._sessions.time()))
        return next((device for device in found if device.handle == handle and not device.is_acting), None)

    async def _confirm(self, request: Request, session: CurrentSession, devices: Sequence[Device]) -> Response:
        if session.actor is not None and not devices[0].is_here:
            raise ImpersonationRefused
        values = {"devices": devices, "now": from_ms(self._sessions.time())}
        return await self._frame.show(request, session, "log_out.html", values)

    async def _name_form(
        self, request: Request, session: CurrentSession, device: Device, *, typed: str | None = None, wrong: str = ""
    ) -> Response:
        values = {
            "device": device,
            "typed": device.name or "" if typed is None else typed[: 10 * names.LONGEST_NAME],
            "longest": names.LONGEST_NAME,
            "wrong": wrong,
        }
        return await self._frame.show(request, session, "rename.html", values, status_code=422 if wrong else 200)

    def _require_recent(self, session: CurrentSession) -> None:
        recent = self._frame.configuration.recent
        if recent is not None:
            recent.check(session, self._sessions.time())

    def _done(self, request: Request, what: str, count: int | None = None) -> Response:
        answer = RedirectResponse(f"{list_url(request)}#notice", 303, {"Cache-Control": "no-store"})
        self._done_before.leave(request, answer, what, count)
        return answer


def _notices(said: Any) -> list[SecurityNotice]:
    return [notice for notice in said if isinstance(notice, SecurityNotice)] if isinstance(said, Sequence) else []
