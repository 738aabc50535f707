"""Settings that are right one by one and contradict each other."""

from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from typing import Protocol, TypeAlias

from pydantic import SecretStr

from asgi_sessions.protocol.cookies import path_matches
from asgi_sessions.settings.cookie_values import HOST_PREFIX, SECURE_PREFIXES, begins_with
from asgi_sessions.settings.database_url import names_sqlite
from asgi_sessions.settings.secret_key import HOW_TO_MAKE_ONE


class Settings(Protocol):
    """What the rules read of ``SessionSettings``."""

    secret_key: tuple[SecretStr, ...]
    access_token_lifetime: timedelta
    idle_timeout: timedelta
    nonpersistent_idle_timeout: timedelta
    absolute_timeout: timedelta
    min_refresh_age: timedelta
    revocation_poll_interval: timedelta
    revocation_max_staleness: timedelta
    access_token_path: str
    cookie_secure: bool
    cookie_partitioned: bool
    cookie_domain: str | None
    cookie_prefix: str | None
    older_cookie_domains: tuple[str | None, ...]
    older_cookie_prefixes: tuple[str | None, ...]
    older_cookie_paths: tuple[str, ...]
    older_cookie_partitioned: bool | None
    refresh_path: str
    background_paths: tuple[str, ...]

    @property
    def database_url_text(self) -> str: ...

    @property
    def cookie_samesite(self) -> str: ...

    @property
    def cookie_prefix_in_use(self) -> str | None: ...

    @property
    def refresh_cookie_path(self) -> str: ...


_Check: TypeAlias = Callable[[Settings], bool]


def contradictions(settings: Settings, *, apart_from: Collection[str]) -> Iterator[str]:
    """A sentence for each contradiction, beginning with the name of the setting to change.

    Args:
        settings: May hold defaults in place of bad values.
        apart_from: The names of those: what involves one of them is not judged.
    """
    for involved, contradicts, sentence in _RULES:
        if not any(name in apart_from for name in involved) and contradicts(settings):
            yield f"{involved[0]}: {sentence}"


def _clears_its_own_cookies(settings: Settings) -> bool:
    return settings.cookie_domain in settings.older_cookie_domains


_SHORTER_THAN = "must not be shorter than"

# (the settings that are involved, the one to change first; what is wrong; what would be right)
_RULES: tuple[tuple[tuple[str, ...], _Check, str], ...] = (
    (
        ("secret_key", "database_url"),
        lambda s: not s.secret_key and not names_sqlite(s.database_url_text),
        f"is required with this database; {HOW_TO_MAKE_ONE}",
    ),
    (
        ("idle_timeout", "access_token_lifetime"),
        lambda s: s.idle_timeout < s.access_token_lifetime,
        f"{_SHORTER_THAN} access_token_lifetime",
    ),
    (
        ("nonpersistent_idle_timeout", "access_token_lifetime"),
        lambda s: s.nonpersistent_idle_timeout < s.access_token_lifetime <= s.idle_timeout,
        f"{_SHORTER_THAN} access_token_lifetime",
    ),
    (
        ("nonpersistent_idle_timeout", "idle_timeout"),
        lambda s: s.nonpersistent_idle_timeout > s.idle_timeout,
        "must not be longer than idle_timeout, which limits every session",
    ),
    (
        ("absolute_timeout", "idle_timeout"),
        lambda s: s.absolute_timeout < s.idle_timeout,
        f"{_SHORTER_THAN} idle_timeout; set both, or a policy",
    ),
    (
        ("min_refresh_age", "access_token_lifetime"),
        lambda s: s.min_refresh_age > s.access_token_lifetime * 4 // 5,
        "must be at most four fifths of access_token_lifetime",
    ),
    (
        ("revocation_poll_interval", "revocation_max_staleness"),
        lambda s: s.revocation_poll_interval > s.revocation_max_staleness / 2,
        "must be at most half of revocation_max_staleness: a single late poll must not cost requests a 503",
    ),
    (
        ("cookie_samesite", "cookie_secure"),
        lambda s: s.cookie_samesite == "none" and not s.cookie_secure,
        '"none" needs cookie_secure: browsers drop such a cookie otherwise',
    ),
    (
        ("cookie_partitioned", "cookie_samesite"),
        lambda s: s.cookie_partitioned and s.cookie_samesite != "none",
        'needs cookie_samesite "none": browsers send no others to pages that another site embeds',
    ),
    (
        ("cookie_partitioned", "cookie_secure"),
        lambda s: s.cookie_partitioned and not s.cookie_secure,
        "needs cookie_secure: browsers drop such a cookie otherwise",
    ),
    (
        ("cookie_prefix", "cookie_secure"),
        lambda s: not s.cookie_secure and begins_with(s.cookie_prefix, SECURE_PREFIXES),
        "needs cookie_secure: browsers drop a cookie of that name otherwise",
    ),
    (
        ("cookie_prefix", "cookie_domain"),
        lambda s: s.cookie_domain is not None and begins_with(s.cookie_prefix, HOST_PREFIX),
        "__Host- allows no cookie_domain; use __Secure-, or leave it out",
    ),
    (
        ("cookie_prefix", "access_token_path"),
        lambda s: s.access_token_path != "/" and begins_with(s.cookie_prefix, HOST_PREFIX),
        '__Host- needs access_token_path "/"; use __Secure-, or leave it out',
    ),
    (
        ("cookie_prefix", "refresh", "refresh_path"),
        lambda s: s.refresh_cookie_path != "/" and begins_with(s.cookie_prefix, HOST_PREFIX),
        '__Host- needs refresh "inline": else the refresh cookie has another path; use __Secure-',
    ),
    (
        ("older_cookie_domains", "cookie_domain"),
        _clears_its_own_cookies,
        "must not name the present cookie_domain (host-only where that is none): it would clear new cookies",
    ),
    (
        ("older_cookie_prefixes", "cookie_prefix", "client_protocol"),
        lambda s: s.cookie_prefix_in_use in s.older_cookie_prefixes,
        "must not name the present cookie_prefix (automatic where that is not set)",
    ),
    (
        ("older_cookie_prefixes", "cookie_secure"),
        lambda s: not s.cookie_secure and any(begins_with(each, SECURE_PREFIXES) for each in s.older_cookie_prefixes),
        "needs cookie_secure: without it browsers keep cookies of that name out of reach",
    ),
    (
        ("older_cookie_paths", "access_token_path", "refresh", "refresh_path"),
        lambda s: any(path == s.access_token_path == s.refresh_cookie_path for path in s.older_cookie_paths),
        "must not name the present path of both cookies",
    ),
    (
        ("older_cookie_partitioned", "cookie_partitioned"),
        lambda s: s.older_cookie_partitioned is s.cookie_partitioned,
        "must not be the present cookie_partitioned; leave it out where that has never been another",
    ),
    (
        ("older_cookie_partitioned", "cookie_secure"),
        lambda s: bool(s.older_cookie_partitioned) and not s.cookie_secure,
        "needs cookie_secure: without it browsers do not let go of such cookies",
    ),
    (
        ("background_paths", "refresh_path"),
        lambda s: any(path_matches(s.refresh_path, path) for path in s.background_paths),
        "must not cover refresh_path: a client that refreshes there could not extend its session",
    ),
)
