"""Access tokens: authentic, in time, not revoked, and with promote_on="first_use" promoted at their first use."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from asgi_sessions.errors import StoreUnavailable, TryRefreshToken
from asgi_sessions.manager.clocks import Clocks
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.manager.refreshing import MAX_READS, Refresher
from asgi_sessions.manager.signing import SigningKeys
from asgi_sessions.manager.standing import Standing
from asgi_sessions.manager.token_times import TokenTimes
from asgi_sessions.manager.verified import VerifiedTokens
from asgi_sessions.protocol import access_token, user_id
from asgi_sessions.protocol.access_token import AccessLineage, AccessToken, InvalidAccessToken, LegacyAccessToken
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.protocol.keyring import Keyring
from asgi_sessions.protocol.rotation import THEFT, Lineage, Verdict
from asgi_sessions.revocation.feed import RevocationFeed
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.repository import SessionRow

SEEN_BYTES = 256
"""What it takes to remember that a token's first use has been settled."""
LEAST_SEEN = 10_000

_log = logging.getLogger(__name__)


class Verifier:
    """What a worker makes of an access token."""

    def __init__(
        self,
        settings: SessionSettings,
        keys: SigningKeys,
        refresher: Refresher,
        standing: Standing,
        feed: RevocationFeed | None,
        clocks: Clocks,
        times: TokenTimes,
    ) -> None:
        self._keys = keys
        self._refresher = refresher
        self._standing = standing
        self._tell_time = clocks
        self._times = times
        self._covered, self._ahead = times.covered, times.ahead
        self._check_database = settings.revocation_check == "database"
        self._feed = feed
        self._read: Callable[[str, Keyring], AccessToken] = partial(
            access_token.verify,
            audience=settings.token_audience,
            access_token_lifetime=settings.access_token_lifetime_ms,
            overlap=not settings.speaks_supertokens,
        )
        # Those keys sign for other managers too, perhaps: the database knows which sessions are this one's.
        self._doubts_legacy = settings.signing_key_provider is not None
        if self._doubts_legacy and settings.token_audience == access_token.LEGACY_AUDIENCE:
            self._read = partial(self._read_in_doubt, self._read)
        self._promotes = settings.promote_on == "first_use"
        self._rewrites = self._promotes and settings.speaks_supertokens
        self._unpromoted = OncePerMinute(_log, logging.WARNING, clocks.given)
        self._verified = VerifiedTokens(settings.verified_token_memory, settings.access_token_lifetime_ms, clocks.given)
        clocks.follow(self._take_clock)
        self._refused: bytes | None = None  # the last text that was no token of ours
        self._keyring = keys.keyring
        # Settled first uses; one that is forgotten costs a statement.
        self._seen: OrderedDict[tuple[str, bytes], None] = OrderedDict()
        self._most_seen = max(LEAST_SEEN, settings.verified_token_memory // 2 // SEEN_BYTES)

    def looks_authentic(self, token: str) -> bool:
        """Whether it takes a look at the signature to tell that `token` is no access token of ours."""
        return access_token.looks_signed(token, self._keys.keyring)

    async def authentic(self, token: object) -> AccessToken | None:
        """The access token that `token` is, perhaps expired; None for anything that we did not sign.

        Raises:
            StoreUnavailable: Its key is unknown here, and the keys could not be loaded again.
        """
        if not isinstance(token, str):
            return None
        token = token.encode("latin-1", "replace")  # no token holds a question mark
        found, unknown_key = None, False
        try:
            found = self._verify(token)
        except InvalidAccessToken as error:
            unknown_key = error.unknown_key_id
        # Not within the handler: what fails here would be reported with the frames that have looked at the token.
        again = (
            unknown_key and await self._keys.reload_for_unknown_key()
            if found is None
            else await self._times.learn(found)
        )
        if not again:
            return found
        try:
            return self._verify(token)
        except InvalidAccessToken:
            return None

    def recognise(self, token: bytes) -> AccessToken | None:
        """The access token that `token` is, where this worker can tell by itself that it stands.

        None says nothing: ask `authentic` and `stands`, which have the time to find out.

        Args:
            token: What the client sent.
        """
        if self._check_database:
            return None
        found = self._verified[token] if self._keys.keyring is self._keyring else None
        if found is None:
            try:
                found = self._verify_anew(token)
            except InvalidAccessToken:
                return None
        clock = self._clock
        if clock() >= found.expires_at:
            return None
        if self._feed is not None and not self._feed.is_good(found.handle):
            return None
        if self._promotes and not self._is_settled(found):
            return None
        return found

    def in_time(self, access: AccessToken) -> bool:
        """Whether the token has not expired."""
        return self._tell_time() < access.expires_at

    async def stands(self, access: AccessToken, *, check_database: bool = False) -> None:
        """Whether the session behind an authentic token in time still stands, as far as the settings look.

        Args:
            access: The token.
            check_database: Ask the database in any case.

        Raises:
            Unauthorised: The session is revoked, expired or gone.
            TryRefreshToken: The token belongs to a generation that was left behind.
            TokenTheftDetected: The token proves a lasting fork; the session has been revoked.
            StoreUnavailable: The database was to be asked and did not answer, or has not for too long.
        """
        if self._promotes and access.lineage is not None and not self._is_settled(access):
            await self._first_use(access, access.lineage)
        feed = self._feed
        if check_database or self._check_database or (access.legacy and self._doubts_legacy):
            await self._standing.row(access.handle)
        elif feed is not None:
            await feed.wait_until_current()
            in_doubt = feed.is_overflowing or (
                feed.expects_tombstones and feed.expects_tombstones_of(user_id.encode(access.user_id))
            )
            if feed.is_revoked(access.handle) or in_doubt:
                # Says why, and what becomes of the cookies.
                await self._standing.row(access.handle, fresh=in_doubt)

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
            and (access.handle, lineage.token_hash) in self._seen
        )

    def _is_settled(self, access: AccessToken) -> bool:
        """Whether nothing is left to do at a use of this token but to serve it (``promote_on="first_use"``)."""
        lineage = access.lineage
        return lineage is None or access.generation == 0 or (access.handle, lineage.token_hash) in self._seen

    def _verify(self, token: bytes) -> AccessToken:
        found = self._verified[token] if self._keys.keyring is self._keyring else None
        try:
            return self._verify_anew(token) if found is None else found
        except LegacyAccessToken as legacy:
            return legacy.token

    def _verify_anew(self, token: bytes) -> AccessToken:
        keyring = self._keys.keyring
        if keyring is not self._keyring:  # a key may have stopped signing, and its tokens end sooner
            self._verified.forget()
            self._refused = None
            self._keyring = keyring
        if token == self._refused:  # by `recognise`, a moment ago
            raise InvalidAccessToken
        try:
            found = self._read(token.decode("latin-1"), keyring)
        except InvalidAccessToken as error:
            if isinstance(error, LegacyAccessToken) and error.token.issued_at < self._keys.legacy_until:
                if self._doubts_legacy:
                    raise
                found = error.token
            else:
                if not error.unknown_key_id and len(token) <= access_token.MAX_LENGTH:
                    self._refused = token
                raise InvalidAccessToken(unknown_key_id=error.unknown_key_id) from None
        # Once for all uses: what was not of the future will not be.
        now = self._clock()
        if found.expires_at - found.issued_at > self._covered or found.issued_at - now > self._ahead:
            return self._times.bounded(found, now)
        self._verified.remember(token, found, now)
        return found

    def _read_in_doubt(self, read: Callable[[str, Keyring], AccessToken], token: str, keyring: Keyring) -> AccessToken:
        """As `read`, for the manager whose own audience is that of older versions: its tokens look like theirs."""
        found = read(token, keyring)
        if found.issued_at < self._keys.legacy_until:
            raise LegacyAccessToken(replace(found, legacy=True))
        return found

    def _take_clock(self, clock: Clock) -> None:
        self._clock = clock
        self._verified.forget()  # by a clock that was wrong a token of the future looked like one of now

    async def _first_use(self, access: AccessToken, shown: AccessLineage) -> None:
        lineage = shown.lineage
        try:
            row, verdict = await self._settle(access, lineage)
        except StoreUnavailable:
            # Not remembered, so the next use tries again; a checked path asks the database itself and fails there.
            self._unpromoted.say("Session %s: its token was served without promotion.", access.handle)
            return
        if verdict is Verdict.FUTURE:
            raise self._refresher.future(access.handle)
        if row is not None and verdict not in {Verdict.HEAD, Verdict.SIBLING}:
            if lineage.generation < row.gen:
                raise TryRefreshToken
            await self._refresher.theft(row, verdict)
        self._seen[access.handle, shown.token_hash] = None
        if len(self._seen) > self._most_seen:
            self._seen.popitem(last=False)

    async def _settle(self, access: AccessToken, lineage: Lineage) -> tuple[SessionRow | None, Verdict]:
        """Promote a child, or find out what the token is else. Without a row: it has been promoted here."""
        for reads in range(MAX_READS):
            if await self._refresher.promote(access.handle, lineage, access.session_expires_at):
                return None, Verdict.CHILD
            row, verdict = await self._refresher.judge(access.handle, lineage, fresh=reads > 0)
            if reads == 0 and (verdict in THEFT or verdict is Verdict.FUTURE):
                row, verdict = await self._refresher.judge(access.handle, lineage, fresh=True)
            if verdict is not Verdict.CHILD:
                return row, verdict
        raise StoreUnavailable
