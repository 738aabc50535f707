"""What the next page says about the form before: by a cookie that is read once."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from asgi_sessions import Notice, NoticeCookie

CODES = ("welcome", "others-logged-out")
notices = NoticeCookie(CODES)


async def send(request: Request) -> Response:
    response = RedirectResponse("/page", 303)
    number = request.query_params.get("number")
    notices.leave(request, response, request.query_params["code"], None if number is None else int(number))
    return response


async def page(request: Request) -> Response:
    notice = notices.read(request)
    response = JSONResponse(None if notice is None else [notice.code, notice.number])
    notices.clear(request, response)
    return response


@pytest.fixture(params=["https", "http"])
def client(request: pytest.FixtureRequest) -> TestClient:
    app = Starlette(routes=[Route("/send", send, methods=["POST"]), Route("/page", page)])
    return TestClient(app, base_url=f"{request.param}://shop.example")


def test_the_next_page_shows_it_once(client: TestClient) -> None:
    assert client.post("/send?code=others-logged-out&number=3").json() == ["others-logged-out", 3]
    assert client.get("/page").json() is None
    assert client.post("/send?code=welcome").json() == ["welcome", None]
    assert not client.cookies


def test_the_later_notice_counts(client: TestClient) -> None:
    for number in (1, 2):
        client.post(f"/send?code=others-logged-out&number={number}", follow_redirects=False)
    assert client.get("/page").json() == ["others-logged-out", 2]


def test_the_cookie_is_for_this_host_only_for_a_minute_and_for_no_script(client: TestClient) -> None:
    secure = client.base_url.scheme == "https"
    name = "__Host-notice" if secure else "notice"
    (left,) = client.post("/send?code=welcome", follow_redirects=False).headers.get_list("set-cookie")
    flags = {"HttpOnly", "Path=/", "SameSite=lax", *(["Secure"] if secure else [])}
    assert set(left.split("; ")) == {f"{name}=welcome", "Max-Age=60", *flags}
    (cleared,) = client.get("/page").headers.get_list("set-cookie")
    assert {part for part in cleared.split("; ") if not part.startswith("expires=")} == {
        f'{name}=""',
        "Max-Age=0",
        *flags,
    }


def test_a_page_without_a_notice_touches_no_cookie(client: TestClient) -> None:
    assert "set-cookie" not in client.get("/page").headers


@pytest.mark.parametrize(
    "value",
    [
        "",
        "unknown",
        "welcome.",
        "welcome.x",
        "welcome.-1",
        "welcome.1.1",
        "welcome." + "9" * 10,
        "welcome." + "9" * 5000,
        "WELCOME",
        '"welcome"x',
        "<b>",
        "\xd9\xa1",
        "welcome.\xd9\xa1",
    ],
)
def test_whatever_is_no_notice_is_not_shown_and_cleared(client: TestClient, value: str) -> None:
    name = "__Host-notice" if client.base_url.scheme == "https" else "notice"
    response = client.get("/page", headers={b"cookie": f"{name}={value}".encode("latin-1")})
    assert response.json() is None
    assert "Max-Age=0" in response.headers["set-cookie"]


def test_the_name_without_its_prefix_does_not_count_over_https(client: TestClient) -> None:
    name = "notice" if client.base_url.scheme == "https" else "__Host-notice"
    response = client.get("/page", headers={"cookie": f"{name}=welcome"})
    assert response.json() is None
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    ("code", "number"), [("nonsense", None), ("welcome", -1), ("welcome", 10**9), ("welcome.1", None), ("", None)]
)
def test_what_is_no_notice_cannot_be_left(code: str, number: int | None) -> None:
    request = Request({"type": "http", "scheme": "http", "headers": []})
    response = Response()
    with pytest.raises(ValueError, match="none of the notices"):
        notices.leave(request, response, code, number)
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("code", ["", "Welcome", "a b", "a_b", "-a", "a-", "a.1", "x" * 41, "ä"])
def test_a_code_is_a_word(code: str) -> None:
    with pytest.raises(ValueError, match="no code of a notice"):
        NoticeCookie([code])


def test_a_notice_is_its_code_and_its_number() -> None:
    assert Notice("welcome") == Notice("welcome", None) != Notice("welcome", 1)
