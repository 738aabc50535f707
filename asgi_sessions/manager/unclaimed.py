"""A login that was cut off, or whose answer never left, leaves no session behind: nobody would hold its tokens."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.manager.beside import Beside
from asgi_sessions.manager.revoking import Revoker

UNCLAIMED = "unclaimed"
"""The reason in the tombstone of a session whose tokens have reached nobody."""
PAUSES_SECONDS = (1.0, 3.0)
"""After which the end is tried again where the database did not answer, or may yet do what it was asked before. Shorter
than the wait of a stop (`beside.CLOSE_SECONDS`), which else would cancel the last try."""

_log = logging.getLogger(__name__)


class UnclaimedSessions:
    """Ends such sessions, beside the requests that began them."""

    def __init__(self, revoker: Revoker, beside: Beside) -> None:
        self._revoker = revoker
        self._beside = beside

    async def whole(self, beginning: Coroutine[Any, Any, None], session_handle: str) -> None:
        """Begin a session wholly or not at all: where the caller is cancelled, or the statements fail, it is ended.

        The statements run in a task of their own, so that a client that leaves does not interrupt them: nobody could
        tell then what the database has done. The session is ended once they are done.

        Args:
            beginning: What stores it.
            session_handle: The session that it stores.

        Raises:
            StoreUnavailable: A stop has interrupted the statements, and nobody will tell what came of them.
        """
        task = self._beside.start(beginning)
        try:
            await asyncio.wait([task])
        except BaseException:
            self._beside.start(self._end_after(task, session_handle))
            raise
        if task.cancelled():  # by a stop; the caller was not cancelled, and no session can be ended any more
            _log.warning(
                "Session %s: it was begun during a stop and may be left, though nobody holds it.", session_handle
            )
            raise StoreUnavailable("The session manager stops.")
        error = task.exception()
        if error is not None:
            if isinstance(error, StoreUnavailable):  # it may be there all the same
                self._beside.start(self._end(session_handle, unsure=True))
            raise error

    def end(self, session_handle: str) -> None:
        """End a session soon, without waiting for it."""
        self._beside.start(self._end(session_handle, unsure=False))

    async def _end_after(self, beginning: "asyncio.Task[None]", session_handle: str) -> None:
        await asyncio.wait([beginning])
        unsure = beginning.cancelled() or isinstance(beginning.exception(), StoreUnavailable)
        await self._end(session_handle, unsure=unsure)

    async def _end(self, session_handle: str, *, unsure: bool) -> None:
        """End a session.

        Args:
            session_handle: The session.
            unsure: Whether the statement that stores it may yet be carried out.
        """
        failed = False
        for pause in (0.0, *PAUSES_SECONDS):
            await asyncio.sleep(pause)
            try:
                if await self._revoker.revoke(session_handle, reason=UNCLAIMED) or not unsure:
                    return
            except StoreUnavailable:
                unsure = failed = True
            else:
                failed = False
        if failed:
            _log.warning("Session %s: nobody holds it, and it could not be ended.", session_handle)
