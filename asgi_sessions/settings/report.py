"""What the settings amount to, for the log at start: no secrets, and nothing weakened in silence."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from pydantic import SecretStr

from asgi_sessions.protocol.access_token import LEGACY_AUDIENCE
from asgi_sessions.protocol.durations import format_duration
from asgi_sessions.settings.cookie_values import HOST_PREFIX, SECURE_PREFIXES, begins_with
from asgi_sessions.settings.database_url import names_sqlite
from asgi_sessions.settings.model import SessionSettings
from asgi_sessions.settings.secret_key import HOW_TO_MAKE_ONE
from asgi_sessions.settings.several_hosts import hosts_of, parse_url

__all__ = ["development_only", "policy_summary", "weakened_defaults"]

_LONG_ACCESS = timedelta(hours=1)
_SHORT_ACCESS = timedelta(minutes=1)


def policy_summary(settings: SessionSettings) -> dict[str, str]:
    """The policy in effect, by setting and in the settings' own notation, fit for a log.

    Returns:
        Of ``database_url`` the driver, host, port and database only; of ``secret_key`` whether it is set, and how many
        older ones are.
    """
    summary = {name: _written(getattr(settings, name)) for name in type(settings).model_fields}
    url = parse_url(settings.database_url_text)
    several = ",".join(map(str, hosts_of(url)))
    host = several or f"{url.host or ''}{f':{url.port}' if url.port else ''}"
    summary["database_url"] = f"{url.drivername}://{host}/{url.database or ''}"
    older = len(settings.secret_key) - 1
    summary["secret_key"] = "none" if older < 0 else f"set, and {older} older" if older else "set"
    summary["signing_key_provider"] = "own" if settings.signing_key_provider else "none"
    summary["audience"] = settings.token_audience
    if settings.cookie_prefix is None:
        summary["cookie_prefix"] = "automatic"
    summary["older_cookie_domains"] = _written([domain or "host-only" for domain in settings.older_cookie_domains])
    summary["older_cookie_prefixes"] = _written(
        ["automatic" if prefix is None else prefix or "none" for prefix in settings.older_cookie_prefixes]
    )
    return summary


def _written(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case timedelta():
            return format_duration(value)
        case list() | tuple():
            return ",".join(str(item) for item in value) or "none"
        case None | "":
            return "none"
        case SecretStr():
            return "set"  # whichever setting it is, a secret does not get through here
        case _:
            return str(value)


def weakened_defaults(settings: SessionSettings) -> list[str]:
    """A sentence for each setting that is weaker than its default, to be logged at start.

    Returns:
        Sentences that begin with the setting's name; none of them holds a secret.
    """
    return list(_weakened(settings))


def development_only(settings: SessionSettings) -> list[str]:
    """Those of `weakened_defaults` that would not hold in production, whatever it is: nobody chooses them for that."""
    names = ("secret_key: ", "cookie_secure: ")
    return [sentence for sentence in _weakened(settings) if sentence.startswith(names)]


def _weakened(settings: SessionSettings) -> Iterator[str]:
    yield from (sentence for is_weak, sentence in _WEAKNESSES if is_weak(settings))
    for name, what in _LONGER_IS_WEAKER:
        default: timedelta = SessionSettings.model_fields[name].default
        if getattr(settings, name) > default:
            yield f"{name}: above {format_duration(default)}, so {what}."


def _earlier_can_be_planted(settings: SessionSettings) -> bool:
    weak = any(prefix is not None and not begins_with(prefix, HOST_PREFIX) for prefix in settings.older_cookie_prefixes)
    return weak or bool(settings.older_cookie_paths) or any(settings.older_cookie_domains)


def _has_weak_prefix(settings: SessionSettings) -> bool:
    return settings.cookie_prefix is not None and not begins_with(settings.cookie_prefix, SECURE_PREFIXES)


_WEAKNESSES: tuple[tuple[Callable[[SessionSettings], bool], str], ...] = (
    (
        lambda s: not s.secret_key and names_sqlite(s.database_url_text),
        (
            "secret_key: none, so whoever reads the database file can forge sessions. For production set "
            f"ASGI_SESSIONS_SECRET_KEY; {HOW_TO_MAKE_ONE}"
        ),
    ),
    (
        lambda s: not s.cookie_secure,
        "cookie_secure: off, so the cookies travel over plain http too. For development only.",
    ),
    (
        lambda s: s.cookie_secure and _has_weak_prefix(s),
        "cookie_prefix: without __Host- or __Secure- another host of the domain can plant cookies.",
    ),
    (
        lambda s: s.cookie_domain is not None,
        (
            "cookie_domain: set, so every subdomain receives the cookies and can plant its own: whoever runs one can "
            "log in a visitor who is logged out, as himself."
        ),
    ),
    (
        lambda s: s.cookie_domain is None and s.cookie_secure and _earlier_can_be_planted(s),
        (
            "older_cookie_domains: with this, older_cookie_prefixes or older_cookie_paths earlier cookies count that "
            "another host of the domain can plant. Take them out after an idle_timeout."
        ),
    ),
    (
        lambda s: s.cookie_samesite == "none",
        "cookie_samesite: none, so the cookies go with requests of other sites.",
    ),
    (
        lambda s: s.cache_control != "no-store",
        (
            "cache_control: not no-store, so after a logout Back shows pages of before it, where the application does "
            "not say otherwise."
        ),
    ),
    (
        lambda s: s.clear_site_data == "off",
        "clear_site_data: off, so after a logout a page that was fetched ahead may show.",
    ),
    (
        lambda s: s.csrf == "off",
        "csrf: off, so pages of other sites can act for a user who is logged in.",
    ),
    (
        lambda s: any(origin.startswith("http://") for origin in s.trusted_origins),
        "trusted_origins: one is plain http, so whoever is on the network can speak for it.",
    ),
    (
        lambda s: s.token_transport != "cookie",
        "token_transport: scripts of the page can read tokens that travel in headers.",
    ),
    (
        lambda s: s.revocation_check == "none",
        "revocation_check: none, so after a logout an access token stays good until it expires.",
    ),
    (
        lambda s: s.signing_key_provider is not None and s.token_audience == LEGACY_AUDIENCE,
        (
            f'audience: "{LEGACY_AUDIENCE}" (by default the table_prefix), as version 0.1 of every manager wrote it: '
            "with a signing_key_provider that others share, their tokens of that time are taken for this one's."
        ),
    ),
    (
        lambda s: s.access_token_lifetime > _LONG_ACCESS,
        "access_token_lifetime: above 1h, so a stolen access token is good for long.",
    ),
    (
        lambda s: s.access_token_lifetime < _SHORT_ACCESS,
        (
            "access_token_lifetime: below 1m, so a browser that is killed, and loses the cookies of its last 30 s, may "
            "come back with tokens that look stolen: its user is logged out."
        ),
    ),
)
"""When a setting is weak, and what the log says of it."""

_LONGER_IS_WEAKER = (
    ("idle_timeout", "a forgotten session stays open for longer"),
    ("nonpersistent_idle_timeout", "a session that was not to stay signed in does so for longer"),
    ("absolute_timeout", "a stolen session can live for longer"),
    ("connection_lifetime", "whoever has stolen an access token keeps an open connection for longer"),
    ("impersonation_lifetime", "somebody who acts for a user, or has stolen such a session, can do so for longer"),
    ("late_parent_window", "the use of a rotated refresh token is called theft only later"),
    ("signing_key_lifetime", "a stolen signing key is of use for longer"),
    ("max_clock_difference", "workers may differ by more than rotation allows for: somebody may be logged out"),
)
"""The durations that are weak above their default, and why."""
