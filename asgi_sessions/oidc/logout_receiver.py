"""Who is told of our logouts: an address, and the name that its tokens are for."""

from dataclasses import dataclass

from asgi_sessions.oidc.issuer import require_address, require_text
from asgi_sessions.store.notifications import is_receiver

__all__ = ["LogoutReceiver"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutReceiver:
    """A receiver of OpenID Connect Back-Channel Logout 1.0.

    Attributes:
        url: Its `backchannel_logout_uri`. Without TLS only on this machine. No other address is ever asked.
        audience: `aud` of its tokens: its client id, as it calls itself. At most 200 printable ASCII characters without
            spaces; what waits for a receiver is kept under this name, so that its address may change.
    """

    url: str
    audience: str

    def __post_init__(self) -> None:
        """Raise on what cannot be meant.

        Raises:
            TypeError, ValueError: An attribute is wrong; the text names it.
        """
        require_address(self.url, "url")
        require_text(self.audience, "audience")
        if not is_receiver(self.audience):
            raise ValueError("audience must have at most 200 printable ASCII characters, without spaces")
