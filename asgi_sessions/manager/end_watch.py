"""The ends of several of a user's sessions, as this worker hears of them: for a page that lists them."""

from collections.abc import Callable, Iterable
from functools import partial

from asgi_sessions.protocol import user_id
from asgi_sessions.revocation.feed import RevocationFeed
from asgi_sessions.revocation.termination_listeners import TerminationListeners


class EndWatch:
    """Calls back when sessions have been revoked on any worker. One event loop's.

    With ``revocation_check="none"`` it hears of this worker's own revocations only.

    Args:
        feed: What this worker knows of ended sessions; None for nothing.
        listeners: The listeners that are called at a session's end.
    """

    def __init__(self, feed: RevocationFeed | None, listeners: TerminationListeners) -> None:
        self._feed = feed
        self._listeners = listeners

    def begin(
        self, session_handles: Iterable[str], owner: user_id.UserId, ended: Callable[[str], None]
    ) -> Callable[[], None]:
        """Wait for the ends of these sessions.

        Args:
            session_handles: The sessions.
            owner: Whose they are.
            ended: Called with the handle of each that has ended; must not block.

        Returns:
            What waits no longer.
        """
        stored = user_id.encode(owner)
        waiting = {handle: partial(ended, handle) for handle in session_handles}
        for handle, listener in waiting.items():
            self._listeners.add(handle, listener, owner=stored)
        if self._feed is not None:
            self._listeners.notify([handle for handle in waiting if handle in self._feed])

        def cancel() -> None:
            for handle, listener in waiting.items():
                self._listeners.remove(handle, listener)

        return cancel
