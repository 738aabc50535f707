"""Whatever is sent, no 500."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.example.running_site import Site, Visitor

ODD_TEXTS = {
    "empty": "",
    "blank": "  \t ",
    "NUL": "a\0b",
    "emoji": "😀👩‍🚀",
    "long": "x" * 10_000,
    "long emoji": "😀" * 10_000,
    "expands": "\ufdfa" * 40,  # one letter that becomes eighteen
    "vanishes": "\u00ad\u200b",
    "right to left": "\u202eadA",
    "line breaks": "a\r\nb",
    "quotes": "' OR 1=1 -- \"><script>",
    "braces": "{{ 7*7 }} {% include 'x' %} %s {0}",
}
FORMS = ("/sign-up", "/sign-in", "/admin/log-out-user")


@pytest.fixture(autouse=True)
def _no_traceback(site: Site) -> Iterator[None]:
    before = len(site.log)
    yield
    assert "Traceback" not in site.log[before:]


@pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS.keys())
def test_odd_names_and_passwords_sign_up_or_are_told_what_is_wrong(visitor: Visitor, text: str, name: str) -> None:
    page = visitor.post("/sign-up", {"name": name, "password": text})
    assert page.status_code in {303, 422}
    api = visitor.send("POST", "/api/sign-up", json={"name": text, "password": name})
    assert api.status_code in {201, 422}


@pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS.keys())
def test_odd_names_and_passwords_do_not_sign_in(visitor: Visitor, text: str) -> None:
    form = {"name": text, "password": f"{text}?", "next": text}
    assert visitor.post("/sign-in", form).status_code == 422
    assert visitor.send("POST", "/api/sign-in", json=form).status_code == 401
    assert not visitor.cookies


@pytest.mark.parametrize("password", ["x" * 200, "😀" * 8, "a\0bcdefgh", "        "])
def test_a_password_may_be_any_text(visitor: Visitor, name: str, password: str) -> None:
    assert visitor.sign_up(name, password).status_code == 303
    visitor.submit("/log-out")
    assert visitor.sign_in(name, password[:-1] + "?").status_code == 422
    assert visitor.sign_in(name, password).status_code == 303


def test_a_form_tells_what_is_wrong_with_each_field_and_keeps_the_name(visitor: Visitor) -> None:
    response = visitor.sign_up("Ada", "short")
    assert response.status_code == 422
    assert "A password has 8 to 200 characters." in response.text
    assert 'aria-invalid="true"' in response.text
    assert 'value="Ada"' in response.text
    assert "short" not in response.text


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b""),
        ("application/x-www-form-urlencoded", b"%ff=%fe&name=%ff%00&password=%80&&&=="),
        ("application/x-www-form-urlencoded; charset=nonsense", b"name=a&name=b&password=c"),
        ("application/json", b'{"name": "a"}'),
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=x", b"not multipart"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="name"; filename="f"\r\n\r\nfile\r\n--x--\r\n',
        ),
        (b"\xff/\xfe", b"name=a"),
    ],
)
def test_what_is_no_proper_form_is_refused(administrator: Visitor, path: str, content_type: Any, body: bytes) -> None:
    tag = administrator.form_tag["form_tag"]  # without it no body is looked at
    headers = {"Content-Type": content_type, "Form-Tag": tag}
    response = administrator.send("POST", path, content=body, headers=headers)
    assert response.status_code in {400, 422}


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"x"', b"{}", b'{"name": 1, "password": null}', b"{", b"\xff", b"[" * 100_000]
)
def test_what_is_no_proper_json_is_422(visitor: Visitor, body: bytes) -> None:
    for path in ("/api/sign-up", "/api/sign-in"):
        response = visitor.send("POST", path, content=body, headers={"Content-Type": "application/json"})
        assert response.status_code in {400, 422}
        assert response.headers["content-type"] == "application/json"


def test_lone_surrogates_in_json_are_422(visitor: Visitor) -> None:
    body = rb'{"name": "\ud800", "password": "\udfff\udfff\udfff\udfff\udfff\udfff\udfff\udfff"}'
    for path in ("/api/sign-up", "/api/sign-in"):
        response = visitor.send("POST", path, content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == 422


def test_a_refused_body_is_not_repeated(visitor: Visitor) -> None:
    response = visitor.send("POST", "/api/sign-up", json={"name": "", "password": "short-1"})
    assert response.status_code == 422
    assert "short-1" not in response.text
    assert {tuple(each["loc"]) for each in response.json()["detail"]} == {("body", "name"), ("body", "password")}


@pytest.mark.parametrize("handle", ["x", "%00", "%F0%9F%98%80", "a" * 10_000, "..%2f..", "%ff"])
def test_odd_session_handles_name_no_device(member: Visitor, handle: str) -> None:
    assert member.submit("/devices/log-out", {"session": handle}).status_code in {303, 400, 422}
    assert member.send("DELETE", f"/api/devices/{handle}").status_code == 404


@pytest.mark.parametrize("number", ["0", "-1", "x", "9" * 30, "9" * 5000, "1.5"])
def test_odd_user_numbers_log_nobody_out(administrator: Visitor, number: str) -> None:
    response = administrator.post(f"/api/admin/users/{number}/log-out")
    assert response.status_code == (200 if number == "0" else 422)


@pytest.mark.parametrize(
    ("method", "path", "status_code"),
    [("GET", "/nothing", 404), ("GET", "/%00", 404), ("GET", "/log-out", 405), ("PUT", "/sign-in", 405)],
)
def test_other_addresses_get_an_error_page(visitor: Visitor, method: str, path: str, status_code: int) -> None:
    response = visitor.send(method, path)
    assert response.status_code == status_code
    assert f'<p class="details">{status_code}</p>' in response.text
    assert "Sign in</a>" in response.text


def test_an_error_page_leads_on_whoever_is_signed_in(member: Visitor, name: str) -> None:
    page = member.get("/nothing").text
    assert f"</span>{name}</span>" in page
    assert '<a href="/devices">Devices</a>' in page


def test_other_addresses_of_the_api_get_json(visitor: Visitor) -> None:
    assert visitor.get("/api/nothing").json() == {"detail": "Not Found"}
