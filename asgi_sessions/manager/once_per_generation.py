"""Tells the first refresh of each generation from those beside it, which give the same session another pair."""

MOST_REMEMBERED = 10_000
"""Sessions, of which the longest ago are forgotten: about 2 MB."""


class OncePerGeneration:
    """Remembers the newest generation of the sessions that were refreshed last. One worker's.

    A browser that wakes up sends many requests at once, and each of them is answered with tokens.
    """

    __slots__ = ("_newest",)

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}

    def is_new(self, session_handle: str, generation: int) -> bool:
        """Whether this is the first refresh to that generation, or a later one, as far as is remembered."""
        newest = self._newest.pop(session_handle, -1)
        self._newest[session_handle] = max(newest, generation)  # now the last of all
        if len(self._newest) > MOST_REMEMBERED:
            del self._newest[next(iter(self._newest))]
        return generation > newest
