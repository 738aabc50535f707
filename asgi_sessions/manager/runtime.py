"""What a manager opens on an event loop: engine, keys, feed, background work."""

import asyncio
import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta

from asgi_sessions.errors import ConfigurationError, StoreUnavailable
from asgi_sessions.manager.claims_function import Claims
from asgi_sessions.manager.clocks import Clocks, TimedTombstones
from asgi_sessions.manager.companions import Companion, Opened
from asgi_sessions.manager.events import Events
from asgi_sessions.manager.installation import look_at_installation
from asgi_sessions.manager.lifecycle import Lifecycle
from asgi_sessions.manager.limit_function import LimitByUser
from asgi_sessions.manager.resealing import reseal_older_keys
from asgi_sessions.manager.signing import SigningKeys
from asgi_sessions.manager.token_times import TokenTimes
from asgi_sessions.protocol.clock import Clock, system_clock
from asgi_sessions.revocation.channel import Channel, WakeUps, channel_name
from asgi_sessions.revocation.feed import RevocationFeed
from asgi_sessions.revocation.liveness_sweep import LivenessSweep
from asgi_sessions.revocation.postgresql_channel import PostgreSQLChannel
from asgi_sessions.revocation.termination_listeners import TerminationListeners
from asgi_sessions.settings import SessionSettings, manager_log
from asgi_sessions.store.cancellation import end_task
from asgi_sessions.store.engine import Database, open_database
from asgi_sessions.store.failures import in_full
from asgi_sessions.store.index_rows import SessionIndexStore
from asgi_sessions.store.leases import LeaseStore
from asgi_sessions.store.marks import MarkStore
from asgi_sessions.store.migrations import is_missing_table, upgrade
from asgi_sessions.store.notifications import NotificationStore
from asgi_sessions.store.payload_changes import PayloadChangeStore
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.signing_keys import SigningKeyStore
from asgi_sessions.store.state import StateStore
from asgi_sessions.store.tombstones import TombstoneStore

PURGE_LEASE = "purge"
FIRST_PURGE_MS = 60_000

_NOT_MIGRATED = (
    "migrate_on_start: is off, and the tables are missing or of an older version: run `asgi-sessions migrate`, or have "
    "your own Alembic make what sessions_metadata() describes."
)


class Runtime:
    """What one event loop opens and closes: owns its engine, keys, feed and purge, and the `Lifecycle` that uses them.

    Args:
        settings: The manager's.
        events: The manager's.
        clock: The time, ms.
        limit_by_user: The manager's.
        claims: The manager's.
        companions: What else is opened, and closed before the rest.
        takes_any_clock: Whether to start also where the machine's clock is too far off the database's, by whose time
            everything then goes, and nothing is purged.

    Attributes:
        loop: That event loop.
        lifecycle: The sessions.
        users: How many starts have not been followed by a stop.
    """

    lifecycle: Lifecycle

    def __init__(
        self,
        settings: SessionSettings,
        events: Events,
        clock: Clock,
        limit_by_user: LimitByUser,
        claims: Claims,
        companions: Sequence[Companion] = (),
        *,
        takes_any_clock: bool = False,
    ) -> None:
        self._log = manager_log(__name__, settings)
        self._settings = settings
        self._takes_any_clock = takes_any_clock
        self._events = events
        self._clock = clock
        self._limit_by_user = limit_by_user
        self._claims = claims
        self._companions = companions
        self._name = secrets.token_hex(8)
        self.loop = asyncio.get_running_loop()
        self._database: Database | None = None
        self._feed: RevocationFeed | None = None
        self._opened = AsyncExitStack()
        self.opening = asyncio.Lock()
        self.users = 0

    async def open(self) -> None:
        """Open the database, bring it up to date, load the keys, start the purge.

        Raises:
            ConfigurationError: Wrong settings for this database.
            StoreUnavailable: It does not answer, or refused. The text says which one and why.
        """
        try:
            await self._open()
        except StoreUnavailable as error:
            raise (error if self._database is None else self._database.told(error)) from error.__cause__

    async def _migrate_if_wanted(self, database: Database) -> None:
        if self._settings.migrate_on_start:
            await upgrade(database, self._settings.table_prefix)

    async def _open(self) -> None:
        settings = self._settings
        async with AsyncExitStack() as opened:  # what fails half-way is closed again
            self._database = database = await open_database(settings.database_url.get_secret_value())
            opened.push_async_callback(database.close)
            await self._migrate_if_wanted(database)
            tables = build_tables(settings.table_prefix)
            self._sessions = SessionRepository(database, tables)
            self._payload_changes = PayloadChangeStore(database, tables)
            self._session_index = SessionIndexStore(database, tables)
            self._marks = MarkStore(database, tables)
            self._notifications = NotificationStore(database, tables)
            self._leases = LeaseStore(database, tables)
            key_store = SigningKeyStore(database, tables)
            self._tombstones = tombstones = TombstoneStore(database, tables)
            self._clocks = Clocks(settings, self._clock, tombstones.now)
            await self._compare_clocks()
            state = StateStore(database, tables)
            with self._missing_tables_told():
                self._installation = await look_at_installation(state, key_store, tombstones, settings)
            self._times = TokenTimes(settings, state, self._installation)
            await reseal_older_keys(settings, self._installation, state, key_store)
            keys = SigningKeys(settings, key_store, self._clocks, legacy_until=self._installation.legacy_until)
            opened.push_async_callback(keys.close)
            await keys.start()
            listeners = TerminationListeners()
            if settings.revocation_check != "none":
                liveness_sweep = LivenessSweep(settings, self._sessions, listeners, self._clocks)
                polled = TimedTombstones(database, tables, self._clocks)
                kept_ms = self._times.tombstone_lifetime
                self._feed = RevocationFeed(settings, polled, listeners, liveness_sweep, self._clock, kept_ms=kept_ms)
                opened.push_async_callback(self._feed.stop)
                with self._missing_tables_told():
                    await self._feed.start()
            wakes: list[Callable[[], None]] = []
            announce = self._join_channel(database, opened, wakes)
            self.lifecycle = Lifecycle(
                settings,
                keys,
                self._sessions,
                self._payload_changes,
                self._session_index,
                self._marks,
                self._notifications,
                self._feed,
                listeners,
                self._events,
                self._clocks,
                self._times,
                announce,
                self._installation,
                self._limit_by_user,
                self._claims,
            )
            opened.push_async_callback(self.lifecycle.close)
            if settings.purge_interval_ms:
                purging = asyncio.create_task(
                    self._purge_for_ever(settings.purge_interval_ms), name="asgi_sessions purge"
                )
                opened.push_async_callback(end_task, purging)
            for companion in self._companions:
                here = Opened(self._name, self.lifecycle, self._notifications, self._leases, tombstones, state, wakes)
                await opened.enter_async_context(companion(here))
            self._opened = opened.pop_all()

    @contextmanager
    def _missing_tables_told(self) -> Iterator[None]:
        try:
            yield
        except StoreUnavailable as error:
            if self._settings.migrate_on_start or not is_missing_table(error):
                raise
            raise StoreUnavailable(_NOT_MIGRATED) from error.__cause__

    @property
    def staleness(self) -> timedelta | None:
        """How old the knowledge of revocations is; None if this worker does not poll for them."""
        return None if self._feed is None else timedelta(seconds=self._feed.staleness)

    async def close(self) -> None:
        """Stop the background work and give the connections back."""
        await self._opened.aclose()

    async def purge(self, *, limit: int | None = None) -> int:
        """Delete what nobody needs any more: ended sessions; tombstones, changes, addresses past their time; old keys.

        By the database's time, and nothing while this machine's clock is too far off: one of them is wrong.

        Returns:
            How many sessions were deleted.
        """
        if not await self._may_purge():
            return 0
        await self._times.look()
        now = self._clocks.database_time()
        tombstones_before = await self._tombstones.purgeable(now, self._times.tombstone_lifetime)
        indexed = await self._session_index.is_used()
        count = await self._sessions.purge(now, tombstones_before, limit, unindex=indexed)
        retention = self._settings.ip_address_retention_ms
        if retention is not None:
            await self._sessions.forget_addresses(now - retention)
        await self._payload_changes.purge(tombstones_before)
        if indexed:
            await self._session_index.delete_left_over(now)
        await self._marks.purge(now)
        await self._notifications.purge(now)
        await self.lifecycle.keys.forget_old()
        return count

    async def _may_purge(self) -> bool:
        near = await self._clocks.measure()
        if not near:
            self._log.error("Nothing was purged: %s.", self._clocks.describe())
        return near

    async def _compare_clocks(self) -> None:
        # A clock that was given stands for the database's; it has no difference of its own.
        refused = self._clock is system_clock and not self._takes_any_clock
        await self._clocks.measure(quietly=refused)
        if refused and self._clocks.too_far_off:
            raise ConfigurationError(
                f"max_clock_difference: {self._clocks.describe()}. Synchronise the clocks: else sessions end too "
                "early or too late, and live ones are purged."
            )

    def _join_channel(
        self, database: Database, opened: AsyncExitStack, wakes: Sequence[Callable[[], None]]
    ) -> Callable[[], None]:
        """What wakes others after a revocation: companions here, by ``wakes``, and the other workers.

        Where there is no channel those poll.
        """
        channel = _channel(self._settings, database)
        if channel is None:
            return _all(wakes)
        own = [] if self._feed is None else [self._feed.poll_soon]
        # Without a feed, and without companions, this worker need not be woken, but other workers may.
        heard = _all(own, wakes) if own or self._companions else None
        wake_ups = WakeUps(channel, heard, manager_log(WakeUps.__module__, self._settings))
        opened.push_async_callback(wake_ups.close)
        wake_ups.start()
        return _all([wake_ups.publish], wakes)

    async def _purge_for_ever(self, interval_ms: int) -> None:
        pause = min(interval_ms, FIRST_PURGE_MS)  # else workers that live for less than the interval never purge
        while True:
            # Workers that were started together should not ask for the lease together.
            await asyncio.sleep(pause / 1000 * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
            pause = interval_ms
            try:
                # A worker that may not purge leaves the lease to others.
                lasts = interval_ms * 3 // 4
                if await self._may_purge() and await self._leases.acquire(PURGE_LEASE, self._name, lasts):
                    count = await self.purge()
                    self._log.info("Purged %d expired sessions.", count)
            except StoreUnavailable as error:
                self._log.warning("The purge was put off. %s", in_full(error))
            except Exception:
                self._log.exception("The purge failed; the next one is tried after purge_interval.")


def _channel(settings: SessionSettings, database: Database) -> Channel | None:
    """The fastest way there is to wake the other workers; None where there is but the poll."""
    name = channel_name(settings.table_prefix)
    if settings.revocation_channel_url is not None:
        from asgi_sessions.revocation.redis_channel import RedisChannel  # noqa: PLC0415 - an extra

        return RedisChannel(settings.revocation_channel_url.get_secret_value(), name)
    return PostgreSQLChannel(database, name) if database.dialect == "postgresql" and not database.is_pooled else None


def _all(*several: Sequence[Callable[[], None]]) -> Callable[[], None]:
    def call_all() -> None:
        for calls in several:
            for call in calls:
                call()

    return call_all
