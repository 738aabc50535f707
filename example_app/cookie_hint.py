"""Why signing in may seem to do nothing: browsers drop Secure cookies over plain http, without a word."""

from fastapi import Request

from example_app.sessions import sessions

_TRUSTED_HOSTS = {"localhost", "127.0.0.1"}


def cookie_hint(request: Request) -> str | None:
    """What to tell somebody whose browser will not keep our cookies, None where it will."""
    if not sessions.settings.cookie_secure or request.url.scheme != "http":
        return None
    if request.url.hostname not in _TRUSTED_HOSTS:
        return "host"
    agent = request.headers.get("user-agent", "")
    # Safari, and every browser on an iPhone; all others name Chrome or Gecko.
    return "safari" if "AppleWebKit/" in agent and "Chrome/" not in agent else None
