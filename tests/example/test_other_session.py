"""A page's forms act for whom the page was shown to, and for nobody who has signed in since."""

import re
from collections.abc import Callable

import pytest

from tests.example.running_site import IPHONE, Site, Visitor

NewVisitor = Callable[..., Visitor]


@pytest.fixture
def successor(new_visitor: NewVisitor, name: str) -> str:
    """Somebody who is signed in elsewhere too."""
    phone = new_visitor(IPHONE)
    assert phone.sign_up(f"{name} II").status_code == 303
    return f"{name} II"


def tags(page: str) -> set[str]:
    """Of every form that acts for a session."""
    forms = re.findall(r'<form method="post" action="([^"]+)".*?</form>', page, re.DOTALL)
    found = re.findall(r'<input type="hidden" name="form_tag" value="([\w-]{16})">', page)
    assert len(found) == len(forms) > 0
    return set(found)


def test_a_page_of_before_ends_nothing_of_whoever_has_signed_in_since(
    member: Visitor, name: str, successor: str, new_visitor: NewVisitor
) -> None:
    (tag,) = tags(member.get("/").text)
    assert member.sign_in(successor).status_code == 303  # by an older form, in another tab
    listed = member.post("/devices/log-out-others", {"form_tag": tag})
    assert listed.status_code == 409
    assert "This page is out of date" in listed.text
    address = "http://127.0.0.1/confirm?x=1"
    response = member.post("/confirm/code", {"form_tag": tag}, headers={"Referer": address})
    assert response.status_code == 409
    assert "Nothing was done" in response.text
    assert f"You are now signed in as <strong>{successor}</strong>" in response.text
    assert 'href="/confirm">Load the page again</a>' in response.text
    assert "Safari on iPhone" in member.get("/devices").text  # as it was
    assert tags(member.get("/").text) == tags(response.text) != {tag}
    assert member.submit("/devices/log-out-others").status_code == 303
    assert "Safari on iPhone" not in member.get("/devices").text


@pytest.mark.parametrize(
    "referer", ["", "https://evil.example//evil.example/x", "http://x/\\evil", "/\t/evil", "http://[", "https://x"]
)
def test_the_way_on_is_on_this_site(member: Visitor, referer: str) -> None:
    response = member.post("/log-out", headers={"Referer": referer})
    assert response.status_code == 409
    assert 'href="/">Load the page again</a>' in response.text


@pytest.mark.parametrize(
    "path",
    ["/log-out", "/devices/log-out-others", "/devices/log-out", "/devices/rename", "/confirm", "/confirm/code"],
)
def test_every_form_of_somebody_signed_in_needs_the_tag(member: Visitor, path: str) -> None:
    for form in ({}, {"form_tag": ""}, {"form_tag": "x" * 16}):
        assert member.post(path, form).status_code == 409
    assert member.is_signed_in
    assert member.submit(path).status_code != 409


@pytest.mark.parametrize("path", ["/admin/log-out-user", "/admin/act-as"])
def test_so_do_the_administrators(administrator: Visitor, path: str) -> None:
    assert administrator.post(path, {"user_id": "1"}).status_code == 409
    assert administrator.submit(path, {"user_id": "x"}).status_code != 409


def test_every_page_names_its_session_in_each_form(member: Visitor, administrator: Visitor) -> None:
    for visitor, paths in ((member, ("/", "/confirm")), (administrator, ("/admin",))):
        for path in paths:
            assert tags(visitor.get(path).text) == {visitor.form_tag["form_tag"]}
    assert tags(member.submit("/confirm/code").text) == {member.form_tag["form_tag"]}
    assert tags(member.submit("/confirm", {"code": "x"}).text) == {member.form_tag["form_tag"]}


def test_nobody_is_led_to_the_form_for_signing_in_as_ever(visitor: Visitor) -> None:
    assert visitor.post("/log-out").headers["location"] == "/sign-in"


def test_a_program_needs_no_tag(member: Visitor) -> None:
    assert member.send("POST", "/api/log-out").status_code == 204


def test_nothing_is_logged_as_an_error(site: Site) -> None:
    assert "Traceback" not in site.log
