"""How an application makes the pages its own: languages, texts, templates, styles, and what it knows."""

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from jinja2 import DictLoader

from asgi_sessions.pages import SecurityNotice, asked
from asgi_sessions.protocol.durations import from_ms
from tests.clocks import MovableClock
from tests.pages.conftest import NewBrowser, OpenSite
from tests.pages.site import DEVICES, EXAMPLE_TRANSLATIONS, FIREFOX, IPHONE, Browser, text_of, texts

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("accepted", "tag", "heading"),
    [
        ("", "en", "Your devices"),
        ("de", "de", "Deine Geräte"),
        ("de-AT,en;q=0.5", "de", "Deine Geräte"),
        ("fr,de;q=0.3,en;q=0.2", "de", "Deine Geräte"),
        ("de;q=0", "en", "Your devices"),
        ("de;q=nan", "en", "Your devices"),
        ("de;q=0.2, en;q=0.9", "en", "Your devices"),
        ("x" * 5000, "en", "Your devices"),
        (";;;,,=q", "en", "Your devices"),
        ("../../etc", "en", "Your devices"),
    ],
)
def test_the_browser_chooses_the_language(new_browser: NewBrowser, accepted: str, tag: str, heading: str) -> None:
    page = new_browser().get(**{"accept-language": accepted})
    assert f'<html lang="{tag}" dir="ltr">' in page.text
    assert texts(page, "h1") == [heading]
    assert "Accept-Language" in page.headers.get_list("vary")


def test_german_has_its_plurals_and_times(new_browser: NewBrowser, clock: MovableClock) -> None:
    other = new_browser(agent=IPHONE)
    clock.advance(7200)
    here = new_browser()
    page = here.get(**{"accept-language": "de"})
    assert "Zuletzt benutzt: vor 2 Stunden" in text_of(page)
    question = here.get(f"{DEVICES}/log-out-others", **{"accept-language": "de"})
    assert "1 andere Anmeldung wird beendet." in text_of(question)
    new_browser(agent=IPHONE)
    question = here.get(f"{DEVICES}/log-out-others", **{"accept-language": "de"})
    assert "2 andere Anmeldungen werden beendet." in text_of(question)
    assert other.is_signed_in


def test_the_application_chooses_and_brings_a_language_from_right_to_left(open_site: OpenSite) -> None:
    async def language(_: Any) -> str:
        return "ar"

    site = open_site(language=language, translations=EXAMPLE_TRANSLATIONS)
    for _ in range(3):
        here = Browser(site, "alice", FIREFOX, "192.0.2.1")
    page = here.get()
    assert '<html lang="ar" dir="rtl">' in page.text
    assert texts(page, "h1") == ["أجهزتك"]
    assert "تسجيلان" in texts(page, "summary")[0]
    assert "Skip to the content" in text_of(page)  # what is not translated


def test_a_catalogue_of_the_application_replaces_single_texts(open_site: OpenSite) -> None:
    site = open_site(translations=HERE / "translations" / "texts")
    page = Browser(site, "alice", FIREFOX, "192.0.2.1").get()
    assert texts(page, "h1") == ["Where you are signed in"]
    assert "Other devices" in text_of(page)


@pytest.mark.parametrize("loader", [False, True], ids=["folder", "loader"])
def test_templates_and_styles_of_the_application_replace_or_extend_ours(open_site: OpenSite, loader: bool) -> None:
    layout = "sessions/layout.html"
    own: Any = HERE / "templates"
    if loader:
        own = DictLoader({layout: (own / layout).read_text()})
    site = open_site(templates=own, stylesheet="https://cdn.example/own.css", brand="Example")
    page = Browser(site, "alice", FIREFOX, "192.0.2.1").get()
    assert texts(page, "header") == ["Our own head"]
    assert page.text.index("pages.css") < page.text.index('href="https://cdn.example/own.css"')
    assert "style-src 'self' https://cdn.example;" in page.headers["content-security-policy"] + ";"


def test_the_head_names_application_and_user_and_links_to_the_account(open_site: OpenSite) -> None:
    site = open_site(
        brand="Example",
        home_url=lambda request: f"/home?from={request.url.path}",
        user_name=lambda session: f"user {session.user_id}",
        account_links=[("Profile", "/profile"), ("Devices", DEVICES)],
        change_password_url="/password",
    )
    page = Browser(site, "alice", FIREFOX, "192.0.2.1").get()
    assert '<a class="brand" href="/home?from=/account/devices">Example</a>' in page.text
    assert "Signed in as: user alice" in text_of(page)
    assert '<a href="/profile">Profile</a>' in page.text
    assert f'<a href="{DEVICES}" aria-current="page">Devices</a>' in page.text
    assert '<a href="/password">Change your password</a>' in page.text
    assert texts(page, "title") == ["Your devices · Example"]


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
def test_links_to_the_account_may_depend_on_the_user(open_site: OpenSite, is_async: bool) -> None:
    def links(session: Any) -> list[tuple[str, str]]:
        return [("Administration", "/admin")] if session.user_id == "alice" else []

    async def awaited(session: Any) -> list[tuple[str, str]]:
        return links(session)

    site = open_site(account_links=awaited if is_async else links)
    administrator, other = (Browser(site, user, FIREFOX, "192.0.2.1").get() for user in ("alice", "bob"))
    assert '<a href="/admin">Administration</a>' in administrator.text
    assert "account-links" not in other.text


@pytest.mark.parametrize("links", [None, 1, "ab", [("a",)], [("a", 1)]], ids=str)
def test_links_that_are_none_are_left_out(open_site: OpenSite, links: Any, caplog: pytest.LogCaptureFixture) -> None:
    site = open_site(account_links=lambda _: links)
    assert "account-links" not in Browser(site, "alice", FIREFOX, "192.0.2.1").get().text
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert told == [] if links is None else "account_links" in told[0]


def test_places_and_news_are_what_the_application_knows(open_site: OpenSite, clock: MovableClock) -> None:
    asked_for: list[str] = []

    async def place(address: str) -> str | None:
        asked_for.append(address)
        return {"192.0.2.1": "Berlin, Germany"}.get(address)

    async def notices(session: Any) -> list[SecurityNotice]:
        at = from_ms(clock.now - 7_200_000)
        return [
            SecurityNotice(text="A session was ended for safety.", at=at, url="/help", url_text="What does that mean?")
        ]

    site = open_site(place=place, notices=notices)
    for address in ("192.0.2.1", "192.0.2.1", "198.51.100.7"):
        here = Browser(site, "alice", FIREFOX, address)
    page = text_of(here.get())
    assert sorted(asked_for) == ["192.0.2.1", "198.51.100.7"]
    assert page.count("Berlin, Germany") == 1
    assert "A session was ended for safety. 2 hours ago What does that mean?" in page


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "vbscript:x"])
def test_news_lead_to_pages(url: str) -> None:
    with pytest.raises(ValueError, match="url must be a path"):
        SecurityNotice(text="x", url=url)


@pytest.mark.parametrize("wrong", [5, "text", [5, "x"], {"a": 1}, object()])
def test_what_is_no_news_is_none(open_site: OpenSite, wrong: Any) -> None:
    page = Browser(open_site(notices=lambda _: wrong), "alice", FIREFOX, "192.0.2.1").get()
    assert page.status_code == 200
    assert 'class="notices"' not in page.text


def test_a_plain_function_may_call_an_async_one(open_site: OpenSite) -> None:
    async def place(address: str) -> str:
        return f"place of {address}"

    site = open_site(place=lambda address: place(address.strip()))
    assert "place of 192.0.2.1" in text_of(Browser(site, "alice", FIREFOX, "192.0.2.1").get())


def raises(_: Any) -> str:
    raise RuntimeError("no such thing")


async def raises_later(_: Any) -> str:
    raise RuntimeError("no such thing")


async def is_cancelled(_: Any) -> str:
    raise asyncio.CancelledError


@pytest.mark.parametrize("function", [raises, raises_later, is_cancelled])
@pytest.mark.parametrize("option", ["place", "notices", "user_name", "language"])
def test_a_function_that_fails_breaks_no_page(
    open_site: OpenSite, option: str, function: Any, caplog: pytest.LogCaptureFixture
) -> None:
    page = Browser(open_site(**{option: function}), "alice", FIREFOX, "192.0.2.1").get()
    assert page.status_code == 200
    if function is not is_cancelled:
        assert f"The function of {option} failed" in caplog.text


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "plain"])
def test_a_function_that_hangs_delays_a_page_by_no_more_than_its_time(
    open_site: OpenSite, is_async: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(asked, "ASKED_SECONDS", 0.2)
    over, under_way, most = threading.Event(), set(), 0

    async def place_async(address: str) -> str:
        if address == "198.51.100.7":
            return "Oslo, Norway"
        await asyncio.Event().wait()
        return "never"

    def place(address: str) -> str:
        nonlocal most
        if address == "198.51.100.7":
            return "Oslo, Norway"
        under_way.add(threading.current_thread().name)
        most = max(most, len(under_way))
        over.wait(60)
        return "never"

    site = open_site(place=place_async if is_async else place)
    try:
        for number in range(20):
            Browser(site, "alice", FIREFOX, f"192.0.{number}.1")
        here = Browser(site, "alice", FIREFOX, "198.51.100.7")
        page = here.get()
        assert "Oslo, Norway" in text_of(page)
        assert "never" not in text_of(page)
        assert here.get().status_code == 200
        assert most <= asked.AT_ONCE
    finally:
        over.set()
    assert "The function of place failed, the page is shown without it: it took longer than 0.2 s." in caplog.text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"brnd": "x"}, "there is no option brnd"),
        ({"brand": 5}, "brand must be str"),
        ({"sign_in_url": 5}, "sign_in_url must be"),
        ({"sign_in_url": "javascript:x"}, "sign_in_url must be a path"),
        ({"home_url": "data:x"}, "home_url must be a path"),
        ({"place": "Berlin"}, "place must be a function"),
        ({"account_links": [("a", 1)]}, "account_links must be pairs"),
        ({"account_links": [("a",)]}, "account_links must be pairs"),
        ({"account_links": 1}, "account_links must be pairs"),
        ({"max_auth_age": -1}, "max_auth_age"),
        ({"translations": HERE / "missing"}, "there is no folder"),
        ({"stylesheet": "https://x y/own.css"}, "is no URL"),
    ],
)
def test_wrong_options_are_told_by_name(open_site: OpenSite, options: dict[str, Any], said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        open_site(**options)


def test_errors_are_not_in_the_log_where_all_is_well(open_site: OpenSite, caplog: pytest.LogCaptureFixture) -> None:
    site = open_site(place=lambda _: None, user_name=lambda _: None, notices=lambda _: [])
    assert Browser(site, "alice", FIREFOX, "192.0.2.1").get().status_code == 200
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
