"""States of which the log is told when they begin and when they end, and not in between."""

__all__ = ["Alert"]


class Alert:
    """One such state. It begins by firing, and ends by being resolved."""

    __slots__ = ("_firing",)

    def __init__(self) -> None:
        self._firing = False

    def fire(self) -> bool:
        """Note that the state lasts; returns whether it has only begun, so that the log is to be told."""
        was_firing, self._firing = self._firing, True
        return not was_firing

    def resolve(self) -> bool:
        """Note that the state does not last; returns whether it has only ended, so that the log is to be told."""
        was_firing, self._firing = self._firing, False
        return was_firing
