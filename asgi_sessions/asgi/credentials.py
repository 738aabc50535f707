"""What a request carries. All of it is untrusted input."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

MAX_COPIES = 8
"""Of one cookie: more are an attack, not a browser's jar. So many are verified for one request and no more."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The tokens of a request, good or bad, and what came with them.

    Attributes:
        bearer: Whether it came as ``Authorization: Bearer``, which no other site's page can make a browser send.
        access: Every access token.
        refresh: Every refresh token.
        retry_marker: The retry marker, None if there is none.
        ids: Every ``sIdRefreshToken`` (client_protocol="supertokens").
        names: The names of our cookies that came, earlier ones included, whatever they hold.
        left_access: Access tokens of earlier cookies, which do not count beside the present ones. A logout ends theirs.
        left_refresh: The same of refresh tokens.
        only_host_sets_refresh: Whether nobody but this host can have set the refresh cookie.
    """

    bearer: bool
    access: Sequence[str] = field(default=(), repr=False)
    refresh: Sequence[str] = field(default=(), repr=False)
    retry_marker: str | None = field(default=None, repr=False)
    ids: Sequence[str] = field(default=(), repr=False)
    names: Collection[str] = ()
    left_access: Sequence[str] = field(default=(), repr=False)
    left_refresh: Sequence[str] = field(default=(), repr=False)
    only_host_sets_refresh: bool = False

    @property
    def empty(self) -> bool:
        """Whether the request carries nothing of ours."""
        return not (self.presents_session or self.retry_marker)

    @property
    def presents_session(self) -> bool:
        """Whether the request carries any part of a session: with none there is nothing to end at the client."""
        return self.holds_token or bool(self.ids)

    @property
    def holds_token(self) -> bool:
        """Whether the request carries a token, good or bad."""
        return bool(self.access or self.refresh or self.left_access or self.left_refresh)


def header_values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    """Every value of one header; names are lower-case in ASGI."""
    return [value.decode("latin-1") for header, value in headers if header == name]


def first_header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """The first value of one header, None if it is not there."""
    found = header_values(headers, name)
    return found[0] if found else None


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The token of ``Authorization: Bearer`` (RFC 6750, section 2.1), None if there is none."""
    for value in header_values(headers, b"authorization"):
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
    return None
