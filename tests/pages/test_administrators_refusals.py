"""Who may not see the administrators' pages, what they do not understand, and what they never show as HTML."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from sqlalchemy import text
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.testclient import TestClient

from asgi_sessions import SessionManager, SessionSettings, get_session
from asgi_sessions.pages import administrators_routes
from asgi_sessions.protocol.keyring import generate
from tests.clocks import MovableClock
from tests.manager.test_statement_counts import ServerLog, log
from tests.pages.administrators_site import ADMINISTRATORS, FOUND, START, Visitor, starlette_app
from tests.pages.conftest import OpenSite
from tests.pages.site import followed, text_of, texts
from tests.pages.test_administrators import handles, of
from tests.pages.test_list import EVIL, Elements
from tests.pages.test_refusals import call

__all__ = ["log"]

HANDLE = "0" * 32
PAGES = ("", "/found?user=alice&type=str", "/end?user=alice&type=str", "/end-all?user=alice&type=str", "/worker")
POSTS = ("end", "end-all")


@pytest.fixture
def site(open_site: OpenSite) -> TestClient:
    return open_site(starlette_app)


@pytest.fixture
def root(site: TestClient) -> Visitor:
    return Visitor(site)


@pytest.mark.parametrize("path", PAGES)
def test_nobody_sees_a_page_but_administrators(open_site: OpenSite, clock: MovableClock, path: str) -> None:
    site = open_site(starlette_app, reauthenticate_url="/confirm")
    assert followed(site.get(START + path, follow_redirects=False)) == f"/sign-in?next={START}"
    for payload in (None, {}, {"admin": False}, {"admin": 1}, {"admin": "True"}, [True]):
        refused = Visitor(site, "eve", jwt_payload=payload).get(START + path)
        assert (refused.status_code, texts(refused, "h1")) == (403, ["This is not allowed"])
        assert "Your account may not see the sessions of others." in text_of(refused)
        assert refused.headers["cache-control"] == "no-store"
        assert "alice" not in text_of(refused)
    root = Visitor(site)
    clock.advance(901)
    refused = root.get(START + path)
    assert (refused.status_code, texts(refused, "h1")) == (403, ["Please confirm that it is you"])
    assert f'href="/confirm?next={START}"' in refused.text


@pytest.mark.parametrize("path", POSTS)
def test_nobody_ends_anything_but_administrators_by_their_own_forms(site: TestClient, root: Visitor, path: str) -> None:
    alice, eve = Visitor(site, "alice"), Visitor(site, "eve")
    about = [("of", "user=alice&type=str"), ("session", alice.handle)]
    elsewhere = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    for answer, status in (
        (eve.post(f"{START}/{path}", [eve.form_tag, *about]), 403),
        (root.post(f"{START}/{path}", about), 409),
        (root.post(f"{START}/{path}", [eve.form_tag, *about]), 409),
        (root.post(f"{START}/{path}", [root.form_tag, *about], **elsewhere), 403),
    ):
        assert answer.status_code == status
        assert "content-security-policy" in answer.headers
    assert handles(root.get(of("alice"))) == [alice.handle]
    assert followed(root.post(f"{START}/{path}", [root.form_tag, *about])) == of("alice")
    assert handles(root.get(of("alice"))) == []


def test_a_form_ends_no_session_that_it_is_not_about(site: TestClient, root: Visitor) -> None:
    alice, bob = Visitor(site, "alice"), Visitor(site, "bob")
    fields = [root.form_tag, ("of", "user=bob&type=str"), ("session", alice.handle)]
    assert "There was nothing left to end." in text_of(root.get(followed(root.post(f"{START}/end", fields))))
    assert handles(root.get(of("alice"))) == [alice.handle]
    assert handles(root.get(of("bob"))) == [bob.handle]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("", 400, "not understood"),
        ("user=a", 400, "not understood"),
        ("type=str", 400, "not understood"),
        ("user=a&type=bool", 400, "not understood"),
        ("user=a&type=", 400, "not understood"),
        ("user=a&user=b&type=str", 400, "not understood"),
        ("user=a&type=str&name=org&value=x", 400, "not understood"),
        ("name=org", 400, "not understood"),
        ("user=a&type=str&after=x", 400, "not understood"),
        ("user=a&type=str&after=", 400, "not understood"),
        (f"user=a&type=str&after=9999999999999999999-{HANDLE}", 400, "not understood"),
        (f"name=org&value=x&after=1-{HANDLE}&after=1-{HANDLE}", 400, "not understood"),
        ("user=" + "x" * 256, 400, "not understood"),
        ("user=" + "x" * 256 + "&type=str", 422, "it is too long"),
        ("user=" + "%C3%A9" * 128 + "&type=str", 422, "it is too long"),
        ("user=" + "1" * 256 + "&type=int", 422, "This is no whole number."),
        ("user=" + "1" * 5000 + "&type=int", 422, "This is no whole number."),
        ("user=1.5&type=int", 422, "This is no whole number."),
        ("user=%D9%A1&type=int", 422, "This is no whole number."),
        ("user=&type=int", 422, "This is no whole number."),
        ("user=abc&type=uuid", 422, "This is no UUID."),
        ("name=Org&value=x", 422, "A name has up to 40"),
        ("name=" + "o" * 41 + "&value=x", 422, "A name has up to 40"),
        ("name=&value=x", 422, "A name has up to 40"),
        ("user=%00%ff%fe&type=str", 200, "There is no live session."),
        ("user=&type=str", 200, "There is no live session."),
        ("name=org&value=", 200, "There is no live session."),
        ("name=org&value=" + "%F0%9F%92%BB" * 500, 200, "There is no live session."),
        (f"user=a&type=str&after=999999999999999-{HANDLE}", 200, "There are no more sessions."),
    ],
)
def test_what_cannot_be_found_is_a_page_and_no_mistake(root: Visitor, query: str, status: int, said: str) -> None:
    answer = root.get(f"{FOUND}?{query}")
    assert answer.status_code == status
    assert said in text_of(answer)
    assert ('aria-invalid="true"' in answer.text) is (status == 422)
    if status != 200:
        for path in POSTS if "after=" not in query else ("end",):  # all have no page
            assert root.get(f"{START}/{path}?{query}").status_code == 400
            assert root.post(f"{START}/{path}", [root.form_tag, ("of", query)]).status_code == 400


@pytest.mark.parametrize(
    "about", [[], [("of", "")], [("of", "%ff")], [("of", "a=1&" * 20)], [("of", "user=a&type=str")] * 2]
)
@pytest.mark.parametrize("path", POSTS)
def test_a_form_about_nothing_is_a_bad_request(root: Visitor, path: str, about: list[tuple[str, str]]) -> None:
    assert root.post(f"{START}/{path}", [root.form_tag, *about]).status_code == 400


def test_what_is_no_session_ends_nothing(root: Visitor) -> None:
    for wrong in ("", "x", "\x00", "0" * 5000, EVIL, HANDLE):
        path = f"{START}/end?user=alice&type=str&session={quote(wrong)}"
        assert followed(root.get(path)) == of("alice")
        fields = [root.form_tag, ("of", "user=alice&type=str"), ("session", wrong)]
        assert followed(root.post(f"{START}/end", fields)) == of("alice")
        assert "There was nothing left to end." in text_of(root.get(of("alice")))
    assert followed(root.get(f"{START}/end?user=alice&type=str")) == of("alice")
    assert "Choose the sessions that are to end." in text_of(root.get(of("alice")))


@pytest.mark.parametrize(
    "user", [EVIL, "' onload=x \"", "a\r\nb\nc\rd", " a ", "a&type=int#?/..", "%00", "\u202e", "{{ 7 }}"]
)
def test_whatever_a_user_is_called_is_shown_and_ended_and_no_html(
    sessions: SessionManager, open_site: OpenSite, user: str
) -> None:
    sessions.device_label._function = None
    sessions.label_devices(lambda headers: headers.get("user-agent"))
    site = open_site(starlette_app, place=lambda _: EVIL, brand=EVIL, user_name=lambda _: EVIL)
    Visitor(site, user, agent="<img src=x onerror=alert(1)>", index={"org": user})
    root = Visitor(site)
    by_user = f"{httpx2.QueryParams({'user': user, 'type': 'str'})}"
    by_index = f"{httpx2.QueryParams({'name': 'org', 'value': user})}"
    for query in (by_user, by_index):
        page = root.get(f"{FOUND}?{query}")
        (handle,) = handles(page)
        pages = [page, root.get(f"{START}/end?{query}&session={handle}"), root.get(f"{START}/end-all?{query}")]
        pages.append(root.get(f"{FOUND}?{query}&after={EVIL}"))
        pages.append(root.get(f"{FOUND}?user={quote(EVIL * 20)}&type=int"))
        assert [each.status_code for each in pages] == [200, 200, 200, 400, 422]
        for each in pages:
            found = Elements(each.text)
            assert found.tags.isdisjoint({"img", "script", "b"})
            assert [name for name in found.attributes if name.startswith("on")] == []
    root.submit(root.get(f"{START}/end-all?{by_user}"))
    assert handles(root.get(f"{FOUND}?{by_index}")) == []


def test_pages_are_strict_and_work_below_a_path_of_a_proxy(site: TestClient) -> None:
    Visitor(site, "alice")
    below = TestClient(site.app, base_url="https://testserver", root_path="/behind")
    below.portal = site.portal
    root = Visitor(below)
    for path in PAGES:
        page = root.get(f"/behind{START}{path}")
        if page.status_code == 303:
            page = root.get(followed(page))
        assert page.status_code == 200
        assert page.headers["cache-control"] == "no-store"
        policy = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["style-src"] == policy["form-action"] == "'self'"
        assert not re.search(r"<style|\sstyle=|<script|\son\w+=", page.text)
        addresses = re.findall(r'(?:href|src|action)="([^"]*)"', page.text)
        assert [each for each in addresses if each.startswith("/") or ":" in each] == []
        for address in addresses:
            if not address.startswith("#"):
                goal = page.url.join(address.replace("&amp;", "&").partition("#")[0])
                assert root.get(goal.path + (f"?{goal.query.decode()}" if goal.query else "")).status_code != 404


async def not_a_session(request: Request) -> Any:
    return True


async def somewhere_else(request: Request) -> Any:
    raise HTTPException(303, headers={"Location": "/elsewhere"})


async def teapot(request: Request) -> Any:
    raise HTTPException(418)


async def any_session(request: Request) -> Any:
    return await get_session(request)


def test_the_permission_is_an_async_function_that_returns_a_session_or_raises(
    sessions: SessionManager, open_site: OpenSite
) -> None:
    with pytest.raises(TypeError, match="permission"):
        administrators_routes(sessions)  # type: ignore[call-arg]  # what is tested
    wrong: Any
    for wrong in (None, True, "admin", lambda request: None):
        with pytest.raises(TypeError, match="permission must be an async function"):
            administrators_routes(sessions, permission=wrong)
    for options in ({"max_auth_age": 5}, {"notices": print}, {"change_password_url": "/"}, {"other": 1}):
        with pytest.raises(TypeError, match=f"there is no option {next(iter(options))}"):
            administrators_routes(sessions, permission=ADMINISTRATORS, **options)
    site = open_site(starlette_app, permission=not_a_session)
    with pytest.raises(TypeError, match="has returned bool"):
        site.get(START)
    assert open_site(starlette_app, permission=teapot).get(START).status_code == 418
    answer = open_site(starlette_app, permission=somewhere_else).get(START, follow_redirects=False)
    assert followed(answer) == "/elsewhere"
    assert Visitor(open_site(starlette_app, permission=any_session), "eve").get(START).status_code == 200


def test_whoever_acts_as_somebody_is_refused_whatever_the_permission_says(open_site: OpenSite) -> None:
    site = open_site(starlette_app, permission=any_session)
    alice, root = Visitor(site, "alice"), Visitor(site)
    assert root.get(START).status_code == 200
    acting = site.post("/impersonate?user=bob", headers=root.jar.header)
    root.take(acting)
    root.handle = acting.json()["handle"]
    about = [root.form_tag, ("of", "user=alice&type=str"), ("session", alice.handle)]
    for answer in (root.get(START), root.post(f"{START}/end", about), root.post(f"{START}/end-all", about[:2])):
        assert answer.status_code == 403
        assert "You act as somebody else." in text_of(answer)
    assert alice.get(START).status_code == 200


def test_a_database_that_is_away_is_a_page_too_and_the_log_says_who_tried(
    site: TestClient, root: Visitor, sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    async def drop() -> None:
        database = sessions._runtime()._database
        assert database is not None
        async with database.engine.begin() as connection:
            await connection.execute(text("DROP TABLE asgi_sessions_sessions"))

    call(site, drop)
    caplog.set_level("INFO", "asgi_sessions.audit")
    about = ("of", "user=alice&type=str")
    for answer in (root.get(of("alice")), root.post(f"{START}/end-all", [root.form_tag, about])):
        assert (answer.status_code, texts(answer, "h1")) == (503, ["Not available right now"])
    (told,) = [vars(each) for each in caplog.records if vars(each).get("event") == "session.administered"]
    assert (told["action"], told["user_id"], told["administrator"], told["count"]) == ("end_all", "alice", "root", None)
    assert root.get(f"{START}/worker").status_code == 200


def test_a_page_in_german(root: Visitor) -> None:
    page = root.get(of("alice"), **{"accept-language": "de-AT"})
    assert texts(page, "h1") == ["Sitzungen von Benutzer alice (str)"]
    worker = root.get(f"{START}/worker", **{"accept-language": "de"})
    assert "Ab 30 Sekunden werden Anfragen abgelehnt." in text_of(worker)


def test_a_worker_tells_of_itself(site: TestClient, root: Visitor, sessions: SessionManager) -> None:
    page = root.get(f"{START}/worker")
    (key,) = call(site, keys, sessions)
    assert texts(page, "h3") == [key.key_id]
    assert "Signs now" in text_of(page)
    assert "The next key is due" in text_of(page)
    assert "Above 30 seconds requests are refused." in text_of(page)
    assert re.search(r"It is [0-9]+(\.[0-9])? seconds? old\.", text_of(page))
    assert key.secret.hex() not in page.text
    assert sessions.settings.signing_key_lifetime == timedelta(days=1)


async def keys(sessions: SessionManager) -> Any:
    return sessions.lifecycle.keys.keyring.keys


def test_a_worker_tells_of_keys_that_come_and_go(
    site: TestClient, root: Visitor, sessions: SessionManager, clock: MovableClock
) -> None:
    clock.advance(days=1)
    again = Visitor(site)
    page = again.get(f"{START}/worker")
    first, second = call(site, keys, sessions)
    assert texts(page, "h3") == [second.key_id, first.key_id]
    assert re.search(
        f"{second.key_id} HS256 Signs from .* {first.key_id} Signs now HS256 Since .* Until ", text_of(page)
    )
    clock.advance(61)
    page = again.get(f"{START}/worker")
    assert re.search(f"{second.key_id} Signs now HS256 Since .* {first.key_id} HS256 Since .* Until ", text_of(page))


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = getattr(request, "param", {})
    return found


async def provide() -> bytes:
    return KEY


KEY = generate("HS256")


@pytest.mark.parametrize("settings", [{"revocation_check": "none", "signing_key_provider": provide}], indirect=True)
def test_a_worker_says_what_it_does_not_know(root: Visitor) -> None:
    page = root.get(f"{START}/worker")
    assert "This worker does not follow the logouts of others" in text_of(page)
    assert "signing_key_provider decides when the next key comes." in text_of(page)
    assert "requests are refused." not in text_of(page)


async def test_each_page_is_few_statements(mariadb_url: str, clock: MovableClock, log: ServerLog) -> None:
    settings = SessionSettings(
        database_url=mariadb_url,
        secret_key="a-secret-for-these-tests-alone-of-32-bytes-or-more",
        revocation_check="none",
        max_sessions_per_user=None,
        cookie_secure=False,
    )
    async with SessionManager(settings, clock=clock) as sessions:
        for _ in range(150):
            ended = await sessions.create_new_session_without_request("7", index={"org": "acme"})
        issued = await sessions.create_new_session_without_request(
            "root", jwt_payload={"admin": True}, authentication_methods=["pwd"]
        )
        cookies = {"sAccessToken": issued.access_token.value, "sRefreshToken": issued.refresh_token.value}
        transport = httpx2.ASGITransport(app=starlette_app(sessions))
        async with httpx2.AsyncClient(transport=transport, base_url="http://testserver", cookies=cookies) as client:
            handle = ended.session.session_handle
            for path, statements in (
                ("", []),
                ("/found?user=7&type=str", ["SELECT"] * 2),
                ("/found?name=org&value=acme", ["SELECT"]),
                (f"/end?user=7&type=str&session={handle}", ["SELECT"]),
                ("/end-all?user=7&type=str", ["SELECT"]),
                ("/worker", []),
            ):
                assert (await client.get(START + path)).status_code == 200
                log.clear()
                assert (await client.get(START + path)).status_code == 200
                assert log.verbs() == statements, path
