"""Everything that people, their browsers, thieves, administrators and the time can do, in any order."""

from collections.abc import Sequence
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition

from tests.stateful import pages
from tests.stateful.administration import ADMINISTRATION, Administration
from tests.stateful.by_hand import BY_HAND, ByHand
from tests.stateful.chances import (
    Meanwhile,
    Occasion,
    When,
    numbers,
    occasions,
    offsets,
    periods,
    quiet_occasions,
    stragglers,
    users,
    values,
)
from tests.stateful.jar import Jar
from tests.stateful.profiles import ACCESS, LATE, REFRESH_PATH, WINDOW, YOUNG, Profile
from tests.stateful.records import Access
from tests.stateful.story import step
from tests.stateful.visit import Visit
from tests.stateful.world import Page

Request = tuple[str, str, Page]

DEVICES = "/auth/sessions"
READING: list[tuple[str, Page]] = [
    ("/page", pages.page),
    ("/checked", pages.checked),
    ("/everybody", pages.for_everybody),
    ("/info", pages.info),
    (DEVICES, pages.devices),
]
REFRESH: Request = ("POST", REFRESH_PATH, pages.refresh)
PAGE: Request = ("GET", "/page", pages.page)
ERASE: Request = ("POST", "/payload", pages.erase_payload)
LEAVING: dict[str, Page] = {
    "/logout": pages.log_out,
    "/auth/signout": pages.sign_out,
    "/auth/sessions/revoke-others": pages.end_others,
    DEVICES: pages.devices,
}
"""`DEVICES`: one of them."""


class SessionMachine(Administration, ByHand):
    """A story of several users with several jars at two workers.

    Attributes:
        profile: The settings; set by whoever runs the machine, as `world` is.
    """

    profile: ClassVar[Profile]

    @initialize(off=offsets, visitors=st.lists(users, min_size=2, max_size=3))
    def begin(self, off: tuple[int, int], visitors: list[str]) -> None:
        self.world.begin(self.profile, off)
        self.jars = [Jar() for _ in visitors]
        for number, user in enumerate(visitors):
            self._log_in(Occasion(number, 0), user, None, None)

    # -- pages

    @step(at=occasions, user=users, payload=values, info=values, after=stragglers)
    def log_in(self, at: Occasion, user: str, payload: Any, info: Any, after: int | None) -> None:
        before = self.jar(at.jar).copy()
        self._log_in(at, user, payload, info)
        self._straggle(at, before, after)

    def _log_in(self, at: Occasion, user: str, payload: Any, info: Any) -> None:
        def page(visit: Visit) -> Any:
            return pages.described(visit.log_in(user, payload, info))

        self.ask(at, "POST", "/login", page, body={"user": user, "payload": payload, "info": info})

    @step(at=occasions, where=st.sampled_from(READING))
    def open_a_page(self, at: Occasion, where: tuple[str, Page]) -> None:
        self.ask(at, "GET", *where)

    @step(at=occasions)
    def refresh_at_the_endpoint(self, at: Occasion) -> None:
        self.ask(at, *REFRESH)

    @step(at=occasions, takes=st.sampled_from([100, 101, 30_000, 30_001]), what=st.sampled_from(Meanwhile))
    def open_a_slow_page(self, at: Occasion, takes: int, what: Meanwhile) -> None:
        """After so long a pause that the middleware refreshes where it may."""
        time, served = self.world.time, list[Access]()

        def page(visit: Visit) -> Any:
            served.append(visit.session())
            time.now += takes
            if what is Meanwhile.LOGOUT:
                self.world.model.end_all(1 - visit.worker, served[-1].user)
            return pages.described(served[-1])

        async def meanwhile(worker: int) -> None:
            time.now += takes
            if what is Meanwhile.LOGOUT:
                await self.world.manager(1 - worker).revoke_all_sessions_for_user(served[-1].user)

        self.wait(ACCESS, at)
        self.ask(at, "GET", "/slow", page, meanwhile=meanwhile)

    @step(at=occasions, payload=values)
    def change_the_payload(self, at: Occasion, payload: Any) -> None:
        def page(visit: Visit) -> Any:
            return pages.described(visit.set_payload(visit.session(), payload))

        self.ask(at, "POST", "/payload", page, body=payload)

    @step(at=occasions, info=values)
    def change_the_info(self, at: Occasion, info: Any) -> None:
        def page(visit: Visit) -> Any:
            return visit.set_info(visit.session(), info)

        self.ask(at, "POST", "/info/set", page, body=info)

    @step(at=occasions, where=st.sampled_from(sorted(LEAVING)), which=numbers, after=stragglers)
    def log_out(self, at: Occasion, where: str, which: int, after: int | None) -> None:
        self.world.reached[where] += 1
        before = self.jar(at.jar).copy()
        if where == DEVICES:
            login = self.login(which)
            self.ask(at, "DELETE", f"{DEVICES}/{login.handle}", lambda visit: pages.end_device(visit, login))
        else:
            self.ask(at, "POST", where, LEAVING[where])
        self._straggle(at, before, after)

    def _straggle(self, at: Occasion, jar: Jar, after: int | None) -> None:
        """A request that left before the jar was changed comes so long after, by its worker's clock."""
        if after is not None:
            self.wait(max(0, after - self.world.time.off[at.worker]), at)
            self.send(Occasion(at.jar, at.worker), jar, "GET", "/checked", pages.checked)

    # -- sockets

    @step(at=quiet_occasions)
    def open_a_socket(self, at: Occasion) -> None:
        """Of a user or of a thief, as the jar has it."""
        self.wait(at.pause, at)
        jar, time = self.jar(at.jar), self.world.time
        jar.keep(self.world.open_socket(at.worker, "/socket", jar.sent_to("/socket", time.now)), time.now)

    @step(at=quiet_occasions)
    def look_at_the_sockets(self, at: Occasion) -> None:
        self.wait(at.pause, at)
        self.world.look_at_sockets()

    # -- stories that chance alone would tell too rarely

    @step(at=quiet_occasions, times=st.integers(1, 4), backup=st.booleans())
    def keep_a_tab_open(self, at: Occasion, times: int, backup: bool) -> None:
        """The jar's chain moves on in due time; in the end the database may be put back to where it began."""
        jar = self.jar(at.jar)
        for _ in range(times):
            self.until_grown(at)
            self.send(at, jar, *REFRESH)
        if backup:
            self.restore_backup_of(jar, 0)
            self.send(at, jar, *REFRESH)

    @step(
        at=quiet_occasions,
        apart=st.sampled_from([0, WINDOW, WINDOW + 1]),
        uses=st.lists(st.sampled_from([REFRESH, PAGE]), max_size=3),
        backup=st.booleans(),
    )
    def fork(self, at: Occasion, apart: int, uses: Sequence[Request], backup: bool) -> None:
        """Two answers to one token end in two jars, which go on in turn: tabs whose answers crossed, or a thief.

        With a backup that is restored after the first of these uses, so that both branches are the session's own.
        """
        self.until_grown(at)
        jar = self.jar(at.jar)
        other = self.copy(jar)
        self.send(at, jar, *REFRESH)
        self.wait(apart, at)
        self.send(at, other, *REFRESH)
        for use in uses:
            if use is REFRESH:
                self.wait(YOUNG, at)
            self.send(at, other, *use)
            if backup:
                self.restore_backup_of(jar, -1)
                backup = False
            self.send(at, jar, *use)

    @step(
        at=quiet_occasions,
        promotion=st.sampled_from([REFRESH, PAGE]),
        later=st.sampled_from([0, LATE - 1, LATE, LATE + 1]),
        use=st.sampled_from([REFRESH, PAGE, ERASE]),
        again=st.booleans(),
        elsewhere=st.booleans(),
    )
    def come_late(
        self, at: Occasion, promotion: Request, later: int, use: Request, again: bool, elsewhere: bool
    ) -> None:
        """A tab that has gone to sleep with the parent wakes up once the child has been promoted."""
        self.until_grown(at)
        jar = self.jar(at.jar)
        sleeping = self.copy(jar)
        self.send(at, jar, *REFRESH)
        if promotion is REFRESH:
            self.wait(YOUNG, at)
        self.send(at, jar, *promotion)
        if elsewhere:  # and at another worker, with another clock and without the memory of what it has seen
            at = Occasion(at.jar, 1 - at.worker)
        self.wait(later, at)
        if again:
            self.send(at, sleeping, *use)
            self.send(at, sleeping, *use)
        else:  # it was a request of the same jar, which goes on with the newer tokens
            self.send(at, sleeping, *use, into=jar)
            self.send(at, jar, *REFRESH)

    # -- thieves and the network

    @step(number=numbers)
    def steal(self, number: int) -> None:
        """From now on there is a copy of the jar."""
        self.copy(self.jar(number))

    @precondition(lambda self: self.under_way)
    @step(number=numbers)
    def an_answer_arrives(self, number: int) -> None:
        jar, cookies = self.under_way.pop(number % len(self.under_way))
        jar.keep(cookies, self.world.time.now)

    # -- tokens that somebody carries by hand

    @step(at=occasions, what=st.sampled_from(sorted(BY_HAND)))
    def go_without_a_request(self, at: Occasion, what: str) -> None:
        self.wait(at.pause, at)
        self.world.reached[what] += 1
        BY_HAND[what](self, at)

    # -- the rest of the world

    @step(at=quiet_occasions, what=st.sampled_from(sorted(ADMINISTRATION)), which=st.lists(numbers, max_size=4))
    def administrate(self, at: Occasion, what: str, which: list[int]) -> None:
        self.wait(at.pause, at)
        self.world.reached[what] += 1
        ADMINISTRATION[what](self, at, which)

    @step(at=quiet_occasions, period=periods)
    def time_passes(self, at: Occasion, period: When) -> None:
        self.wait(period, at)
