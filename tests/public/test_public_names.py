"""Applications of before go on to work: no public name disappears or changes its parameters unnoticed."""

import inspect
from typing import Any

import pytest

import asgi_sessions
from asgi_sessions import Session, SessionManager, SessionSettings, errors, testing
from asgi_sessions.protocol import cookies, csrf, rotation
from tests.public.described import STORED, described, signature

# What others than this package's own tests rely on, as it was agreed: a method may have more parameters, all with
# defaults, but none of these may go.
MANAGER: dict[str, tuple[str, ...]] = {
    "create_new_session": ("connection", "user_id", "jwt_payload", "session_info"),
    "get_session": ("connection", "required", "csrf", "check_database"),
    "refresh_session": ("connection",),
    "revoke_session_using_session_handle": ("session_handle",),
    "revoke_all_sessions_for_user": ("user_id", "except_handle"),
    "revoke_multiple_sessions": ("session_handles",),
    "get_all_session_handles_for_user": ("user_id",),
    "list_sessions_for_user": ("user_id",),
    "get_session_info": ("session_handle",),
    "update_session_info": ("session_handle", "info"),
    "purge_expired_sessions": ("limit",),
    "create_new_session_without_request": ("user_id", "jwt_payload", "session_info"),
    "get_session_without_request": ("access_token", "anti_csrf_token", "csrf", "check_database"),
    "refresh_session_without_request": ("refresh_token",),
}
SESSION: dict[str, tuple[str, ...]] = {
    "revoke_session": (),
    "get_session_info": (),
    "update_session_info": ("info",),
    "update_jwt_payload": ("payload",),
    "revoke_other_sessions": (),
    "check": (),
}
SESSION_ATTRIBUTES = {"session_handle", "user_id", "jwt_payload", "expires_at", "auth_time"}
CODES = {
    "Unauthorised": (401, "unauthorised"),
    "TryRefreshToken": (401, "try_refresh_token"),
    "FetchedAhead": (503, "fetched_ahead"),
    "TokenTheftDetected": (401, "token_theft_detected"),
    "AlreadyRotated": (409, "already_rotated"),
    "CsrfRejected": (403, "csrf_rejected"),
    "InvalidClaim": (403, "invalid_claim"),
    "ReauthenticationRequired": (403, "reauthentication_required"),
    "GeneralError": (500, None),
    "StoreUnavailable": (503, None),
    "ConfigurationError": (500, None),
}
SETTINGS = {
    *("database_url", "secret_key", "access_token_lifetime", "idle_timeout", "absolute_timeout", "policy"),
    *("signing_algorithm", "signing_key_lifetime", "signing_key_provider", "revocation_check"),
    *("revocation_poll_interval", "revocation_max_staleness", "promote_on", "sibling_window", "late_parent_window"),
    *("min_refresh_age", "refresh", "refresh_path", "access_token_path", "cookie_secure", "cookie_samesite"),
    *("cookie_domain", "cookie_prefix", "older_cookie_domains", "csrf", "trusted_origins", "require_origin"),
    *("token_transport", "client_protocol", "expired_status_code", "max_sessions_per_user", "purge_interval"),
    "table_prefix",
}
EXPORTED = {
    *("SessionManager", "SessionMiddleware", "SessionSettings", "Session", "SessionRecord", "IssuedSession"),
    *("get_session", "get_optional_session", "require_session", "session_routes", "session_exception_handler"),
    *("SessionDependency", "SessionError", *CODES),
}


def parameters(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters)


def test_they_are_as_they_were_written_down() -> None:
    """Where a change is meant: ``python -m tests.public``, and a name that goes stays for a while as an alias."""
    assert described() == STORED.read_text(encoding="utf-8")


def test_nothing_is_missing_at_the_top() -> None:
    assert set(asgi_sessions.__all__) >= EXPORTED


@pytest.mark.parametrize(("kind", "methods"), [(SessionManager, MANAGER), (Session, SESSION)])
def test_methods_are_async_and_take_what_was_agreed(kind: type, methods: dict[str, tuple[str, ...]]) -> None:
    for name, wanted in methods.items():
        method = getattr(kind, name)
        assert inspect.iscoroutinefunction(method), name
        assert parameters(method) >= set(wanted), name
        added = [p for p in inspect.signature(method).parameters.values() if p.name not in {"self", *wanted}]
        assert all(parameter.default is not parameter.empty for parameter in added), name


def test_a_session_has_what_was_agreed() -> None:
    has = {name for ancestor in Session.__mro__ for name in {*vars(ancestor), *inspect.get_annotations(ancestor)}}
    assert has >= SESSION_ATTRIBUTES


@pytest.mark.parametrize("name", CODES)
def test_an_error_has_its_status_and_code(name: str) -> None:
    status, code = CODES[name]
    error = getattr(errors, name)
    assert issubclass(error, errors.SessionError)
    assert error.status_code == status
    assert code is None or error.code == code


def test_a_setting_keeps_its_name() -> None:
    assert SessionSettings.model_fields.keys() >= SETTINGS


def test_the_pure_cores_are_called_as_agreed() -> None:
    assert signature(rotation.decide) == "(presented, stored, *, now, windows, retried=False)"
    assert signature(rotation.Lineage).startswith(
        "(generation, token_hash, issued_at, parent_hash=None, parent_issued_at=None, grandparent_hash=None"
    )
    assert signature(rotation.Chain).startswith(
        "(generation, current_hash, current_issued_at, previous_hash=None, promoted_at=None"
    )
    assert signature(rotation.Windows) == "(sibling, late_parent)"
    verdicts = {verdict.name for verdict in rotation.Verdict}
    assert verdicts == {"HEAD", "SIBLING", "CHILD", "LATE_PARENT", "FORK", "STALE", "FUTURE"}
    wanted = {"method", "scheme", "host", "headers", "trusted_origins", "websocket", "require_origin"}
    assert parameters(csrf.check) == wanted
    assert cookies.parse("a=1; a=2") == {"a": ["1", "2"]}


def test_the_helpers_for_tests_are_there() -> None:
    assert {"login", "async_login", "second_client", "fake_session", "MovableClock"} <= set(testing.__all__)
    assert parameters(testing.login) >= {"client", "user_id", "jwt_payload"}
