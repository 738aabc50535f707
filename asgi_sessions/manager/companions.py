"""What runs beside a manager, on each of its event loops, for as long as it does: of a package above this one."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeAlias

from asgi_sessions.errors import ConfigurationError
from asgi_sessions.manager.lifecycle import Lifecycle
from asgi_sessions.store.leases import LeaseStore
from asgi_sessions.store.notifications import NotificationStore
from asgi_sessions.store.state import StateStore
from asgi_sessions.store.tombstones import TombstoneStore

__all__ = ["Companion", "Companions", "Opened"]


@dataclass(frozen=True, slots=True)
class Opened:
    """What a companion gets of one event loop.

    Attributes:
        name: The worker's, unique among all workers and their restarts.
        lifecycle: The sessions.
        notifications: The outbox.
        leases: Who does what only one should do.
        tombstones: The ends.
        state: The numbers that all workers share.
        wakes: To be appended to: called soon after sessions have ended, on this worker or, where there is a channel, on
            another one. Must not block.
    """

    name: str
    lifecycle: Lifecycle
    notifications: NotificationStore
    leases: LeaseStore
    tombstones: TombstoneStore
    state: StateStore
    wakes: list[Callable[[], None]]


Companion: TypeAlias = Callable[[Opened], AbstractAsyncContextManager[None]]
"""Entered once all else is open, and left before any of it is closed."""


class Companions:
    """One manager's, each of another kind.

    Args:
        is_running: Whether the manager has been started, so that it is too late for another one.
    """

    def __init__(self, is_running: Callable[[], bool]) -> None:
        self._is_running = is_running
        self._of_kind: dict[str, Companion] = {}

    def add(self, kind: str, companion: Companion) -> None:
        """Have it run with the manager.

        Args:
            kind: What it is, for errors.
            companion: See `Companion`.

        Raises:
            ConfigurationError: It is too late, or there is one of this kind.
        """
        if kind in self._of_kind:
            raise ConfigurationError(f"{kind}: the manager has one already")
        if self._is_running():
            raise ConfigurationError(f"{kind}: make it before the manager is started")
        self._of_kind[kind] = companion

    def all(self) -> tuple[Companion, ...]:
        """Those that are to be started."""
        return tuple(self._of_kind.values())
