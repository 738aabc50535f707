"""What an access token says. How it is written: ``access_claims``."""

from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

from asgi_sessions.protocol import authentication_methods, json_value, rotation
from asgi_sessions.protocol.refresh_token import stored_hash
from asgi_sessions.protocol.timeouts import Lifetime
from asgi_sessions.protocol.user_id import UserId

__all__ = ["BACKGROUND", "LEGACY", "ORDINARY", "AccessLineage", "AccessToken", "Kind"]

Kind: TypeAlias = Literal["", "background", "legacy"]
ORDINARY: Final[Kind] = ""
BACKGROUND: Final[Kind] = "background"
LEGACY: Final[Kind] = "legacy"


@dataclass(frozen=True, slots=True)
class AccessLineage:
    """The place in the chain of the refresh token from the same pair (with ``promote_on="first_use"``).

    Attributes:
        generation: Counts from 0.
        token_hash: SHA-256 of the refresh token's secret; never the secret.
        issued_at: The refresh token's, ms.
        parent_hash: SHA-256 of the parent's secret; None for generation 0.
        parent_issued_at: ms; None for generation 0.
        grandparent_hash: SHA-256 of the grandparent's secret; None for generations 0 and 1.
        promoted: Whether the pair had been promoted when this token was signed
            (with ``client_protocol="supertokens"``).
    """

    generation: int
    token_hash: bytes = field(repr=False)
    issued_at: int
    parent_hash: bytes | None = field(default=None, repr=False)
    parent_issued_at: int | None = None
    grandparent_hash: bytes | None = field(default=None, repr=False)
    promoted: bool = False

    @property
    def lineage(self) -> rotation.Lineage:
        """The same with hashes as the database stores them."""
        return rotation.Lineage(
            generation=self.generation,
            token_hash=stored_hash(self.token_hash),
            issued_at=self.issued_at,
            parent_hash=stored_hash(self.parent_hash) if self.parent_hash else None,
            parent_issued_at=self.parent_issued_at,
            grandparent_hash=stored_hash(self.grandparent_hash) if self.grandparent_hash else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What an access token says.

    Attributes:
        handle: The session's.
        user_id: The user, of the type given at login.
        issued_at: ms.
        expires_at: ms; the caller compares it with its clock.
        session_expires_at: When the session ends at the latest, ms.
        auth_time: When the user has last given a credential, ms.
        generation: That of the refresh token from the same pair.
        anti_csrf_token: For the `anti-csrf` header; None where it is not used.
        lineage: None with ``promote_on="refresh"``.
        payload_json: The application's payload as JSON text.
        kind: `ORDINARY`, which is empty, or what asks for a closer look at each use, see `legacy` and `background`.
        payload_version: How many times the payload or the methods had been changed when this one was written.
        idle_timeout: The session's own idle timeout, ms; None for the setting.
        persistent: Whether the session's cookies outlive the browser.
        methods: How the user has been authenticated, and when.
        actor: Who acts as the user; None if nobody does.
    """

    handle: str
    user_id: UserId
    issued_at: int
    expires_at: int
    session_expires_at: int
    auth_time: int
    generation: int
    payload_json: str = field(repr=False)
    anti_csrf_token: str | None = field(default=None, repr=False)
    lineage: AccessLineage | None = None
    kind: Kind = ORDINARY
    payload_version: int = 0
    idle_timeout: int | None = None
    persistent: bool = True
    methods: authentication_methods.Methods = ()
    actor: UserId | None = None

    @property
    def lifetime(self) -> Lifetime:
        """What the session's idle timeout is counted by, without its row."""
        return Lifetime(self.session_expires_at, self.idle_timeout, self.persistent)

    @property
    def legacy(self) -> bool:
        """Whether an older version has issued it, which did not say for which manager."""
        return self.kind == LEGACY

    @property
    def background(self) -> bool:
        """Whether it came of a refresh that has not extended its session: who uses it and is to extend, does so."""
        return self.kind == BACKGROUND

    @property
    def kind_written(self) -> Kind:
        """The kind of a token that says the same and is signed now."""
        return ORDINARY if self.legacy else self.kind

    @property
    def payload(self) -> Any:
        """The application's payload, a fresh object at each access."""
        return json_value.loads(self.payload_json)

    def with_payload(self, payload_json: str, version: int) -> "AccessToken":
        """The same token with another payload."""
        return replace(self, payload_json=payload_json, payload_version=version)
