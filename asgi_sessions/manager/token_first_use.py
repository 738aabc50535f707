"""The first use of an access token with ``promote_on="first_use"``: it proves that its pair has arrived.

An access token of that setting carries the lineage of its refresh token. At its first use in each worker the lineage is
judged and promoted as at a refresh. After that the token's use is settled here, and costs nothing.
"""

import logging
from collections import OrderedDict

from asgi_sessions.errors import StoreUnavailable, TryRefreshToken
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.manager.rotating import MAX_READS, MOVED, Rotation
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.protocol.rotation import Lineage, Verdict
from asgi_sessions.settings import SessionSettings, manager_log
from asgi_sessions.store.repository import SessionRow

SETTLED_BYTES = 256
"""What it takes to remember that a token's first use has been settled."""
LEAST_SETTLED = 10_000


class FirstUses:
    """Settles first uses, and remembers which are settled. One that is forgotten costs a statement.

    Args:
        settings: How much memory there is, and whether promoted tokens are to say so.
        rotation: Judges and promotes.
        clock: The time, ms, for the log.
    """

    def __init__(self, settings: SessionSettings, rotation: Rotation, clock: Clock) -> None:
        self._rotation = rotation
        self._rewrites = settings.speaks_supertokens
        self._unpromoted = OncePerMinute(manager_log(__name__, settings), logging.WARNING, clock)
        self._settled: OrderedDict[tuple[str, bytes], None] = OrderedDict()
        self._most_settled = max(LEAST_SETTLED, settings.verified_token_memory // 2 // SETTLED_BYTES)

    def is_settled(self, access: AccessToken) -> bool:
        """Whether nothing is left to do at a use of this token but to serve it."""
        lineage = access.lineage
        return lineage is None or access.generation == 0 or (access.handle, lineage.token_hash) in self._settled

    async def settle(self, access: AccessToken, *, extend: bool = True) -> None:
        """Promote the token's pair if this is the first use; nothing where it is settled.

        Where the database does not answer the token is served all the same, and its next use tries again: a check of
        the database, where one is asked for, fails by itself.

        Args:
            access: The token.
            extend: Whether its request extends the session.

        Raises:
            Unauthorised: The session is revoked, expired or gone.
            TryRefreshToken: The token belongs to a generation that was left behind.
            TokenTheftDetected: The token proves a lasting fork; the session has been revoked.
        """
        if access.lineage is None or self.is_settled(access):
            return
        lineage = access.lineage.lineage
        try:
            row, verdict = await self._promote_or_judge(access, lineage, extend)
        except StoreUnavailable:
            self._unpromoted.say("Session %s: its token was served without promotion.", access.handle)
            return
        if verdict is Verdict.FUTURE:
            raise self._rotation.newer_than_database(access.handle)
        if row is not None and verdict not in {Verdict.HEAD, Verdict.SIBLING}:
            if lineage.generation < row.gen:
                raise TryRefreshToken
            await self._rotation.theft(row, verdict)
        self._settled[access.handle, access.lineage.token_hash] = None
        if len(self._settled) > self._most_settled:
            self._settled.popitem(last=False)

    def wants_rewrite(self, access: AccessToken) -> bool:
        """Whether this token's first use has just been settled, and it does not say so itself.

        The reference library then hands out another access token. It carries the same lineage: what a token shows
        is judged at its first use in every worker.
        """
        lineage = access.lineage
        return (
            self._rewrites
            and lineage is not None
            and not lineage.promoted
            and (access.handle, lineage.token_hash) in self._settled
        )

    async def _promote_or_judge(
        self, access: AccessToken, lineage: Lineage, extend: bool
    ) -> tuple[SessionRow | None, Verdict]:
        """Promote a child, or find out what the token is else. Without a row: it has been promoted here."""
        for _ in range(MAX_READS):
            if await self._rotation.promote(access.handle, lineage, access.lifetime, extend=extend):
                return None, Verdict.CHILD
            row, verdict = await self._rotation.judge(access.handle, lineage)
            if verdict is not Verdict.CHILD:
                return row, verdict
        raise StoreUnavailable(MOVED)
