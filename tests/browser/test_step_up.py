"""A page of the example that wants a one-time code, in front of a browser."""

from collections.abc import Callable

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.browser.looks import looks_right
from tests.browser.person import Person, new_name
from tests.example.running_site import Site


def test_a_code_leads_back_to_the_page_that_wanted_it(site: Site, new_browser: Callable[..., Chrome]) -> None:
    person = Person(new_browser(), site.url("localhost"))
    person.sign_up(new_name())
    handle = str(person.browser.find_element(By.CSS_SELECTOR, ".pairs code").get_attribute("textContent"))
    person.browser.find_element(By.LINK_TEXT, "Show your data").click()
    person.is_at("/confirm?next=%2Fyour-data")
    looks_right(person, "confirm")
    person.press("Send me a code")
    person.sees("Your code is")
    looks_right(person, "code")
    code = person.browser.find_element(By.CSS_SELECTOR, ".code").text
    addresses = [person.browser.current_url]

    person.is_in_field("code").send_keys(f"{(int(code) + 1) % 10**6:06}")
    person.press("Confirm")
    person.sees("This code is wrong")
    addresses.append(person.browser.current_url)
    person.complaints()  # the console's, of the answer 422
    looks_right(person, "wrong-code")

    field = person.is_in_field("code")
    assert field.get_attribute("aria-invalid") == "true"
    field.send_keys(code)
    person.press("Confirm")
    person.is_at("/your-data")
    person.sees(handle)
    looks_right(person, "your-data")
    assert not any(code in address for address in addresses)
    person.visit("/")
    person.sees("password, one-time code")
