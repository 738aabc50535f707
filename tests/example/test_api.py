import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.example.running_site import IPHONE, Visitor

NewVisitor = Callable[..., Visitor]
PASSWORD = "correct horse"


def json_post(visitor: Visitor, path: str, body: Any) -> Any:
    return visitor.send("POST", path, json=body)


def test_signing_up_and_in_answer_with_the_session(visitor: Visitor, new_visitor: NewVisitor, name: str) -> None:
    created = json_post(visitor, "/api/sign-up", {"name": name, "password": PASSWORD})
    assert created.status_code == 201
    signed_in = json_post(new_visitor(), "/api/sign-in", {"name": name, "password": PASSWORD})
    assert signed_in.status_code == 200
    assert signed_in.json()["user_id"] == created.json()["user_id"]
    assert signed_in.json()["session_handle"] != created.json()["session_handle"]
    assert signed_in.json()["logged_out"] == []
    assert created.json() == visitor.get("/api/me").json()
    assert (created.json()["name"], created.json()["admin"]) == (name, False)


@pytest.mark.parametrize("stays", [True, False])
def test_a_program_says_whether_the_session_outlives_it(stays: bool, visitor: Visitor, name: str) -> None:
    for path in ("/api/sign-up", "/api/sign-in"):
        body = {"name": name, "password": PASSWORD, "stay_signed_in": stays}
        headers = json_post(visitor, path, body).headers.get_list("set-cookie")
        assert ["Max-Age" in header for header in headers] == [stays, stays]


def test_wrong_credentials_are_401_and_a_taken_name_409(member: Visitor, new_visitor: NewVisitor, name: str) -> None:
    other = new_visitor()
    assert json_post(other, "/api/sign-in", {"name": name, "password": "wrong wrong"}).status_code == 401
    assert json_post(other, "/api/sign-up", {"name": name, "password": PASSWORD}).status_code == 409
    assert not other.cookies


def test_without_a_session_the_answer_is_json_with_a_code(visitor: Visitor) -> None:
    for path in ("/api/me", "/api/devices", "/auth/session", "/auth/sessions"):
        response = visitor.get(path)
        assert response.status_code == 401
        assert response.json()["code"] == "unauthorised"


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_its_pages_need_nothing_from_elsewhere(visitor: Visitor, path: str) -> None:
    page = visitor.get(path)
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert page.status_code == 200
    assert len(files) >= 2
    assert [visitor.get(file).status_code for file in files] == [200] * len(files)
    assert all(file.startswith("/") and not file.startswith("//") for file in files)


def test_the_devices_and_logging_one_out(member: Visitor, new_visitor: NewVisitor, name: str) -> None:
    phone = new_visitor(IPHONE)
    phone.sign_in(name)
    devices = member.get("/api/devices").json()
    assert [(device["label"], device["this_device"]) for device in devices] == [
        ("Safari 18 on iPhone, iOS 18.5", False),
        ("Firefox 140 on Linux", True),
    ]
    other = devices[0]["session_handle"]
    assert member.send("DELETE", f"/api/devices/{other}").status_code == 204
    assert member.send("DELETE", f"/api/devices/{other}").status_code == 404
    assert phone.get("/api/me").status_code == 401


def test_logging_out_everywhere_else_counts(member: Visitor, new_visitor: NewVisitor, name: str) -> None:
    for _ in range(2):
        new_visitor().sign_in(name)
    assert member.post("/api/devices/log-out-others").json() == {"sessions": 2}
    assert len(member.get("/auth/sessions").json()) == 1


def test_logging_out_here_clears_the_cookies(member: Visitor) -> None:
    assert member.post("/api/log-out").status_code == 204
    assert not member.cookies


def test_the_librarys_own_sign_out_works_beside_it(member: Visitor) -> None:
    assert member.post("/auth/signout").json() == {"status": "OK"}
    assert not member.cookies


def test_the_administrator_logs_a_user_out(member: Visitor, administrator: Visitor) -> None:
    number = member.get("/api/me").json()["user_id"]
    assert administrator.post(f"/api/admin/users/{number}/log-out").json() == {"sessions": 1}
    assert member.get("/api/me").status_code == 401


def test_the_documentation_shows_the_lock_where_a_session_is_needed(visitor: Visitor) -> None:
    document = visitor.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["SessionCookie"]["in"] == "cookie"
    locked = {
        (method, path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation.get("security")
    }
    assert ("get", "/api/me") in locked
    assert ("post", "/api/admin/users/{user_id}/log-out") in locked
    assert ("get", "/auth/sessions") in locked
    assert ("post", "/api/sign-in") not in locked
    assert not any(path == "/" or path.startswith("/devices") for path in document["paths"])
    assert visitor.get("/docs").status_code == 200
