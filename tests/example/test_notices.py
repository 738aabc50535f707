"""What the next page says about the form before comes from the server, and once."""

import re

import pytest

from tests.example.running_site import IPHONE, Site, Visitor
from tests.example.test_live_sign_out import open_socket


def notice(page: str) -> tuple[str, str, str] | None:
    """Of a page: its kind, its role and its text."""
    found = re.findall(r'<p class="notice (\w+)" role="(\w+)">([^<]*)</p>', page)
    assert len(found) <= 1
    return found[0] if found else None


def test_the_page_after_a_form_says_what_was_done_and_the_one_after_that_says_nothing(
    visitor: Visitor, name: str
) -> None:
    assert visitor.sign_up(name).headers["location"] == "/"
    assert notice(visitor.get("/").text) == (
        "success",
        "status",
        "Your account is ready, and you are signed in.",
    )
    assert notice(visitor.get("/").text) is None


def test_a_number_is_told(member: Visitor, administrator: Visitor, site: Site, name: str) -> None:
    number = member.get("/api/me").json()["user_id"]
    for _ in range(2):
        phone = Visitor(site, IPHONE)
        phone.sign_in(name)
        phone.close()
    assert administrator.submit("/admin/log-out-user", {"user_id": str(number)}).headers["location"] == "/admin"
    assert notice(administrator.get("/admin").text) == ("success", "status", "The user is logged out on 3 devices.")


def test_an_ended_session_is_told_at_the_form(member: Visitor, site: Site, name: str) -> None:
    phone = Visitor(site, IPHONE)
    phone.sign_in(name)
    phone.submit("/devices/log-out-others")
    phone.close()
    assert member.get("/devices").headers["location"] == "/sign-in?next=%2Fdevices"
    assert notice(member.get("/sign-in?next=%2Fdevices").text) == (
        "information",
        "status",
        "Your session has ended. Please sign in again.",
    )


def test_so_it_is_where_a_script_hears_of_it_first(member: Visitor, site: Site, name: str) -> None:
    phone = Visitor(site, IPHONE)
    phone.sign_in(name)
    phone.submit("/devices/log-out-others")
    phone.close()
    assert member.get("/auth/session", headers={"X-Background-Request": "1"}).status_code == 401
    assert member.get("/").headers["location"] == "/sign-in"
    assert "Your session has ended." in member.get("/sign-in").text


def test_a_program_is_left_no_notice(member: Visitor) -> None:
    member.submit("/log-out")
    member.cookies.clear()
    answer = member.send("GET", "/api/me", headers={"Sec-Fetch-Site": "none", "Cookie": "sAccessToken=x"})
    assert answer.status_code == 401
    assert "notice" not in str(answer.headers.get_list("set-cookie"))


@pytest.mark.parametrize("path", ["/", "/confirm"])
@pytest.mark.parametrize("query", ["notice=ended-for-safety", "notice=user-logged-out&count=3"])
def test_an_address_says_nothing(member: Visitor, path: str, query: str) -> None:
    member.get("/")  # the notice of signing up
    assert notice(member.get(f"{path}?{query}").text) is None


@pytest.mark.parametrize("value", ["nonsense", "user-logged-out.x", "user-logged-out." + "9" * 3000, "<script>"])
def test_an_odd_cookie_says_nothing_and_is_cleared(member: Visitor, value: str) -> None:
    member.cookies["notice"] = value
    response = member.get("/")
    assert response.status_code == 200
    assert notice(response.text) is None
    assert value not in response.text
    assert "notice" not in member.cookies


def test_the_cookie_is_for_the_server_alone_and_for_a_minute(visitor: Visitor, name: str) -> None:
    headers = visitor.sign_up(name).headers.get_list("set-cookie")
    (left,) = [header for header in headers if header.startswith("notice=")]
    assert set(left.split("; ")) == {"notice=welcome", "HttpOnly", "Max-Age=60", "Path=/", "SameSite=lax"}


def test_a_theft_is_a_warning_that_says_what_to_do(visitor: Visitor) -> None:
    visitor.cookies["notice"] = "ended-for-safety"
    found = notice(visitor.get("/sign-in").text)
    assert found is not None
    assert found[:2] == ("warning", "alert")
    for advice in ("Sign in again", "look at your devices", "change your password"):
        assert advice in found[2]


async def test_the_socket_of_a_page_whose_session_has_ended_leaves_the_notice(
    member: Visitor, site: Site, name: str
) -> None:
    phone = Visitor(site, IPHONE)
    phone.sign_in(name)
    phone.submit("/devices/log-out-others")
    phone.close()
    async with open_socket(site, member, query="?form_tag=x") as socket:
        cookies = socket.response.headers.get_all("set-cookie")  # type: ignore[union-attr]  # it is open
    assert [cookie.partition(";")[0] for cookie in cookies if cookie.startswith("notice=")] == ["notice=session-ended"]
    async with open_socket(site, Visitor(site)) as socket:
        assert socket.response.headers.get_all("set-cookie") == []  # type: ignore[union-attr]
