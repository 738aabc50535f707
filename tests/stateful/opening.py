"""Stories that every run begins with, so that no line of the table is left to chance."""

from collections.abc import Callable

from tests.stateful.administration import ADMINISTRATION
from tests.stateful.by_hand import BY_HAND
from tests.stateful.chances import Fate, Meanwhile, Occasion
from tests.stateful.machine import ERASE, LEAVING, PAGE, READING, REFRESH, SessionMachine
from tests.stateful.profiles import (
    ABSOLUTE,
    ACCESS,
    CONNECTION,
    CONNECTION_AT_LEAST,
    IDLE,
    KEPT,
    LATE,
    PROFILES,
    WINDOW,
    YOUNG,
    Profile,
)
from tests.stateful.tampering import Tampering
from tests.stateful.world import START, World

OPENING_PROFILES = tuple(profile for profile in PROFILES if profile.checked == (profile.first_use != profile.endpoint))
"""Every way to promote with every way to refresh; whether access tokens are checked matters least."""
ALICE, BOB = Occasion(0, 0), Occasion(1, 1)


def tell_opening(world: World, profile: Profile) -> None:
    """Run them all with one profile."""

    class Machine(SessionMachine):
        pass

    Machine.world, Machine.profile = world, profile
    for story in STORIES:
        machine = Machine()
        machine.begin(off=(0, 30_000), visitors=["alice", "bob"])
        story(machine)


def restored_backups(machine: SessionMachine) -> None:
    machine.fork(at=BOB, apart=WINDOW + 1, uses=[REFRESH, REFRESH], backup=True)
    machine.keep_a_tab_open(at=ALICE, times=2, backup=True)
    machine.log_in(at=ALICE, user="alice", payload=None, info=None, after=None)
    machine.keep_a_tab_open(at=ALICE, times=4, backup=True)


def forks(machine: SessionMachine) -> None:
    machine.fork(at=ALICE, apart=WINDOW, uses=[REFRESH, REFRESH, REFRESH], backup=False)
    machine.fork(at=BOB, apart=WINDOW + 1, uses=[REFRESH], backup=False)


def forks_at_first_use(machine: SessionMachine) -> None:
    machine.fork(at=ALICE, apart=WINDOW, uses=[PAGE, PAGE], backup=False)
    machine.fork(at=BOB, apart=WINDOW + 1, uses=[PAGE], backup=False)


def branches_without_a_parent(machine: SessionMachine) -> None:
    machine.fork(at=ALICE, apart=WINDOW, uses=[REFRESH, PAGE, REFRESH], backup=True)
    machine.fork(at=BOB, apart=WINDOW + 1, uses=[REFRESH, PAGE], backup=True)


def thieves(machine: SessionMachine) -> None:
    machine.steal(number=0)
    machine.keep_a_tab_open(at=ALICE, times=4, backup=False)
    machine.refresh_at_the_endpoint(at=Occasion(2, 0))


def late_parents(machine: SessionMachine) -> None:
    machine.come_late(at=ALICE, promotion=REFRESH, later=LATE, use=REFRESH, again=True, elsewhere=False)
    machine.come_late(at=BOB, promotion=REFRESH, later=LATE + 1, use=REFRESH, again=False, elsewhere=False)


def late_parents_inline(machine: SessionMachine) -> None:
    machine.come_late(at=ALICE, promotion=REFRESH, later=LATE, use=PAGE, again=False, elsewhere=False)
    machine.come_late(at=BOB, promotion=REFRESH, later=0, use=ERASE, again=True, elsewhere=False)


def access_tokens_left_behind(machine: SessionMachine) -> None:
    machine.keep_a_tab_open(at=ALICE, times=1, backup=False)
    machine.open_a_page(at=ALICE, where=READING[0])
    machine.come_late(at=ALICE, promotion=PAGE, later=0, use=PAGE, again=False, elsewhere=True)


def slow_answers(machine: SessionMachine) -> None:
    machine.open_a_slow_page(at=ALICE, takes=30_001, what=Meanwhile.NOTHING)
    machine.open_a_slow_page(at=ALICE, takes=101, what=Meanwhile.LOGOUT)
    machine.open_a_slow_page(at=BOB, takes=100, what=Meanwhile.LOGOUT)


def tampered_requests(machine: SessionMachine) -> None:
    for how in Tampering:
        machine.log_in(at=ALICE, user="alice", payload=7, info=None, after=None)
        machine.log_in(at=BOB, user="bob", payload=None, info=None, after=None)
        machine.open_a_page(at=Occasion(0, 1, pause=ACCESS, how=how), where=READING[1])
        machine.refresh_at_the_endpoint(at=Occasion(0, 0, how=how))


def what_an_ended_session_leaves_over(machine: SessionMachine) -> None:
    machine.steal(number=0)
    machine.log_out(at=ALICE, where="/auth/signout", which=0, after=None)
    machine.open_a_page(at=Occasion(2, 0, pause=ACCESS, how=Tampering.PLANTED_ALONE), where=READING[0])


def answers_that_go_astray(machine: SessionMachine) -> None:
    for fate in (*Fate, *Fate):
        machine.refresh_at_the_endpoint(at=Occasion(0, 0, pause=YOUNG - 60_000, fate=fate))
        machine.change_the_payload(at=Occasion(0, 1, fate=fate), payload=[fate.name])
        machine.change_the_info(at=Occasion(0, 1), info=fate.name)
    machine.an_answer_arrives(number=1)
    machine.an_answer_arrives(number=0)
    machine.refresh_at_the_endpoint(at=ALICE)


def logins_and_logouts(machine: SessionMachine) -> None:
    for number, where in enumerate(sorted(LEAVING)):
        machine.log_in(at=ALICE, user="alice", payload=None, info=7, after=0)
        machine.log_in(at=BOB, user="alice", payload=None, info=7, after=LATE + 1)
        machine.steal(number=0)
        machine.log_out(at=ALICE, where=where, which=number, after=0)
        machine.log_out(at=BOB, where=where, which=-2, after=LATE + 1)


def changes_after_the_end(machine: SessionMachine) -> None:
    machine.steal(number=0)
    machine.log_out(at=ALICE, where="/auth/signout", which=0, after=None)
    machine.change_the_payload(at=Occasion(2, 0), payload="too late")
    machine.steal(number=1)
    machine.log_out(at=BOB, where="/logout", which=0, after=None)
    machine.change_the_info(at=Occasion(3, 1), info="too late")


def administrators(machine: SessionMachine) -> None:
    for what in sorted(ADMINISTRATION):
        for number in range(4):
            machine.log_in(at=Occasion(number, 0), user="alice", payload=None, info=None, after=None)
            machine.administrate(at=Occasion(number, number % 2), what=what, which=list(range(number)))


def hands(machine: SessionMachine) -> None:
    for _ in range(2):
        for what in sorted(BY_HAND):
            machine.go_without_a_request(at=Occasion(0, 0, pause=YOUNG), what=what)
    machine.time_passes(at=ALICE, period=IDLE)
    for what in sorted(BY_HAND):
        machine.go_without_a_request(at=BOB, what=what)


def sessions_run_out(machine: SessionMachine) -> None:
    for _ in range(8):
        machine.refresh_at_the_endpoint(at=Occasion(0, 0, pause=YOUNG))
    machine.world.time.now = START + ABSOLUTE - 60_000
    machine.go_without_a_request(at=ALICE, what="a refresh by hand")
    machine.world.time.now = START + ABSOLUTE - 10_000  # too late for the worker whose clock is ahead
    machine.refresh_at_the_endpoint(at=Occasion(0, 1))
    machine.administrate(at=BOB, what="the dead are purged", which=[])


def the_idle_are_purged(machine: SessionMachine) -> None:
    machine.administrate(at=Occasion(0, 0, pause=IDLE - 1), what="the dead are purged", which=[])
    machine.administrate(at=Occasion(0, 0, pause=1), what="the dead are purged", which=[])


def tombstones_are_forgotten(machine: SessionMachine) -> None:
    machine.steal(number=0)
    machine.log_out(at=ALICE, where="/auth/signout", which=0, after=None)
    machine.administrate(at=Occasion(0, 0, pause=KEPT), what="the dead are purged", which=[])
    machine.administrate(at=Occasion(0, 0, pause=1), what="the dead are purged", which=[])
    machine.refresh_at_the_endpoint(at=Occasion(2, 0))


def sockets(machine: SessionMachine) -> None:
    """A user's and a thief's, at the worker that ends their session and at the other one."""
    machine.steal(number=0)
    machine.open_a_socket(at=ALICE)
    machine.open_a_socket(at=Occasion(2, 1))
    machine.look_at_the_sockets(at=Occasion(0, 0, pause=ACCESS))
    machine.refresh_at_the_endpoint(at=ALICE)
    machine.look_at_the_sockets(at=Occasion(0, 0, pause=CONNECTION_AT_LEAST - ACCESS))
    machine.look_at_the_sockets(at=Occasion(0, 0, pause=CONNECTION - CONNECTION_AT_LEAST))
    for number, where in enumerate(sorted(LEAVING)):
        machine.log_in(at=ALICE, user="alice", payload=None, info=None, after=None)
        machine.open_a_socket(at=ALICE)
        machine.open_a_socket(at=Occasion(0, 1))
        machine.log_out(at=ALICE, where=where, which=-2 - number, after=None)
        machine.look_at_the_sockets(at=ALICE)
    machine.log_in(at=BOB, user="bob", payload=None, info=None, after=None)
    for _ in range(9):
        machine.refresh_at_the_endpoint(at=Occasion(1, 1, pause=YOUNG))
        machine.open_a_socket(at=BOB)
        machine.look_at_the_sockets(at=BOB)


STORIES: tuple[Callable[[SessionMachine], None], ...] = (
    restored_backups,
    forks,
    forks_at_first_use,
    branches_without_a_parent,
    thieves,
    late_parents,
    late_parents_inline,
    access_tokens_left_behind,
    slow_answers,
    tampered_requests,
    what_an_ended_session_leaves_over,
    answers_that_go_astray,
    logins_and_logouts,
    changes_after_the_end,
    administrators,
    hands,
    sessions_run_out,
    the_idle_are_purged,
    tombstones_are_forgotten,
    sockets,
)
