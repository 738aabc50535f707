"""The lifetimes of a run: the product's defaults, in proportion to an access token that lives for a few seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """All in milliseconds.

    Attributes:
        access: Of an access token.
        round_trip: The longest that rotation bears with: from reading the jar to the cookies of the answer.
        sibling: The setting ``sibling_window``.
        late_parent: The setting ``late_parent_window``.
        young: The setting ``min_refresh_age``.
    """

    access: int
    round_trip: int
    sibling: int
    late_parent: int
    young: int

    @classmethod
    def of(cls, access: int) -> "Lifetimes":
        """As 300, 60, 180, 120 and 240 s: the defaults, and the round trips promised with them."""
        return cls(access, access // 5, access * 3 // 5, access * 2 // 5, access * 4 // 5)

    @property
    def longest_delay(self) -> float:
        """What the network adds to a round trip, at most; seconds.

        The rest of what is promised is for the machine, which is a busy one.
        """
        return 0.5 * self.round_trip / 1000

    @property
    def environment(self) -> dict[str, str]:
        """The settings."""
        return {
            "ASGI_SESSIONS_ACCESS_TOKEN_LIFETIME": f"{self.access}ms",
            "ASGI_SESSIONS_SIBLING_WINDOW": f"{self.sibling}ms",
            "ASGI_SESSIONS_LATE_PARENT_WINDOW": f"{self.late_parent}ms",
            "ASGI_SESSIONS_MIN_REFRESH_AGE": f"{self.young}ms",
        }
