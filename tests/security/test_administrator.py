"""ASVS 5.0, 7.4.5: an administrator at the command line, while users go on."""

import json
from collections.abc import Awaitable, Callable

import pytest
from anyio import to_thread

from asgi_sessions.cli import main
from tests.revocation.polling import poll
from tests.security.browser import Browser
from tests.security.canary import Canary
from tests.security.shop import SECRET, Shop

Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def run(any_shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on the shop's database, beside the shop; gives the exit code and what was printed."""
    monkeypatch.setenv("ASGI_SESSIONS_DATABASE_URL", any_shop.manager.settings.database_url_text)
    monkeypatch.setenv("ASGI_SESSIONS_SECRET_KEY", SECRET)

    async def command(*arguments: str) -> tuple[int, str, str]:
        code = await to_thread.run_sync(main, arguments)  # it runs an event loop of its own
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


async def _handle(browser: Browser) -> str:
    handle: str = (await browser.get("/me")).json()["handle"]
    return handle


async def test_7_4_5_the_command_line_ends_all_sessions_of_a_user(any_shop: Shop, run: Run) -> None:
    alice, bob = [await any_shop.login("alice") for _ in range(3)], await any_shop.login("bob")
    code, out, _ = await run("revoke-user", "alice")
    assert (code, out) == (0, "Revoked 3 sessions of user 'alice'.\n")
    await poll(any_shop.manager)
    assert [(await browser.get("/me")).status for browser in alice] == [401, 401, 401]
    assert (await bob.get("/me")).status == 200
    assert (await run("revoke-user", "alice"))[0] == 1


async def test_7_4_3_the_command_line_keeps_the_session_that_it_is_told_to_keep(any_shop: Shop, run: Run) -> None:
    kept, lost = await any_shop.login(), await any_shop.login()
    assert (await run("revoke-user", "alice", "--except", await _handle(kept)))[0] == 0
    await poll(any_shop.manager)
    assert (await kept.get("/me")).status == 200
    assert (await lost.get("/me")).status == 401


@pytest.mark.parametrize("handle", ["", "x", "0" * 31, "A" * 32, "' OR '1'='1"])
async def test_7_4_3_a_mistyped_session_to_keep_ends_nothing(any_shop: Shop, run: Run, handle: str) -> None:
    browser = await any_shop.login()
    assert (await run("revoke-user", "alice", "--except", handle))[0] == 2
    assert (await browser.get("/me")).status == 200


async def test_7_4_5_the_command_line_ends_one_session(any_shop: Shop, run: Run) -> None:
    one, other = await any_shop.login(), await any_shop.login()
    handle = await _handle(one)
    assert (await run("revoke", handle))[0] == 0
    assert (await run("revoke", handle))[0] == 1
    await poll(any_shop.manager)
    assert (await one.get("/me")).status == 401
    assert (await other.get("/me")).status == 200


async def test_7_4_5_the_command_line_knows_users_of_every_type(any_shop: Shop, run: Run) -> None:
    number = await any_shop.login("42")  # the application makes it an int
    assert (await run("revoke-user", "42"))[0] == 1
    await poll(any_shop.manager)
    assert (await number.get("/me")).status == 200
    assert (await run("revoke-user", "42", "--id-type", "int"))[0] == 0
    await poll(any_shop.manager)
    assert (await number.get("/me")).status == 401


async def test_7_5_2_the_command_line_lists_no_secret(any_shop: Shop, run: Run) -> None:
    canary = Canary()
    browser = any_shop.browser()
    canary.watch_answer(await browser.post("/login/alice"))
    canary.watch(SECRET)
    code, as_json, _ = await run("list", "alice", "--json")
    assert code == 0
    assert [line["session_handle"] for line in json.loads(as_json)] == [await _handle(browser)]
    for arguments in (("list", "alice"), ("list", "alice", "--json"), ("check",), ("purge",), ("migrate",)):
        code, out, err = await run(*arguments)
        assert code == 0
        assert canary.found_in(out + err) == set()
    assert (await browser.get("/me")).status == 200
