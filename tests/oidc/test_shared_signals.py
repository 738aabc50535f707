"""Events of a transmitter end the sessions that they are about, once, and none that began later."""

import json
import logging
from typing import Any

import pytest

from asgi_sessions import SessionManager, Unauthorised
from asgi_sessions.oidc import ENDING_EVENTS
from tests.clocks import MovableClock
from tests.oidc.conftest import Receiver
from tests.oidc.transmitter import CAEP, OAUTH, REVOKED, RISC, SSF, Transmitter

CHANGED = f"{CAEP}credential-change"
UPDATED = {"credential_type": "password", "change_type": "update"}


@pytest.mark.parametrize("framework", ["starlette", "fastapi"])
async def test_the_session_of_the_subject_ends_and_no_other(
    framework: str, sessions: SessionManager, transmitter: Transmitter
) -> None:
    receiver = Receiver(sessions, transmitter, framework)
    async with receiver.client:
        await receiver.log_in(sid="laptop")
        phone = await receiver.log_in(sid="phone")
        answer = await receiver.push(transmitter.event(sub_id=transmitter.session("laptop")))
        assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (202, b"", "no-store")
        assert "set-cookie" not in answer.headers
        assert await receiver.live() == [phone]


async def test_a_revoked_session_that_is_still_beginning_is_refused(
    receiver: Receiver, transmitter: Transmitter
) -> None:
    opaque = {"format": "opaque", "id": "fast"}  # CAEP's first example
    assert (await receiver.push(transmitter.event(sub_id=opaque))).status_code == 202
    with pytest.raises(Unauthorised):
        await receiver.log_in(sid="fast")
    await receiver.log_in(sid="another")


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        (REVOKED, {"initiating_entity": "policy", "reason_admin": {"en": "Policy"}, "event_timestamp": 1_800_000_000}),
        (CHANGED, UPDATED),
        (CHANGED, {"credential_type": "fido2-roaming", "change_type": "revoke"}),
        (f"{RISC}account-disabled", {"reason": "hijacking"}),
        (f"{RISC}account-purged", {}),
        (f"{RISC}sessions-revoked", {}),
        (f"{OAUTH}tokens-revoked", {}),
    ],
)
async def test_events_that_end_all_sessions_of_a_subject(
    kind: str, event: dict[str, Any], receiver: Receiver, transmitter: Transmitter
) -> None:
    await receiver.log_in(sid="laptop")
    await receiver.log_in(sid=None)
    hers = await receiver.log_in("grace", sub="grace")
    by_password = await receiver.sessions.create_new_session_without_request("ada")
    assert (await receiver.push(transmitter.event(kind, event))).status_code == 202
    assert await receiver.live() == [by_password.session.session_handle]
    assert await receiver.live("grace") == [hers]


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        (CHANGED, {"credential_type": "fido2-roaming", "change_type": "create"}),
        (f"{RISC}account-credential-change-required", {}),
        (f"{RISC}account-enabled", {}),
        (f"{CAEP}assurance-level-change", {"namespace": "NIST-AAL", "current_level": "nist-aal2"}),
        ("https://example.com/events/anything", {}),
    ],
)
async def test_other_events_are_taken_in_and_end_nothing(
    kind: str,
    event: dict[str, Any],
    receiver: Receiver,
    transmitter: Transmitter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await receiver.log_in()
    with caplog.at_level(logging.INFO, "asgi_sessions"):
        answer = await receiver.push(transmitter.event(kind, event, sub_id={"format": "of ours", "x": 1}))
    assert (answer.status_code, answer.content) == (202, b"")
    assert kind in caplog.text
    assert len(await receiver.live()) == 1


async def test_which_events_end_sessions_is_the_applications_choice(
    sessions: SessionManager, transmitter: Transmitter
) -> None:
    required = f"{RISC}account-credential-change-required"
    receiver = Receiver(sessions, transmitter, signals={"ends": ENDING_EVENTS - {CHANGED} | {required}})
    async with receiver.client:
        await receiver.log_in()
        await receiver.push(transmitter.event(CHANGED, UPDATED))
        assert len(await receiver.live()) == 1
        await receiver.push(transmitter.event(required))
        assert await receiver.live() == []


async def test_one_event_under_two_names_counts_once_and_two_events_are_none(
    receiver: Receiver, transmitter: Transmitter
) -> None:
    await receiver.log_in()
    events: dict[str, Any] = {REVOKED: {}, f"{RISC}sessions-revoked": {}, "https://example.com/another-name": {}}
    mixed: dict[str, Any] = {REVOKED: {}, f"{SSF}verification": {}}
    assert (await receiver.push(transmitter.event(events=mixed))).status_code == 400
    assert len(await receiver.live()) == 1
    assert (await receiver.push(transmitter.event(events=events))).status_code == 202
    assert await receiver.live() == []


@pytest.mark.parametrize("where", ["event_timestamp", "toe", "iat"])
async def test_what_began_after_the_event_stays(
    where: str, receiver: Receiver, transmitter: Transmitter, clock: MovableClock
) -> None:
    await receiver.log_in(sid="before")
    clock.advance(seconds=0.4)
    at = clock() // 1000
    clock.advance(seconds=60)
    after = await receiver.log_in(sid="after")
    claims: dict[str, Any] = {} if where == "event_timestamp" else {where: at}
    event = {where: at} if where == "event_timestamp" else {}
    assert (await receiver.push(transmitter.event(event=event, **claims))).status_code == 202
    assert await receiver.live() == [after]


async def test_the_same_of_a_user_whom_the_application_names(
    sessions: SessionManager, transmitter: Transmitter, clock: MovableClock
) -> None:
    async def by_email(subject: Any) -> int | None:
        return 42 if subject == {"format": "email", "email": "ada@example.com"} else None

    receiver = Receiver(sessions, transmitter, subject=by_email)
    async with receiver.client:
        for _ in range(3):
            await sessions.create_new_session_without_request(42)
        at = clock() // 1000
        clock.advance(seconds=60)
        after = await receiver.log_in(42)
        subject = {"format": "email", "email": "ada@example.com"}
        token = transmitter.event(CHANGED, UPDATED | {"event_timestamp": at}, sub_id=subject)
        assert (await receiver.push(token)).status_code == 202
        assert await receiver.live(42) == [after]
        unknown = transmitter.event(CHANGED, UPDATED, sub_id=subject | {"email": "grace@example.com"})
        assert (await receiver.push(unknown)).status_code == 202
        assert await receiver.live(42) == [after]


async def test_a_token_counts_once_on_all_workers(
    receiver: Receiver, transmitter: Transmitter, clock: MovableClock
) -> None:
    token = transmitter.event(sub_id=transmitter.session("laptop"))
    assert (await receiver.push(token)).status_code == 202
    clock.advance(seconds=601)  # so long its session may not begin
    again = await receiver.log_in(sid="laptop")
    other_worker = Receiver(receiver.sessions, transmitter)
    async with other_worker.client:
        assert (await other_worker.push(token)).status_code == 202
    assert await receiver.live() == [again]


@pytest.mark.parametrize("family", ["ssf", "risc"])
async def test_a_verification_is_told_once_with_its_state(
    family: str, receiver: Receiver, transmitter: Transmitter
) -> None:
    kind = f"https://schemas.openid.net/secevent/{family}/event-type/verification"
    token = transmitter.event(kind, {"state": "VGhpcw"}, sub_id={"format": "opaque", "id": "stream-1"})
    for _ in range(2):
        assert (await receiver.push(token)).status_code == 202
    assert (await receiver.push(transmitter.event(kind, sub_id=None))).status_code == 202
    assert receiver.verified == [(transmitter.issuer, "VGhpcw"), (transmitter.issuer, None)]
    assert (await receiver.push(transmitter.event(kind, {"state": 7}))).status_code == 400


async def test_a_change_of_the_stream_is_logged(
    receiver: Receiver, transmitter: Transmitter, caplog: pytest.LogCaptureFixture
) -> None:
    event = {"status": "paused", "reason": "License\nis not valid"}
    stream = {"format": "opaque", "id": "stream-1"}
    assert (await receiver.push(transmitter.event(f"{SSF}stream-updated", event, sub_id=stream))).status_code == 202
    assert "'paused'" in caplog.text
    assert "License\\nis not valid" in caplog.text


async def test_a_push_needs_the_secret_of_the_stream_and_fetches_nothing_without(
    sessions: SessionManager, transmitter: Transmitter
) -> None:
    receiver = Receiver(sessions, transmitter, signals={"authorization": ["Bearer new-secret", "Bearer old-secret"]})
    async with receiver.client:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Bearer g\xe9heim"}):
            await receiver.log_in()
            encoded: Any = {name: value.encode("latin-1") for name, value in headers.items()}
            refused = await receiver.push(transmitter.event(), **encoded)
            assert (refused.status_code, refused.json()["err"]) == (400, "authentication_failed")
        assert len(await receiver.live()) == 3
        assert transmitter.asked == 0
        for secret in ("new", "old"):
            answer = await receiver.push(transmitter.event(), authorization=f"Bearer {secret}-secret")
            assert answer.status_code == 202
        assert await receiver.live() == []


async def test_google_and_other_transmitters_of_drafts(sessions: SessionManager, transmitter: Transmitter) -> None:
    """Its documentation's example: no `sub_id`, a format by its older name, and an issuer that its logins lack."""
    logins = "https://accounts.example"
    subject = {"subject_type": "iss-sub", "iss": f"{logins}/", "sub": "7375626A656374"}
    kind = f"{RISC}account-disabled"
    event = {"subject": subject | {"iss": transmitter.issuer}, "reason": "hijacking"}
    receiver = Receiver(sessions, transmitter, login_issuer=logins, signals={"older_subjects": True})
    strict = Receiver(sessions, transmitter, login_issuer=logins)
    async with receiver.client, strict.client:
        for token in (
            transmitter.event(kind, event, sub_id=None),
            transmitter.event(kind, event, sub_id=None, header={"typ": "JWT"}),
            transmitter.event(kind, event, sub_id=None, header={"typ": None}),
            transmitter.event(kind, {"subject": {"user": event["subject"]}}, sub_id=None),  # as Okta's
        ):
            index = {"oidc_sub": json.dumps([logins, "7375626A656374"], separators=(",", ":"))}
            await sessions.create_new_session_without_request("ada", index=index)
            assert (await strict.push(token)).status_code == 400
            assert len(await receiver.live()) == 1
            assert (await receiver.push(token)).status_code == 202
            assert await receiver.live() == []


async def test_an_organisation_ends_where_the_application_says_so(
    sessions: SessionManager, transmitter: Transmitter
) -> None:
    async def tenants(subject: Any) -> tuple[str, str] | None:
        return ("org", subject["tenant"]["id"]) if subject.keys() == {"format", "tenant"} else None

    receiver = Receiver(sessions, transmitter, subject=tenants)
    async with receiver.client:
        for user, organisation in (("ada", "acme"), ("grace", "acme"), ("alan", "other")):
            await sessions.create_new_session_without_request(user, index={"org": organisation})
        tenant = {"format": "complex", "tenant": {"format": "opaque", "id": "acme"}}
        assert (await receiver.push(transmitter.event(sub_id=tenant))).status_code == 202
        assert [len(await receiver.live(user)) for user in ("ada", "grace", "alan")] == [0, 0, 1]


async def test_a_critical_member_that_nobody_understands_is_passed_over(
    sessions: SessionManager, transmitter: Transmitter, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver(sessions, transmitter, signals={"critical_subject_members": ["tenant", "user"]})
    async with receiver.client:
        await receiver.log_in()
        user = {"format": "complex", "user": transmitter.iss_sub()}
        tenant = user | {"tenant": {"format": "opaque", "id": "acme"}}
        assert (await receiver.push(transmitter.event(sub_id=tenant))).status_code == 202
        assert "critical" in caplog.text
        assert len(await receiver.live()) == 1
        device = user | {"device": {"format": "opaque", "id": "laptop"}}
        assert (await receiver.push(transmitter.event(sub_id=device))).status_code == 202
        assert await receiver.live() == []
