"""What the list shows: order, groups, times, pages of many, and nothing of anybody's as HTML."""

import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import pytest
from starlette.testclient import TestClient

from asgi_sessions import SessionManager
from asgi_sessions.pages import SecurityNotice
from asgi_sessions.pages.devices import PAGE
from tests.clocks import MovableClock
from tests.pages.conftest import NewBrowser, OpenSite
from tests.pages.site import CHROME, DEVICES, FIREFOX, IPHONE, Browser, followed, links, text_of, texts


class Elements(HTMLParser):
    """What a browser sees as elements and attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.feed(page)

    @property
    def tags(self) -> set[str]:
        return set(self.count)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] += 1
        self.attributes |= {name for name, _ in attrs}


EVIL = "<script>alert(1)</script>"


def test_one_browser_that_has_signed_in_many_times_is_one_entry(new_browser: NewBrowser, clock: MovableClock) -> None:
    for _ in range(3):
        old = new_browser()
        clock.advance(3600)
    new_browser(agent=CHROME)
    here = new_browser()
    page = here.get()
    assert texts(page, "h3") == ["Firefox on Linux", "Chrome on Windows", "Firefox on Linux"]
    assert texts(page, "summary") == ["3 sign-ins Firefox on Linux"]
    question = here.get(f"{DEVICES}/log-out?group={old.handle}")
    assert "All 3 sign-ins of it will end." in text_of(question)
    assert "Logged out: 3 sign-ins have ended." in text_of(here.get(followed(here.submit(question))))
    assert not old.is_signed_in
    assert here.is_signed_in


def test_the_same_label_from_another_network_or_with_a_name_stands_alone(new_browser: NewBrowser) -> None:
    first, _, named = new_browser(), new_browser(address="198.51.100.1"), new_browser()
    neighbour = new_browser(address="192.0.2.250")
    here = new_browser(agent=CHROME)
    here.submit(here.get(f"{DEVICES}/rename?session={named.handle}"), name="Attic")
    page = here.get()
    assert sorted(texts(page, "h3")[1:]) == ["Attic", "Firefox on Linux", "Firefox on Linux"]
    assert {f"log-out-{first.handle}", f"log-out-{neighbour.handle}"} <= set(re.findall('id="([^"]*)"', page.text))
    assert texts(page, "summary") == ["2 sign-ins Firefox on Linux"]


def test_active_now_is_what_an_access_token_can_hide(new_browser: NewBrowser, clock: MovableClock) -> None:
    new_browser(agent=IPHONE)
    here = new_browser()
    clock.advance(299)
    assert text_of(here.get()).count("Active now") == 2
    clock.advance(3)
    page = text_of(here.get())
    assert page.count("Active now") == 1
    assert "Last used 5 minutes ago" in page
    clock.advance(days=3)
    assert "Last used 3 days ago" in text_of(new_browser().get())


def test_what_has_signed_in_since_is_new_for_a_week(new_browser: NewBrowser, clock: MovableClock) -> None:
    new_browser(agent=CHROME)
    clock.advance(1)
    here = new_browser()
    assert "New" not in texts(here.get(), "span")
    clock.advance(1)
    new_browser(agent=IPHONE)
    assert texts(here.get(), "span").count("New") == 1
    clock.advance(days=7)
    assert "New" not in texts(here.get(), "span")


def test_two_hundred_devices_come_in_pages_by_last_use(
    site: TestClient, new_browser: NewBrowser, clock: MovableClock, settings: dict[str, Any]
) -> None:
    addresses = [f"198.51.{number}.1" for number in range(200)]
    for address in addresses:
        new_browser(address=address)
        clock.advance(1)
    here = new_browser(agent=CHROME)
    seen: list[str] = []
    path = DEVICES
    for number in range(200 // PAGE):
        page = here.get(path)
        assert len(page.text) < 60_000
        assert ("You are signed in" in text_of(page)) is False
        assert ("This device" in text_of(page)) == (number == 0)
        seen += re.findall(r'<span class="address"><bdi dir="ltr">(198[^<]*)</bdi>', page.text)
        more = links(page, "?after=")
        if more:
            path = f"/account/{more[0]}"
    assert seen == addresses[::-1]
    assert more == []


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"max_sessions_per_user": None}


@pytest.mark.parametrize("cursor", ["x", "1-", "-1-" + "0" * 32, "9" * 40 + "-" + "0" * 32, "'; --", "%00"])
def test_what_is_no_cursor_is_a_bad_request_with_a_page(new_browser: NewBrowser, cursor: str) -> None:
    answer = new_browser().get(f"{DEVICES}?after={cursor}")
    assert answer.status_code == 400
    assert "Back to your devices" in text_of(answer)


def test_nothing_that_anybody_has_chosen_is_html(
    sessions: SessionManager, open_site: OpenSite, caplog: pytest.LogCaptureFixture
) -> None:
    sessions.device_label._function = None
    sessions.label_devices(lambda headers: headers.get("user-agent"))
    site = open_site(
        brand=EVIL,
        user_name=lambda _: EVIL,
        place=lambda _: EVIL,
        notices=lambda _: [SecurityNotice(text=EVIL, url='/"><b>', url_text=EVIL)],
        account_links=[(EVIL, "/x")],
        language=lambda _: EVIL,
    )
    other = Browser(site, "alice", EVIL, "192.0.2.1")
    here = Browser(site, "alice", '"><img src=x onerror=alert(1)>', "192.0.2.1")
    here.submit(here.get(f"{DEVICES}/rename?session={other.handle}"), name="<b onload=x>'\"&amp;")
    pages = [
        here.get(path)
        for path in (
            DEVICES,
            f"{DEVICES}/rename?session={other.handle}",
            f"{DEVICES}/rename?session={here.handle}",
            f"{DEVICES}/log-out?session={other.handle}",
            f"{DEVICES}/log-out?session={here.handle}",
            f"{DEVICES}/log-out-others",
            f"{DEVICES}?after={EVIL}",
        )
    ]
    for page in pages:
        assert page.status_code in {200, 400}
        found = Elements(page.text)
        assert found.tags.isdisjoint({"img", "b"})
        assert [name for name in found.attributes if name.startswith("on")] == []
        assert found.count["script"] == page.text.count('<script type="module" src="devices/static/')
    assert "<b onload=x>'\"&amp;" in texts(pages[0], "h3")


def test_a_page_has_no_inline_script_or_style_and_only_relative_addresses(new_browser: NewBrowser) -> None:
    new_browser(agent=IPHONE)
    here = new_browser()
    for path in ("", "/log-out-others", f"/log-out?session={here.handle}", f"/rename?session={here.handle}"):
        page = here.get(DEVICES + path)
        assert page.headers["cache-control"] == "no-store"
        policy = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        assert policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert not re.search(r"<style|\sstyle=|<script(?! type=\"module\" src=)|\son\w+=", page.text)
        addresses = re.findall(r'(?:href|src|action)="([^"]*)"', page.text)
        assert addresses
        assert [each for each in addresses if each.startswith("/") or ":" in each] == []


def test_all_that_a_page_loads_is_there_also_below_a_path_of_a_proxy(
    sessions: SessionManager, open_site: OpenSite
) -> None:
    site = open_site()
    Browser(site, "alice", IPHONE, "192.0.2.1")
    below = TestClient(site.app, base_url="https://testserver", root_path="/behind")
    below.portal = site.portal
    here = Browser(below, "alice", FIREFOX, "192.0.2.1")
    for path in (DEVICES, f"{DEVICES}/log-out-others"):
        page = here.get(f"/behind{path}")
        loaded = re.findall(r'(?:href|src)="([^"]*static[^"]*)"', page.text)
        assert len(loaded) > 1
        for address in loaded:
            file = below.get(str(page.url.join(address)))
            assert file.status_code == 200
            assert "immutable" in file.headers["cache-control"]
    assert (
        below.get(f"/behind{DEVICES}", follow_redirects=False)
        .headers["location"]
        .endswith("?next=/behind/account/devices")
    )
    assert site.get(f"{DEVICES}/static/pages.css").headers["cache-control"] == "no-cache"
    for name in ("x", "..%2F__init__.py", "../your_devices.py", "PAGES.CSS", "%00"):
        assert site.get(f"{DEVICES}/static/{name}").status_code == 404


def test_what_was_done_is_said_once_and_to_the_page_alone(new_browser: NewBrowser) -> None:
    other, here = new_browser(agent=CHROME), new_browser()
    answer = here.submit(here.get(f"{DEVICES}/log-out?session={other.handle}"))
    assert followed(answer) == DEVICES
    said = "Logged out: 1 sign-in has ended."
    assert said not in text_of(here.get(**{"x-background-request": "1"}))
    assert said in text_of(here.get())
    assert said not in text_of(here.get())
    assert said not in text_of(here.get(f"{DEVICES}?done=logged-out&count=7"))
