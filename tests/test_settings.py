"""The settings: how they are read, and how their mistakes are told."""

import importlib.util
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy.engine import make_url

from asgi_sessions.errors import ConfigurationError
from asgi_sessions.settings import POLICIES, SessionSettings, policy_summary, weakened_defaults

SECRET = "0123456789abcdef0123456789abcdef"
OTHER_SECRET = "fedcba9876543210fedcba9876543210"
CANARY = "hunter2-canary"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("ASGI_SESSIONS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def problems_of(**values: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        SessionSettings(**values)
    return list(caught.value.problems)


def texts_of(settings: SessionSettings) -> list[str]:
    return [secret.get_secret_value() for secret in settings.secret_key]


# --- defaults


def test_the_defaults_are_those_of_the_documentation() -> None:
    settings = SessionSettings()
    assert settings.database_url_text == "sqlite+aiosqlite:///./sessions.db"
    assert settings.access_token_lifetime == timedelta(minutes=5)
    assert settings.idle_timeout == timedelta(days=14)
    assert settings.nonpersistent_idle_timeout == timedelta(hours=8)
    assert settings.absolute_timeout == timedelta(days=100)
    assert settings.connection_lifetime == timedelta(hours=24)
    assert settings.impersonation_lifetime == timedelta(hours=1)
    assert settings.signing_algorithm == "HS256"
    assert settings.signing_key_lifetime == timedelta(hours=24)
    assert settings.promote_on == "refresh"
    assert settings.sibling_window == timedelta(seconds=180)
    assert settings.late_parent_window == timedelta(seconds=120)
    assert settings.min_refresh_age == timedelta(seconds=240)
    assert settings.refresh == "inline"
    assert settings.refresh_path == "/auth/session/refresh"
    assert settings.access_token_path == settings.refresh_cookie_path == "/"
    assert settings.cookie_secure is True
    assert settings.cookie_samesite == "lax"
    assert settings.cookie_partitioned is False
    assert settings.older_cookie_partitioned is None
    assert settings.cookie_prefix is None
    assert settings.csrf == "fetch-metadata"
    assert settings.token_transport == "cookie"
    assert settings.expired_status_code == 401
    assert settings.max_sessions_per_user == 100
    assert settings.max_sessions_action == "evict_oldest"
    assert settings.purge_interval == timedelta(hours=1)
    assert settings.table_prefix == "asgi_sessions_"
    assert settings.migrate_on_start is True


def test_a_connection_lives_no_shorter_than_an_access_token() -> None:
    settings = SessionSettings(access_token_lifetime="2d", connection_lifetime="1h")
    assert settings.connection_lifetime_ms == settings.access_token_lifetime_ms


def test_times_are_also_there_in_milliseconds() -> None:
    settings = SessionSettings(access_token_lifetime="1.5s", min_refresh_age="0.5s", purge_interval=0)
    assert settings.access_token_lifetime_ms == 1500
    assert settings.min_refresh_age_ms == 500
    assert settings.purge_interval_ms == 0
    assert settings.idle_timeout_ms == 14 * 86_400_000
    assert settings.absolute_timeout_ms == 100 * 86_400_000
    assert (settings.sibling_window_ms, settings.late_parent_window_ms) == (180_000, 120_000)
    assert settings.signing_key_lifetime_ms == 86_400_000
    assert settings.revocation_max_staleness_ms == 30_000


def test_settings_cannot_be_changed() -> None:
    settings = SessionSettings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.csrf = "off"


def test_the_reference_profile_is_accepted() -> None:
    settings = SessionSettings(
        refresh="endpoint",
        csrf="token",
        promote_on="first_use",
        late_parent_window=0,
        min_refresh_age=0,
        client_protocol="supertokens",
        cookie_prefix="",
        revocation_check="none",
    )
    assert settings.late_parent_window_ms == settings.min_refresh_age_ms == 0
    assert settings.cookie_prefix == ""
    assert settings.refresh_cookie_path == "/auth/session/refresh"
    assert settings.uses_csrf_tokens
    assert settings.speaks_supertokens


# --- the environment


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASGI_SESSIONS_ACCESS_TOKEN_LIFETIME", "1h30m")
    monkeypatch.setenv("ASGI_SESSIONS_COOKIE_SECURE", "off")
    monkeypatch.setenv("ASGI_SESSIONS_COOKIE_SAMESITE", " Strict ")
    monkeypatch.setenv("ASGI_SESSIONS_MAX_SESSIONS_PER_USER", "5")
    monkeypatch.setenv("ASGI_SESSIONS_CLIENT_PROTOCOL", "none")
    settings = SessionSettings()
    assert settings.access_token_lifetime == timedelta(minutes=90)
    assert settings.cookie_secure is False
    assert settings.cookie_samesite == "strict"
    assert settings.max_sessions_per_user == 5
    assert settings.client_protocol is None


def test_a_keyword_argument_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASGI_SESSIONS_ACCESS_TOKEN_LIFETIME", "1h")
    assert SessionSettings(access_token_lifetime=60).access_token_lifetime == timedelta(minutes=1)


@pytest.mark.parametrize("name", list(SessionSettings.model_fields))
def test_an_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"ASGI_SESSIONS_{name.upper()}", "")
    assert getattr(SessionSettings(), name) == SessionSettings.model_fields[name].default


@pytest.mark.parametrize("name", [name for name in SessionSettings.model_fields if name != "max_sessions_per_user"])
def test_none_means_the_default(name: str) -> None:
    assert getattr(SessionSettings(**{name: None}), name) == SessionSettings.model_fields[name].default


@pytest.mark.parametrize(
    "text",
    [f"{SECRET},{OTHER_SECRET}", f" {SECRET} , {OTHER_SECRET} ", f'["{SECRET}", "{OTHER_SECRET}"]'],
)
def test_a_list_is_written_with_commas_or_as_json(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ASGI_SESSIONS_SECRET_KEY", text)
    assert texts_of(SessionSettings()) == [SECRET, OTHER_SECRET]


def test_a_misspelt_variable_is_an_error_that_names_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASGI_SESSIONS_ACESS_TOKEN_LIFETIME", CANARY)
    (problem,) = problems_of()
    assert problem == (
        "ASGI_SESSIONS_ACESS_TOKEN_LIFETIME: no such variable; did you mean ASGI_SESSIONS_ACCESS_TOKEN_LIFETIME?"
    )


def test_a_variable_like_nothing_is_an_error_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("asgi_sessions_xyzzy", "1")
    assert problems_of() == ["asgi_sessions_xyzzy: no such variable"]


@pytest.mark.parametrize(
    ("variable", "right"),
    [
        ("ASGI_SESSION_SECRET_KEY", "SECRET_KEY"),
        ("asgi_session_csrf", "CSRF"),
        ("ASGI_SESSIONSECRET_KEY", "SECRET_KEY"),
        ("ASGISESSIONS_COOKIE_SECURE", "COOKIE_SECURE"),
        ("ASGI-SESSIONS-POLICY", "POLICY"),
        ("ASIG_SESSIONS_IDLE_TIMEOUT", "IDLE_TIMEOUT"),
        ("ASGI_SESION_DATABASE_URL", "DATABASE_URL"),
        ("ASGI_USER_SESSIONS_REFRESH", "REFRESH"),
        ("ASGI_SESSION_SECRT_KEY", "SECRET_KEY"),
        ("ASGI_SESSION_SECRETKEY", "SECRET_KEY"),
    ],
)
def test_a_misspelt_prefix_is_an_error_that_names_the_right_one(
    variable: str, right: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"{variable}={CANARY}\n")
    (problem,) = problems_of(_env_file=tmp_path / ".env")
    assert problem == f"{variable.lower()}: no such setting; did you mean {right.lower()}?"
    monkeypatch.setenv(variable, CANARY)
    assert problems_of() == [f"{variable}: no such variable; did you mean ASGI_SESSIONS_{right}?"]


@pytest.mark.parametrize(
    "variable",
    [
        "SESSION_SECRET_KEY",
        "APP_SESSIONS_SECRET_KEY",
        "WSGI_SESSIONS_SECRET_KEY",
        "AWS_SESSION_POLICY",
        "ASGI_SESSION_ID",
        "ASGI_SESSION_COOKIE_NAME",
        "ASGI_APPLICATION",
        "ADMIN_SESSIONS_REFRESH",
        "ASGI_SESSION",
    ],
)
def test_another_programs_variable_is_left_alone(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(variable, "1")
    (tmp_path / ".env").write_text(f"{variable}=1\n")
    SessionSettings(_env_file=tmp_path / ".env")


def test_a_misspelt_prefix_changes_nothing_where_the_setting_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ASGI_SESSION_SECRET_KEY", CANARY)
    (tmp_path / ".env").write_text(f"ASGI_SESSION_SECRET_KEY={CANARY}\n")
    assert texts_of(SessionSettings(secret_key=SECRET, _env_file=tmp_path / ".env")) == [SECRET]
    monkeypatch.setenv("ASGI_SESSIONS_SECRET_KEY", OTHER_SECRET)
    assert texts_of(SessionSettings(_env_file=tmp_path / ".env")) == [OTHER_SECRET]


def test_a_misspelt_argument_is_an_error_that_names_the_right_one() -> None:
    assert problems_of(cookie_samsite=CANARY) == ["cookie_samsite: no such setting; did you mean cookie_samesite?"]


def test_a_dotenv_file_is_read_and_other_libraries_lines_in_it_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE=other\nASGI_SESSIONS_CSRF=both\n")
    assert SessionSettings(_env_file=tmp_path / ".env").csrf == "both"


def test_a_misspelt_line_of_a_dotenv_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ASGI_SESSIONS_CSFR=both\n")
    (problem,) = problems_of(_env_file=tmp_path / ".env")
    assert problem.endswith("no such setting; did you mean csrf?")


# --- mistakes


def test_all_mistakes_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASGI_SESSIONS_COOKIE_SECUR", "1")
    problems = problems_of(
        access_token_lifetime="soon",
        csrf="perhaps",
        trusted_origins="https://*.example.com",
        expired_status_code=500,
        idle_timeout="2d",
        absolute_timeout="1d",
        cookie_samesite="none",
        cookie_secure=False,
        colour="red",
    )
    assert {problem.split(":")[0] for problem in problems} == {
        "access_token_lifetime",
        "csrf",
        "trusted_origins",
        "expired_status_code",
        "colour",
        "absolute_timeout",
        "cookie_samesite",
        "ASGI_SESSIONS_COOKIE_SECUR",
    }


@pytest.mark.parametrize("name", list(SessionSettings.model_fields))
@pytest.mark.parametrize(
    "value", [f"{CANARY} ;", [f"{CANARY} ;"], {CANARY: CANARY}, object(), 1e400, b"\xff", "\ud800;"]
)
def test_a_bad_value_is_a_problem_that_begins_with_the_name_and_prints_no_value(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SessionSettings(**{name: value})
    error = caught.value
    assert [problem.split(": ")[0] for problem in error.problems] == [name]
    assert CANARY not in str(error) + repr(error)


def test_no_error_with_values_hangs_on_the_configuration_error() -> None:
    with pytest.raises(ConfigurationError) as caught:
        SessionSettings(database_url=CANARY, secret_key=f'["{CANARY}', csrf=CANARY)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_bad_setting_is_not_judged_together_with_others() -> None:
    assert [problem.split(":")[0] for problem in problems_of(policy="aal9", absolute_timeout="1h")] == ["policy"]
    assert [problem.split(":")[0] for problem in problems_of(cookie_secure="perhaps", cookie_samesite="none")] == [
        "cookie_secure"
    ]


# --- secrets


def test_secrets_are_in_no_repr_and_no_dump() -> None:
    settings = SessionSettings(secret_key=SECRET, database_url=f"mysql+asyncmy://app:{CANARY}@db/app?password={CANARY}")
    for text in (repr(settings), str(settings), settings.model_dump_json(), str(policy_summary(settings))):
        assert CANARY not in text
        assert SECRET not in text


@pytest.mark.parametrize(
    "value",
    [SECRET, [SECRET], (SECRET,), SecretStr(SECRET), [SecretStr(SECRET)], f"{SECRET}\n", [f"{SECRET}\n"]],
)
def test_one_secret_may_be_given_in_several_ways(value: object) -> None:
    assert texts_of(SessionSettings(secret_key=value)) == [SECRET]


def test_a_secret_with_a_comma_can_be_given_in_a_list() -> None:
    secret = f"{SECRET},{SECRET}"
    assert texts_of(SessionSettings(secret_key=[secret])) == [secret]


@pytest.mark.parametrize("value", ["", "x" * 31, [SECRET, "short"], f"{SECRET},short", [b"x" * 32], '["'])
def test_a_secret_that_is_too_short_or_no_text_is_refused(value: object) -> None:
    (problem,) = problems_of(secret_key=value)
    assert problem.startswith("secret_key: ")


def test_the_length_of_a_secret_is_counted_in_bytes() -> None:
    assert texts_of(SessionSettings(secret_key="ä" * 16)) == ["ä" * 16]


def test_a_secret_is_required_except_on_sqlite() -> None:
    (problem,) = problems_of(database_url="postgresql+asyncpg://db/app")
    assert problem.startswith("secret_key: is required")
    assert SessionSettings(database_url="sqlite+aiosqlite:///x.db").secret_key == ()


# --- the database


@pytest.mark.parametrize(
    "url",
    [
        "sqlite+aiosqlite:///./sessions.db",
        "sqlite+aiosqlite://",
        "mysql+asyncmy://u:p%40w@h:3306/d?charset=utf8mb4",
        "mariadb+asyncmy://u@h/d",
        "postgresql+asyncpg://u:p@h/d",
        "postgresql+asyncpg://u@server:p@h/d",
        "postgresql+asyncpg://u@server@h/d",
        "mysql+asyncmy://u:p/w?x:y@h/d",
    ],
)
def test_a_database_url_with_an_asynchronous_driver_is_accepted(url: str) -> None:
    settings = SessionSettings(database_url=url, secret_key=SECRET)
    assert settings.database_url_text == url


def test_a_url_object_keeps_its_password() -> None:
    url = "mysql+asyncmy://u:pw@h/d"
    assert SessionSettings(database_url=make_url(url), secret_key=SECRET).database_url_text == url


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("sqlite:///x.db", "sqlite+aiosqlite://"),
        ("mysql://h/d", "mysql+asyncmy://"),
        ("mysql+pymysql://h/d", "mysql+asyncmy://"),
        ("mysql+aiomysql://h/d", "mysql+asyncmy://"),
        ("mariadb+mariadbconnector://h/d", "mariadb+asyncmy://"),
        ("postgres://h/d", "postgresql+asyncpg://"),
        ("postgresql+psycopg2://h/d", "postgresql+asyncpg://"),
        ("oracle://h/d", "sqlite+aiosqlite://, mysql+asyncmy://"),
        ("sessions.db", "sqlite+aiosqlite://, mysql+asyncmy://"),
        ("mysql+asyncmy://h:port/d", "mysql+asyncmy://"),
    ],
)
def test_another_driver_is_an_error_that_names_the_right_one(url: str, right: str) -> None:
    (problem,) = problems_of(database_url=url, secret_key=SECRET)
    assert problem.startswith("database_url: ")
    assert right in problem


@pytest.mark.parametrize("rest", ["a@canary", "a@canary/b", "a@b?canary", "@canary", "a/b?canary@c", "a@b:1/canary"])
def test_an_at_sign_in_a_password_is_an_error_that_shows_nothing_of_it(rest: str) -> None:
    for scheme in ("mysql+asyncmy", "mariadb+asyncmy", "postgresql+asyncpg"):
        (problem,) = problems_of(database_url=f"{scheme}://u:{rest}@h/d", secret_key=SECRET)
        assert "write %40 for @" in problem
        assert "canary" not in problem


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("sqlite+aiosqlite://sessions.db", "three slashes"),
        ("sqlite+aiosqlite://data/sessions.db", "three slashes"),
        ("mysql+asyncmy://h:0/d", "port from 1 to 65535"),
        ("postgresql+asyncpg://h:65536/d", "port from 1 to 65535"),
    ],
)
def test_an_address_that_leads_nowhere_is_an_error(url: str, right: str) -> None:
    (problem,) = problems_of(database_url=url, secret_key=SECRET)
    assert problem.startswith("database_url: must have ")
    assert right in problem


def test_a_missing_driver_is_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    (problem,) = problems_of(database_url="mysql+asyncmy://h/d", secret_key=SECRET)
    assert "pip install 'asgi-user-sessions[mysql]'" in problem


@pytest.mark.parametrize("prefix", ["", "a-b", "a b", "ä", "x" * 41, "a;"])
def test_a_table_prefix_that_is_no_identifier_is_refused(prefix: str) -> None:
    (problem,) = problems_of(table_prefix=prefix)
    assert problem.startswith("table_prefix: ")


@pytest.mark.parametrize("audience", ["https://staff.example.com/", "staff", " a-b_c~d:1 ", "x" * 64])
def test_an_audience_is_what_tokens_are_for(audience: str) -> None:
    assert SessionSettings(audience=audience).token_audience == audience.strip()


@pytest.mark.parametrize("none", [None, "", "none"])
def test_without_an_audience_tokens_are_for_the_table_prefix(none: str | None) -> None:
    assert SessionSettings(audience=none, table_prefix="staff_").token_audience == "staff_"


@pytest.mark.parametrize("audience", ["a b", "ä", "x" * 65, 'a"b', 7, ["staff"]])
def test_an_audience_that_does_not_fit_into_tokens_is_refused(audience: Any) -> None:
    (problem,) = problems_of(audience=audience)
    assert problem.startswith("audience: ")


# --- lifetimes


@pytest.mark.parametrize("policy", list(POLICIES))
def test_a_policy_sets_both_timeouts(policy: str) -> None:
    settings = SessionSettings(policy=policy)
    assert settings.idle_timeout == POLICIES[policy]["idle_timeout"]
    assert settings.absolute_timeout == POLICIES[policy]["absolute_timeout"]


def test_an_explicit_timeout_wins_over_the_policy() -> None:
    settings = SessionSettings(policy="AAL2", idle_timeout="30m")
    assert settings.idle_timeout == timedelta(minutes=30)
    assert settings.absolute_timeout == timedelta(hours=24)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"access_token_lifetime": 0.999}, "access_token_lifetime"),
        ({"access_token_lifetime": 0}, "access_token_lifetime"),
        ({"idle_timeout": "4m"}, "idle_timeout"),
        ({"absolute_timeout": "13d"}, "absolute_timeout"),
        ({"policy": "aal3", "access_token_lifetime": "16m"}, "idle_timeout"),
        ({"nonpersistent_idle_timeout": "4m"}, "nonpersistent_idle_timeout"),
        ({"nonpersistent_idle_timeout": "15d"}, "nonpersistent_idle_timeout"),
        ({"nonpersistent_idle_timeout": "61m", "policy": "aal2"}, "nonpersistent_idle_timeout"),
        ({"access_token_lifetime": "soon", "idle_timeout": "1h"}, "access_token_lifetime"),
        ({"idle_timeout": "soon", "nonpersistent_idle_timeout": "20d"}, "idle_timeout"),
        ({"min_refresh_age": "241s"}, "min_refresh_age"),
        ({"revocation_poll_interval": "15.1s"}, "revocation_poll_interval"),
        ({"min_refresh_age": 9, "access_token_lifetime": 10}, "min_refresh_age"),
        ({"sibling_window": 0}, "sibling_window"),
        ({"late_parent_window": -1}, "late_parent_window"),
        ({"signing_key_lifetime": 0}, "signing_key_lifetime"),
        ({"signing_key_lifetime": 59.999}, "signing_key_lifetime"),
        ({"purge_interval": float("nan")}, "purge_interval"),
        ({"absolute_timeout": float("inf")}, "absolute_timeout"),
        ({"absolute_timeout": 10**30}, "absolute_timeout"),
    ],
)
def test_a_lifetime_out_of_range_is_refused(values: dict[str, Any], name: str) -> None:
    (problem,) = problems_of(**values)
    assert problem.startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"idle_timeout": "1h"}, {"hours": 1}),
        ({"policy": "aal2"}, {"hours": 1}),
        ({"policy": "AAL3"}, {"minutes": 15}),
        ({"policy": "aal2", "idle_timeout": "2h"}, {"hours": 2}),
        ({"policy": "aal1"}, {"hours": 8}),
        ({"access_token_lifetime": "9h"}, {"hours": 9}),
        ({"access_token_lifetime": "9h", "idle_timeout": "9h"}, {"hours": 9}),
        ({"nonpersistent_idle_timeout": "30m"}, {"minutes": 30}),
        ({"nonpersistent_idle_timeout": None, "idle_timeout": "2h"}, {"hours": 2}),
    ],
)
def test_a_session_that_is_not_persistent_is_idle_for_8_hours_as_far_as_the_other_settings_allow(
    values: dict[str, Any], expected: dict[str, int]
) -> None:
    assert SessionSettings(**values).nonpersistent_idle_timeout == timedelta(**expected)


def test_a_refresh_token_is_of_age_when_its_access_token_expires_by_every_clock() -> None:
    assert SessionSettings(access_token_lifetime=10).min_refresh_age == timedelta(seconds=5)
    assert SessionSettings(access_token_lifetime=240).min_refresh_age == timedelta(seconds=180)
    assert SessionSettings(access_token_lifetime="1h").min_refresh_age == timedelta(seconds=240)


# --- cookies


@pytest.mark.parametrize("word", ["none", "None"])
def test_the_word_none_asks_for_no_cookie_prefix(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("ASGI_SESSIONS_COOKIE_PREFIX", word)
    assert SessionSettings().cookie_prefix == ""


@pytest.mark.parametrize("prefix", ["a b", "a;", "a=", "ä", " ", 1])
def test_a_cookie_prefix_that_is_no_token_is_refused(prefix: object) -> None:
    (problem,) = problems_of(cookie_prefix=prefix)
    assert problem.startswith("cookie_prefix: ")


@pytest.mark.parametrize("prefix", ["__Host-", "__Secure-", "app_", ""])
def test_a_cookie_prefix_whose_rules_hold_is_accepted(prefix: str) -> None:
    assert SessionSettings(cookie_prefix=prefix).cookie_prefix == prefix


@pytest.mark.parametrize(
    "values",
    [
        {"cookie_prefix": "__Host-", "cookie_secure": False},
        {"cookie_prefix": "__host-app-", "cookie_domain": "example.com"},
        {"cookie_prefix": "__Host-", "access_token_path": "/app"},
        {"cookie_prefix": "__Host-", "refresh": "endpoint"},
        {"cookie_prefix": "__Secure-", "cookie_secure": False},
    ],
)
def test_a_cookie_prefix_whose_rules_do_not_hold_is_refused(values: dict[str, Any]) -> None:
    (problem,) = problems_of(**values)
    assert problem.startswith("cookie_prefix: ")


def test_host_prefix_is_possible_with_an_endpoint_at_the_root() -> None:
    settings = SessionSettings(cookie_prefix="__Host-", refresh="endpoint", refresh_path="/")
    assert settings.refresh_cookie_path == "/"


def test_samesite_none_needs_secure() -> None:
    (problem,) = problems_of(cookie_samesite="none", cookie_secure=False)
    assert problem.startswith("cookie_samesite: ")


@pytest.mark.parametrize("name", ["refresh_path", "access_token_path"])
@pytest.mark.parametrize(
    "path", ["", "auth", "https://example.com/auth", "/a;b", "/a,b", "/a b", "/a\x01b", "/ä", "/?a"]
)
def test_a_bad_path_is_refused(name: str, path: str) -> None:
    (problem,) = problems_of(**{name: path})
    assert problem.startswith(f"{name}: ")


@pytest.mark.parametrize(
    "domain",
    ["https://example.com", "example.com:8000", "example.com/", "a b", "-a.com", "a..b", "127.0.0.1", "ä.de"],
)
def test_a_bad_cookie_domain_is_refused(domain: str) -> None:
    assert [problem.split(":")[0] for problem in problems_of(cookie_domain=domain)] == ["cookie_domain"]
    assert [problem.split(":")[0] for problem in problems_of(older_cookie_domains=[domain])] == ["older_cookie_domains"]


def test_a_cookie_domain_is_lower_case_and_has_no_leading_dot() -> None:
    assert SessionSettings(cookie_domain=".Example.COM").cookie_domain == "example.com"


def test_older_cookie_domains_may_include_host_only() -> None:
    settings = SessionSettings(cookie_domain="example.com", older_cookie_domains="host-only, www.example.com")
    assert settings.older_cookie_domains == (None, "www.example.com")


def test_older_prefixes_and_paths_are_lists() -> None:
    settings = SessionSettings(
        cookie_prefix="app-",
        older_cookie_prefixes="automatic, none, __Secure-",
        older_cookie_paths="/app,/auth/refresh",
    )
    assert settings.older_cookie_prefixes == (None, "", "__Secure-")
    assert settings.older_cookie_paths == ("/app", "/auth/refresh")
    assert policy_summary(settings)["older_cookie_prefixes"] == "automatic,none,__Secure-"
    assert policy_summary(settings)["older_cookie_paths"] == "/app,/auth/refresh"


@pytest.mark.parametrize(
    "values",
    [
        {"older_cookie_prefixes": "a b"},
        {"older_cookie_prefixes": [None]},
        {"older_cookie_prefixes": "automatic"},  # the present one
        {"older_cookie_prefixes": "none", "client_protocol": "supertokens"},
        {"older_cookie_prefixes": "app-", "cookie_prefix": "app-"},
        {"older_cookie_prefixes": "__Host-", "cookie_secure": False},
        {"older_cookie_paths": "app"},
        {"older_cookie_paths": "/"},
        {"older_cookie_paths": "/a", "access_token_path": "/a", "refresh": "endpoint", "refresh_path": "/a"},
    ],
)
def test_older_prefixes_and_paths_that_are_none_are_refused(values: dict[str, Any]) -> None:
    (problem,) = problems_of(**values)
    assert problem.startswith(f"{next(iter(values))}: ")


@pytest.mark.parametrize(
    "values",
    [
        {"older_cookie_prefixes": "automatic", "client_protocol": "supertokens"},
        {"older_cookie_paths": "/", "refresh": "endpoint"},
        {"older_cookie_paths": "/auth/session/refresh"},
    ],
)
def test_what_one_of_the_cookies_has_may_be_older_for_the_other(values: dict[str, Any]) -> None:
    SessionSettings(**values)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"cookie_partitioned": True}, ["cookie_partitioned"]),
        ({"cookie_partitioned": True, "cookie_samesite": "strict"}, ["cookie_partitioned"]),
        ({"cookie_partitioned": True, "cookie_secure": False}, ["cookie_partitioned", "cookie_partitioned"]),
        (
            {"cookie_partitioned": True, "cookie_samesite": "none", "cookie_secure": False},
            ["cookie_samesite", "cookie_partitioned"],
        ),
        ({"cookie_partitioned": "perhaps", "cookie_samesite": "none"}, ["cookie_partitioned"]),
        ({"older_cookie_partitioned": False}, ["older_cookie_partitioned"]),
        ({"older_cookie_partitioned": True, "cookie_secure": False}, ["older_cookie_partitioned"]),
        (
            {"older_cookie_partitioned": True, "cookie_partitioned": True, "cookie_samesite": "none"},
            ["older_cookie_partitioned"],
        ),
        ({"older_cookie_partitioned": "sometimes"}, ["older_cookie_partitioned"]),
    ],
)
def test_partitioned_cookies_that_browsers_would_not_keep_are_refused(values: dict[str, Any], names: list[str]) -> None:
    assert [problem.split(":")[0] for problem in problems_of(**values)] == names


def test_partitioned_cookies_go_with_every_prefix_and_domain() -> None:
    partitioned: dict[str, Any] = {"cookie_partitioned": "on", "cookie_samesite": "none"}
    several: list[dict[str, Any]] = [
        {},
        {"cookie_prefix": "none"},
        {"cookie_domain": "example.com"},
        {"refresh": "endpoint"},
    ]
    for more in several:
        settings = SessionSettings(**partitioned, **more)
        assert (settings.cookie_partitioned, settings.older_cookie_partitioned) == (True, None)
    settings = SessionSettings(older_cookie_partitioned="on")
    assert settings.older_cookie_partitioned is True
    assert policy_summary(settings)["older_cookie_partitioned"] == "true"


@pytest.mark.parametrize("values", [{}, {"cookie_domain": "example.com"}])
def test_the_present_cookie_domain_is_no_older_one(values: dict[str, Any]) -> None:
    (problem,) = problems_of(older_cookie_domains="host-only,example.com", **values)
    assert problem.startswith("older_cookie_domains: ")


# --- CSRF and the rest


def test_trusted_origins_are_brought_into_the_browsers_form() -> None:
    settings = SessionSettings(
        trusted_origins="HTTPS://App.Example.com:443, http://localhost:3000,http://a:80,http://[0:0::1]:8000"
    )
    assert settings.trusted_origins == (
        "https://app.example.com",
        "http://localhost:3000",
        "http://a",
        "http://[::1]:8000",
    )


def test_origins_of_applications_with_a_scheme_of_their_own_are_trusted_as_they_are_written() -> None:
    given = [
        "capacitor://localhost",
        "tauri://localhost",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "safari-web-extension://6F9619FF-8B86-D011-B42D-00C04FC964FF",
        "app://.",
        "app://obsidian.md",
        "ionic://localhost:8100",
    ]
    assert SessionSettings(trusted_origins=given).trusted_origins == tuple(given)
    assert SessionSettings(trusted_origins="TAURI://localhost:0080").trusted_origins == ("tauri://localhost:80",)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "https://*.example.com",
        "https://example.com/",
        "https://example.com/app",
        "example.com",
        "ftp://example.com",
        "https://user@example.com",
        "https://example.com:0",
        "https://example.com:65536",
        "https://example.com?x",
        "https://ä.de",
        "http://[::g]",
        "https://",
        "https:example.com",
        "https:///example.com",
        "\u212attp://example.com",
        "capacitor://",
        "capacitor:localhost",
        "capacitor://localhost/",
        "capacitor://*",
        "capacitor://localhost:",
        "capacitor://localhost:0",
        "capacitor://localhost:65536",
        "capacitor://localhost:\u0661",
        "capacitor://user@localhost",
        "capacitor://löcal",
        "capacitor://" + "a" * 254,
        "*://localhost",
        "1app://localhost",
        "app:",
        "file://",
        "file://localhost",
        "FILE://localhost",
        "blob://localhost",
        "data://localhost",
        "wss://example.com",
    ],
)
def test_a_trusted_origin_that_is_not_exact_is_refused(origin: str) -> None:
    (problem,) = problems_of(trusted_origins=["https://good.example", origin])
    assert problem.startswith("trusted_origins: ")


@pytest.mark.parametrize("status", [399, 500, "4xx", 401.5, True])
def test_the_expired_status_is_a_client_error(status: object) -> None:
    (problem,) = problems_of(expired_status_code=status)
    assert problem.startswith("expired_status_code: ")


@pytest.mark.parametrize("none", [None, "none", "None"])
def test_any_number_of_sessions_can_be_said(none: str | None) -> None:
    settings = SessionSettings(max_sessions_per_user=none)
    assert settings.max_sessions_per_user is None
    assert "max_sessions_per_user" in settings.model_fields_set
    assert "max_sessions_per_user" not in SessionSettings(max_sessions_action="reject").model_fields_set


@pytest.mark.parametrize("count", [0, -1, True, "many", 1.5])
def test_the_number_of_sessions_is_at_least_one(count: object) -> None:
    (problem,) = problems_of(max_sessions_per_user=count)
    assert problem.startswith("max_sessions_per_user: ")


def test_a_signing_key_provider_is_an_async_callable() -> None:
    async def provide() -> str:
        return SECRET

    class Provider:
        async def __call__(self) -> str:
            return SECRET

    assert SessionSettings(signing_key_provider=provide).signing_key_provider is provide
    assert SessionSettings(signing_key_provider=Provider()).signing_key_provider is not None
    (problem,) = problems_of(signing_key_provider=lambda: SECRET)
    assert problem == 'signing_key_provider: must be async: define it with "async def"'


def test_a_signing_key_provider_cannot_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASGI_SESSIONS_SIGNING_KEY_PROVIDER", "app.keys:provide")
    (problem,) = problems_of()
    assert "only Python code" in problem


# --- the report


def test_the_policy_summary_names_every_setting_in_text() -> None:
    settings = SessionSettings(
        database_url="mysql+asyncmy://app:pw@db:3306/app",
        secret_key=[SECRET, OTHER_SECRET],
        trusted_origins=["https://a.example"],
        policy="aal2",
    )
    summary = policy_summary(settings)
    assert summary.keys() == SessionSettings.model_fields.keys()
    assert summary["database_url"] == "mysql+asyncmy://db:3306/app"
    assert summary["secret_key"] == "set, and 1 older"
    assert summary["idle_timeout"] == "1h"
    assert summary["cookie_prefix"] == "automatic"
    assert summary["trusted_origins"] == "https://a.example"
    assert summary["cookie_secure"] == "true"


def test_the_summary_says_whether_there_is_a_secret() -> None:
    assert policy_summary(SessionSettings(secret_key=SECRET))["secret_key"] == "set"
    assert policy_summary(SessionSettings())["secret_key"] == "none"


async def provide() -> str:
    return SECRET


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"signing_key_provider": provide},
        {"signing_key_provider": provide, "table_prefix": "asgi_sessions", "audience": "shop"},
        {"audience": "asgi_sessions"},
        {"access_token_lifetime": "60s"},
    ],
)
def test_what_is_as_good_as_the_defaults_is_not_weakened(values: dict[str, Any]) -> None:
    assert weakened_defaults(SessionSettings(secret_key=SECRET, **values)) == []


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"secret_key": None}, "secret_key"),
        ({"cookie_secure": False}, "cookie_secure"),
        ({"cookie_prefix": ""}, "cookie_prefix"),
        ({"cookie_prefix": "app_"}, "cookie_prefix"),
        ({"cookie_domain": "example.com"}, "cookie_domain"),
        ({"older_cookie_domains": "example.com"}, "older_cookie_domains"),
        ({"older_cookie_prefixes": "none"}, "older_cookie_domains"),
        ({"older_cookie_paths": "/auth"}, "older_cookie_domains"),
        ({"cookie_samesite": "none"}, "cookie_samesite"),
        ({"cache_control": "private, no-cache"}, "cache_control"),
        ({"cache_control": "off"}, "cache_control"),
        ({"clear_site_data": "off"}, "clear_site_data"),
        ({"csrf": "off"}, "csrf"),
        ({"trusted_origins": "http://a.example"}, "trusted_origins"),
        ({"token_transport": "any"}, "token_transport"),
        ({"revocation_check": "none"}, "revocation_check"),
        ({"access_token_lifetime": "61m"}, "access_token_lifetime"),
        ({"access_token_lifetime": "59s"}, "access_token_lifetime"),
        ({"idle_timeout": "15d"}, "idle_timeout"),
        ({"nonpersistent_idle_timeout": "9h"}, "nonpersistent_idle_timeout"),
        ({"absolute_timeout": "101d"}, "absolute_timeout"),
        ({"impersonation_lifetime": "61m"}, "impersonation_lifetime"),
        ({"late_parent_window": "3m"}, "late_parent_window"),
        ({"signing_key_lifetime": "25h"}, "signing_key_lifetime"),
        ({"signing_key_provider": provide, "audience": "asgi_sessions"}, "audience"),
        ({"signing_key_provider": provide, "table_prefix": "asgi_sessions"}, "audience"),
    ],
)
def test_a_weakened_setting_is_named(values: dict[str, Any], name: str) -> None:
    (sentence,) = weakened_defaults(SessionSettings(**({"secret_key": SECRET} | values)))
    assert sentence.startswith(f"{name}: ")


def test_the_package_imports_no_fastapi_no_alembic_and_no_driver() -> None:
    code = (
        "import sys, asgi_sessions.settings as s; s.SessionSettings();"
        "heavy = {'alembic', 'fastapi', 'aiosqlite', 'asyncmy', 'asyncpg'};"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    root = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
