"""Access tokens: authentic, in time, and of a session that lives, as far as the settings look.

There is one way to decide each of these, and a shortcut that skips what a worker knows already:

* *authentic*: `Verifier.tokens` is asked, which verifies what it does not hold.
* *of a live session*, with its newest payload: `Verifier.require_live` decides. It does nothing where
  `Verifier.is_known_live` says so.

Code that must not await anything asks `tokens` and `is_known_live` alone.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from asgi_sessions.manager.clocks import Clocks
from asgi_sessions.manager.idle_clock import IdleClock
from asgi_sessions.manager.liveness import LivenessCheck
from asgi_sessions.manager.signing import SigningKeys
from asgi_sessions.manager.token_first_use import FirstUses
from asgi_sessions.manager.token_times import TokenTimes
from asgi_sessions.manager.verified_token_cache import VerifiedTokenCache
from asgi_sessions.protocol import access_token, user_id
from asgi_sessions.protocol.access_token import LEGACY, AccessToken, InvalidAccessToken, LegacyAccessToken
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.protocol.keyring import Keyring
from asgi_sessions.revocation.feed import RevocationFeed
from asgi_sessions.settings import SessionSettings


class Verifier:
    """What a worker makes of an access token.

    Args:
        settings: How often sessions are looked up, and for which manager tokens must be.
        keys: Those that sign.
        liveness: The liveness check.
        first_uses: Settles the first use of each token; None with ``promote_on="refresh"``.
        idle_clock: Extends sessions where the refresh of their access token has not.
        feed: What this worker knows of ended sessions; None with ``revocation_check="none"``.
        clocks: The time, ms.
        times: How long a token may be good.

    Attributes:
        tokens: The cache of verified tokens, by their text: what a text says, perhaps expired; None for what we have
            not signed. What it does not hold it verifies.
    """

    def __init__(
        self,
        settings: SessionSettings,
        keys: SigningKeys,
        liveness: LivenessCheck,
        first_uses: FirstUses | None,
        idle_clock: IdleClock,
        feed: RevocationFeed | None,
        clocks: Clocks,
        times: TokenTimes,
    ) -> None:
        self._keys = keys
        self._liveness = liveness
        self._first_uses = first_uses
        self._idle_clock = idle_clock
        self._feed = feed
        self._tell_time = clocks
        self._times = times
        self._covered, self._ahead = times.covered, times.ahead
        self._always_asks = settings.revocation_check == "database"
        self._read: Callable[[str, Keyring], AccessToken] = partial(
            access_token.verify,
            audience=settings.token_audience,
            access_token_lifetime=settings.access_token_lifetime_ms,
            overlap=not settings.speaks_supertokens,
        )
        # A provider's keys may sign for other managers too. Only the database knows which sessions are this one's.
        self._doubts_legacy = settings.signing_key_provider is not None
        if self._doubts_legacy and settings.token_audience == access_token.LEGACY_AUDIENCE:
            self._read = partial(self._read_in_doubt, self._read)
        self.tokens = VerifiedTokenCache(
            settings.verified_token_memory, settings.access_token_lifetime_ms, clocks.given, self._verify
        )
        self._refused: bytes | None = None  # the last text that was no token of ours
        clocks.follow(self._take_clock)
        keys.follow(self._take_keyring)

    def looks_authentic(self, token: str) -> bool:
        """Whether it takes a look at the signature to tell that `token` is no access token of ours."""
        return access_token.looks_signed(token, self._keyring)

    async def authentic(self, token: object) -> AccessToken | None:
        """The access token that `token` is, perhaps expired; None for anything that we did not sign.

        As `tokens`, but a key or a lifetime that another worker has made a moment ago is looked up.

        Raises:
            StoreUnavailable: Its key is unknown here, and the keys could not be loaded again.
        """
        if not isinstance(token, str):
            return None
        token = token.encode("latin-1", "replace")  # no token holds a question mark
        found = self.tokens[token]
        if found is None:
            again = self._names_unknown_key(token) and await self._keys.reload_for_unknown_key()
        else:
            again = await self._times.look_again(found)
        return self.tokens[token] if again else found

    def in_time(self, access: AccessToken) -> bool:
        """Whether the token has not expired."""
        return self._tell_time() < access.expires_at

    def is_known_live(self, access: AccessToken) -> bool:
        """Whether the token is in time and `require_live` has nothing to find out. Awaits nothing.

        False says no more than that `require_live` has to be asked.
        """
        if self._always_asks or self._clock() >= access.expires_at:
            return False
        if access.kind and (access.legacy or not self._idle_clock.is_extended(access)):
            return False
        feed = self._feed
        if feed is not None and not feed.is_good(access.handle):
            return False
        return self._first_uses is None or self._first_uses.is_settled(access)

    async def require_live(
        self, access: AccessToken, *, check_database: bool = False, extend: bool = True
    ) -> AccessToken:
        """Raise unless the session behind an authentic token in time is live, as far as the settings look.

        Args:
            access: The token.
            check_database: Ask the database in any case.
            extend: Whether its request extends the session, where its refresh has not.

        Returns:
            What counts: the token, or the same with a payload that has replaced its own.

        Raises:
            Unauthorised: The session is revoked, expired or gone.
            TryRefreshToken: The token belongs to a generation that was left behind.
            TokenTheftDetected: The token proves a lasting fork; the session has been revoked.
            StoreUnavailable: The database was to be asked and did not answer, or has not for too long.
        """
        if not check_database and self.is_known_live(access):
            return access
        if self._first_uses is not None:
            await self._first_uses.settle(access, extend=extend)
        newest = await self._looked_up(access, check_database)
        if extend:
            await self._idle_clock.used(access)
        return newest

    async def _looked_up(self, access: AccessToken, check_database: bool) -> AccessToken:
        feed = self._feed
        if check_database or self._always_asks:
            return await self._liveness.newest(access, fresh=True)
        if access.legacy and self._doubts_legacy:
            return await self._liveness.newest(access)
        if feed is None:
            return access
        await feed.wait_until_current()
        in_doubt = feed.is_overflowing or (
            feed.expects_tombstones and feed.expects_tombstones_of(user_id.encode(access.user_id))
        )
        outdated = feed.payload_version(access.handle) > access.payload_version
        if feed.is_revoked(access.handle) or in_doubt or outdated:
            # Says why, and what becomes of the cookies.
            return await self._liveness.newest(access, fresh=in_doubt)
        return access

    def wants_rewrite(self, access: AccessToken) -> bool:
        """Whether another access token should be handed out that says that its pair has been promoted."""
        return self._first_uses is not None and self._first_uses.wants_rewrite(access)

    def _verify(self, token: bytes) -> AccessToken | None:
        """What a text says that the cache does not hold; None for what is no token of ours."""
        if token == self._refused:
            return None
        try:
            found = self._read(token.decode("latin-1"), self._keyring)
        except LegacyAccessToken as legacy:
            found = legacy.token
            if found.issued_at >= self._keys.legacy_until:
                self._refused = token
                return None
            if self._doubts_legacy:
                return found
        except InvalidAccessToken as error:
            if not error.unknown_key_id and len(token) <= access_token.MAX_LENGTH:
                self._refused = token
            return None
        # Looked at once, not at each use: a token that was not issued in the future stays so.
        now = self._clock()
        if found.expires_at - found.issued_at > self._covered or found.issued_at - now > self._ahead:
            return self._times.bounded(found, now)
        self.tokens.remember(token, found, now)
        return found

    def _names_unknown_key(self, token: bytes) -> bool:
        """Whether a text that is no token looks like ours but for its key."""
        if token == self._refused:
            return False
        try:
            self._read(token.decode("latin-1"), self._keyring)
        except InvalidAccessToken as error:
            return error.unknown_key_id
        return False

    def _read_in_doubt(self, read: Callable[[str, Keyring], AccessToken], token: str, keyring: Keyring) -> AccessToken:
        """As `read`, for the manager whose own audience is that of older versions: its tokens look like theirs."""
        found = read(token, keyring)
        if found.issued_at < self._keys.legacy_until:
            raise LegacyAccessToken(replace(found, kind=LEGACY))
        return found

    def _take_clock(self, clock: Clock) -> None:
        self._clock = clock
        self.tokens.forget()  # by a clock that was wrong a token of the future looked like one of now

    def _take_keyring(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._refused = None
        self.tokens.forget()  # a key may have stopped signing, and its tokens end sooner
