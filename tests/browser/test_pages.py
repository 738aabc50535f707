"""Every page on a desktop and on a small phone: nothing sticks out, nothing fails to load, every field has a name."""

from collections.abc import Callable
from pathlib import Path

from selenium.webdriver import Chrome

from tests.browser.looks import looks_right
from tests.browser.person import Person, new_name
from tests.example.running_site import Site


def test_every_page_fits_its_screen_and_names_its_controls(tmp_path: Path, new_browser: Callable[..., Chrome]) -> None:
    with Site(tmp_path) as site:  # a new one, whose first user is the administrator
        person, other = (Person(new_browser(), site.url("localhost")) for _ in range(2))
        person.visit("/sign-up")
        looks_right(person, "sign-up")
        person.sign_up("Ada Lovelace")
        looks_right(person, "home")
        other.visit("/devices")
        other.sign_in("Ada Lovelace")
        other.is_at("/devices")
        person.visit("/devices")
        looks_right(person, "devices")
        other.visit("/")
        other.press("Log out here", within="header")
        other.is_at("/sign-in")
        other.sign_up("An unusually long name of forty letters!")
        person.visit("/admin")
        looks_right(person, "admin")
        person.visit("/devices")
        looks_right(person, "one-device")
        person.visit("/nothing")
        person.complaints()  # of the status itself
        looks_right(person, "nothing")
        person.visit("/docs")
        person.sees_in(".swagger-ui .title", "asgi-user-sessions: example")  # drawn by its script, which is served here
        assert person.complaints() == []
        person.visit("/admin/sessions")
        looks_right(person, "admin-sessions")
        person.visit("/")
        person.browser.execute_script("document.querySelectorAll('[name=form_tag]').forEach(tag => tag.value = 'x')")
        person.press("Log out here", within="header")
        person.sees_heading("Nothing was done")
        person.complaints()  # of the status itself
        looks_right(person, "other-session")
        person.browser.add_cookie({"name": "notice", "value": "ended-for-safety"})
        person.visit("/")
        person.sees("change your password")
        looks_right(person, "warning")
        person.press("Log out here", within="header")
        person.is_at("/sign-in")
        looks_right(person, "sign-in")


def test_what_was_wrong_is_said_beside_its_field(site: Site, new_browser: Callable[..., Chrome]) -> None:
    person = Person(new_browser(), site.url("localhost"))
    name = new_name()
    person.sign_up(name)
    person.press("Log out here", within="header")
    person.is_at("/sign-in")
    person.visit("/sign-up")
    person.fill_in(name)
    person.press("Sign up")
    person.sees("This name is taken.")
    field = person.is_in_field("name")
    assert field.get_attribute("aria-invalid") == "true"
