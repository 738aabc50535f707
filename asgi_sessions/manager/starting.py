"""A manager's start and stop: which event loops it runs on, and how often each of them has started it."""

import asyncio
from datetime import timedelta
from types import TracebackType
from typing import ClassVar, Self
from weakref import WeakKeyDictionary

from asgi_sessions.errors import ConfigurationError, StoreUnavailable
from asgi_sessions.manager.claims_function import Claims
from asgi_sessions.manager.companions import Companions
from asgi_sessions.manager.events import Events
from asgi_sessions.manager.lifecycle import Lifecycle
from asgi_sessions.manager.limit_function import LimitByUser
from asgi_sessions.manager.runtime import Runtime
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.settings import SessionSettings, manager_log, policy_summary, weakened_defaults
from asgi_sessions.store.engine import open_database
from asgi_sessions.store.event_loop import OTHER_LOOP, loop_or_none, running_loop
from asgi_sessions.store.migrations import upgrade

_NOT_STARTED = (
    "The SessionManager is not running on this event loop. The middleware starts it with the application's lifespan: "
    "in tests use `with TestClient(app) as client:`; outside an application, and for a middleware on a mounted "
    "application, which gets none, use `async with sessions:`; where the server runs no lifespan give the middleware "
    'start_on="first_use".'
)


class StartedOnLoops:
    """The part of a manager that starts and stops it, on any number of event loops.

    On each event loop it counts its starts; the same number of stops closes it there.

    Args:
        settings: None reads the settings from the environment.
        clock: Returns the time, ms.
    """

    _takes_any_clock: ClassVar[bool] = False

    def __init__(self, settings: SessionSettings | None, clock: Clock) -> None:
        if not isinstance(settings, SessionSettings | None):
            raise TypeError(
                f"SessionManager: settings must be a SessionSettings, not {type(settings).__name__}: write "
                "SessionManager(SessionSettings(database_url=…)), or leave it out to read the environment."
            )
        if not callable(clock):
            raise TypeError(f"SessionManager: clock must be a function that returns ms, not {type(clock).__name__}.")
        self.settings = SessionSettings() if settings is None else settings
        self.clock = clock
        self._events = Events()
        self._limit_by_user = LimitByUser(clock)
        self._claims = Claims(clock)
        self._runtimes: WeakKeyDictionary[asyncio.AbstractEventLoop, Runtime] = WeakKeyDictionary()
        self.companions = Companions(is_running=lambda: bool(self._runtimes))
        self._latest: Runtime | None = None  # of the loop that asked last: most processes have but one

    async def start(self) -> None:
        """Open the store on this event loop. Further starts are only counted.

        Raises:
            ConfigurationError: The settings do not fit the database, or no asyncio loop runs here.
            StoreUnavailable: The database does not answer, or refused. The text names the database and the cause.
        """
        loop = running_loop()
        for other in [known for known in self._runtimes if known.is_closed()]:
            del self._runtimes[other]  # ended without a stop, and its engine with it
            self._latest = None
        while True:
            runtime = self._runtimes.get(loop)
            if runtime is None:
                runtime = self._runtimes[loop] = Runtime(
                    self.settings,
                    self._events,
                    self.clock,
                    self._limit_by_user,
                    self._claims,
                    self.companions.all(),
                    takes_any_clock=self._takes_any_clock,
                )
            async with runtime.opening:
                if self._runtimes.get(loop) is not runtime:
                    continue  # it was closed, or could not be opened, while this start waited
                if runtime.users == 0:
                    try:
                        await runtime.open()
                    except BaseException:
                        self._runtimes.pop(loop, None)
                        raise
                    self._announce()
                runtime.users += 1
                return

    async def stop(self) -> None:
        """Undo one start; the last one closes the store on this event loop."""
        loop = running_loop()
        runtime = self._runtimes.get(loop)
        if runtime is None:
            return
        async with runtime.opening:
            if self._runtimes.get(loop) is not runtime:
                return
            if runtime.users > 1:
                runtime.users -= 1
                return
            try:
                await self._events.settle()  # hooks at work may still ask this manager
            finally:
                runtime.users = 0
                self._runtimes.pop(loop, None)
                self._latest = None
                await asyncio.shield(runtime.close())

    def end_connections(self) -> None:
        """End open sockets, with close code 1012, and event streams, so that they do not hold up a server's stop.

        The method ends the connections of this event loop for which the application has asked for the session, and any
        that opens later. Their clients may connect again, to another worker or after the restart. The middleware calls
        the method when a signal tells the server to stop (``end_connections_on_signal``); call it yourself if your
        server is stopped in another way. On another thread use
        ``loop.call_soon_threadsafe(sessions.end_connections)``.

        Raises:
            ConfigurationError: The manager has not been started on this loop.
        """
        self.lifecycle.shutdown.begin()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def upgrade_database(self) -> None:
        """Bring the tables up to date now; for applications with ``migrate_on_start=False``. Needs no running manager.

        Raises:
            ConfigurationError: The settings do not fit the database.
            StoreUnavailable: The database does not answer, or refused. The text names the database and the cause.
        """
        database = await open_database(self.settings.database_url.get_secret_value())
        try:
            await upgrade(database, self.settings.table_prefix)
        except StoreUnavailable as error:
            raise database.told(error) from error.__cause__
        finally:
            await database.close()

    def time(self) -> int:
        """The time, ms: this worker's, or the database's where they are too far apart."""
        runtime = self._latest
        return self.clock() if runtime is None else runtime.lifecycle.clock()

    @property
    def lifecycle(self) -> Lifecycle:
        """This event loop's sessions, without the public face.

        Raises:
            ConfigurationError: The manager has not been started on this loop; the text says what to do.
        """
        runtime = self._latest
        if runtime is None or runtime.loop is not loop_or_none():
            runtime = self._latest = self._runtime()
        return runtime.lifecycle

    def _runtime(self, *, anywhere: bool = False) -> Runtime:
        loop = loop_or_none()
        runtime = None if loop is None else self._runtimes.get(loop)
        if runtime is not None and runtime.users:
            return runtime
        elsewhere = [other for other in list(self._runtimes.values()) if other.users and other.loop.is_running()]
        if anywhere and len(elsewhere) == 1:
            return elsewhere[0]
        if elsewhere:
            raise ConfigurationError(OTHER_LOOP)
        if not anywhere:
            running_loop()
        raise ConfigurationError(_NOT_STARTED)

    def _announce(self) -> None:
        policy = policy_summary(self.settings)
        log = manager_log("asgi_sessions", self.settings)
        log.info("Sessions: %s", ", ".join(f"{name}={value}" for name, value in policy.items()))
        for weakness in weakened_defaults(self.settings):
            log.warning("%s", weakness)

    @property
    def revocation_staleness(self) -> timedelta | None:
        """How old this worker's knowledge of revocations is, for a gauge; None with ``revocation_check="none"``.

        Above ``revocation_max_staleness`` requests get 503 (``revocation_check="feed"``). Any thread may read it.

        Raises:
            ConfigurationError: The manager is not running, or on several event loops and on none of them here.
        """
        return self._runtime(anywhere=True).staleness
