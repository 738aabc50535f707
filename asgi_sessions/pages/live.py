"""An event stream that tells an open page when its list of devices changes, so that the page asks for it anew.

What it sends is a version of the list (`devices.version_of`), and never what is on the list. A session's end is heard
within a second: this worker learns of it by the revocation feed, as it does for open sockets. A session that has begun
elsewhere is found by a look at the database, one statement for each open page every `LOOK_SECONDS`.

The stream itself is a background request: it does not extend the session, and ends with it.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from asgi_sessions.asgi.error_responses import answerable, error_answer
from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.manager.manager import SessionManager
from asgi_sessions.manager.session import Session
from asgi_sessions.pages.devices import MOST, version_of

__all__ = ["LiveList"]

LOOK_SECONDS = 20.0
REST_SECONDS = 0.2
"""For so long a stream is silent after it has said something: many ends at once are one news."""
MOST_STREAMS = 500
"""For each worker. Further pages are told to come later; they work without."""


class LiveList:
    """The streams of one worker.

    Args:
        sessions: The manager.
    """

    def __init__(self, sessions: SessionManager) -> None:
        self._sessions = sessions
        self._streams = 0

    async def endpoint(self, request: Request) -> Response:
        """The stream of whoever is signed in; errors are for a script, and not for people."""
        try:
            session = await self._sessions.get_session(request, extend=False)
        except Exception as error:
            if answerable(error) is None:
                raise
            answer = error_answer(request, error)
            return JSONResponse(answer.content, answer.status_code, answer.headers)
        if self._streams >= MOST_STREAMS:
            return Response(status_code=503, headers={"Retry-After": "60", "Cache-Control": "no-store"})
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._news(session), headers=headers, media_type="text/event-stream")

    async def _news(self, session: Session[Any, Any]) -> AsyncGenerator[str, None]:
        self._streams += 1
        try:
            while True:
                async with aclosing(self._until_looked_at_again(session)) as events:
                    async for event in events:
                        yield event
        finally:
            self._streams -= 1

    async def _until_looked_at_again(self, session: Session[Any, Any]) -> AsyncGenerator[str, None]:
        """The version now, and again when one of these sessions ends."""
        loop = asyncio.get_running_loop()
        look_at = loop.time() + LOOK_SECONDS
        try:
            live = set((await self._sessions.get_all_session_handles_for_user(session.user_id))[:MOST])
        except StoreUnavailable:
            yield ": the database does not answer\n\n"
            await asyncio.sleep(LOOK_SECONDS)
            return
        ended = asyncio.Event()

        def over(handle: str) -> None:
            live.discard(handle)
            ended.set()

        stop = self._sessions.lifecycle.end_watch.begin(live, session.user_id, over)
        try:
            while (left := look_at - loop.time()) > 0:
                ended.clear()
                yield f"event: version\ndata: {version_of(live)}\n\n"
                await asyncio.sleep(min(REST_SECONDS, left))
                try:
                    async with asyncio.timeout_at(look_at):
                        await ended.wait()
                except TimeoutError:
                    return
        finally:
            stop()
