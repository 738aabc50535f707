"""The jars of a story, the answers under way, and how a step is taken."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ClassVar

from hypothesis.stateful import RuleBasedStateMachine, rule

from asgi_sessions import IssuedSession
from tests.stateful import profiles
from tests.stateful.chances import Fate, Occasion, When
from tests.stateful.jar import Jar, SetCookie
from tests.stateful.records import Login, Row, Token
from tests.stateful.tampering import Tampering, tampered
from tests.stateful.world import Page, World

MOST_JARS = 6
STEPS = set[str]()
"""The names of all steps."""


def step(**given: Any) -> Callable[[Callable[..., None]], Any]:
    """A rule of the machine that counts how often it is taken."""

    def decorated(method: Callable[..., None]) -> Any:
        @wraps(method)
        def counted(self: "Story", **chosen: Any) -> None:
            self.world.reached[method.__name__] += 1
            method(self, **chosen)

        STEPS.add(method.__name__)
        return rule(**given)(counted)  # type: ignore[no-untyped-call]

    return decorated


class Story(RuleBasedStateMachine):
    """What all steps share.

    Attributes:
        world: The real side and the model; set by whoever runs the machine.
        jars: Of browsers and of thieves.
        under_way: Answers, each with the jar that it is for.
    """

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.jars: list[Jar] = []
        self.under_way: list[tuple[Jar, list[SetCookie]]] = []

    # -- requests

    def ask(self, at: Occasion, method: str, path: str, page: Page, **options: Any) -> None:
        """Send a request from a jar, and let its answer meet its fate."""
        self.wait(at.pause, at)
        self.send(at, self.jar(at.jar), method, path, page, **options)

    def send(
        self, at: Occasion, jar: Jar, method: str, path: str, page: Page, *, into: Jar | None = None, **options: Any
    ) -> None:
        """The same without the pause.

        Args:
            at: The circumstances.
            jar: Whose cookies go out.
            method: In upper case.
            path: Where to.
            page: The same, in the model.
            into: Where the answer's cookies go, if not to `jar`.
            **options: As `World.ask`.
        """
        world, now = self.world, self.world.time.now
        foreign = self._foreign(jar, at.jar).sent_to(path, now) if at.how is not Tampering.NOTHING else ()
        sent = tampered(jar.sent_to(path, now), at.how, foreign, world.profile)
        jar = into or jar
        world.reached[at.how.name] += 1
        world.reached[at.fate.name] += 1
        answer = world.ask(at.worker, method, path, sent, page, **options)
        match at.fate:
            case Fate.ARRIVES:
                jar.keep(answer, world.time.now)
            case Fate.LATE:
                self.under_way.append((jar, answer))
            case Fate.TWICE:
                jar.keep(world.ask(1 - at.worker, method, path, sent, page, **options), world.time.now)
                jar.keep(answer, world.time.now)
            case Fate.LOST:
                pass

    def keep_issued(self, jar: Jar, issued: IssuedSession[Any, Any] | None) -> None:
        """Put a pair that came without a response into a jar, as an application of one's own would."""
        if issued is not None:
            profile = self.world.profile
            pair = {
                profile.access_cookie: issued.access_token.value,
                profile.refresh_cookie: issued.refresh_token.value,
            }
            life = profiles.IDLE // 1000
            cookies = [SetCookie(name, value, profile.path_of(name), life) for name, value in pair.items()]
            jar.keep(cookies, self.world.time.now)

    # -- jars and sessions

    def jar(self, number: int) -> Jar:
        return self.jars[number % len(self.jars)]

    def copy(self, jar: Jar) -> Jar:
        """A jar of its own with the same cookies. The oldest jar leaves the story when there are too many."""
        copied = jar.copy()
        self.jars.append(copied)
        if len(self.jars) > MOST_JARS:
            del self.jars[0]
        return copied

    def _foreign(self, jar: Jar, number: int) -> Jar:
        """A jar of another session, if there is one."""
        own = self.token_in(jar)
        others = [self.jar(number + 1 + offset) for offset in range(len(self.jars))]
        for other in others:
            token = self.token_in(other)
            if token is not None and (own is None or token.login is not own.login):
                return other
        return others[0]

    def token_in(self, jar: Jar) -> Token | None:
        return self.world.wire.token(jar.find(self.world.profile.refresh_cookie) or "")

    def login(self, number: int) -> Login:
        """A session of the table, dead or alive; or none of them."""
        logins = [*self.world.model.rows, NOBODY]
        return logins[number % len(logins)]

    # -- time

    def wait(self, when: When, at: Occasion) -> None:
        time = self.world.time
        if isinstance(when, int):
            time.now += when
            return
        due = [point - time.off[at.worker] + when.moment for point in self._turning_points(self.jar(at.jar))]
        due = [point for point in due if point > time.now]
        if due:
            time.now = due[when.which % len(due)]

    def until_grown(self, at: Occasion) -> None:
        """Wait until the jar's refresh token will have a child."""
        time, token = self.world.time, self.token_in(self.jar(at.jar))
        if token is not None and token.generation:
            time.now = max(time.now, token.issued_at + profiles.YOUNG - time.off[at.worker])

    def _turning_points(self, jar: Jar) -> Iterable[int]:
        """Moments at which something about a jar's tokens or their session changes, by the worker's clock."""
        wire, profile = self.world.wire, self.world.profile
        token, access = self.token_in(jar), wire.access(jar.find(profile.access_cookie) or "")
        marker = wire.marker(jar.find(profile.marker_cookie) or "")
        if token is not None:
            yield token.issued_at + profiles.YOUNG
            yield token.issued_at + profiles.WINDOW
            yield token.issued_at + profiles.IDLE
        if access is not None:
            yield access.expires_at
        if marker is not None:
            yield marker.expires_at
        login = token.login if token is not None else access.login if access is not None else None
        row = self.world.model.rows.get(login) if login is not None else None
        if row is not None:
            yield from _turning_points_of(row)


def _turning_points_of(row: Row) -> Iterable[int]:
    yield row.idle_expires_at
    yield row.idle_expires_at + profiles.CLOCKS_APART
    yield row.expires_at
    yield row.last_active_at + profiles.TOUCHED
    yield row.current.issued_at + profiles.WINDOW
    if row.promoted_at is not None:
        yield row.promoted_at + profiles.LATE
    if row.revoked_at is not None:
        yield row.revoked_at + profiles.LATE
        yield row.revoked_at + profiles.KEPT


NOBODY = Login("0" * 32)
