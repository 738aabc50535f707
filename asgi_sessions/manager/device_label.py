"""How the device of a login is called: by a function of the application, or as `protocol.device` says."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from asgi_sessions.manager.functions import plain_function
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.protocol import device
from asgi_sessions.protocol.clock import Clock

LabelFunction: TypeAlias = Callable[[Mapping[str, str]], str | None]
"""Given the headers of a login's request, returns a short name of its device; None for the library's own."""
LabelFunctionT = TypeVar("LabelFunctionT", bound=LabelFunction)

_log = logging.getLogger("asgi_sessions")


class DeviceLabel:
    """Names devices. One manager's, on all event loops.

    Args:
        clock: The time, ms.
    """

    def __init__(self, clock: Clock) -> None:
        self._function: LabelFunction | None = None
        self._failures = OncePerMinute(_log, logging.ERROR, clock)

    def set(self, function: LabelFunctionT) -> LabelFunctionT:
        """Ask this function from now on, and return it.

        Raises:
            TypeError: It is no plain function.
            ValueError: There is one already.
        """
        plain_function(function, "label_devices: the function")
        if self._function is not None:
            raise ValueError("label_devices: there is a function already, and only one can decide")
        self._function = function
        return function

    def of(self, headers: Mapping[str, str]) -> str:
        """The name of the device whose request has these headers: one line of 1 to 100 characters."""
        found: Any = None
        if self._function is not None:
            try:
                found = self._function(headers)
            except Exception as error:
                self._failed(f"it raised {type(error).__name__}", raised=True)
            if found is not None and not isinstance(found, str):
                self._failed(f"it returned {type(found).__name__}")
                found = None
        return device.one_line(found or "") or device.label(headers.get("user-agent"))

    def _failed(self, how: str, *, raised: bool = False) -> None:
        self._failures.say("The function of label_devices failed: %s.", how, exc_info=raised)
