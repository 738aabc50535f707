"""The signals that tell a server to stop, heard beside the server's own handlers.

An application hears of the stop by ASGI's lifespan, which servers end only once every connection has closed. An endless
stream would hold that up for ever, so the wish to stop has to be heard where the server hears it.
"""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

_HEARD = (signal.SIGTERM, signal.SIGINT)


class _Beside:
    """A signal handler that tells somebody and then does what the one before it does.

    It looks like that one: others find the server by its handler's attributes.
    """

    def __init__(self, handler: Callable[[int, FrameType | None], Any], told: Callable[[], None]) -> None:
        self.handler = handler
        self.told: Callable[[], None] | None = told

    def __call__(self, number: int, frame: FrameType | None) -> Any:
        if self.told is not None:
            self.told()
        return self.handler(number, frame)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.handler, name)


class StopSignals:
    """Hears them from `listen` to `leave`, on the main thread, where the server handles SIGTERM in Python.

    Elsewhere nothing is changed. A program without a handler for SIGTERM is no server that stops in order: SIGINT is
    the debugger's then, or the event loop's.

    Args:
        told: Called at each such signal, in the middle of whatever the main thread does: it may do no more than to wake
            the event loop.
    """

    def __init__(self, told: Callable[[], None]) -> None:
        self._told = told
        self._placed: list[tuple[signal.Signals, _Beside]] = []

    def listen(self) -> None:
        """Place the handlers."""
        if not _is_handler(signal.getsignal(signal.SIGTERM)):
            return
        for number in _HEARD:
            handler = signal.getsignal(number)
            if callable(handler) and _is_handler(handler):
                beside = _Beside(handler, self._told)
                if _place(number, beside):
                    self._placed.append((number, beside))

    def leave(self) -> None:
        """Put the server's own back. Where another was placed over ours, ours stays below it and is silent."""
        for number, beside in self._placed:
            beside.told = None
            if signal.getsignal(number) is beside:
                _place(number, beside.handler)
        self._placed.clear()


def _is_handler(found: Any) -> bool:
    return callable(found) and found is not signal.default_int_handler


def _place(number: signal.Signals, handler: Callable[[int, FrameType | None], Any]) -> bool:
    try:
        signal.signal(number, handler)
    except ValueError:  # not the main thread: a server that runs there handles no signals
        return False
    return True
