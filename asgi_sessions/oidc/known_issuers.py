"""The issuers whose tokens count here, each with its keys: a token is looked at by its own issuer's rules alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from asgi_sessions.oidc.issuer import TokenIssuer
from asgi_sessions.oidc.provider_keys import ProviderKeys
from asgi_sessions.oidc.signed_jwt import InvalidToken, Presented, require_signed

__all__ = ["KeysUnavailable", "KnownIssuers"]

IssuerT = TypeVar("IssuerT", bound=TokenIssuer)


class KeysUnavailable(Exception):
    """The issuer's keys could not be fetched, and never were."""


class KnownIssuers(Generic[IssuerT]):
    """Some issuers of one kind.

    Args:
        issuers: Each once.
        kind: What each has to be.
        argument: What the caller calls them, for errors.
        keys: Makes what fetches an issuer's keys.

    Raises:
        TypeError, ValueError: One is of another kind, there is none, or two have one name.
    """

    def __init__(
        self,
        issuers: Sequence[IssuerT],
        kind: type[IssuerT],
        argument: str,
        keys: Callable[[IssuerT], ProviderKeys] = ProviderKeys,
    ) -> None:
        for issuer in issuers:
            if not isinstance(issuer, kind):
                raise TypeError(f"{argument} must be {kind.__name__}, not {type(issuer).__name__}")
        self._known = {issuer.issuer: (issuer, keys(issuer)) for issuer in issuers}
        if not issuers or len(self._known) < len(issuers):
            raise ValueError(f"{argument}: give at least one, and no issuer twice")

    def of(self, presented: Presented) -> IssuerT:
        """Who is said to have made a token.

        Raises:
            InvalidToken: Nobody who is known here.
        """
        known = self._known.get(presented.issuer) if isinstance(presented.issuer, str) else None
        if known is None:
            raise InvalidToken("It is of no issuer that is known here.", "invalid_issuer")
        return known[0]

    async def require_signed(self, presented: Presented) -> None:
        """Raise unless the issuer that a token names has signed it.

        Raises:
            InvalidToken: It has not, or is not known.
            KeysUnavailable: Nobody can tell yet.
        """
        issuer = self.of(presented)
        found: Sequence[Mapping[str, Any]] = await self._known[issuer.issuer][1].of(presented.key_id)
        if not found:
            raise KeysUnavailable
        require_signed(presented, issuer, found)
