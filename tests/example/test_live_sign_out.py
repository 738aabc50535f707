"""The socket behind every page of somebody signed in, as a program sees it."""

import asyncio
import json
import re

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.example.running_site import Site, Visitor
from tests.patience import PATIENCE


def open_socket(site: Site, visitor: Visitor, origin: str | None = None, query: str = "") -> connect:
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    address = site.url().replace("http", "ws") + "/api/live" + query
    return connect(address, origin=origin or site.url(), additional_headers={"Cookie": cookies})  # type: ignore[arg-type]


async def close_code(site: Site, visitor: Visitor, query: str = "") -> int:
    async with open_socket(site, visitor, query=query) as socket:
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), PATIENCE)
        assert socket.close_code is not None
        return socket.close_code


async def test_it_is_open_and_silent_for_as_long_as_the_session_lasts(site: Site, member: Visitor) -> None:
    async with open_socket(site, member) as socket:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 1)
        await socket.send("anything")
        await socket.send(b"anything")
        response = await asyncio.to_thread(member.submit, "/log-out")
        assert response.status_code == 303
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), PATIENCE)
        assert socket.close_code == 4401


async def test_whoever_is_signed_out_already_is_told_the_same(site: Site, visitor: Visitor) -> None:
    assert await close_code(site, visitor) == 4401


async def test_a_page_of_another_session_is_told_whose_it_is_now(site: Site, member: Visitor, name: str) -> None:
    tag = member.form_tag["form_tag"]
    async with open_socket(site, member, query=f"?form_tag={tag}") as socket:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 1)
    member.sign_in(name)
    for other in (tag, "", "x" * 3000):
        async with open_socket(site, member, query=f"?form_tag={other}") as socket:
            assert json.loads(await asyncio.wait_for(socket.recv(), PATIENCE)) == {"name": name}
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), PATIENCE)
            assert socket.close_code == 4401
    member.submit("/log-out")
    assert await close_code(site, member, f"?form_tag={tag}") == 4401


async def test_another_sites_page_cannot_open_it(site: Site, member: Visitor) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(site, member, origin="https://evil.example"):
            pass
    assert refused.value.response.status_code == 403


def test_only_pages_of_somebody_signed_in_have_the_script(member: Visitor, site: Site) -> None:
    page = member.get("/")
    assert re.search(
        r'<script src="/static/live-sign-out.js" data-close-code="4401" data-here="/" '
        r'data-form-tag="[\w-]{16}" defer></script>',
        page.text,
    )
    assert "script-src 'self'; connect-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    nobody = Visitor(site)
    assert "live-sign-out.js" not in nobody.get("/sign-in").text
    nobody.close()
    assert "content-type" in member.get("/static/live-sign-out.js").headers


def test_nothing_is_logged_as_an_error(site: Site) -> None:
    assert "Traceback" not in site.log
