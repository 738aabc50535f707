"""One try of one statement, on one connection."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Executable

from asgi_sessions.store.causes import Cause
from asgi_sessions.store.kept_connections import KeptConnections
from asgi_sessions.store.mysql_session import STRONG
from asgi_sessions.store.prepared import Outcome, PreparedStatements

__all__ = ["Attempt"]


class Attempt:
    """To be called in a greenlet of SQLAlchemy's, as often as it is tried.

    Each try is one greenlet, which is half the cost of AsyncConnection, which enters one per step.

    Attributes:
        waits_for: Why it would be late if its time were over now.
        sent_at: When the statement was sent last, in the seconds of ``time.monotonic``.
        renew: Lets its time begin anew.
    """

    __slots__ = ("connections", "parameters", "renew", "sent_at", "statement", "statements", "strong", "waits_for")

    def __init__(
        self,
        connections: KeptConnections,
        statements: PreparedStatements,
        statement: Executable,
        parameters: Mapping[str, Any] | None,
        *,
        strong: bool,
        renew: Callable[[], None],
    ) -> None:
        self.connections = connections
        self.statements = statements
        self.statement = statement
        self.parameters = parameters
        self.strong = strong
        self.renew = renew
        self.waits_for = Cause.ALL_IN_USE
        self.sent_at = 0.0

    def __call__(self) -> Outcome:
        self.waits_for = Cause.NO_ANSWER
        connection = self.connections.take(self.renew)
        self.waits_for = Cause.STATEMENT_TIMEOUT
        self.sent_at = time.monotonic()
        try:
            if self.strong and (settings := connection.info.get(STRONG)) is not None:
                outcome = self._strongly(connection, *settings)
            else:
                outcome = self._execute(connection)
        except BaseException:
            self.connections.give_up(connection)
            raise
        self.connections.keep(connection)
        return outcome

    def _execute(self, connection: Connection) -> Outcome:
        return self.statements.execute(connection, self.statement, self.parameters)

    def _strongly(self, connection: Connection, before: str, after: str) -> Outcome:
        connection.exec_driver_sql(before)
        try:
            return self._execute(connection)
        finally:
            if not connection.invalidated:
                try:
                    connection.exec_driver_sql(after)
                except Exception:
                    # The next borrower must not wait for the cluster at every read.
                    connection.invalidate()
