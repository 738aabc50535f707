"""What a route demands of a session's authentication: how recent, by which methods, at which level."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from asgi_sessions.errors import ImpersonationRefused, ReauthenticationRequired
from asgi_sessions.manager import arguments
from asgi_sessions.manager.session import Session, methods_of
from asgi_sessions.protocol import authentication_methods
from asgi_sessions.protocol.durations import from_ms

__all__ = ["RequiredAuthentication"]

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class RequiredAuthentication:
    """A demand. All of it must be met.

    Attributes:
        max_auth_age: How long ago the last authentication may be, by whichever method; None for any time.
        methods: The methods that must all have been used.
        level: How many different factors must have been used, at least.
        within: How long ago those uses may be; None for any time.
        allow_actor: Whether somebody who acts as the user can meet the demand.
    """

    max_auth_age: timedelta | None = None
    methods: tuple[str, ...] = ()
    level: int | None = None
    within: timedelta | None = None
    allow_actor: bool = False

    @classmethod
    def of(
        cls,
        *,
        max_auth_age: timedelta | float | None,
        methods: Collection[str] | None,
        level: int | None,
        within: timedelta | float | None,
        allow_actor: bool | None,
    ) -> "RequiredAuthentication | None":
        """The demand that these arguments of `require_session` make; None where they make none.

        Raises:
            TypeError, ValueError: One of them is wrong; the text names it.
        """
        age, recency = _age(max_auth_age, "max_auth_age"), _age(within, "within")
        names = () if methods is None else arguments.methods(methods, "methods")
        if level is not None and arguments.instance(level, int, "level") not in {1, 2, 3}:
            raise ValueError("level must be 1, 2 or 3: how many different factors have been used.")
        if methods is not None and not names:
            raise ValueError("methods must name at least one.")
        if recency is not None and not names and level is None:
            raise ValueError("within says how recent methods or a level must be; for the login alone: max_auth_age.")
        if allow_actor is not None:
            arguments.flag(allow_actor, "allow_actor")
        if age is None and not names and level is None and allow_actor is not False:
            return None
        return cls(age, names, level, recency, bool(allow_actor))

    def check(self, session: Session[Any, Any], now: int) -> None:
        """Raise unless the session meets the demand.

        Args:
            session: The session.
            now: ms.

        Raises:
            ImpersonationRefused: Somebody acts as the user.
            ReauthenticationRequired: What is missing.
        """
        if session.actor is not None and not self.allow_actor:
            raise ImpersonationRefused
        if self.max_auth_age is not None and from_ms(now) - session.auth_time > self.max_auth_age:
            raise ReauthenticationRequired(
                methods=self.methods, level=self.level, max_age=self.max_auth_age // timedelta(seconds=1)
            )
        held = methods_of(session)
        since = 0 if self.within is None else now - self.within // _MILLISECOND
        used = {name for name, time in held if time >= since}
        missing = tuple(name for name in self.methods if name not in used)
        too_low = self.level is not None and authentication_methods.level(held, since=since) < self.level
        if missing or too_low:
            raise ReauthenticationRequired(
                methods=missing,
                level=self.level if too_low else None,
                max_age=None if self.within is None else self.within // timedelta(seconds=1),
            )


def _age(value: Any, name: str) -> timedelta | None:
    age = arguments.duration_or_none(value, name)
    # Times are whole ms, so that a fraction of one would refuse what is just recent enough.
    return None if age is None else round(age / _MILLISECOND) * _MILLISECOND
