"""What is refused: forms of others, old logins, acting as a user, bad names, and a database that is away."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from asgi_sessions import SessionManager, Unauthorised
from asgi_sessions.pages.names import KEY, LONGEST_NAME
from tests.clocks import MovableClock
from tests.pages.conftest import NewBrowser, OpenSite
from tests.pages.site import CHROME, DEVICES, FIREFOX, IPHONE, Browser, followed, text_of, texts
from tests.pages.test_both_routers import form_tag_of

POSTS = ("log-out", "log-out-others", "rename")


def call(site: TestClient, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    assert site.portal is not None
    return site.portal.call(function, *arguments)


@pytest.mark.parametrize("path", POSTS)
def test_another_sites_form_is_refused_with_a_page(new_browser: NewBrowser, path: str) -> None:
    other, here = new_browser(), new_browser()
    fields = [("session", other.handle), ("form_tag", form_tag_of(here))]
    answer = here.post(
        f"{DEVICES}/{path}", fields, **{"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    )
    assert answer.status_code == 403
    assert "The request came from another site" in text_of(answer)
    assert other.is_signed_in


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("tag", [None, "0" * 16])
def test_a_form_that_was_shown_to_another_session_does_nothing(
    new_browser: NewBrowser, path: str, tag: str | None
) -> None:
    other, here = new_browser(), new_browser()
    fields = [("session", other.handle), ("name", "x"), *([("form_tag", tag)] if tag else [])]
    answer = here.post(f"{DEVICES}/{path}", fields)
    assert answer.status_code == 409
    assert "This page is out of date" in text_of(answer)
    assert other.is_signed_in
    assert "x" not in texts(here.get(), "h3")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"session=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"session=%ff%fe", "application/x-www-form-urlencoded", 400),
        (b"session=\xff", "application/x-www-form-urlencoded", 400),
        (b"&".join([b"session=a"] * 2000), "application/x-www-form-urlencoded", 400),
        (b"{}", "application/json", 415),
        (b"", "application/x-www-form-urlencoded", 303),
    ],
    ids=["long", "no UTF-8", "no ASCII", "many", "JSON", "empty"],
)
@pytest.mark.parametrize("path", ["log-out", "rename"])
def test_a_body_that_is_no_form_is_a_bad_request(
    site: TestClient, new_browser: NewBrowser, body: bytes, kind: str, status: int, path: str
) -> None:
    here = new_browser()
    headers = here.jar.header | {"content-type": kind, "form-tag": form_tag_of(here)}
    answer = site.post(f"{DEVICES}/{path}", content=body, headers=headers, follow_redirects=False)
    assert answer.status_code == status


def test_ending_others_wants_a_recent_login_and_says_where_to_confirm_it(
    open_site: OpenSite, clock: MovableClock
) -> None:
    site = open_site(max_auth_age=600, reauthenticate_url="/confirm?why=devices#form")
    other, here = (Browser(site, "alice", agent, "192.0.2.1") for agent in (IPHONE, FIREFOX))
    question = here.get(f"{DEVICES}/log-out-others")
    clock.advance(200)
    one = here.get(f"{DEVICES}/log-out?session={other.handle}")
    clock.advance(401)
    for page in (one, question):
        answer = here.submit(page)
        assert answer.status_code == 403
        assert texts(answer, "h1") == ["Please confirm that it is you"]
        assert 'href="/confirm?why=devices&amp;next=/account/devices#form"' in answer.text
    assert here.get().status_code == 200
    assert "Safari on iPhone" in texts(here.get(), "h3")
    assert followed(here.submit(here.get(f"{DEVICES}/log-out?session={here.handle}"))).startswith("/sign-in")


def test_who_acts_as_a_user_sees_the_devices_and_ends_none(
    site: TestClient, new_browser: NewBrowser, clock: MovableClock
) -> None:
    user, admin = new_browser("alice", IPHONE), new_browser("root", CHROME, "203.0.113.9")
    acting = site.post("/impersonate?user=alice", headers=admin.jar.header | {"x-from": "203.0.113.9"})
    admin.take(acting)
    admin.handle = acting.json()["handle"]
    page = admin.get()
    assert "You act as this user." in text_of(page)
    assert "Log out everywhere else" not in text_of(page)
    assert page.text.count('class="button"') == 1  # to stop
    assert "203.0.113.9" in text_of(page)
    theirs = user.get()
    assert "Somebody else acts as you" in text_of(theirs)
    assert "203.0.113.9" not in text_of(theirs)
    tag = ("form_tag", form_tag_of(admin))
    for path in POSTS:
        answer = admin.post(f"{DEVICES}/{path}", [tag, ("session", user.handle), ("name", "x")])
        assert answer.status_code == 403
        assert "Only the user can log out other devices." in text_of(answer)
    assert admin.get(f"{DEVICES}/log-out?session={user.handle}").status_code == 403
    assert user.is_signed_in


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("  Kitchen   tablet\r\n", "Kitchen tablet"),
        ("a\u202eb\x00c\x07", "a b c"),
        ("e\u0301", "é"),
        ("日本のパソコン 💻", "日本のパソコン 💻"),
        ("x" * LONGEST_NAME, "x" * LONGEST_NAME),
        (" \t ", "Chrome on Windows"),
    ],
)
def test_a_name_is_one_clean_line(new_browser: NewBrowser, typed: str, shown: str) -> None:
    other, here = new_browser(agent=CHROME), new_browser()
    here.submit(here.get(f"{DEVICES}/rename?session={other.handle}"), name=typed)
    assert texts(here.get(), "h3") == ["Firefox on Linux", shown]


@pytest.mark.parametrize("length", [LONGEST_NAME + 1, 50_000])
def test_a_name_that_is_too_long_is_asked_for_again(new_browser: NewBrowser, length: int) -> None:
    other, here = new_browser(agent=CHROME), new_browser()
    answer = here.submit(here.get(f"{DEVICES}/rename?session={other.handle}"), name="x" * length)
    assert answer.status_code == 422
    assert "A name has at most 60 characters." in text_of(answer)
    assert 'aria-invalid="true"' in answer.text
    assert "Chrome on Windows" in texts(here.get(), "h3")


def test_a_name_stays_beside_what_the_application_keeps_and_goes_again(
    site: TestClient, new_browser: NewBrowser, sessions: SessionManager
) -> None:
    other, here = new_browser(agent=CHROME), new_browser()
    call(site, sessions.update_session_info, other.handle, {"cart": [1]})
    here.submit(here.get(f"{DEVICES}/rename?session={other.handle}"), name="Attic")
    assert call(site, sessions.get_session_info, other.handle) == {"cart": [1], KEY: "Attic"}
    call(site, sessions.change_session_info, other.handle, lambda info: {**info, "cart": [2]})
    assert "Attic" in texts(here.get(), "h3")
    form = here.get(f"{DEVICES}/rename?session={other.handle}")
    assert 'value="Attic"' in form.text
    here.submit(form, name="")
    assert call(site, sessions.get_session_info, other.handle) == {"cart": [2]}
    assert "Chrome on Windows" in texts(here.get(), "h3")


@pytest.mark.parametrize("info", [[1], "text", 5, True])
def test_where_the_data_are_no_object_a_device_cannot_be_named(
    site: TestClient, new_browser: NewBrowser, sessions: SessionManager, info: Any
) -> None:
    other, here = new_browser(agent=CHROME), new_browser()
    call(site, sessions.update_session_info, other.handle, info)
    answer = here.submit(here.get(f"{DEVICES}/rename?session={other.handle}"), name="Attic")
    assert answer.status_code == 422
    assert "This device cannot be named." in text_of(answer)
    assert call(site, sessions.get_session_info, other.handle) == info


@pytest.mark.parametrize("kept", [5, None, "", {"x": 1}, "a\nb", "y" * 500])
def test_what_others_write_under_the_key_of_names_breaks_no_page(
    site: TestClient, new_browser: NewBrowser, sessions: SessionManager, kept: Any
) -> None:
    other, here = new_browser(agent=CHROME), new_browser()
    call(site, sessions.update_session_info, other.handle, {KEY: kept})
    assert here.get().status_code == 200


def test_a_database_that_is_away_is_a_page_too(
    site: TestClient, new_browser: NewBrowser, sessions: SessionManager
) -> None:
    here = new_browser()
    question = here.get(f"{DEVICES}/log-out?session={here.handle}")

    async def drop() -> None:
        database = sessions._runtime()._database
        assert database is not None
        async with database.engine.begin() as connection:
            await connection.execute(text("DROP TABLE asgi_sessions_sessions"))

    call(site, drop)
    for answer in (here.get(), here.submit(question), here.get(f"{DEVICES}/rename?session={here.handle}")):
        assert answer.status_code == 503
        assert "Not available right now" in texts(answer, "h1")
        assert answer.headers["retry-after"] == "1"
        assert "content-security-policy" in answer.headers
        assert "set-cookie" not in answer.headers


def test_without_an_address_for_signing_in_the_application_answers(open_site: OpenSite) -> None:
    site = open_site(sign_in_url=None)
    assert site.get(DEVICES).json() == {"detail": Unauthorised.detail, "code": "unauthorised"}
    here = Browser(site, "alice", FIREFOX, "192.0.2.1")
    answer = here.submit(here.get(f"{DEVICES}/log-out?session={here.handle}"))
    assert (answer.status_code, texts(answer, "h1")) == (200, ["You are signed out"])
    assert here.jar.cookies == {}
