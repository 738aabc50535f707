"""A request may carry any number of cookies of one name: few are verified, and none hides the session from its end."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.routing import Mount
from starlette.testclient import TestClient

from asgi_sessions import SessionManager, session_routes
from asgi_sessions.asgi.credentials import MAX_COPIES
from asgi_sessions.protocol.keyring import SigningKey
from asgi_sessions.protocol.refresh_token import RefreshTokenCodec
from tests.asgi.apps import LIFETIME, application, new_manager
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock

NAMES = ("sAccessToken", "sRefreshToken")
MANY = 1_500
PATHS = ["/me", "/login", "/logout", "/auth/signout", "/auth/session/refresh"]


@pytest.fixture(params=["ES256", "HS256"])
def sessions(request: pytest.FixtureRequest, clock: MovableClock) -> SessionManager:
    """Without the prefix that keeps subdomains out."""
    return new_manager(clock, signing_algorithm=request.param, cookie_prefix="none", verified_token_memory=0)


@pytest.fixture
def client(open_client: OpenClient, sessions: SessionManager) -> TestClient:
    return open_client(application(sessions, Mount("/auth", routes=session_routes())))


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every signature that was looked at."""
    seen: list[bytes] = []
    verifies = SigningKey.verifies

    def noted(self: SigningKey, signed: bytes, signature: bytes) -> bool:
        seen.append(signature)
        return verifies(self, signed, signature)

    monkeypatch.setattr(SigningKey, "verifies", noted)
    return seen


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every refresh token whose MAC was looked at."""
    seen: list[object] = []
    decode = RefreshTokenCodec.decode

    def noted(self: RefreshTokenCodec, text: object) -> Any:
        seen.append(text)
        return decode(self, text)

    monkeypatch.setattr(RefreshTokenCodec, "decode", noted)
    return seen


def log_in(client: TestClient, user: str) -> dict[str, str]:
    answer = client.post(f"/login?user={user}", headers={"cookie": "none=1"})
    client.cookies.clear()
    return {name: value for name, value in answer.cookies.items() if name in NAMES}


def forged(jar: dict[str, str], count: int) -> Iterator[tuple[str, str]]:
    """Copies of which each is another one, and which only their signatures tell from ours."""
    access, refresh = jar["sAccessToken"], jar["sRefreshToken"]
    head, _, rest = access.partition(".")
    for number in range(count):
        yield "sAccessToken", f"{head}.{number:08}{rest[8:]}"
        yield "sRefreshToken", f"{refresh[:30]}{number:08}{refresh[38:]}"


def header(*pairs: tuple[str, str]) -> dict[str, str]:
    return {"cookie": "; ".join(f"{name}={value}" for name, value in pairs)}


def lives(client: TestClient, jar: dict[str, str]) -> bool:
    client.cookies.clear()
    return client.post("/auth/session/refresh", headers=header(*jar.items())).status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("count", [MAX_COPIES, MAX_COPIES + 1, MANY])
@pytest.mark.parametrize("later", [0.0, LIFETIME], ids=["fresh", "expired"])
def test_few_of_them_are_verified(
    client: TestClient,
    clock: MovableClock,
    verified: list[bytes],
    opened: list[object],
    path: str,
    count: int,
    later: float,
) -> None:
    jar = log_in(client, "alice")
    clock.advance(later)
    verified.clear()
    opened.clear()
    client.request("GET" if path == "/me" else "POST", path, headers=header(*forged(jar, count), *jar.items()))
    assert len(verified) <= MAX_COPIES
    assert len(opened) <= MAX_COPIES


def test_up_to_the_bound_all_of_them_are_verified(
    client: TestClient, verified: list[bytes], opened: list[object]
) -> None:
    jar = log_in(client, "alice")
    verified.clear()
    opened.clear()
    client.post("/auth/signout", headers=header(*forged(jar, MAX_COPIES - 1), *jar.items()))
    assert (len(verified), len(opened)) == (MAX_COPIES, MAX_COPIES)


def test_identical_copies_count_once(client: TestClient, verified: list[bytes], opened: list[object]) -> None:
    jar, planted = log_in(client, "alice"), log_in(client, "mallory")
    verified.clear()
    opened.clear()
    copies = [*planted.items()] * MANY
    assert client.post("/auth/signout", headers=header(*copies, *jar.items())).status_code == 200
    assert (len(verified), len(opened)) == (2, 2)
    assert not lives(client, jar)


@pytest.mark.parametrize("junk", ["x", "x" * 238, "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "AAAA" * 200])
def test_what_is_no_token_at_first_sight_does_not_count(
    client: TestClient, verified: list[bytes], opened: list[object], junk: str
) -> None:
    jar = log_in(client, "alice")
    verified.clear()
    opened.clear()
    copies = [(name, f"{junk[:-4]}{number:04}") for number in range(MANY) for name in NAMES]
    assert client.post("/auth/signout", headers=header(*copies, *jar.items())).status_code == 200
    assert not lives(client, jar)
    assert len(verified) <= MAX_COPIES


@pytest.mark.parametrize("first", [True, False], ids=["planted first", "planted last"])
def test_up_to_the_bound_a_sign_out_ends_all_that_came(client: TestClient, first: bool) -> None:
    jar = log_in(client, "alice")
    planted = [pair for number in range(MAX_COPIES - 1) for pair in log_in(client, f"mallory {number}").items()]
    came = [*planted, *jar.items()] if first else [*jar.items(), *planted]
    assert client.post("/auth/signout", headers=header(*came)).status_code == 200
    assert not lives(client, jar)


@pytest.mark.parametrize("path", ["/auth/signout", "/login"])
@pytest.mark.parametrize("name", NAMES)
def test_beyond_the_bound_nothing_is_done_and_the_answer_leaves_ours_alone_in_the_jar(
    client: TestClient, path: str, name: str
) -> None:
    jar = log_in(client, "alice")
    planted = [pair for pair in forged(jar, MAX_COPIES) if pair[0] == name]
    answer = client.post(path, headers=header(*planted, *jar.items()))
    assert (answer.status_code, answer.json()["code"]) == (431, "too_many_cookies")
    cleared = answer.headers.get_list("set-cookie")
    assert cleared
    assert all(line.startswith(f"{name}=;") and "Max-Age=0" in line for line in cleared)
    # Of this host alone and the path / is ours.
    assert not any("Domain=" not in line and "Path=/;" in line for line in cleared)
    again = client.post(path, headers=header(*jar.items()))
    assert again.status_code == 200
    client.cookies.clear()
    assert not lives(client, jar)


def test_a_page_that_asks_is_refused_and_clears_the_planted_ones_too(client: TestClient) -> None:
    jar = log_in(client, "alice")
    answer = client.get("/me", headers=header(*forged(jar, MAX_COPIES), *jar.items()))
    assert answer.json()["code"] == "unauthorised"
    assert {line.partition("=")[0] for line in answer.headers.get_list("set-cookie")} == set(NAMES)
    assert lives(client, jar)


def test_a_bearer_is_one_token_however_many_headers_there_are(
    open_client: OpenClient, clock: MovableClock, verified: list[bytes]
) -> None:
    manager = new_manager(clock, token_transport="any", verified_token_memory=0)
    client = open_client(application(manager, Mount("/auth", routes=session_routes())))
    answer = client.post("/login", headers={"st-auth-mode": "header"})
    token = answer.headers["st-access-token"]
    verified.clear()
    bearers = [("authorization", f"Bearer {token}")] + [
        ("authorization", f"Bearer {token[:-8]}{n:08}") for n in range(99)
    ]
    assert client.post("/auth/signout", headers=bearers).status_code == 200
    assert len(verified) == 1
