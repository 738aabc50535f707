"""A WebSocket for each open page, so that the page knows when its session ends: static/live-sign-out.js."""

from fastapi import APIRouter, Response, WebSocket

from example_app.notices import notices
from example_app.sessions import Visitor, had_session, sessions

router = APIRouter(prefix="/api")


@router.websocket("/live")
async def live(websocket: WebSocket, session: Visitor, form_tag: str | None = None) -> None:
    """Stay open, and silent, for as long as the session lasts: the middleware closes the socket when it ends.

    A page that names the session that it was made for hears at once that the browser has another, and whose.
    """
    answer = Response()
    if session is None and had_session(websocket):  # the handshake clears its cookies: the next page does not see them
        notices.leave(websocket, answer, "session-ended")
    await websocket.accept(headers=[header for header in answer.raw_headers if header[0] == b"set-cookie"])
    replaced = session is not None and form_tag not in {None, session.form_tag}
    if session is not None and replaced:
        await websocket.send_json({"name": session.jwt_payload["name"]})
    if session is None or replaced:  # it has ended already
        await websocket.close(sessions.settings.websocket_close_code)
        return
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
