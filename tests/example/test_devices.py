import re
from collections.abc import Callable

import pytest

from tests.example.running_site import IPHONE, Site, Visitor

NewVisitor = Callable[..., Visitor]


@pytest.fixture
def phone(member: Visitor, new_visitor: NewVisitor, name: str) -> Visitor:
    """The member's second device."""
    phone = new_visitor(IPHONE)
    assert phone.sign_in(name).status_code == 303
    return phone


def log_out_links(page: str) -> list[str]:
    """The handles of the devices that can be logged out, this one's first."""
    return re.findall(r'href="devices/log-out\?session=([0-9a-f]{32})"', page)


def test_your_devices_shows_each_with_label_address_and_times(member: Visitor, phone: Visitor, name: str) -> None:
    page = member.get("/devices").text
    assert re.findall(r"<h3[^>]*>([^<]*)</h3>", page) == ["Firefox on Linux", "Safari on iPhone"]
    assert "Firefox 140" in page  # the label of ua-parser
    assert page.count('<bdi dir="ltr">127.0.0.1</bdi>') == 2
    assert page.count("<time datetime=") == 2
    assert page.count('<span class="badge badge-here">This device</span>') == 1
    assert f"</span>{name}</span>" in page


def test_log_out_here_clears_the_cookies_and_ends_this_device_only(member: Visitor, phone: Visitor) -> None:
    response = phone.submit("/log-out")
    assert response.headers["location"] == "/sign-in"
    assert set(phone.cookies) == {"notice"}
    assert "Safari on iPhone" not in member.get("/devices").text


def test_log_out_another_device_takes_it_out_of_the_list_and_sends_it_to_the_form(
    member: Visitor, phone: Visitor
) -> None:
    _, other = log_out_links(member.get("/devices").text)
    assert "Log out Safari on iPhone?" in member.get(f"/devices/log-out?session={other}").text
    assert member.submit("/devices/log-out", {"session": other}).status_code == 303
    page = member.get("/devices").text
    assert "Safari on iPhone" not in page
    assert "Logged out: 1 sign-in has ended." in page
    response = phone.get("/devices")
    assert response.headers["location"] == "/sign-in?next=%2Fdevices"
    assert set(phone.cookies) == {"notice"}
    assert "Your session has ended" in phone.get("/sign-in?notice=session-ended").text


def test_log_out_everywhere_else_keeps_this_device(member: Visitor, phone: Visitor) -> None:
    assert member.submit("/devices/log-out-others").status_code == 303
    assert "Logged out: 1 sign-in has ended." in member.get("/devices").text
    assert member.is_signed_in
    assert not phone.is_signed_in


def test_this_device_can_be_logged_out_in_the_list(member: Visitor) -> None:
    (here,) = log_out_links(member.get("/devices").text)
    assert "You are signed out" in member.submit("/devices/log-out", {"session": here}).text
    assert member.cookies == {}


def test_another_users_device_cannot_be_logged_out(member: Visitor, administrator: Visitor) -> None:
    handle = administrator.get("/api/me").json()["session_handle"]
    assert member.submit("/devices/log-out", {"session": handle}).status_code == 303
    assert member.send("DELETE", f"/api/devices/{handle}").status_code == 404
    assert administrator.is_signed_in


def test_the_administrator_logs_a_user_out_by_number(member: Visitor, phone: Visitor, administrator: Visitor) -> None:
    number = member.get("/api/me").json()["user_id"]
    response = administrator.submit("/admin/log-out-user", {"user_id": f" {number} "})
    assert response.headers["location"] == "/admin"
    assert not member.is_signed_in
    assert not phone.is_signed_in
    assert administrator.is_signed_in


def test_the_administrator_sees_the_users_and_the_sessions_of_each(
    member: Visitor, administrator: Visitor, name: str
) -> None:
    number = member.get("/api/me").json()["user_id"]
    page = administrator.get("/admin").text
    ((shown, sessions),) = re.findall(rf'<h2>({name})</h2>.*?href="([^"]*)">Sessions<', page, re.DOTALL)
    assert (shown, sessions) == (name, f"/admin/sessions/found?user={number}&amp;type=int")
    assert "Firefox 140 on Linux" in administrator.get(f"/admin/sessions/found?user={number}&type=int").text


def test_nobody_else_gets_to_the_administration(member: Visitor, visitor: Visitor) -> None:
    page = member.get("/admin")
    assert page.status_code == 403
    assert "the first user who signed up" in page.text
    assert "Log out here" in page.text
    assert member.get("/admin/sessions").status_code == 403
    assert member.submit("/admin/log-out-user", {"user_id": "1"}).status_code == 403
    assert member.post("/api/admin/users/1/log-out").json()["code"] == "invalid_claim"


@pytest.mark.parametrize("number", ["", "abc", "-1", "1.5", "٣", "9" * 5000, "\0", "😀"])
def test_what_is_no_number_is_refused(administrator: Visitor, number: str) -> None:
    response = administrator.submit("/admin/log-out-user", {"user_id": number})
    assert response.status_code == 422
    assert "something in it is wrong" in response.text


def test_logging_out_a_user_who_does_not_exist_ends_nothing(administrator: Visitor) -> None:
    response = administrator.submit("/admin/log-out-user", {"user_id": "9" * 18})
    assert response.headers["location"] == "/admin"


def test_the_signing_keys_and_password_hashes_are_for_the_owner_only(site: Site) -> None:
    database = site.folder / "sessions.db"
    assert database.stat().st_mode & 0o077 == 0


@pytest.fixture
def acting(site: Site, administrator: Visitor, member: Visitor, new_visitor: NewVisitor) -> Visitor:
    """A browser in which the administrator acts as the member."""
    visitor = new_visitor()
    assert visitor.sign_in("The Administrator").status_code == 303
    number = member.get("/api/me").json()["user_id"]
    assert visitor.submit("/admin/act-as", {"user_id": str(number)}).headers["location"] == "/"
    return visitor


def test_the_administrator_acts_as_a_user_and_every_page_says_so(acting: Visitor, name: str) -> None:
    assert f"You act as <strong>{name}</strong>" in acting.get("/").text
    assert "You act as this user." in acting.get("/devices").text
    me = acting.get("/api/me").json()
    assert (me["name"], me["admin"], isinstance(me["actor"], int)) == (name, False, True)
    assert acting.get("/admin").status_code == 403


def test_the_user_sees_that_somebody_acts_and_ends_it(acting: Visitor, member: Visitor) -> None:
    assert "You act as" not in member.get("/").text
    page = member.get("/devices").text
    assert page.count("Somebody else acts as you") == 1
    assert page.count("127.0.0.1") == 1  # where the administrator is, is not shown
    assert [device["ip_address"] for device in member.get("/api/devices").json()] == [None, "127.0.0.1"]
    _, other = log_out_links(page)
    member.submit("/devices/log-out", {"session": other})
    assert not acting.is_signed_in


def test_whoever_acts_ends_no_other_device_and_can_stop(acting: Visitor, member: Visitor) -> None:
    own = acting.get("/api/me").json()["session_handle"]
    assert log_out_links(acting.get("/devices").text) == [own]
    handle = member.get("/api/me").json()["session_handle"]
    assert acting.submit("/devices/log-out", {"session": handle}).status_code == 403
    assert acting.submit("/devices/log-out-others").status_code == 403
    assert member.is_signed_in
    assert acting.submit("/log-out").headers["location"] == "/sign-in"
    assert not acting.is_signed_in
    assert member.is_signed_in


@pytest.mark.parametrize("number", ["", "x", "9" * 18, "1"])
def test_there_is_nobody_else_to_act_as(number: str, administrator: Visitor) -> None:
    response = administrator.submit("/admin/act-as", {"user_id": number})
    assert response.headers["location"] == "/admin"
    assert administrator.get("/api/me").json()["actor"] is None


def test_nobody_else_acts_as_anybody(member: Visitor) -> None:
    assert member.submit("/admin/act-as", {"user_id": "1"}).status_code == 403
