"""The short way to verify an access token and the long one agree, whatever has become of the token and its session."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from asgi_sessions import SessionError, SessionManager, SessionSettings, Unauthorised
from asgi_sessions.manager.verifying import Verifier
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.key_id import new_key_id
from asgi_sessions.protocol.keyring import Keyring, SigningKey, generate
from tests.clocks import MovableClock
from tests.older_version import as_an_older_version
from tests.revocation.polling import grow_old, stop_polling
from tests.security import forging
from tests.security.statements import counted

LIFETIME = 300
KEY = "one-key-of-the-house-for-all-managers-0123456789"

WAYS = [("feed", "refresh"), ("feed", "first_use"), ("none", "refresh"), ("database", "refresh")]
PROVIDERS = st.sampled_from([False, True])
MEMORIES = st.sampled_from([0, 4_000, 64 << 20])
STEPS = (
    "log in",
    "log in with a large payload",
    "refresh",
    "refresh in the background",
    "as an older version",
    "as a worker whose clock is ahead",
    "revoke here",
    "revoke all of the user here",
    "revoke on another worker",
    "change a payload here",
    "change a payload on another worker",
    "poll",
    "a second passes",
    "a lifetime passes",
    "the news grows old",
    "the memory of revocations is full",
    "another key signs",
    "the keys are others",
    "the cache forgets",
)


class LongWay(Verifier):
    """Skips nothing."""

    def is_known_live(self, access: AccessToken) -> bool:
        return False


@dataclass
class Seen:
    """What the examples have come by, so that none of it can be missing unnoticed."""

    recognised: int = 0
    served: int = 0
    changed: int = 0
    older: int = 0
    refused: set[str] = field(default_factory=set)


class Worker:
    """One worker, with what its clients hold."""

    def __init__(self, sessions: SessionManager, clock: MovableClock, seen: Seen) -> None:
        self.sessions = sessions
        self.clock = clock
        self.seen = seen
        self.refresh_tokens: list[str] = []
        self.access_tokens: list[str] = []
        lifecycle = sessions.lifecycle
        of = lifecycle.verifier
        nothing_remembered = sessions.settings.model_copy(update={"verified_token_memory": 0})
        self.long_way = LongWay(
            nothing_remembered,
            lifecycle.keys,
            of._liveness,
            of._first_uses,
            of._idle_clock,
            of._feed,
            lifecycle.clock,
            of._times,
        )

    async def take(self, step: str) -> None:
        lifecycle, feed = self.sessions.lifecycle, self.sessions.lifecycle._feed
        handles = [access.handle for access in map(self.says, self.access_tokens) if access is not None]
        if step.startswith("log in"):
            payload = "x" * 1500 if "large" in step else None
            issued = await self.sessions.create_new_session_without_request("alice", jwt_payload=payload)
            self.access_tokens.append(issued.access_token.value)
            self.refresh_tokens.append(issued.refresh_token.value)
        elif step.startswith("refresh") and self.refresh_tokens:
            try:
                issued = await self.sessions.refresh_session_without_request(
                    self.refresh_tokens[-1], extend=step == "refresh"
                )
            except SessionError:
                return
            self.access_tokens.append(issued.access_token.value)
            self.refresh_tokens.append(issued.refresh_token.value)
        elif step == "as an older version":
            issued = await self.sessions.create_new_session_without_request("alice")
            self.access_tokens.append((await as_an_older_version(self.sessions, issued)).access)
        elif step == "as a worker whose clock is ahead":
            self.clock.advance(600)
            issued = await self.sessions.create_new_session_without_request("alice")
            self.clock.advance(-600)
            self.access_tokens.append(issued.access_token.value)
        elif step == "revoke here" and handles:
            await self.sessions.revoke_session_using_session_handle(handles[-1])
        elif step == "revoke all of the user here":
            await self.sessions.revoke_all_sessions_for_user("alice", except_handle=handles[0] if handles else None)
        elif step == "revoke on another worker" and handles:
            await lifecycle._sessions.revoke(handles[-1], "logout", now=self.clock())
        elif step == "change a payload here" and handles:
            with suppress(Unauthorised):
                await self.sessions.change_jwt_payload(handles[-1], lambda payload: [payload])
        elif step == "change a payload on another worker" and handles:
            row = await lifecycle._sessions.find(handles[-1])
            assert row is not None
            await lifecycle.payloads._changes.note(row.handle, row.payload_version + 1)
            await lifecycle._sessions.swap_payload(row.handle, '"other"', self.clock(), version=row.payload_version)
        elif step == "poll" and feed is not None:
            await feed.poll()
        elif step == "a second passes":
            self.clock.advance(1)
        elif step == "a lifetime passes":
            self.clock.advance(LIFETIME)
        elif step == "the news grows old" and feed is not None:
            grow_old(self.sessions, 60)
        elif step == "the memory of revocations is full" and feed is not None:
            feed._handles.overflowing = True
        elif step == "another key signs":
            older = lifecycle.keys.keyring.keys
            newest = SigningKey(new_key_id(), len(older), "HS256", generate("HS256"), signs_from=self.clock())
            lifecycle.keys.keyring = Keyring([*older, newest])
        elif step == "the keys are others":
            secrets = [replace(key, secret=generate(key.algorithm)) for key in lifecycle.keys.keyring.keys]
            lifecycle.keys.keyring = Keyring(secrets)
        elif step == "the cache forgets":
            lifecycle.verifier.tokens.forget()

    def says(self, token: str) -> AccessToken | None:
        return self.sessions.lifecycle.verifier.tokens[token.encode()]

    def texts(self) -> Iterator[str]:
        """The newest tokens, and what is none."""
        yield from self.access_tokens[-3:]
        newest = self.access_tokens[-1]
        yield newest[:-1] + ("A" if newest[-1] != "A" else "E")
        yield forging.of_unknown_key(newest, len(self.access_tokens))
        yield self.refresh_tokens[-1]
        yield ""
        yield "?" * 5000

    async def compare(self, token: str) -> None:
        short = self.short(token)
        with counted() as statements:
            long, error = await self.long(token)
        if short is not None:
            self.seen.recognised += 1
            assert error is None
            assert long == short
            assert statements == []
        elif long is not None and not statements and not long.legacy:
            assert self.short(token) == long, "what costs no statement is recognised at once"
        if error is None and long is not None:
            self.seen.served += 1
            self.seen.changed += long != self.says(token)
            self.seen.older += long.legacy
        elif error is not None:
            self.seen.refused.add(type(error).__name__)

    def short(self, token: str) -> AccessToken | None:
        access = self.says(token)
        known = access is not None and self.sessions.lifecycle.verifier.is_known_live(access)
        return access if known else None

    async def long(self, token: str) -> tuple[AccessToken | None, SessionError | None]:
        try:
            access = await self.long_way.authentic(token)
            if access is None or not self.long_way.in_time(access):
                return None, None
            return await self.long_way.require_live(access), None
        except SessionError as error:
            return None, error


async def provide() -> str:
    return KEY


async def play(steps: list[str], seen: Seen, *, provider: bool, **of_manager: Any) -> None:
    clock = MovableClock()
    if provider:
        of_manager["signing_key_provider"] = provide
    sessions = SessionManager(
        SessionSettings(database_url="sqlite+aiosqlite://", purge_interval=0, **of_manager), clock=clock
    )
    async with sessions:
        if of_manager["revocation_check"] != "none":
            await stop_polling(sessions)
        sessions.lifecycle.keys.legacy_until = clock() + LIFETIME * 1000
        worker = Worker(sessions, clock, seen)
        for step in ["log in", *steps]:
            await worker.take(step)
            for token in worker.texts():
                await worker.compare(token)


@pytest.mark.parametrize(("check", "promote_on"), WAYS)
def test_what_one_recognises_the_other_accepts(check: str, promote_on: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    seen = Seen()

    @given(steps=st.lists(st.sampled_from(STEPS), min_size=4, max_size=10), memory=MEMORIES, provider=PROVIDERS)
    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
    def whatever_happens(steps: list[str], memory: int, provider: bool) -> None:
        of_manager = {"revocation_check": check, "promote_on": promote_on, "verified_token_memory": memory}
        asyncio.run(play(steps, seen, provider=provider, **of_manager))

    for step in STEPS:  # each once for certain
        whatever_happens = example(steps=["as an older version", "log in", step], memory=64 << 20, provider=False)(
            whatever_happens
        )
    whatever_happens()
    assert seen.served > 100
    if check != "none":
        assert seen.changed > 3
    assert seen.older > 3
    if check == "database":
        assert seen.recognised == 0
        assert "Unauthorised" in seen.refused
    else:
        assert seen.recognised > 50
