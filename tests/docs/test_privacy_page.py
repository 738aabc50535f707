"""docs/privacy.md tells every column of the sessions and every cookie."""

from asgi_sessions import SessionSettings, sessions_metadata
from asgi_sessions.asgi.session_cookies import SessionCookies
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "privacy.md").read_text()


def test_every_column_is_told() -> None:
    columns = sessions_metadata().tables["asgi_sessions_sessions"].c.keys()
    assert [name for name in columns if f"`{name}`" not in PAGE] == []


def test_every_table_is_told() -> None:
    others = {
        "signing_keys": "signing keys",
        "leases": "which worker purges",
        "state": "numbers that the workers share",
        "payload_changes": "handles of sessions whose payload somebody else has changed",
        "marks": "which [logouts of a provider](federated-logout.md) have been taken in",
        "notifications": "which ends of sessions others have still to be told of",
        "session_index": "by what else a session is found",
    }
    assert {f"asgi_sessions_{name}" for name in others} | {"asgi_sessions_sessions"} == set(sessions_metadata().tables)
    assert [text for text in others.values() if text not in " ".join(PAGE.split())] == []


def test_every_cookie_is_told() -> None:
    cookies = SessionCookies(SessionSettings(client_protocol="supertokens", cookie_prefix=""))
    assert [name for name in cookies.names if f"`{name.decode()}`" not in PAGE] == []
