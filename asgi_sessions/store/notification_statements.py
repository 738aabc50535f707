"""The statements about notifications, built once, and what a row is. What they are for stands in ``notifications``."""

import re
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, BindParameter, String, bindparam, delete, func, insert, literal, or_, select, update

from asgi_sessions.store.parameters import integer, text
from asgi_sessions.store.prepared import prepared
from asgi_sessions.store.schema import RECEIVER_LENGTH, Tables
from asgi_sessions.store.session_row import NOBODY
from asgi_sessions.store.session_statements import Conditions

__all__ = ["Notification", "NotificationState", "NotificationStatements", "is_receiver"]

_RECEIVER = re.compile(r"[!-~]+")
UNTOLD = "unclaimed"
"""The reason in the tombstones of sessions whose tokens have reached nobody: nobody can know of them."""


class NotificationState(StrEnum):
    """What has become of one."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


class Notification(NamedTuple):
    """One end, for one receiver. Times in ms.

    Attributes:
        handle: The session's.
        receiver: Its audience.
        user_id: The stored form of the session's user; `NOBODY` where the user has been erased.
        ended_at: By the database's clock.
        queued_at: When it was taken down, or queued anew.
        state: A `NotificationState`.
        next_at: When it is due; for a dead one when it died.
        attempts: How many have failed.
        failure: Why the last one did; None before.
    """

    handle: str
    receiver: str
    user_id: bytes
    ended_at: int
    queued_at: int
    state: str
    next_at: int
    attempts: int
    failure: str | None


class NotificationStatements:
    """Those about notifications."""

    def __init__(self, tables: Tables) -> None:
        notifications, sessions = tables.notifications, tables.sessions
        n, s = notifications.c, sessions.c
        which = Conditions(sessions)
        row = tuple(n[name] for name in Notification._fields)
        handles: BindParameter[str] = bindparam("handles", expanding=True)
        receivers: BindParameter[str] = bindparam("receivers", expanding=True)
        waiting, delivered, dead = (literal(str(state), String) for state in NotificationState)
        of_receiver = n.receiver == text("p_receiver")
        these = n.handle.in_(handles), of_receiver, n.state == waiting
        size = integer("size")

        told = select(func.count()).where(n.handle == s.handle, n.receiver.in_(receivers)).scalar_subquery()
        since = s.revoked_at >= integer("since")
        ended = since, s.revoked_at <= integer("until"), func.coalesce(s.revoked_reason, "") != literal(UNTOLD, String)
        in_order = s.revoked_at, s.idle_expires_at
        self.uncollected = (
            select(s.handle, s.revoked_at).where(*ended, told < integer("number")).order_by(*in_order).limit(size)
        )
        self.newest = prepared(select(func.max(s.revoked_at)).where(since))
        self.boundary = prepared(select(s.revoked_at).where(since).order_by(*in_order).limit(1).offset(size))
        now = integer("now")
        values = {
            "handle": s.handle,
            "receiver": text("p_receiver"),
            "user_id": s.user_id,
            "ended_at": s.revoked_at,
            "queued_at": now,
            "state": waiting,
            "next_at": now,
            "attempts": literal(0, BigInteger),
        }
        taken = select(n.handle).where(n.handle == s.handle, of_receiver).exists()
        new = select(*values.values()).where(s.handle.in_(handles), s.revoked_at.is_not(None), ~taken)
        self.add = insert(notifications).from_select(list(values), new)

        self.due = prepared(
            select(*row).where(n.state == waiting, of_receiver, n.next_at <= now).order_by(n.next_at).limit(size)
        )
        self.next_due = select(func.min(n.next_at)).where(n.state == waiting, n.receiver.in_(receivers))
        self.live = prepared(select(s.handle).where(which.of_user, which.live).limit(1))
        over: dict[str, Any] = {"state": delivered, "next_at": n.ended_at, "failure": None}
        self.delivered = update(notifications).where(*these).values(over)
        self.delivered_of = prepared(
            update(notifications)
            .where(
                n.user_id == bindparam("p_user_id"), of_receiver, n.state == waiting, n.queued_at <= integer("until")
            )
            .values(over)
        )
        failed = {"attempts": n.attempts + 1, "failure": text("p_failure")}
        self.postpone = update(notifications).where(*these).values(next_at=integer("p_next_at"), **failed)
        self.bury = update(notifications).where(*these).values(state=dead, next_at=now, **failed)
        older = n.state == waiting, n.queued_at < integer("queued_before")
        self.bury_older = prepared(update(notifications).where(of_receiver, *older).values(state=dead, next_at=now))
        self.bury_others = (
            update(notifications)
            .where(n.receiver.not_in(receivers), *older)
            .values(state=dead, next_at=now, failure=literal("no such receiver", String))
        )
        batch = integer("batch")
        forgotten = n.state == delivered, of_receiver, n.next_at < integer("below")  # when they ended, by an index
        self.forget = (
            select(n.handle).where(*forgotten).limit(batch),
            delete(notifications).where(n.handle.in_(handles), *forgotten),
        )
        old = n.queued_at < integer("queued_before")
        self.purge = (
            select(n.handle).where(old).limit(batch),
            delete(notifications).where(n.handle.in_(handles), old),
        )

        chosen = n.state.in_(bindparam("states", expanding=True))
        order = n.queued_at, n.handle, n.receiver
        self.list_of = select(*row).where(chosen).order_by(*order).limit(size)
        self.backlog = prepared(
            select(n.receiver, n.state, func.count(), func.min(n.queued_at))
            .where(or_(n.state == waiting, n.state == dead))
            .group_by(n.receiver, n.state)
        )
        again = {"state": waiting, "queued_at": now, "next_at": now, "attempts": 0}
        requeue = update(notifications).where(n.state == dead).values(again)
        drop = delete(notifications).where(n.state == dead)
        only = {  # by whether handles, and whether a receiver, are named
            (False, False): (),
            (True, False): (n.handle.in_(handles),),
            (False, True): (of_receiver,),
            (True, True): (n.handle.in_(handles), of_receiver),
        }
        self.requeue = {named: requeue.where(*where) for named, where in only.items()}
        self.drop = {named: drop.where(*where) for named, where in only.items()}
        of_user = n.user_id == bindparam("p_user_id")
        self.of_user = prepared(select(*row).where(of_user).order_by(*order))
        self.erase = prepared(update(notifications).where(of_user).values(user_id=NOBODY))


def is_receiver(audience: str) -> bool:
    """Whether a row can name this receiver: printable ASCII without spaces, and not too long."""
    return len(audience) <= RECEIVER_LENGTH and _RECEIVER.fullmatch(audience) is not None
