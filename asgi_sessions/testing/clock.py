"""`MovableClock`: a clock that a test moves."""

from datetime import timedelta

from asgi_sessions.protocol.clock import system_clock
from asgi_sessions.protocol.durations import to_ms

__all__ = ["MovableClock"]


class MovableClock:
    """A clock for ``SessionManager(settings, clock=clock)`` that starts at the real time and stands still until moved.

    The clock does not move two things: the time of a revocation, which is the database's, and the test client's cookie
    jar, in which cookies stay for as long as the test lasts.

    Attributes:
        now: The clock's time, ms since the epoch.
    """

    def __init__(self) -> None:
        self.now = system_clock()

    def __call__(self) -> int:
        return self.now

    def advance(self, duration: timedelta | float) -> None:
        """Let time pass.

        Args:
            duration: A `timedelta`, or seconds. A negative one sets the clock back.
        """
        self.now += to_ms(duration) if isinstance(duration, timedelta) else round(duration * 1000)

    def __repr__(self) -> str:
        return f"<MovableClock {self.now}>"
