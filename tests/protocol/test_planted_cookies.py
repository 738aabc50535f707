"""What clears planted cookies reaches every cookie that can have come with the request, and spares ours."""

import itertools

import pytest

from asgi_sessions.protocol.cookies import CookieSpec
from asgi_sessions.protocol.planted_cookies import MOST, clear_planted

NAME = "__Secure-sAccessToken"
DOMAINS = (None, "app.shop.example", "shop.example")
PATHS = ("/", "/auth", "/auth/", "/auth/signout")


def plain(lines: list[bytes]) -> list[bytes]:
    """Those for cookies that were set without Partitioned."""
    return [line for line in lines if not line.endswith(b"; Partitioned")]


def attributes(line: bytes) -> tuple[str | None, str]:
    parts = dict(part.strip().partition("=")[::2] for part in line.decode().split(";"))
    assert parts[NAME] == ""
    assert parts["Max-Age"] == "0"
    assert "Secure" in parts
    return parts.get("Domain"), parts["Path"]


@pytest.mark.parametrize(("domain", "path"), list(itertools.product(DOMAINS, PATHS)))
def test_everything_that_comes_is_cleared_but_ours(domain: str | None, path: str) -> None:
    ours = CookieSpec(name=NAME, domain=domain, path=path)
    lines = clear_planted(NAME, "app.shop.example:8443", "/auth/signout", [ours])
    found = [attributes(line) for line in plain(lines)]
    assert len(found) == len(set(found))
    assert set(found) == set(itertools.product(DOMAINS, PATHS)) - {(domain, path)}
    assert [line + b"; Partitioned" for line in plain(lines)] == [line for line in lines if line not in plain(lines)]


def test_a_browser_takes_partitioned_from_secure_cookies_alone() -> None:
    ours = CookieSpec(name="sAccessToken", secure=False)
    lines = clear_planted("sAccessToken", "shop.example", "/auth/signout", [ours])
    assert lines
    assert not [line for line in lines if b"Partitioned" in line or b"Secure" in line]


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "", "a b", "x\r\nset-cookie: y", "é.example"]
)
def test_a_host_without_parent_domains_has_only_cookies_of_its_own(host: str) -> None:
    ours = CookieSpec(name=NAME)
    assert {attributes(line) for line in plain(clear_planted(NAME, host, "/me", [ours]))} == {(None, "/me")}


@pytest.mark.parametrize("path", ["", "/", "*", "/a;b", "/é", "/a b", "/" + "x" * 300, "/a\r\nb"])
def test_a_path_that_no_cookie_is_set_for_is_left_out(path: str) -> None:
    found = clear_planted(NAME, "shop.example", path, [CookieSpec(name=NAME)])
    assert {attributes(line) for line in plain(found)} == {("shop.example", "/")}


def test_a_path_ending_in_a_slash_has_cookies_of_both_spellings() -> None:
    found = {attributes(line)[1] for line in plain(clear_planted(NAME, "localhost", "/a/", [CookieSpec(name=NAME)]))}
    assert found == {"/a", "/a/"}


def test_a_long_path_makes_no_long_answer() -> None:
    found = clear_planted(NAME, "a.b.c.d.shop.example", "/a" * 90, [CookieSpec(name=NAME)])
    assert len(found) == MOST


def test_a_cookie_that_only_the_host_itself_can_set_is_not_planted() -> None:
    for name in ("__Host-sAccessToken", "__Host-Http-sAccessToken"):
        assert clear_planted(name, "shop.example", "/me", [CookieSpec(name=name)]) == []


def test_a_prefix_that_keeps_scripts_out_keeps_no_other_host_out() -> None:
    name = "__Http-sAccessToken"
    found = clear_planted(name, "app.shop.example", "/", [CookieSpec(name=name)])
    assert any(line.startswith(b"__Http-sAccessToken=; Domain=shop.example;") for line in found)
