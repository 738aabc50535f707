"""What is compared: every variant, its application, its requests, and the bare application it is held against."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from types import MappingProxyType

OURS = "asgi_sessions"
"""The environment that holds the checkout."""

LONG = "12h"
"""A lifetime that no run outlives: prepared tokens must not expire before they are used."""

EXPIRED_SECONDS = 1.3
"""After this long an access token that lives for 1 s has expired, and its refresh token is old enough to rotate."""


class Journey(Enum):
    """How the requests of a variant look."""

    SEEN = "the same valid credentials each time"
    NEW = "valid credentials that this worker has never seen, each once"
    NO_COOKIE = "no cookie, on a route that asks for an optional session"
    UNASKED = "valid credentials, on a route that never asks"
    UNASKED_NO_COOKIE = "no cookie, on a route that never asks"
    REFRESH = "an expired access token and a refresh token, rotated each time"

    @property
    def path(self) -> str:
        """Which route is asked."""
        return {"NO_COOKIE": "/perhaps", "UNASKED": "/public", "UNASKED_NO_COOKIE": "/public"}.get(self.name, "/me")

    @property
    def logs_in(self) -> bool:
        """Whether the requests carry cookies."""
        return self not in {Journey.NO_COOKIE, Journey.UNASKED_NO_COOKIE}

    @property
    def one_use(self) -> bool:
        """Whether each request needs credentials of its own."""
        return self in {Journey.NEW, Journey.REFRESH}


@dataclass(frozen=True, slots=True)
class Variant:
    """One line of the table.

    Attributes:
        name: For ``--only``, results and plots.
        environment: The virtual environment, and its file in ``requirements/``.
        app: The module in ``apps/``.
        base: The bare application's module.
        journey: How its requests look.
        database: ``sqlite``, ``mariadb`` or none.
        services: What else must run: ``redis``, ``core``.
        variables: For the environment of its process.
        slow: It waits for a server at each request, so fewer requests are enough.
        may_set_cookies: Whether answers may set cookies; None for either. Elsewhere a cookie tells that something else
            happened than what is measured.
    """

    name: str
    environment: str
    app: str
    base: str
    journey: Journey = Journey.SEEN
    database: str | None = None
    services: frozenset[str] = frozenset()
    variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    slow: bool = False
    may_set_cookies: bool | None = None

    @property
    def ours(self) -> bool:
        return self.app.startswith("ours_")

    @property
    def framework(self) -> str:
        return "FastAPI" if self.base == "bare_fastapi" else "Starlette"


def _ours(name: str, framework: str, journey: Journey, database: str = "sqlite", **settings: str) -> Variant:
    variables = {"access_token_lifetime": LONG, "idle_timeout": "14d", **settings}
    return Variant(
        f"ours-{framework}-{name}",
        OURS,
        f"ours_{framework}",
        f"bare_{framework}",
        journey,
        database,
        variables={f"ASGI_SESSIONS_{setting.upper()}": value for setting, value in variables.items()},
        slow=journey is Journey.REFRESH or "revocation_check" in settings,
        may_set_cookies=journey is Journey.REFRESH,
    )


def _all() -> Iterator[Variant]:
    for framework in ("starlette", "fastapi"):
        yield Variant(f"bare-{framework}", OURS, f"bare_{framework}", f"bare_{framework}")
    for framework in ("starlette", "fastapi"):
        yield _ours("unasked-no-cookie", framework, Journey.UNASKED_NO_COOKIE)
        yield _ours("unasked", framework, Journey.UNASKED)
        yield _ours("no-cookie", framework, Journey.NO_COOKIE)
        yield _ours("seen-token", framework, Journey.SEEN)
        yield _ours("new-token", framework, Journey.NEW)
        for database in ("sqlite", "mariadb"):
            yield _ours(f"database-check-{database}", framework, Journey.SEEN, database, revocation_check="database")
            # 1 s is the shortest that there is: the prepared tokens have expired soon.
            yield _ours(f"refresh-{database}", framework, Journey.REFRESH, database, access_token_lifetime="1s")
    yield Variant("starlette-session", "starlette_session", "starlette_session", "bare_starlette")
    yield Variant("starsessions-memory", "starsessions", "starsessions", "bare_starlette")
    redis = frozenset({"redis"})
    yield Variant("starsessions-redis", "starsessions", "starsessions", "bare_starlette", services=redis, slow=True)
    yield Variant("authx", "authx", "authx", "bare_fastapi")
    yield Variant("supertokens", "supertokens", "supertokens", "bare_fastapi", services=frozenset({"core"}))
    for strategy in ("jwt", "database"):
        yield Variant(
            f"fastapi-users-{strategy}",
            "fastapi_users",
            "fastapi_users",
            "bare_fastapi",
            database="mariadb",
            variables={"BENCHMARK_STRATEGY": strategy},
            slow=True,
        )


VARIANTS = tuple(_all())


def chosen(patterns: Sequence[str]) -> list[Variant]:
    """Return the variants whose names match one of the patterns, which may have ``*``; all without patterns.

    Raises:
        ValueError: A pattern matches none.
    """
    for pattern in patterns:
        if not any(fnmatchcase(variant.name, pattern) for variant in VARIANTS):
            raise ValueError(f"{pattern!r} is none of: {', '.join(variant.name for variant in VARIANTS)}")
    return [v for v in VARIANTS if not patterns or any(fnmatchcase(v.name, pattern) for pattern in patterns)]
