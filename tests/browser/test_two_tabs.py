"""Two tabs, one session: a page acts for whom it was shown to, says who has come since, and keeps what was typed."""

from collections.abc import Callable, Iterator
from typing import cast

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver

from tests.browser.person import PASSWORD, Person, new_name
from tests.browser.test_live_sign_out import opening_a_socket
from tests.example.running_site import IPHONE, Site, Visitor

SIGN_IN = """
const [name, password] = arguments, done = arguments[arguments.length - 1];
fetch("/sign-in", {method: "POST", body: new URLSearchParams({name, password})}).then(answer => done(answer.status));
"""
"""What the form of another tab does: the browser has one jar."""
TYPED = "a letter that took an hour"
TO_TYPE_IN = {
    "textarea": "<textarea id=control>Dear </textarea>",
    "input": "<input id=control value=Dear>",
    "contenteditable": "<div id=control contenteditable>Dear </div>",
}
TO_CHOOSE = {
    "checkbox": ("<input id=control type=checkbox>", "control.checked = true"),
    "radio": ("<input id=control type=radio checked>", "control.checked = false"),
    "select": ("<select id=control><option>a<option>b</select>", "control.selectedIndex = 1"),
    "default of a select": ("<select id=control><option>a<option selected>b</select>", "control.selectedIndex = 0"),
    "several": ("<select id=control multiple><option>a<option>b</select>", "control.options[0].selected = true"),
    "range": ('<input id=control type=range value="1">', "control.value = 2"),
}
UNTOUCHED = """<input value=x><input type=checkbox checked><input type=radio><input type=range><input type=color>
<input type=file><input type=hidden value=x><textarea>x</textarea><select><option disabled>a<option>b<option>c</select>
<select multiple><option>a<option selected>b</select><select></select>"""


@pytest.fixture(scope="module")
def plain_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With cookies that WebKit keeps over plain http too."""
    with Site(tmp_path_factory.mktemp("plain"), ASGI_SESSIONS_COOKIE_SECURE="false") as site:
        yield site


@pytest.fixture
def new_phone(plain_site: Site) -> Iterator[Callable[[], Visitor]]:
    phones: list[Visitor] = []

    def make() -> Visitor:
        phones.append(Visitor(plain_site, IPHONE))
        return phones[-1]

    yield make
    for phone in phones:
        phone.close()


@pytest.fixture
def person(plain_site: Site, any_browser: WebDriver) -> Person:
    """In each engine in turn, signed out."""
    return Person(cast("Chrome", any_browser), plain_site.url("localhost"))


@pytest.fixture
def chromium_person(plain_site: Site, new_browser: Callable[..., Chrome]) -> Person:
    return Person(new_browser(), plain_site.url("localhost"))


def opens_a_page(person: Person, site: Site, name: str) -> None:
    """Sign up, and open a page with its socket."""
    person.sign_up(name)
    with opening_a_socket(site):
        person.visit("/confirm")
        person.sees_heading("Is it you?")


def add(person: Person, html: str) -> None:
    """Put controls into the page, as it came from the server for all that the script knows."""
    person.browser.execute_script("document.querySelector('main').insertAdjacentHTML('beforeend', arguments[0])", html)


def kept(person: Person) -> str:
    """What is in the control."""
    script = "const control = document.getElementById('control'); return control.value ?? control.textContent"
    return str(person.browser.execute_script(script))


def says(person: Person, text: str) -> str:
    """Wait until the banner says so; what it says."""
    banner = person.sees_in("[role=alert].banner", text)
    return str(banner.text)


def signs_in_elsewhere(person: Person, name: str) -> None:
    assert person.browser.execute_async_script(SIGN_IN, name, PASSWORD) == 200


def test_a_page_of_before_ends_nothing_of_the_second_user(
    plain_site: Site, person: Person, new_phone: Callable[[], Visitor]
) -> None:
    first, second = new_name(), new_name()
    phone, of_first = new_phone(), new_phone()
    assert phone.sign_up(second, PASSWORD).status_code == 303
    person.sign_up(first)
    assert of_first.sign_in(first, PASSWORD).status_code == 303
    with opening_a_socket(plain_site):
        person.visit("/confirm")
        person.sees_heading("Is it you?")
    signs_in_elsewhere(person, second)
    assert "its buttons do nothing. To go on, load the page again." in says(
        person, f"You are now signed in as {second}"
    )
    person.press("Log out here", within="header")
    person.sees_heading("Nothing was done")
    person.sees(f"You are now signed in as {second}.")
    assert [phone.is_signed_in, of_first.is_signed_in] == [True, True]
    person.follows("Load the page again")
    person.is_at("/confirm")
    person.visit("/devices")
    person.logs_out()
    person.sees("Logged out: 1 sign-in has ended.")
    assert [phone.is_signed_in, of_first.is_signed_in] == [False, True]


@pytest.mark.parametrize("kind", TO_TYPE_IN)
def test_typed_text_survives_a_sign_out_elsewhere(
    plain_site: Site, person: Person, new_phone: Callable[[], Visitor], kind: str
) -> None:
    name, phone = new_name(), new_phone()
    opens_a_page(person, plain_site, name)
    assert phone.sign_in(name, PASSWORD).status_code == 303
    add(person, TO_TYPE_IN[kind])
    control = person.browser.find_element(By.ID, "control")
    control.send_keys(TYPED)
    assert phone.submit("/devices/log-out-others").status_code == 303
    assert says(person, "You have been signed out.") == (
        "You have been signed out. Your text is still here: copy it, then sign in."
    )
    assert TYPED in kept(person)
    person.follows("sign in", within="[role=alert]")
    person.is_at("/sign-in?next=%2Fconfirm")


def test_typed_text_survives_a_sign_in_of_somebody_else(
    plain_site: Site, person: Person, new_phone: Callable[[], Visitor]
) -> None:
    second = new_name()
    assert new_phone().sign_up(second, PASSWORD).status_code == 303
    opens_a_page(person, plain_site, new_name())
    add(person, TO_TYPE_IN["textarea"])
    person.browser.find_element(By.ID, "control").send_keys(TYPED)
    signs_in_elsewhere(person, second)
    assert "Your text is still here: copy it, then load the page again." in says(person, second)
    assert TYPED in kept(person)


@pytest.mark.parametrize("kind", TO_CHOOSE)
def test_what_was_chosen_survives_too(
    plain_site: Site, chromium_person: Person, new_phone: Callable[[], Visitor], kind: str
) -> None:
    name, phone = new_name(), new_phone()
    opens_a_page(chromium_person, plain_site, name)
    assert phone.sign_in(name, PASSWORD).status_code == 303
    html, choose = TO_CHOOSE[kind]
    add(chromium_person, UNTOUCHED + html)
    chromium_person.browser.execute_script(f"const control = document.getElementById('control'); {choose}")
    assert phone.submit("/devices/log-out-others").status_code == 303
    says(chromium_person, "You have been signed out.")
    assert chromium_person.complaints() == []  # the content security policy among them


def test_a_page_into_which_nobody_has_typed_leads_to_the_form(
    plain_site: Site, chromium_person: Person, new_phone: Callable[[], Visitor]
) -> None:
    name, phone = new_name(), new_phone()
    opens_a_page(chromium_person, plain_site, name)
    assert phone.sign_in(name, PASSWORD).status_code == 303
    add(chromium_person, UNTOUCHED)
    assert phone.submit("/devices/log-out-others").status_code == 303
    chromium_person.is_at("/sign-in?next=%2Fconfirm")


def test_the_script_that_warns_of_the_end_leaves_it_to_the_other_script(
    plain_site: Site, chromium_person: Person
) -> None:
    opens_a_page(chromium_person, plain_site, new_name())
    goes = "return dispatchEvent(new Event('sessionended', {cancelable: true}))"
    with opening_a_socket(plain_site):  # which tells that the session has not ended at all
        assert chromium_person.browser.execute_script(goes) is False
    chromium_person.is_at("/confirm")


def test_the_same_user_who_signs_in_anew_is_told_to_load_the_page(plain_site: Site, chromium_person: Person) -> None:
    name = new_name()
    opens_a_page(chromium_person, plain_site, name)
    signs_in_elsewhere(chromium_person, name)
    says(chromium_person, f"You are now signed in as {name}")
    chromium_person.follows("load the page again", within="[role=alert]")
    chromium_person.is_at("/confirm")
    chromium_person.press("Log out here", within="header")
    chromium_person.is_at("/sign-in")
