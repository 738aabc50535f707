"""``SessionSettings``: every setting, its default and its reading."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, ModelWrapValidatorHandler, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from asgi_sessions.errors import ConfigurationError
from asgi_sessions.protocol.clock import CLOCK_DIFFERENCE_MS
from asgi_sessions.protocol.durations import to_ms
from asgi_sessions.protocol.keyring import PUBLISH_AHEAD_MS
from asgi_sessions.settings import choices, fields, values
from asgi_sessions.settings.consistency import contradictions
from asgi_sessions.settings.defaults import ACCESS_TOKEN_LIFETIME, MIN_REFRESH_AGE, POLICIES, with_derived_defaults
from asgi_sessions.settings.problems import PREFIX, meant_by, nearly_ours, problems_of, unknown_variables

__all__ = ["SessionSettings"]

_DuePeriod: TypeAlias = Annotated[timedelta, values.duration(at_least=timedelta(milliseconds=1))]
_Lifetime: TypeAlias = Annotated[timedelta, values.duration(at_least=timedelta(seconds=1))]
_KeyLifetime: TypeAlias = Annotated[timedelta, values.duration(at_least=timedelta(milliseconds=PUBLISH_AHEAD_MS))]
_Period: TypeAlias = Annotated[timedelta, values.duration()]

_NONE_SAYS_SOMETHING = frozenset({"max_sessions_per_user"})
"""Settings for which None is no other way to say the default."""


class SessionSettings(BaseSettings):
    """How sessions behave, from ``ASGI_SESSIONS_*`` in the environment; keyword arguments come first.

    Durations are written ``5m``, ``1h30m``, ``300`` (seconds), ``PT5M`` (ISO 8601) or as ``timedelta``; lists
    with commas or as JSON. An empty variable, and None, mean the default. Instances cannot be changed.

    The reference profile, in which the SuperTokens reference library's behaviours hold literally:
    ``refresh="endpoint"``, ``csrf="token"``, ``promote_on="first_use"``, ``late_parent_window=0``,
    ``min_refresh_age=0``, ``client_protocol="supertokens"``, ``cookie_prefix=""`` and
    ``revocation_check="none"`` or ``"database"`` (its blacklisting off or on).

    Raises:
        ConfigurationError: With all mistakes at once, each by its setting's name and none with a value: bad
            values, settings that contradict each other, unknown names, unknown ``ASGI_SESSIONS_*`` variables, and those
            of nearly that prefix and a setting's name, where the setting is not given otherwise.
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
    """Of SQLite, MySQL, MariaDB or PostgreSQL, with the asynchronous driver. The whole of it is a secret."""
    secret_key: fields.Secrets = ()
    """Seals the signing keys in the database; newest first, each 32 bytes or more. Optional on SQLite."""
    table_prefix: fields.TablePrefix = "asgi_sessions_"
    """What the names of all tables begin with."""
    audience: fields.Audience = None
    """For which manager the tokens are, their ``aud``; None takes ``table_prefix``. Managers that share a
    ``signing_key_provider`` take each other's tokens where it is the same. A new one logs everybody out."""
    migrate_on_start: fields.Switch = True
    """Whether the manager brings the tables up to date when it starts."""

    policy: Annotated[choices.Policy | None, values.optional_one_of(choices.Policy)] = None
    """A preset of ``idle_timeout`` and ``absolute_timeout`` (``POLICIES``); explicit values win."""
    access_token_lifetime: _Lifetime = ACCESS_TOKEN_LIFETIME
    """At least 1 s."""
    idle_timeout: _DuePeriod = timedelta(days=14)
    """How long a session lives after its last refresh (ASVS 7.3.1). At least ``access_token_lifetime``."""
    absolute_timeout: _DuePeriod = timedelta(days=100)
    """How long a session lives after its login (ASVS 7.3.2). At least ``idle_timeout``."""
    connection_lifetime: _Lifetime = timedelta(hours=24)
    """How long a WebSocket, a stream or an upload goes on with the tokens that it came with; then it connects anew. At
    least ``access_token_lifetime``, which takes its place where it is longer."""

    promote_on: Annotated[choices.PromoteOn, values.one_of(choices.PromoteOn)] = "refresh"
    """When a new pair of tokens replaces its parent: when it is refreshed in turn, or at its first use."""
    sibling_window: _DuePeriod = timedelta(seconds=180)
    """How far apart two refresh tokens may have been issued to count as answers to parallel requests."""
    late_parent_window: _Period = timedelta(seconds=120)
    """How long a rotated refresh token gets 409 instead of the theft alarm; 0 sounds the alarm at once."""
    min_refresh_age: _Period = MIN_REFRESH_AGE
    """A younger refresh token is answered with a twin; 0 turns that off. At most four fifths
    of ``access_token_lifetime``; by default 240 s, less where access tokens live for less than 300 s."""

    signing_algorithm: Annotated[choices.SigningAlgorithm, values.one_of(choices.SigningAlgorithm)] = "HS256"
    """Of the access tokens. EdDSA and ES256 have public keys (JWKS)."""
    signing_key_lifetime: _KeyLifetime = timedelta(hours=24)
    """How long a key signs; what it signed stays good. At least 1 min: for so long the next one is known before."""
    signing_key_provider: fields.KeyProvider = None
    """Where the signing key comes from instead of the database. Python only."""

    revocation_check: Annotated[choices.RevocationCheck, values.one_of(choices.RevocationCheck)] = "feed"
    """How an access token is checked against revocation: by what each worker polls from the database, by the
    database at each request, or not at all."""
    revocation_poll_interval: _DuePeriod = timedelta(milliseconds=500)
    """How often each worker asks the database who has been logged out. At most half of ``revocation_max_staleness``."""
    revocation_max_staleness: _DuePeriod = timedelta(seconds=30)
    """For how long requests go on while the database cannot be asked; then they get 503."""
    revocation_channel_url: fields.ChannelUrl = None
    """Of a Redis or Valkey by which workers wake each other at a revocation, faster than they poll. The whole of it is
    a secret. None: PostgreSQL does it by itself, other databases have the poll alone."""

    revocation_memory: Annotated[int, BeforeValidator(values.whole_number(64_000))] = 64_000_000
    """How many bytes each worker spends on the handles of revoked sessions, about 50 for each where there are
    many. While there are more, requests ask the database."""
    verified_token_memory: Annotated[int, BeforeValidator(values.whole_number(0))] = 16_000_000
    """How many bytes each worker spends on remembering the access tokens that it has verified; 0 for none."""

    websocket_close_code: fields.CloseCode = 4401
    """With which code a WebSocket is closed when its session ends: 3000 to 4999, or 1008 for clients that insist on
    registered codes."""
    end_connections_on_signal: fields.Switch = True
    """Whether open WebSockets and event streams end when the server is told to stop by SIGTERM or SIGINT, so that it
    can. Beside the server's own handler, and only where it has one."""

    refresh: Annotated[choices.Refresh, values.one_of(choices.Refresh)] = "inline"
    """Who refreshes: the middleware by itself, or the client by a POST to ``refresh_path``."""
    refresh_path: fields.Path = "/auth/session/refresh"
    """Of the refresh endpoint, as the browser sees it."""
    access_token_path: fields.Path = "/"
    """The access cookie's path."""
    cookie_secure: fields.Switch = True
    """Off only for development over plain http."""
    cookie_samesite: Annotated[choices.SameSite, values.one_of(choices.SameSite)] = "lax"
    """``none`` needs ``cookie_secure``."""
    cookie_domain: fields.Domain = None
    """Shares the cookies with all subdomains of this domain; None keeps them with the one host."""
    cookie_prefix: fields.CookiePrefix = None
    """None takes ``__Host-`` where its rules allow, else ``__Secure-``, and nothing where cookies are not
    secure. The empty text, or the word ``none``, means no prefix."""
    older_cookie_domains: fields.OlderDomains = ()
    """Earlier values of ``cookie_domain``; the word ``host-only``, for which this holds None, where there was none.
    Cookies of earlier domains, prefixes and paths, in every combination with the present ones, go on counting where the
    present one is missing, are replaced at the next refresh, and end at a login or sign-out."""
    older_cookie_prefixes: fields.OlderPrefixes = ()
    """Earlier values of ``cookie_prefix``; ``none``, or ``automatic``, for which this holds None."""
    older_cookie_paths: fields.OlderPaths = ()
    """Earlier paths of the cookies: of ``access_token_path``, of ``refresh_path``, and ``/`` where ``refresh`` was
    ``inline``."""

    csrf: Annotated[choices.Csrf, values.one_of(choices.Csrf)] = "fetch-metadata"
    """How requests of other sites' pages are told: by Fetch Metadata and Origin, a token, both, or not."""
    trusted_origins: fields.Origins = ()
    """Other origins that may make requests with the session: ``scheme://host[:port]``, no wildcards."""
    require_origin: fields.Switch = False
    """Whether to refuse unsafe requests that name no origin at all, as scripts send them."""
    token_transport: Annotated[choices.TokenTransport, values.one_of(choices.TokenTransport)] = "cookie"
    """How tokens travel: in cookies, in the Authorization header, or either."""
    client_protocol: Annotated[choices.ClientProtocol | None, values.optional_one_of(choices.ClientProtocol)] = None
    """``supertokens`` speaks to the unmodified ``supertokens-website`` client."""
    expired_status_code: fields.StatusCode = 401
    """The status that asks the client to refresh, 400 to 499."""

    max_sessions_per_user: fields.OptionalCount = 100
    """None for any number. Where an older version began the installation, that is the default."""
    max_sessions_action: Annotated[choices.MaxSessionsAction, values.one_of(choices.MaxSessionsAction)] = "evict_oldest"
    """What a login beyond ``max_sessions_per_user`` does: end the oldest session, or be refused."""
    max_clock_difference: _Lifetime = timedelta(seconds=30)
    """How far a machine's clock and the database's may be apart. Beyond, a worker does not start; one that runs goes by
    the database's time, purges nothing and makes no signing key. At least 1 s."""
    purge_interval: _Period = timedelta(hours=1)
    """How often expired sessions are deleted; 0 for never."""

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
        """Also take the lines of a .env file that have nearly our prefix, as settings that do not exist."""
        lines: Mapping[str, Any] = getattr(dotenv_settings, "env_vars", {})
        misspelt = nearly_ours(lines, settings_cls.model_fields)
        return init_settings, env_settings, dotenv_settings, file_secret_settings, lambda: misspelt

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
    def absolute_timeout_ms(self) -> int:
        return to_ms(self.absolute_timeout)

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

        What is over by one worker's clock may, for so long, be good by another's.
        """
        return max(CLOCK_DIFFERENCE_MS, 2 * self.max_clock_difference_ms)

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
