"""How old the news of revocations is, and until when it answers requests.

What must hold
==============

*Nobody is served on old news.* The age of the news counts from the start of the last good poll, by a clock that nobody
can set. Before the first good poll there is no news. What a request may do with news of some age depends on the state:

===========  ===================================================  ====================================================
state        when                                                 requests
===========  ===================================================  ====================================================
current      the loop runs, and polls come to their end           are answered from memory
thawed       the loop has stood still (`pulse`), or the news has  wait for a poll that has begun since
             become too old, and no poll has failed since
failing      polls fail, or were waited for in vain               go on for ``revocation_max_staleness``, then get 503
expecting    all of a user's sessions were ended here, or         of that user ask the database, each for its own
             everybody's, and no poll that has begun since is     session; all others as before
             through yet; it reads what is known as well
===========  ===================================================  ====================================================

`Freshness.answers_until` says all of that in one number, which each request compares with the time: the beat of the
pulse that is due, the end of ``revocation_max_staleness``, or never while something newer is required or tombstones are
expected.
"""

from collections.abc import Callable

from asgi_sessions.revocation.pulse import Pulse

__all__ = ["NEVER", "Freshness"]

NEVER = float("-inf")


class Freshness:
    """One event loop's.

    Args:
        most_stale: For how long old news is good enough, seconds.
        monotonic: Seconds by a clock that nobody can set.
        poll_soon: Called when the loop has stood still; must not block.

    Attributes:
        answers_until: Until when a request is answered from memory without a further look, by that clock.
        failing: Whether the last poll has failed, or was waited for in vain.
        freezes: How many times the loop has stood still.
    """

    def __init__(self, most_stale: float, monotonic: Callable[[], float], poll_soon: Callable[[], None]) -> None:
        self._most_stale = most_stale
        self._monotonic = monotonic
        self._poll_soon = poll_soon
        self._fresh_at = NEVER  # when the last good poll began
        self._required_from = NEVER  # only a poll that has begun then, or later, is good enough
        self._thawed_at = NEVER
        self._expecting = False
        self._pulse = Pulse(monotonic, self._beaten)
        self.answers_until = NEVER
        self.failing = False
        self.freezes = 0

    def start(self) -> None:
        """Begin to notice when the loop stands still."""
        self._pulse.start()
        self._judge()

    def stop(self) -> None:
        """Notice that no longer."""
        self._pulse.stop()
        self._judge()

    # -- the age of the news

    @property
    def staleness(self) -> float:
        """How old the news is, seconds."""
        return self._monotonic() - self._fresh_at

    @property
    def is_stale(self) -> bool:
        """Whether the news is older than ``revocation_max_staleness``: too old to serve anybody."""
        return self.staleness > self._most_stale

    @property
    def is_behind(self) -> bool:
        """Whether a poll that has begun since something happened is required, and none has come to its end."""
        return self._required_from > self._fresh_at

    # -- what happens

    def polled(self, began: float) -> None:
        """A poll that began then has read all that it had to read."""
        self._fresh_at = began
        self._judge()

    def recovered(self) -> None:
        """Polls come to their end again."""
        self.failing = False

    def failed(self) -> None:
        """A poll has failed, or was waited for in vain: from now on nobody waits for one that has begun since."""
        self.failing = True
        self._required_from = NEVER
        self._judge()

    def expect(self, expecting: bool) -> None:
        """Say whether tombstones are expected that no poll has read yet."""
        self._expecting = expecting
        self._judge()

    # -- who waits

    def required_from(self) -> float:
        """Since when a poll must have begun for its news to be good enough for a request that comes now."""
        if self._pulse.is_late:
            self._pulse.beat()
        if self.is_stale and not self.failing and not self.is_behind:
            self._required_from = self._monotonic()
            self._judge()
        return self._required_from

    def is_awaited(self, required_from: float) -> bool:
        """Whether a request that requires news of then still waits: it is not here, and no poll has failed since."""
        return required_from > self._fresh_at and self._required_from >= required_from

    def has_thawed_since(self, required_from: float) -> bool:
        """Whether the loop has stood still then or later, and no poll has failed since."""
        return self._thawed_at >= required_from and not self.failing

    def _beaten(self, late: bool) -> None:
        if late:
            self.freezes += 1
            self._thawed_at = self._required_from = self._monotonic()
            self._poll_soon()
        self._judge()

    def _judge(self) -> None:
        """To be called whenever one of these has changed."""
        if self.is_behind or self._expecting:
            self.answers_until = NEVER
        else:
            self.answers_until = min(self._fresh_at + self._most_stale, self._pulse.good_until)
