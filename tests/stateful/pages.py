"""The site's pages, as the model answers them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.stateful.events import Event
from tests.stateful.model import BY_HANDLE, Model, Pair, Refused, Rotated, TryRefresh
from tests.stateful.profiles import persistent
from tests.stateful.records import Access, FormTag, Login, Token
from tests.stateful.visit import NO_CONTENT, Missing, Visit

NOBODY_ELSE: dict[str, Any] = {"authentication_methods": {}, "actor": None}
"""Of every session of the site."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def page(visit: Visit) -> Any:
    return described(visit.session())


def checked(visit: Visit) -> Any:
    return described(visit.session(check_database=True))


def for_everybody(visit: Visit) -> Any:
    access = visit.optional_session()
    return access and described(access)


def refresh(visit: Visit) -> Any:
    return described(visit.refresh())


def info(visit: Visit) -> Any:
    return visit.info(visit.session())


def erase_payload(visit: Visit) -> Any:
    """The body is null where a request has none of its own."""
    return described(visit.set_payload(visit.session(), None))


def log_out(visit: Visit) -> Any:
    visit.revoke(visit.session())


def sign_out(visit: Visit) -> Any:
    visit.sign_out()
    return {"status": "OK"}


def devices(visit: Visit) -> Any:
    access = visit.session()
    return [
        {
            "session_handle": row.login,
            "this_device": row.login is access.login,
            "device_label": "Unknown device",
            "ip_address": row.address,
            "created_at": iso(row.created_at),
            "last_active_at": iso(row.last_active_at),
            "expires_at": iso(row.idle_expires_at),
            **NOBODY_ELSE,
        }
        for row in visit.model.devices(visit.worker, access.user)
    ]


def end_device(visit: Visit, login: Login) -> Any:
    """A user ends one of the own sessions; this one is left as by logout."""
    access = visit.session()
    if login is access.login:
        visit.revoke(access)
        return NO_CONTENT
    visit.require_live(access)
    if login not in [row.login for row in visit.model.devices(visit.worker, access.user)]:
        visit.model.note(Event.NO_SUCH_DEVICE)
        raise Missing
    visit.model.end(visit.worker, login, BY_HANDLE)
    return NO_CONTENT


def end_others(visit: Visit) -> Any:
    access = visit.session()
    visit.require_live(access)
    return {"revoked": visit.model.end_all(visit.worker, access.user, but=access.login)}


def refresh_token_alone(model: Model, worker: int, token: Token | None) -> Pair:
    """Without a request there is no retry marker."""
    if token is None:
        raise Refused
    _, pair, _ = model.refresh(worker, token, None, inline=False)
    if pair is None:
        raise Rotated
    return pair


def access_token_alone(model: Model, worker: int, access: Access | None, *, check: bool) -> Any:
    if access is None or model.time.at(worker) >= access.expires_at:
        raise TryRefresh
    access = model.stands(worker, access, check_database=check)
    return {"handle": access.login, "payload": access.payload}


def listed(model: Model, worker: int, user: str) -> Any:
    rows = model.devices(worker, user)
    return {"handles": [row.login for row in rows], "records": [[row.login, iso(row.idle_expires_at)] for row in rows]}


def described(access: Access) -> dict[str, Any]:
    return {
        "session_handle": access.login,
        "form_tag": FormTag(access.login),
        "user_id": access.user,
        "jwt_payload": access.payload,
        "persistent": persistent(access.user),
        "auth_time": iso(access.auth_time),
        "expires_at": iso(access.session_expires_at),
        **NOBODY_ELSE,
    }


def iso(moment: int) -> str:
    return (_EPOCH + timedelta(milliseconds=moment)).isoformat()
