"""Chromium with a certified provider and two applications: one logout ends them all, whichever side it comes from."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as condition
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.company_site import CompanySite, Employee, company_site
from tests.oidc.company import Application, Company, company
from tests.patience import PATIENCE
from tools.openid_provider import PASSWORD

NewBrowser = Callable[..., Chrome]
OPEN_SOCKETS = """
const [count, done] = arguments;
const address = location.origin.replace("http", "ws") + "/live";
window.ends = [];
let workers = new Set();
function open() {
  const socket = new WebSocket(address);
  socket.onmessage = event => {
    workers.add(event.data);
    if (workers.size < count) open(); else done([...workers]);
  };
  socket.onclose = event => ends.push({code: event.code, at: performance.timeOrigin + performance.now()});
  window.sockets = (window.sockets ?? 0) + 1;
}
open();
"""
ALL_CLOSED = """
const [done] = arguments;
const look = () => ends.length < sockets ? setTimeout(look, 5) : done(ends);
look();
"""
STATUSES = """
const [path, count, done] = arguments;
Promise.all(Array.from({length: count}, () => fetch(path).then(answer => answer.status))).then(
  found => done([...new Set(found)])
);
"""


@pytest.fixture(scope="module")
def our_company(oidc_provider: Path, chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Two applications with two workers each, and Secure cookies, as everywhere."""
    with company(oidc_provider, tmp_path_factory.mktemp("company"), workers=2) as found:
        yield found


class Tabs:
    """A browser in which somebody has both applications open, each in a tab."""

    def __init__(self, browser: Chrome, ours: Company, name: str) -> None:
        self.browser = browser
        self._ours = ours
        self._wait = WebDriverWait(browser, PATIENCE)
        self.tabs: dict[str, str] = {}
        for application in (ours.shop, ours.forum):
            browser.switch_to.new_window("tab")
            self.tabs[application.name] = browser.current_window_handle
            self.log_in(application, name)

    def log_in(self, application: Application, name: str) -> None:
        self.browser.get(f"{application.address}/company/login")
        if "/interaction/" in self.browser.current_url:
            self.sign_in(name)
        self._wait.until(condition.url_to_be(f"{application.address}/"))
        self.browser.get(f"{application.address}/me")
        assert "employee" in self.browser.page_source

    def sign_in(self, name: str) -> None:
        """On the provider's page."""
        self.browser.find_element(By.ID, "login").send_keys(name)
        self.browser.find_element(By.ID, "password").send_keys(PASSWORD)
        self.browser.find_element(By.TAG_NAME, "button").click()

    def show(self, application: Application) -> None:
        self.browser.switch_to.window(self.tabs[application.name])

    def open_sockets(self, application: Application) -> None:
        """At least one on each of the two workers."""
        self.show(application)
        assert len(self.browser.execute_async_script(OPEN_SOCKETS, 2)) == 2

    def closed(self, application: Application) -> list[dict[str, float]]:
        """How the sockets have been closed, once all have."""
        self.show(application)
        found: list[dict[str, float]] = self.browser.execute_async_script(ALL_CLOSED)
        return found

    def statuses(self, application: Application) -> list[int]:
        """Of twenty requests, whichever worker gets each."""
        self.show(application)
        found: list[int] = self.browser.execute_async_script(STATUSES, "/me", 20)
        return found

    def says_yes(self) -> None:
        """To the provider's question whether to sign out."""
        self._wait.until(condition.title_is("Sign out of everything?"))
        self.browser.find_element(By.CSS_SELECTOR, "button[name=logout]").click()

    def sees(self, text: str) -> None:
        self._wait.until(condition.text_to_be_present_in_element((By.TAG_NAME, "body"), text))


def test_one_logout_at_the_provider_ends_all_of_its_session_on_every_worker_and_nothing_else(
    our_company: Company, new_browser: NewBrowser
) -> None:
    ada, grace = Tabs(new_browser(), our_company, "ada"), Tabs(new_browser(), our_company, "grace")
    for each in (ada, grace):
        for application in (our_company.shop, our_company.forum):
            each.open_sockets(application)
    ada.browser.switch_to.new_window("tab")
    ada.browser.get(f"{our_company.provider.issuer}/session/end")
    begun = time.time() * 1000
    ada.says_yes()
    ada.sees("You are signed out")
    assert our_company.told() == {"shop": "told", "forum": "told"}
    for application in (our_company.shop, our_company.forum):
        closed = ada.closed(application)
        took = max(each["at"] for each in closed) - begun
        print(f"{application.name}: {len(closed)} sockets closed {took:.0f} ms after the click")
        assert {each["code"] for each in closed} == {4401}
        assert ada.statuses(application) == [401]
        assert grace.statuses(application) == [200]
        assert grace.browser.execute_script("return ends") == []


def test_who_logs_out_of_one_application_comes_back_to_it_and_is_out_of_the_other(
    our_company: Company, new_browser: NewBrowser
) -> None:
    ada = Tabs(new_browser(), our_company, "ada")
    ada.open_sockets(our_company.forum)
    ada.show(our_company.shop)
    form = "const form = document.createElement('form'); form.method = 'post'; form.action = '/company/logout';"
    ada.browser.execute_script(f"{form} document.body.append(form); form.submit();")
    ada.says_yes()
    ada.sees("You are logged out here, and at your company.")
    assert ada.browser.current_url.startswith(f"{our_company.shop.address}/company/logged-out?state=")
    left = {cookie["name"] for cookie in ada.browser.get_cookies()}
    assert left <= {"login_state"}
    assert {each["code"] for each in ada.closed(our_company.forum)} == {4401}
    assert ada.statuses(our_company.forum) == [401]
    ada.browser.get(f"{our_company.forum.address}/company/login")
    assert "/interaction/" in ada.browser.current_url, "the provider asks who she is"


@pytest.fixture(scope="module")
def example(oidc_provider: Path, chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CompanySite]:
    with company_site(oidc_provider, tmp_path_factory.mktemp("example")) as found:
        yield found


def test_the_example_signs_in_at_the_company_and_its_own_button_signs_out_there_too(
    example: CompanySite, new_browser: NewBrowser
) -> None:
    ada = Employee(new_browser(), example)
    ada.sign_in_with_the_company("ada")
    ada.sees_heading("Hello Ada Lovelace")
    ada.press("Log out here", within="header")
    ada.sees_heading("Sign out of everything?")
    ada.press("Yes, sign me out")
    ada.is_at("/sign-in")
    ada.sees("You are logged out on this device, and at your company.")
    assert {cookie["name"] for cookie in ada.browser.get_cookies()} <= {"login_state"}
    assert example.provider.next_told(PATIENCE)["what"] == "told"
    assert ada.complaints() == []


def test_an_open_page_of_the_example_shows_at_once_that_the_company_has_ended_its_session(
    example: CompanySite, new_browser: NewBrowser
) -> None:
    ada = Employee(new_browser(), example)
    ada.sign_in_with_the_company("ada")
    ada.sees_heading("Hello Ada Lovelace")
    page = ada.browser.current_window_handle
    ada.browser.switch_to.new_window("tab")
    ada.browser.get(f"{example.provider.issuer}/session/end")
    ada.press("Yes, sign me out")
    ada.sees_heading("You are signed out")
    ada.browser.switch_to.window(page)
    ada.sees_heading("Sign in")
    ada.sees("No account yet?")
