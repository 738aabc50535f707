"""Which worlds are explored: a short choice with the tests, a deep one on demand.

Full size means the bounds that the protocol promises: round trips up to 60 s, clocks 30 s apart, a 401 that a tab
acts on up to 60 s after its call, access tokens that live for 300 s. A small world has everything half as long or
less, and so fewer states; the same can happen in it.
"""

from dataclasses import dataclass, replace

from asgi_sessions.protocol.rotation import MOST_OVERTAKEN_PARENTS
from tests.rotation_model.comparison import COMPARED, Reference
from tests.rotation_model.explore import Result, explore
from tests.rotation_model.mutations import mutations
from tests.rotation_model.policies import Numbers, Ours, Policy
from tests.rotation_model.walks import Walked, walk
from tests.rotation_model.world import ALARM, LOCKSTEP, LOGOUT, LOGOUT_LOSES, SERVED_ON, TOLD_TWICE, Bounds, World

NUMBERS = Numbers(window=6, late=4, young=8, access=10)
"""The settings at full size, in units of 30 s.

Others that fail: a sibling window of 150 s (inline with first use; 120 s at an endpoint), a late parent's window of
60 s, twins up to an age of 210 s (first use; 150 s where only refreshing promotes) or 270 s.
"""
SMALL = Numbers(window=3, late=2, young=5, access=7)
"""The same for a small world, whose round trips take one unit at most."""
TINY = Numbers(window=2, late=2, young=2, access=3)
"""For worlds with a thief, one tab, and clocks that agree."""
TINY_TABS = TINY._replace(young=3, access=5)
"""The same for two tabs: a single one never has three requests under way."""

FULL = Bounds("endpoint")
FULL_INLINE = Bounds("inline")
_SMALL = Bounds("endpoint", round_trip=1, stall=1, access=SMALL.access)
_TINY = Bounds("endpoint", round_trip=1, stall=1, skew=0, handler=0, access=TINY.access, tabs=1, thief=True)
_LOGIN = replace(_SMALL, login=True, skew=0)
_SLOW = replace(_SMALL, mode="inline", slow=True)
LATE_THIEF = replace(_TINY, mode="inline", quiet="late", most=(TINY.access + 1) + (TINY.late + 1))
"""He has one token, and with it the lifetime of an access token at its own generation and the late parent's window at
the next one. Each has a unit more, since requests whose body takes half a minute arrive in time and are served after.
"""
PARENT_THIEF = replace(_TINY, mode="inline", quiet="parent", most=MOST_OVERTAKEN_PARENTS)


@dataclass(frozen=True)
class Scenario:
    """One exploration.

    Attributes:
        name: For people.
        numbers: The settings.
        bounds: The world's.
        most: Stop after so many states; None: go on until there are no more.
    """

    name: str
    numbers: Numbers
    bounds: Bounds
    most: int | None = None

    def run(self, policy: Policy | None = None) -> Result:
        """Explore it with our policy, or another."""
        return explore(World(policy or self.policy(), self.bounds), most=self.most or 10**9)

    def policy(self) -> Ours:
        """Ours, for this world."""
        return Ours(self.numbers, counts=self.bounds.quiet is not None)


SHORT = (
    Scenario("endpoint, two tabs", SMALL, _SMALL),
    Scenario("endpoint, two tabs, first use", SMALL, replace(_SMALL, first_use=True, skew=0)),
    Scenario("endpoint, two tabs, duplicates", SMALL, replace(_SMALL, duplicates=True, skew=0)),
    Scenario("endpoint, two tabs, reads behind", SMALL, replace(_SMALL, replica=True, skew=0)),
    Scenario("endpoint, two tabs, logout and login", SMALL, _LOGIN, most=20_000),
    Scenario("inline, three tabs, full size", NUMBERS, replace(FULL_INLINE, tabs=3)),
    Scenario("inline, two tabs, full size, first use", NUMBERS, replace(FULL_INLINE, first_use=True)),
    Scenario(
        "inline, two tabs, full size, duplicates and reads behind",
        NUMBERS,
        replace(FULL_INLINE, duplicates=True, replica=True),
    ),
    Scenario("endpoint, thief", TINY, _TINY),
    Scenario("endpoint, thief, first use", TINY, replace(_TINY, first_use=True)),
    Scenario("inline, thief", TINY, replace(_TINY, mode="inline")),
    Scenario("inline, thief, first use", TINY, replace(_TINY, mode="inline", first_use=True)),
    Scenario("endpoint, thief, reads behind", TINY, replace(_TINY, replica=True), most=20_000),
    Scenario("inline, two tabs, full size, slow requests", NUMBERS, replace(FULL_INLINE, slow=True)),
    Scenario("inline, thief who asks late as well", TINY, replace(_TINY, mode="inline", slow=True)),
    Scenario("inline, thief who only asks late", TINY, LATE_THIEF),
    Scenario("inline, thief who only asks late, first use", TINY, replace(LATE_THIEF, first_use=True)),
    Scenario("inline, thief who only shows parents", TINY, PARENT_THIEF),
    Scenario("inline, thief who only shows parents, first use", TINY, replace(PARENT_THIEF, first_use=True)),
)
"""What the tests explore."""

_MOST = 250_000

DEEP = (
    Scenario(
        "inline, two tabs, full size, first use, slow requests",
        NUMBERS,
        replace(FULL_INLINE, first_use=True, slow=True),
    ),
    Scenario(
        "inline, three tabs, full size, slow requests", NUMBERS, replace(FULL_INLINE, tabs=3, slow=True), most=_MOST
    ),
    Scenario("endpoint, two tabs, full size", NUMBERS, FULL),
    Scenario("endpoint, two tabs, full size, first use", NUMBERS, replace(FULL, first_use=True)),
    Scenario("endpoint, two tabs, full size, duplicates", NUMBERS, replace(FULL, duplicates=True), most=_MOST),
    Scenario("endpoint, two tabs, full size, reads behind", NUMBERS, replace(FULL, replica=True), most=_MOST),
    Scenario("endpoint, three tabs", SMALL, replace(_SMALL, tabs=3), most=_MOST),
    Scenario("endpoint, two tabs, logout and login", SMALL, _LOGIN, most=_MOST),
    Scenario("endpoint, thief with two hands", TINY, replace(_TINY, hands=2)),
    Scenario("endpoint, thief, two tabs", TINY_TABS, replace(_TINY, tabs=2, access=TINY_TABS.access), most=_MOST),
    Scenario("endpoint, thief, reads behind", TINY, replace(_TINY, replica=True), most=_MOST),
)
"""What is explored on demand, besides the short ones."""

CATCHES = {
    "no sibling rule": (ALARM, SMALL, _SMALL),
    "no twins": (ALARM, SMALL, _SMALL),
    "a sibling window of 30 s": (ALARM, SMALL, _SMALL),
    "the marker is never set": (TOLD_TWICE, TINY, _TINY),
    "the marker ends with its window": (TOLD_TWICE, TINY, replace(_TINY, skew=1)),
    "a sibling by its time alone": (LOCKSTEP, TINY, _TINY),
    "times instead of generations": (ALARM, SMALL, _SMALL),
    "a late parent is theft": (ALARM, SMALL, _SMALL),
    "deleted instead of a tombstone": (LOGOUT_LOSES, SMALL, _LOGIN),
    "judged on the first read": (LOGOUT, SMALL, replace(_SMALL, replica=True, tabs=1, skew=0)),
    "who asks late gets tokens": (ALARM, SMALL, _SLOW),
    "who asks late is accused": (ALARM, SMALL, _SLOW),
    "who asks late is always served": (SERVED_ON, TINY, LATE_THIEF),
    "each service begins anew": (SERVED_ON, TINY, LATE_THIEF),
    "who asks late promotes nothing": (SERVED_ON, TINY, LATE_THIEF),
    "a parent at every generation": (SERVED_ON, TINY, PARENT_THIEF),
    "a promotion forgets the parents": (SERVED_ON, TINY, PARENT_THIEF),
}
"""Which property each mutation loses, and the world in which it shows."""


def caught(name: str) -> Result:
    """Explore a mutation until it shows."""
    wrong, numbers, bounds = CATCHES[name]
    return explore(World(mutations(numbers)[name], bounds), stop_at=wrong)


MOST_REFRESHES = 4
"""A thief who is still there after so many of the victim's refreshes is taken to stay for ever."""


@dataclass(frozen=True)
class Compared:
    """How a policy fares.

    Attributes:
        policy: Its name.
        alarm: The shortest story of a false alarm, None if there is none.
        refreshes: With how many of the victim's refreshes after the theft the thief is out; None: never.
        states: How many states were looked at.
        complete: Whether these were all.
    """

    policy: str
    alarm: list[str] | None
    refreshes: int | None
    states: int
    complete: bool


def walked(policy: Policy, walks: int) -> Walked:
    """How often a policy raises a false alarm where a browser has two tabs."""
    return walk(World(policy, replace(_SMALL, first_use=isinstance(policy, Reference))), walks=walks)


def compared(alone: Policy, robbed: Policy, most: int = 60_000) -> Compared:
    """Run a policy through two worlds: two tabs alone, and a tab and a thief.

    Args:
        alone: The policy with the numbers of a small world.
        robbed: The same with those of a tiny one.
        most: How many states to look at in each.
    """
    first_use = isinstance(alone, Reference)
    result = explore(World(alone, replace(_SMALL, first_use=first_use)), most=most, stop_at=ALARM)
    states, complete = result.states, result.complete or ALARM in result.stories
    bound: int | None = None
    for refreshes in range(1, MOST_REFRESHES + 1):
        # Without `used`: how long he stays if nobody uses an access token early.
        world = World(robbed, replace(_TINY, first_use=first_use, refreshes=refreshes, used=MOST_REFRESHES + 1))
        thief = explore(world, most=most, stop_at=LOCKSTEP)
        states += thief.states
        if LOCKSTEP not in thief.stories:
            bound, complete = refreshes, complete and thief.complete
            break
    return Compared(alone.name, result.stories.get(ALARM), bound, states, complete)


def comparison(walks: int = 2000) -> list[tuple[Compared, Walked]]:
    """All policies, ours first.

    Args:
        walks: How many random walks to take with each.
    """
    pairs: list[tuple[Policy, Policy]] = [(Ours(SMALL), Ours(TINY)), *((policy, policy) for policy in COMPARED)]
    return [(compared(alone, robbed), walked(alone, walks)) for alone, robbed in pairs]
