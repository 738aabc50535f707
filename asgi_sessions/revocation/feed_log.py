"""What the log is told of the revocation feed."""

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.revocation.alerts import Alert
from asgi_sessions.settings import ManagerLog
from asgi_sessions.store.failures import DatabaseFailure

__all__ = ["FeedLog"]


class FeedLog:
    """Tells of each state when it begins and when it ends: a fault that lasts does not fill the log.

    Args:
        log: The logger to write to.
        most_stale: After how long requests get 503, seconds.
    """

    def __init__(self, log: ManagerLog, most_stale: float) -> None:
        self._log = log
        self._most_stale = most_stale
        self._failing, self._refusing = Alert(), Alert()
        self._overflowing, self._stumbling = Alert(), Alert()

    def failed(self, what: str, *, staleness: float, refusing: bool, error: BaseException | None = None) -> None:
        """A poll has failed, or was waited for in vain.

        Args:
            what: What the feed did to the database, or missed from it.
            staleness: How old its news is, seconds.
            refusing: Whether requests get 503 for that.
            error: What the poll has raised.
        """
        begins = self._failing.fire()
        if begins:
            cause = None if error is None else error.__cause__
            self._log.warning(
                "The revocation feed %s the database%s: its news is %.1f s old. After %g s requests get 503.",
                what,
                f", {cause}" if isinstance(cause, DatabaseFailure) else "",
                staleness,
                self._most_stale,
            )
        if refusing and self._refusing.fire():
            self._log.error("The revocation feed's news is %.1f s old: requests with a session get 503.", staleness)
        if begins and error is not None and not isinstance(error, StoreUnavailable):
            self._log.error(_STUMBLED, exc_info=error)

    def recovered(self) -> None:
        """A poll has come to its end."""
        self._refusing.resolve()
        if self._failing.resolve():
            self._log.warning("The revocation feed reads the database again.")

    def memory(self, *, overflowing: bool) -> None:
        """Tell whether more sessions were revoked than the memory holds."""
        if overflowing:
            if self._overflowing.fire():
                self._log.error("More sessions were revoked than revocation_memory holds: requests ask the database.")
        elif self._overflowing.resolve():
            self._log.warning("The revoked sessions fit into revocation_memory again.")

    def maintained(self, error: Exception | None = None) -> None:
        """The maintenance after a poll has come to its end, or an error of our own has ended it."""
        if error is None:
            self._stumbling.resolve()
        elif self._stumbling.fire():
            self._log.error(_STUMBLED, exc_info=error)


_STUMBLED = "The revocation feed stumbled; it goes on."
