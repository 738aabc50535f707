import time
from collections.abc import Callable

import httpx2
import pytest

from tests.example.running_site import Site, Visitor

NewVisitor = Callable[..., Visitor]


def test_a_page_that_needs_a_session_leads_to_the_sign_in_form(visitor: Visitor) -> None:
    response = visitor.get("/devices?x=1")
    assert response.status_code == 303
    assert response.headers["location"] == "/sign-in?next=%2Fdevices%3Fx%3D1"


def test_signing_up_signs_in_and_greets_by_name(visitor: Visitor, name: str) -> None:
    response = visitor.sign_up(name)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert f"Hello {name}" in visitor.get("/").text


def test_a_name_is_shown_as_text_and_never_as_html(visitor: Visitor, name: str) -> None:
    visitor.sign_up(f"<b>{name[-8:]}")
    assert f"Hello &lt;b&gt;{name[-8:]}" in visitor.get("/").text


def test_a_name_signs_in_however_it_is_capitalised(member: Visitor, new_visitor: NewVisitor, name: str) -> None:
    other = new_visitor()
    assert other.sign_in(f" {name.upper()} ").status_code == 303
    assert other.is_signed_in


def test_a_taken_name_is_refused_even_in_other_letters(member: Visitor, new_visitor: NewVisitor, name: str) -> None:
    wide = "".join(chr(ord(letter) + 0xFEE0) if letter != " " else letter for letter in name.upper())
    for spelling in (name, name.upper(), wide):
        response = new_visitor().sign_up(spelling)
        assert response.status_code == 409
        assert "taken" in response.text


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(
    member: Visitor, new_visitor: NewVisitor, name: str
) -> None:
    wrong = new_visitor().sign_in(name, "not the password")
    unknown = new_visitor().sign_in(name[::-1], "not the password")
    assert wrong.status_code == unknown.status_code == 422
    assert wrong.text.replace(name, "") == unknown.text.replace(name[::-1], "")
    assert wrong.headers.keys() == unknown.headers.keys()


def test_an_unknown_name_takes_as_long_as_a_wrong_password(member: Visitor, new_visitor: NewVisitor, name: str) -> None:
    other, fastest = new_visitor(), {name: float("inf"), name[::-1]: float("inf")}

    def take_as_long() -> bool:
        # A sign-in without the hash would take a tenth at most.
        return fastest[name[::-1]] > fastest[name] / 3

    for tries in range(40):  # on a busy machine the fastest one of a few may be slow
        for typed in (name, name[::-1]):
            start = time.perf_counter()
            other.sign_in(typed, "not the password")
            fastest[typed] = min(fastest[typed], time.perf_counter() - start)
        if tries > 2 and take_as_long():
            break
    assert take_as_long()


def persistent_cookies(response: httpx2.Response) -> list[bool]:
    """Of each of the session's cookies, whether it outlives the browser."""
    assert response.is_success or response.is_redirect
    cookies = response.headers.get_list("set-cookie")
    return ["Max-Age" in cookie for cookie in cookies if cookie.partition("=")[0].endswith("Token")]


@pytest.mark.parametrize("ticked", [True, False])
def test_the_box_says_whether_the_session_outlives_the_browser(
    ticked: bool, new_visitor: NewVisitor, name: str
) -> None:
    fields = {"stay_signed_in": "on"} if ticked else {}
    assert persistent_cookies(new_visitor().sign_up(name, **fields)) == [ticked, ticked]
    visitor = new_visitor()
    assert persistent_cookies(visitor.sign_in(name, **fields)) == [ticked, ticked]
    assert ("in 14 days" in visitor.get("/").text, "in 8 hours" in visitor.get("/").text) == (ticked, not ticked)


@pytest.mark.parametrize("ticked", [True, False])
@pytest.mark.parametrize("path", ["/sign-in", "/sign-up"])
def test_the_box_stays_as_it_was_where_something_was_wrong(path: str, ticked: bool, visitor: Visitor) -> None:
    fields = {"name": "nobody", "password": "wrong", **({"stay_signed_in": "on"} if ticked else {})}
    response = visitor.post(path, fields)
    assert response.status_code == 422
    assert ('aria-describedby="stay-signed-in-hint" checked>' in response.text) is ticked
    assert 'aria-describedby="stay-signed-in-hint">' in visitor.get(path).text


def test_signing_in_leads_back_to_the_page_that_was_asked_for(
    member: Visitor, new_visitor: NewVisitor, name: str
) -> None:
    other = new_visitor()
    form = other.get("/sign-in?next=/devices%3Fx%3D1").text
    assert '<input type="hidden" name="next" value="/devices?x=1">' in form
    assert other.sign_in(name, next="/devices?x=1").headers["location"] == "/devices?x=1"


@pytest.mark.parametrize(
    "elsewhere",
    ["//evil.example", "https://evil.example", "/\t/evil.example"],
)
def test_signing_in_never_leads_to_another_site(
    member: Visitor, new_visitor: NewVisitor, name: str, elsewhere: str
) -> None:
    other = new_visitor()
    assert 'name="next"' not in other.get("/sign-in", params={"next": elsewhere}).text
    assert other.sign_in(name, next=elsewhere).headers["location"] == "/"
    assert other.get("/sign-in", params={"next": elsewhere}).headers["location"] == "/"


def test_who_is_signed_in_sees_no_form_for_it(member: Visitor) -> None:
    assert member.get("/sign-in").headers["location"] == "/"
    assert member.get("/sign-up").headers["location"] == "/"


def test_a_form_of_another_site_signs_nobody_in(member: Visitor, new_visitor: NewVisitor, name: str) -> None:
    other = new_visitor()
    form = {"name": name, "password": "correct horse"}
    response = other.post("/sign-in", form, headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"})
    assert response.status_code == 403
    assert response.headers["content-type"].startswith("text/html")
    assert not other.cookies


def test_a_form_of_another_site_logs_nobody_out(member: Visitor) -> None:
    evil = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    for path in ("/log-out", "/devices/log-out-others", "/devices/log-out"):
        assert member.post(path, headers=evil).status_code == 403
    assert member.is_signed_in


def test_pages_about_an_account_are_not_kept_and_load_nothing_from_elsewhere(member: Visitor) -> None:
    headers = member.get("/").headers
    assert headers["cache-control"] == "no-store"
    assert headers["vary"] == "Cookie"
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")


def test_plain_http_on_another_host_gets_a_hint_about_secure_cookies(visitor: Visitor, site: Site) -> None:
    for host in ("localhost", "127.0.0.1"):
        response = visitor.get("/sign-in", headers={"Host": f"{host}:{site.port}"})
        assert "will not last" not in response.text
    for path in ("/sign-in", "/sign-up"):
        response = visitor.get(path, headers={"Host": "192.168.0.7:8000"})
        assert "Signing in will not last here" in response.text


def test_safari_gets_a_hint_about_secure_cookies_on_localhost_too(visitor: Visitor) -> None:
    safari = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.5 Safari/605.1.15"
    assert "Signing in will not last in this browser" in visitor.get("/sign-in", headers={"User-Agent": safari}).text
