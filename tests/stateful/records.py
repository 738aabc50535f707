"""What the model knows about tokens, sessions and the time: objects with an identity, in place of hashes."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(eq=False)
class Login:
    """One session's identity.

    Attributes:
        handle: Learnt from the answer to the login.
    """

    handle: str = ""

    def __repr__(self) -> str:
        return f"<login {self.handle[:6]}>"


@dataclass
class FormTag:
    """By which a page's forms name the session of a login."""

    login: Login


@dataclass(eq=False)
class Token:
    """A refresh token. Its place in the chain is whose child it is, by identity.

    Attributes:
        login: The session.
        generation: Counts from 0.
        issued_at: By the clock of the worker that made it; a twin has that of its elder.
        parent: None for generation 0; twins and siblings share it.
        secret: Learnt from the wire.
    """

    login: Login
    generation: int
    issued_at: int
    parent: "Token | None"
    secret: bytes = field(default=b"", repr=False)

    def child(self, now: int) -> "Token":
        return Token(self.login, self.generation + 1, now, self)

    def twin(self) -> "Token":
        return Token(self.login, self.generation, self.issued_at, self.parent)


@dataclass(eq=False)
class Access:
    """An access token; the pair's refresh token is its place in the chain."""

    pair: Token
    user: str
    issued_at: int
    expires_at: int
    session_expires_at: int
    auth_time: int
    payload: Any
    version: int

    @property
    def login(self) -> Login:
        return self.pair.login


@dataclass(frozen=True)
class Marker:
    """A retry marker."""

    login: Login
    generation: int
    expires_at: int


Record: TypeAlias = Token | Access | Marker


@dataclass
class Row:
    """A row of the sessions table. `current` stands for gen, cur, cur_iat and, by its parent, prev."""

    login: Login
    user: str
    current: Token
    promoted_at: int | None
    created_at: int
    last_active_at: int
    expires_at: int
    idle_expires_at: int
    payload: Any
    info: Any
    address: str | None
    late_generation: int | None = None
    late_at: int | None = None
    late_parents: int = 0
    version: int = 0
    revoked_at: int | None = None
    reason: str | None = None

    def live(self, now: int) -> bool:
        return self.revoked_at is None and self.expires_at > now and self.idle_expires_at > now


@dataclass
class Time:
    """The time of the story, ms, which is the database's and the browsers', and how far each worker's is off."""

    now: int
    off: tuple[int, int] = (0, 0)

    def at(self, worker: int) -> int:
        return self.now + self.off[worker]
