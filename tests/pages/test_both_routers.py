"""The pages under both frameworks and on two engines: the same cases."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from asgi_sessions import SessionManager, SessionSettings
from asgi_sessions.pages import device_label
from tests.clocks import MovableClock
from tests.pages.conftest import OpenSite
from tests.pages.site import CHROME, DEVICES, FIREFOX, IPHONE, Browser, Build, followed, text_of, texts


@pytest.fixture
def sessions(url: str, clock: MovableClock) -> SessionManager:
    """On each engine."""
    secret = {} if url.startswith("sqlite") else {"secret_key": "a-secret-for-these-tests-alone-of-32-bytes-or-more"}
    manager = SessionManager(SessionSettings(database_url=url, **secret), clock=clock)
    manager.label_devices(device_label)
    return manager


@pytest.fixture
def site(open_site: OpenSite, build: Build) -> TestClient:
    return open_site(build)


def test_from_signing_in_to_being_alone(site: TestClient, clock: MovableClock) -> None:
    laptop = Browser(site, "alice", FIREFOX, "192.0.2.1")
    clock.advance(60)
    phone = Browser(site, "alice", IPHONE, "198.51.100.7")
    clock.advance(60)
    desktop = Browser(site, "alice", CHROME, "203.0.113.9")
    stranger = Browser(site, "bob", CHROME, "203.0.113.9")

    page = laptop.get()
    assert texts(page, "h3") == ["Firefox on Linux", "Chrome on Windows", "Safari on iPhone"]

    form = laptop.get(f"{DEVICES}/rename?session={phone.handle}")
    renamed = laptop.get(followed(laptop.submit(form, name="  My\tphone ")))
    assert texts(renamed, "h3") == ["Firefox on Linux", "Chrome on Windows", "My phone"]
    assert "The name is saved." in text_of(renamed)

    question = laptop.get(f"{DEVICES}/log-out?session={phone.handle}")
    assert texts(question, "h1") == ["Log out My phone?"]
    done = laptop.get(followed(laptop.submit(question)))
    assert "Logged out: 1 sign-in has ended." in text_of(done)
    assert texts(done, "h3") == ["Firefox on Linux", "Chrome on Windows"]
    assert not phone.is_signed_in

    question = laptop.get(f"{DEVICES}/log-out-others")
    assert "1 other sign-in will end." in text_of(question)
    assert "This cannot be undone." in text_of(question)
    alone = laptop.get(followed(laptop.submit(question)))
    assert "You are signed in on this device only." in text_of(alone)
    assert texts(alone, "h3") == ["Firefox on Linux"]
    assert not desktop.is_signed_in
    assert stranger.is_signed_in

    here = laptop.get(f"{DEVICES}/log-out?session={laptop.handle}")
    assert texts(here, "h1") == ["Log out here?"]
    answer = laptop.submit(here)
    assert followed(answer) == "/sign-in?next=/account/devices"
    assert laptop.jar.cookies == {}


def test_a_guest_is_sent_to_sign_in_and_back(site: TestClient) -> None:
    for path in (DEVICES, f"{DEVICES}/log-out-others", f"{DEVICES}/rename?session=x"):
        answer = site.get(path, follow_redirects=False)
        assert followed(answer) == "/sign-in?next=/account/devices"
        assert answer.headers["cache-control"] == "no-store"


def test_nothing_of_another_user_is_shown_named_or_ended(site: TestClient) -> None:
    alice = Browser(site, "alice", FIREFOX, "192.0.2.1")
    bob = Browser(site, "bob", CHROME, "203.0.113.9")
    tag = [("form_tag", form_tag_of(alice))]
    assert texts(alice.get(), "h3") == ["Firefox on Linux"]
    for path in ("log-out?session=", "log-out?group=", "rename?session="):
        assert followed(alice.get(f"{DEVICES}/{path}{bob.handle}")) == DEVICES
        assert "That device was logged out already." in text_of(alice.get())
    for path, fields in (("log-out", []), ("rename", [("name", "mine")])):
        answer = alice.post(f"{DEVICES}/{path}", [*tag, ("session", bob.handle), *fields])
        assert followed(answer) == DEVICES
        assert "That device was logged out already." in text_of(alice.get())
    assert texts(bob.get(), "h3") == ["Chrome on Windows"]


def form_tag_of(browser: Browser) -> str:
    page = browser.get(f"{DEVICES}/log-out?session={browser.handle}")
    return page.text.partition('name="form_tag" value="')[2].partition('"')[0]


def test_the_router_is_not_in_the_api(site: TestClient, build: Build) -> None:
    answer: Any = site.get("/openapi.json")
    if build.__name__ == "fastapi_app":
        assert answer.json()["paths"] == {}
    else:
        assert answer.status_code == 404
