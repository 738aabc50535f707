"""A provider ends the sessions that it names, once; also where it overtakes the login, or the database is down."""

import asyncio
import logging
from typing import Any

import pytest

from asgi_sessions import StoreUnavailable, Unauthorised
from asgi_sessions.oidc import carrying_out
from tests.clocks import MovableClock
from tests.oidc.conftest import Build, Site
from tests.oidc.openid_provider import OpenIDProvider


async def test_the_session_that_the_provider_names_ends_and_no_other(site: Site, provider: OpenIDProvider) -> None:
    await site.log_in(sid="laptop")
    phone = await site.log_in(sid="phone")
    await site.sessions.create_new_session_without_request("ada")  # by her password
    other = await site.log_in("grace", sid="hers", sub="grace")
    answer = await site.post(provider.logout_token(sid="laptop"))
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (200, b"", "no-store")
    assert "set-cookie" not in answer.headers
    assert len(await site.live()) == 2
    assert phone.session.session_handle in await site.live()
    assert await site.live("grace") == [other.session.session_handle]


async def test_all_of_a_subjects_sessions_end_where_no_session_is_named(site: Site, provider: OpenIDProvider) -> None:
    await site.log_in(sid="laptop")
    await site.log_in(sid=None)
    by_password = await site.sessions.create_new_session_without_request("ada")
    assert (await site.post(provider.logout_token(sid=None))).status_code == 200
    assert await site.live() == [by_password.session.session_handle]
    again = await site.log_in(sid="laptop")  # which is no end of that session for good
    assert again.session.session_handle in await site.live()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "PS256", "EdDSA", "Ed25519"])
@pytest.mark.parametrize("kind", ["logout+jwt", "JWT", "application/logout+jwt", None])
async def test_each_algorithm_and_type_of_the_specification(
    site: Site, provider: OpenIDProvider, algorithm: str, kind: str | None
) -> None:
    await site.log_in()
    token = provider.logout_token(algorithm=algorithm, header={"typ": kind})
    assert (await site.post(token)).status_code == 200
    assert await site.live() == []


@pytest.mark.parametrize("changes", [{"aud": ["somebody", "our-application"]}, {"sub": None}, {"extra": [1]}])
async def test_what_the_specification_leaves_open(
    site: Site, provider: OpenIDProvider, changes: dict[str, Any]
) -> None:
    await site.log_in()
    assert (await site.post(provider.logout_token(**changes))).status_code == 200
    assert await site.live() == []


async def test_a_session_that_nobody_knows_is_no_error(site: Site, provider: OpenIDProvider) -> None:
    assert (await site.post(provider.logout_token(sid="never seen"))).status_code == 200


async def test_a_logout_that_overtakes_its_login_ends_it(
    site: Site, provider: OpenIDProvider, clock: MovableClock
) -> None:
    assert (await site.post(provider.logout_token(sid="fast"))).status_code == 200
    with pytest.raises(Unauthorised):
        await site.log_in(sid="fast")
    assert await site.live() == []
    await site.log_in(sid="another")
    clock.advance(seconds=601)
    await site.log_in(sid="fast")
    assert len(await site.live()) == 2


async def test_a_token_counts_once_on_all_workers(build: Build, site: Site, provider: OpenIDProvider) -> None:
    token = provider.logout_token(sid=None)
    assert (await site.post(token)).status_code == 200
    await site.log_in()
    other_worker = Site(build(site.sessions, [provider.as_configured()]), site.sessions, provider)
    async with other_worker.client:
        answer = await other_worker.post(token)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert len(await site.live()) == 1


async def test_of_several_providers_each_ends_its_own_alone(
    build: Build, site: Site, provider: OpenIDProvider, clock: MovableClock
) -> None:
    with OpenIDProvider(clock) as second:
        both = Site(build(site.sessions, [provider.as_configured(), second.as_configured()]), site.sessions, provider)
        async with both.client:
            await site.log_in()
            assert (await both.post(second.logout_token())).status_code == 200
            assert len(await site.live()) == 1, "the same sid of another issuer"
            forged = second.logout_token(iss=provider.issuer)
            assert (await both.post(forged)).status_code == 400
            assert len(await site.live()) == 1
            assert (await both.post(provider.logout_token())).status_code == 200
            assert await site.live() == []


async def test_what_the_database_does_not_take_is_tried_until_it_does(
    site: Site, provider: OpenIDProvider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(carrying_out, "ANSWER_SECONDS", 0.01)
    monkeypatch.setattr(carrying_out, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(carrying_out, "LONGEST_PAUSE", 0.0)
    issued = await site.log_in()
    marks = site.sessions.lifecycle.index._marks
    genuine, down = marks.write, True

    async def failing(*arguments: Any) -> bool:
        if down:
            raise StoreUnavailable
        return await genuine(*arguments)

    monkeypatch.setattr(marks, "write", failing)
    waiting = asyncio.create_task(issued.session.wait_until_ended())
    answer = await site.post(provider.logout_token())
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert len(await site.live()) == 1
    down = False
    with caplog.at_level(logging.INFO, "asgi_sessions"):
        await asyncio.wait_for(waiting, 60)
    assert await site.live() == []


async def test_a_logout_that_waits_too_long_is_given_up_and_told(
    site: Site, provider: OpenIDProvider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(carrying_out, "GIVE_UP_SECONDS", 0.0)

    async def failing(*arguments: Any) -> bool:
        raise StoreUnavailable

    monkeypatch.setattr(site.sessions.lifecycle.index._marks, "write", failing)
    with caplog.at_level(logging.ERROR, "asgi_sessions"):
        await site.post(provider.logout_token())
    assert "was given up" in caplog.text


async def test_no_more_logouts_wait_than_are_bounded(
    site: Site, provider: OpenIDProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying_out, "MOST_AT_WORK", 0)
    assert (await site.post(provider.logout_token())).status_code == 503
