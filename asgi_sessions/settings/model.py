"""``SessionSettings``: every setting, its default and how it is read.

The file is longer than others, because each setting has its description here.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, ModelWrapValidatorHandler, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from asgi_sessions.errors import ConfigurationError
from asgi_sessions.protocol.clock import CLOCK_DIFFERENCE_MS
from asgi_sessions.protocol.durations import to_ms
from asgi_sessions.protocol.keyring import PUBLISH_AHEAD_MS
from asgi_sessions.protocol.timeouts import IdleTimeouts
from asgi_sessions.settings import choices, fields, values
from asgi_sessions.settings.consistency import contradictions
from asgi_sessions.settings.defaults import (
    ACCESS_TOKEN_LIFETIME,
    IDLE_TIMEOUT,
    MIN_REFRESH_AGE,
    NONPERSISTENT_IDLE_TIMEOUT,
    POLICIES,
    with_derived_defaults,
)
from asgi_sessions.settings.problems import PREFIX, meant_by, nearly_ours, problems_of, unknown_variables

__all__ = ["SessionSettings"]

_DuePeriod: TypeAlias = Annotated[timedelta, values.duration(at_least=timedelta(milliseconds=1))]
_Lifetime: TypeAlias = Annotated[timedelta, values.duration(at_least=timedelta(seconds=1))]
_KeyLifetime: TypeAlias = Annotated[timedelta, values.duration(at_least=timedelta(milliseconds=PUBLISH_AHEAD_MS))]
_Period: TypeAlias = Annotated[timedelta, values.duration()]
_OptionalLifetime: TypeAlias = Annotated[timedelta | None, values.optional_duration(at_least=timedelta(seconds=1))]

_NONE_SAYS_SOMETHING = frozenset({"max_sessions_per_user"})
"""Settings for which None is a value of its own. For all others None means the default."""


class SessionSettings(BaseSettings):
    """How sessions behave. Read from ``ASGI_SESSIONS_*`` in the environment; a keyword argument overrides its variable.

    Durations are written ``5m``, ``1h30m``, ``300`` (seconds), ``PT5M`` (ISO 8601) or as ``timedelta``; lists
    with commas or as JSON. An empty variable, and None, mean the default. Instances cannot be changed.

    With the reference profile the behaviours of the SuperTokens reference library hold literally. The profile is
    ``refresh="endpoint"``, ``csrf="token"``, ``promote_on="first_use"``, ``late_parent_window=0``,
    ``min_refresh_age=0``, ``client_protocol="supertokens"``, ``cookie_prefix=""`` and
    ``revocation_check="none"`` or ``"database"`` (its blacklisting off or on).

    Raises:
        ConfigurationError: All mistakes at once, by the settings' names and without values: bad values, settings that
            contradict each other, unknown names, unknown ``ASGI_SESSIONS_*`` variables, and variables with nearly that
            prefix and the name of a setting that is not given in another way.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        enable_decoding=False,  # lists come with commas too, and a bad one must not hide the other mistakes
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        dotenv_filtering="match_prefix",  # other libraries' lines in a shared .env file are not ours to judge
        validate_default=False,
    )

    database_url: fields.DatabaseUrl = SecretStr("sqlite+aiosqlite:///./sessions.db")
    """The URL of SQLite, MySQL, MariaDB or PostgreSQL, with the asynchronous driver. The whole URL is a secret."""
    secret_key: fields.Secrets = ()
    """Seals the signing keys in the database; newest first, each 32 bytes or more. Optional on SQLite."""
    table_prefix: fields.TablePrefix = "asgi_sessions_"
    """The prefix of the names of all tables."""
    audience: fields.Audience = None
    """Names the manager for which tokens are good, in their ``aud``; None means ``table_prefix``. Managers with one
    audience and one ``signing_key_provider`` accept each other's tokens. A new audience logs everybody out."""
    migrate_on_start: fields.Switch = True
    """Whether the manager brings the tables up to date when it starts."""

    policy: Annotated[choices.Policy | None, values.optional_one_of(choices.Policy)] = None
    """A preset of ``idle_timeout`` and ``absolute_timeout`` (``POLICIES``); explicit values override it."""
    access_token_lifetime: _Lifetime = ACCESS_TOKEN_LIFETIME
    """How long an access token is good. At least 1 s."""
    idle_timeout: _DuePeriod = IDLE_TIMEOUT
    """How long a session lives without use (ASVS 7.3.1). Background requests do not count. Measured at refreshes. At
    least ``access_token_lifetime``."""
    nonpersistent_idle_timeout: _DuePeriod = NONPERSISTENT_IDLE_TIMEOUT
    """The same for sessions begun with ``persistent=False``, whose cookies end with the browser. At least
    ``access_token_lifetime`` and at most ``idle_timeout``; by default 8 h, as far as these two allow it."""
    absolute_timeout: _DuePeriod = timedelta(days=100)
    """How long a session lives after its login (ASVS 7.3.2). At least ``idle_timeout``."""
    connection_lifetime: _Lifetime = timedelta(hours=24)
    """How long after its arrival a WebSocket, a stream or an upload may use the tokens that it came with; then it
    connects anew. If ``access_token_lifetime`` is longer, that one counts."""

    impersonation_lifetime: _Lifetime = timedelta(hours=1)
    """How long a session lives at most in which somebody else acts (`SessionManager.impersonate`). At least 1 s."""
    background_paths: fields.Paths = ()
    """Paths of background requests, such as a page's polls, which do not count against ``idle_timeout``: each path and
    all below it. WebSockets, event streams and requests with ``X-Background-Request: 1`` are such requests anywhere."""

    promote_on: Annotated[choices.PromoteOn, values.one_of(choices.PromoteOn)] = "refresh"
    """When a child replaces its parent: at the child's own refresh, or at the first use of its access token."""
    sibling_window: _DuePeriod = timedelta(seconds=180)
    """How far apart two refresh tokens may have been issued to count as answers to parallel requests."""
    late_parent_window: _Period = timedelta(seconds=120)
    """How long after a rotation the late parent gets 409 instead of the theft alarm; 0 raises the alarm at once."""
    min_refresh_age: _Period = MIN_REFRESH_AGE
    """A younger refresh token is answered with a twin; 0 turns twins off. At most four fifths
    of ``access_token_lifetime``; by default 240 s, or less if access tokens live for less than 300 s."""

    signing_algorithm: Annotated[choices.SigningAlgorithm, values.one_of(choices.SigningAlgorithm)] = "HS256"
    """The algorithm of access tokens. EdDSA and ES256 have public keys (JWKS)."""
    signing_key_lifetime: _KeyLifetime = timedelta(hours=24)
    """How long a key signs; its tokens stay good after. At least 1 min: the next key is published that long before."""
    signing_key_provider: fields.KeyProvider = None
    """An async callable that returns the signing key, which then does not come from the database. Python only."""

    revocation_check: Annotated[choices.RevocationCheck, values.one_of(choices.RevocationCheck)] = "feed"
    """How a worker learns that an access token's session was revoked: ``feed``: it polls the database; ``database``: it
    asks the database at each request; ``none``: it does not check."""
    revocation_poll_interval: _DuePeriod = timedelta(milliseconds=500)
    """How often each worker polls the database for revoked sessions. At most half of ``revocation_max_staleness``."""
    revocation_max_staleness: _DuePeriod = timedelta(seconds=30)
    """For how long requests are served while the database cannot be reached; then they get 503."""
    revocation_channel_url: fields.ChannelUrl = None
    """The URL of a Redis or Valkey through which workers wake each other at a revocation, faster than they poll. The
    whole URL is a secret. With None, workers on PostgreSQL wake each other through PostgreSQL, and workers on other
    databases only poll."""

    revocation_memory: Annotated[int, BeforeValidator(values.whole_number(64_000))] = 64_000_000
    """The bytes that each worker spends on the handles of revoked sessions, about 50 for each if there are many. While
    there are more than fit, requests ask the database."""
    verified_token_memory: Annotated[int, BeforeValidator(values.whole_number(0))] = 16_000_000
    """The bytes that each worker spends on the cache of verified tokens; 0 turns the cache off."""

    websocket_close_code: fields.CloseCode = 4401
    """The code with which a WebSocket is closed when its session ends: 3000 to 4999, or 1008 for clients that accept
    only registered codes."""
    end_connections_on_signal: fields.Switch = True
    """Whether open WebSockets and event streams end when the server is told to stop by SIGTERM or SIGINT, so that it
    can stop. The library adds its handler to the server's own, and adds none if the server has none."""

    refresh: Annotated[choices.Refresh, values.one_of(choices.Refresh)] = "inline"
    """Who refreshes: ``inline``: the middleware; ``endpoint``: the client, by a POST to ``refresh_path``."""
    refresh_path: fields.Path = "/auth/session/refresh"
    """The path of the refresh endpoint, as the browser sees it."""
    access_token_path: fields.Path = "/"
    """The access cookie's path."""
    cookie_secure: fields.Switch = True
    """Whether cookies travel over https only. Turn it off only for development over plain http."""
    cookie_samesite: Annotated[choices.SameSite, values.one_of(choices.SameSite)] = "lax"
    """The cookies' SameSite attribute. ``none`` needs ``cookie_secure``."""
    cookie_partitioned: fields.Switch = False
    """Whether the cookies are ``Partitioned``, for pages that other sites embed (CHIPS): browsers keep a jar for each
    of these sites. Needs ``cookie_samesite="none"``."""
    cookie_domain: fields.Domain = None
    """Shares the cookies with all subdomains of this domain; None keeps them with the one host."""
    cookie_prefix: fields.CookiePrefix = None
    """None means ``__Host-`` where its rules allow it, else ``__Secure-``, and no prefix if cookies are not
    secure. The empty text, or the word ``none``, means no prefix. ``__Host-Http-`` is stronger, see the docs."""
    older_cookie_domains: fields.OlderDomains = ()
    """Earlier values of ``cookie_domain``. The word ``host-only``, which is stored as None, stands for the time when it
    was not set. Cookies of earlier domains, prefixes and paths count, in every combination with the present ones, if
    the present cookie is missing. The next refresh replaces them, and a login or sign-out ends their sessions."""
    older_cookie_prefixes: fields.OlderPrefixes = ()
    """Earlier values of ``cookie_prefix``: ``none``, or ``automatic``, which is stored as None."""
    older_cookie_paths: fields.OlderPaths = ()
    """Earlier paths of the cookies: values of ``access_token_path`` and ``refresh_path``, and ``/`` if ``refresh`` was
    ``inline``."""
    older_cookie_partitioned: fields.OptionalSwitch = None
    """The earlier value of ``cookie_partitioned``; None where it has always been the present one."""

    cache_control: Annotated[choices.CacheControl, values.one_of(choices.CacheControl)] = "no-store"
    """The Cache-Control of a response whose application has asked for the session, where the application sets neither
    that nor Expires: so that Back shows no page of before a logout. ``off`` leaves it to browsers."""
    clear_site_data: Annotated[choices.ClearSiteData, values.one_of(choices.ClearSiteData)] = "prefetchCache"
    """What browsers drop besides where a response clears the cookies: pages that they have fetched or rendered ahead
    (``prefetchCache``), also the host's HTTP cache (``cache``), or nothing (``off``)."""

    csrf: Annotated[choices.Csrf, values.one_of(choices.Csrf)] = "fetch-metadata"
    """How requests of other sites' pages are recognised: by Fetch Metadata and Origin, a token, both, or not at all."""
    trusted_origins: fields.Origins = ()
    """Other origins that may make requests with the session: ``scheme://host[:port]``, no wildcards; also those of
    applications with a scheme of their own (``capacitor://localhost``)."""
    require_origin: fields.Switch = False
    """Whether to refuse unsafe requests that name no origin at all. Scripts send such requests, browsers do not."""
    token_transport: Annotated[choices.TokenTransport, values.one_of(choices.TokenTransport)] = "cookie"
    """How tokens travel: in cookies, in the Authorization header, or either."""
    client_protocol: Annotated[choices.ClientProtocol | None, values.optional_one_of(choices.ClientProtocol)] = None
    """``supertokens`` speaks to the unmodified ``supertokens-website`` client."""
    expired_status_code: fields.StatusCode = 401
    """The status that asks the client to refresh, 400 to 499."""

    max_sessions_per_user: fields.OptionalCount = 100
    """How many sessions a user may have; None for any number, the default where an older version began the tables."""
    max_sessions_action: Annotated[choices.MaxSessionsAction, values.one_of(choices.MaxSessionsAction)] = "evict_oldest"
    """What happens at a login beyond ``max_sessions_per_user``: sessions end, or the login is refused. If the limit was
    set, those of the oldest logins end; with the default limit, those that were not used for longest."""
    ip_address: Annotated[choices.IpAddress, values.one_of(choices.IpAddress)] = "full"
    """What is kept of the address from which a user logs in, for the list of sessions: all of it, the network
    (``192.0.2.0``, ``2001:db8:85a3::``), or nothing."""
    ip_address_retention: _OptionalLifetime = None
    """How long after the login its address is kept; None for as long as the session. The purge takes it away."""
    max_clock_difference: _Lifetime = timedelta(seconds=30)
    """How far a machine's clock may be from the database's. With a larger difference a worker does not start. A worker
    that already runs goes by the database's time, purges nothing and makes no signing key. At least 1 s."""
    purge_interval: _Period = timedelta(hours=1)
    """How often expired sessions are deleted; 0 means never."""

    # The arguments are not typed by field: "5m" and lists with commas are right, and would be type errors.
    def __init__(self, **values: Any) -> None:
        super().__init__(**values)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[Any, ...]:
        """Also read the lines of a .env file whose prefix is nearly ours, so that they are reported as unknown.

        A source that has nothing of ours is left out: looking for each setting in it takes most of the time.
        """
        sources: list[Any] = [init_settings]
        environment: Mapping[str, Any] = getattr(env_settings, "env_vars", {})
        if any(name.upper().startswith(PREFIX) for name in environment):
            sources.append(env_settings)
        lines: Mapping[str, Any] = getattr(dotenv_settings, "env_vars", {})
        if lines:
            sources.append(dotenv_settings)
        sources.append(file_secret_settings)
        if lines:
            misspelt = nearly_ours(lines, settings_cls.model_fields)
            sources.append(lambda: misspelt)
        return tuple(sources)

    @model_validator(mode="wrap")
    @classmethod
    def _all_mistakes_at_once(
        cls, data: dict[str, Any], handler: ModelWrapValidatorHandler["SessionSettings"]
    ) -> "SessionSettings":
        given = {name: value for name, value in data.items() if value is not None or name in _NONE_SAYS_SOMETHING}
        given = {name: value for name, value in given.items() if meant_by(name, cls.model_fields) not in given}
        bad: dict[str, list[str]] = {}
        try:
            settings = handler(with_derived_defaults(given))
        except ValidationError as error:
            bad = problems_of(error, cls.model_fields)
        # Outside the except clause: no error of pydantic's hangs on ours, and no value on that.
        unjudged = set(bad)
        if bad:
            # The good values alone, so that their contradictions are told in the same breath.
            settings = handler(with_derived_defaults({n: v for n, v in given.items() if n not in bad}))
        if "policy" in bad:
            unjudged |= POLICIES["aal1"].keys() - given.keys()
        problems = [sentence for sentences in bad.values() for sentence in sentences]
        problems += contradictions(settings, apart_from=unjudged)
        problems += unknown_variables(cls.model_fields, given)
        if problems:
            raise ConfigurationError(*problems)
        return settings

    @property
    def access_token_lifetime_ms(self) -> int:
        return to_ms(self.access_token_lifetime)

    @property
    def connection_lifetime_ms(self) -> int:
        return max(to_ms(self.connection_lifetime), self.access_token_lifetime_ms)

    @property
    def idle_timeout_ms(self) -> int:
        return to_ms(self.idle_timeout)

    @property
    def idle_timeouts(self) -> IdleTimeouts:
        """How long each session may be idle."""
        return IdleTimeouts(self.idle_timeout_ms, to_ms(self.nonpersistent_idle_timeout))

    @property
    def absolute_timeout_ms(self) -> int:
        return to_ms(self.absolute_timeout)

    @property
    def impersonation_lifetime_ms(self) -> int:
        return to_ms(self.impersonation_lifetime)

    @property
    def late_parent_window_ms(self) -> int:
        return to_ms(self.late_parent_window)

    @property
    def sibling_window_ms(self) -> int:
        return to_ms(self.sibling_window)

    @property
    def min_refresh_age_ms(self) -> int:
        return to_ms(self.min_refresh_age)

    @property
    def signing_key_lifetime_ms(self) -> int:
        return to_ms(self.signing_key_lifetime)

    @property
    def revocation_max_staleness_ms(self) -> int:
        return to_ms(self.revocation_max_staleness)

    @property
    def revocation_poll_interval_ms(self) -> int:
        return to_ms(self.revocation_poll_interval)

    @property
    def max_clock_difference_ms(self) -> int:
        return to_ms(self.max_clock_difference)

    @property
    def workers_apart_ms(self) -> int:
        """How far two workers' times may be apart, ms: each may differ from the database's by the setting.

        A token or session that has expired by one worker's clock may be good by another's for that long.
        """
        return max(CLOCK_DIFFERENCE_MS, 2 * self.max_clock_difference_ms)

    @property
    def ip_address_retention_ms(self) -> int | None:
        return None if self.ip_address_retention is None else to_ms(self.ip_address_retention)

    @property
    def purge_interval_ms(self) -> int:
        return to_ms(self.purge_interval)

    @property
    def token_audience(self) -> str:
        """The ``aud`` of this manager's tokens."""
        return self.table_prefix if self.audience is None else self.audience

    @property
    def database_url_text(self) -> str:
        """The whole of ``database_url``, with its password: not for logs."""
        return self.database_url.get_secret_value()

    @property
    def uses_csrf_tokens(self) -> bool:
        """Whether sessions have an anti-csrf token: ``csrf`` is ``token`` or ``both``."""
        return self.csrf in {"token", "both"}

    @property
    def speaks_supertokens(self) -> bool:
        return self.client_protocol == "supertokens"

    @property
    def cookie_prefix_in_use(self) -> str | None:
        """``cookie_prefix``, None for the strongest that the cookie's attributes allow."""
        # The supertokens client's users know the names as the reference library wrote them.
        return "" if self.cookie_prefix is None and self.speaks_supertokens else self.cookie_prefix

    @property
    def refresh_cookie_path(self) -> str:
        """With inline refresh any request may need the refresh cookie, else only the refresh endpoint's."""
        return "/" if self.refresh == "inline" else self.refresh_path
