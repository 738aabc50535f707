"""What docs/architecture.md says of the code, by names that are looked up in it: where one moves, the page is wrong."""

from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "asgi_sessions"


@dataclass(frozen=True)
class Place:
    """Where something is.

    Attributes:
        name: Module below the package and name in it: ``protocol.rotation:decide``.
        text: What is done or decided there.
    """

    name: str
    text: str

    @property
    def file(self) -> str:
        """The file, below the package.

        Raises:
            LookupError: There is no such name, or it is defined elsewhere.
        """
        module = self.name.partition(":")[0]
        try:
            found: Any = resolve_name(f"asgi_sessions.{self.name}")
        except (AttributeError, ImportError) as error:
            raise LookupError(f"{self.name}: {error}") from None
        if getattr(found, "__module__", f"asgi_sessions.{module}") != f"asgi_sessions.{module}":
            raise LookupError(f"{self.name} is defined in {found.__module__}.")
        path = PACKAGE / (module.replace(".", "/") + ".py")
        if not path.exists():
            path = path.with_suffix("") / "__init__.py"
        return str(path.relative_to(PACKAGE))

    @property
    def shown(self) -> str:
        return self.name.partition(":")[2]


WAY = [
    Place(
        "asgi.middleware:SessionMiddleware", "Each request or WebSocket gets an exchange, which has read nothing yet."
    ),
    Place(
        "asgi.dependency:SessionDependency",
        "The route asks for the session. A route that does not ask skips all that follows.",
    ),
    Place(
        "asgi.authentication:Authentication",
        "Six rules, in order, decide which session the request has; a fast path skips work.",
    ),
    Place("asgi.transport:Transport.read", "Cookies, or the headers of a native client, are read."),
    Place("asgi.presented:access_token", "Of several access tokens one counts, or none."),
    Place("manager.verifying:Verifier", "The token must be authentic and its session live. Mostly memory decides."),
    Place(
        "protocol.access_token:verify",
        "Signature, form, audience and times of a token are checked if it is new to the worker.",
    ),
    Place(
        "revocation.feed:RevocationFeed.is_good",
        "The worker's memory says whether another worker has ended the session.",
    ),
    Place("protocol.csrf:check", "The request must not come from a page of another site."),
    Place(
        "manager.refreshing:Refresher.refresh",
        "If the access token has expired, the refresh token is judged and answered.",
    ),
    Place(
        "protocol.rotation:decide",
        "The refresh token is the head, a child, a late parent or stolen, decided without I/O.",
    ),
    Place("store.repository:SessionRepository.promote", "A child becomes the head; of two workers one wins."),
    Place("manager.issuing:Issuer.issue", "The next pair is made and signed."),
    Place(
        "asgi.answer:Answer",
        "Tokens and cookies for the response are collected; after a slow answer the session is looked up again.",
    ),
    Place("asgi.http_exchange:HTTPExchange.send", "The response begins, and the headers leave with it."),
    Place("asgi.session_cookies:SessionCookies.issued", "Name, path and attributes of each Set-Cookie are written."),
]
"""From the request to Set-Cookie."""

RULES = [
    Place("asgi.presented:access_token", "which of several tokens in a request counts"),
    Place("asgi.authentication:Authentication", "which session a request has, and in which order its tokens count"),
    Place("protocol.csrf:check", "whether a request may change something (CSRF)"),
    Place("asgi.form_tags:require_form_of", "whether a form was made for the session that the request has"),
    Place("protocol.access_token:verify", "whether an access token is authentic"),
    Place("manager.token_times:TokenTimes", "how long an access token is good, whatever the settings were"),
    Place("manager.verifying:Verifier.is_known_live", "whether an access token is served without the database"),
    Place(
        "manager.liveness:LivenessCheck",
        "whether a session is live (the liveness check); no request is refused after a stale read",
    ),
    Place("protocol.timeouts:is_expired", "whether a session has expired"),
    Place("protocol.rotation:decide", "whether a refresh token is the head, a child, a late parent or stolen"),
    Place("protocol.rotation:serve", "which requests are served without new tokens"),
    Place("protocol.connections:end_at", "when an open stream or socket ends"),
    Place("asgi.answer:Answer", "which cookies leave with a response, and which are cleared"),
    Place("store.hosts:Hosts.open", "which of several servers a connection goes to"),
    Place("protocol.keyring:Keyring.rotation_due", "when a new signing key is due"),
    Place("manager.function_call:result_of", "when an async function of the application has failed"),
    Place("protocol.user_id:storable", "which user ids are the same user"),
]
"""One rule, one place."""
