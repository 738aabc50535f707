"""A limit of sessions per user: a sign-in says which devices it has logged out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.example.running_site import IPHONE, Site, Visitor


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The example, where nobody may have more than two sessions."""
    folder: Path = tmp_path_factory.mktemp("limited")
    with Site(folder, ASGI_SESSIONS_MAX_SESSIONS_PER_USER="2") as site:
        yield site


def test_the_page_after_a_sign_in_names_the_device_that_it_has_logged_out(limited: Site, name: str) -> None:
    phone, laptop, tablet = Visitor(limited, IPHONE), Visitor(limited), Visitor(limited)
    assert phone.sign_up(name).status_code == 303
    assert laptop.sign_in(name).status_code == 303
    told = tablet.sign_in(name, next="/devices?x=1")
    assert told.status_code == 200
    assert told.headers["cache-control"] == "no-store"
    assert "Safari 18 on iPhone" in told.text
    assert "Firefox" not in told.text
    assert 'href="/devices?x=1">Continue</a>' in told.text
    assert [visitor.is_signed_in for visitor in (phone, laptop, tablet)] == [False, True, True]
    assert "//evil.example" not in phone.sign_in(name, next="//evil.example").text
    for visitor in (phone, laptop, tablet):
        visitor.close()


def test_the_api_names_it_too(limited: Site, name: str) -> None:
    phone, laptop, tablet = Visitor(limited, IPHONE), Visitor(limited), Visitor(limited)
    phone.sign_up(name)
    laptop.sign_in(name)
    credentials = {"name": name, "password": "correct horse"}
    told = tablet.send("POST", "/api/sign-in", json=credentials).json()
    assert told["logged_out"] == ["Safari 18 on iPhone, iOS 18.5"]
    for visitor in (phone, laptop, tablet):
        visitor.close()
