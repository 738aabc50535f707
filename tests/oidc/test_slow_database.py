"""An answer comes within a second also where the database takes a question in, and never answers it."""

import asyncio
from typing import Any

import pytest

from asgi_sessions.oidc import carrying_out
from tests.oidc.conftest import Site
from tests.oidc.openid_provider import OpenIDProvider


async def test_a_logout_whose_first_question_is_not_answered_is_tried_on_after_the_answer(
    site: Site, provider: OpenIDProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying_out, "ANSWER_SECONDS", 0.01)
    issued = await site.log_in()
    marks = site.sessions.lifecycle.index._marks
    genuine, held = marks.has_any, asyncio.Event()

    async def slow(*arguments: Any) -> Any:
        await held.wait()
        return await genuine(*arguments)

    monkeypatch.setattr(marks, "has_any", slow)
    waiting = asyncio.create_task(issued.session.wait_until_ended())
    answer = await site.post(provider.logout_token())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert len(await site.live()) == 1
    held.set()
    await waiting
    assert await site.live() == []
