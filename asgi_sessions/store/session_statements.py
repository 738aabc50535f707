"""The statements about sessions, built once, by what they do. Their conditions stand here once."""

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)

from asgi_sessions.store.database_clock import database_now, greatest
from asgi_sessions.store.parameters import integer
from asgi_sessions.store.prepared import prepared
from asgi_sessions.store.schema import Tables
from asgi_sessions.store.session_row import (
    COLUMNS,
    ERASED,
    ERASURE,
    EXPORTED_COLUMNS,
    NOBODY,
    READ_COLUMNS,
    ListedSession,
)
from asgi_sessions.store.tombstones import revocation_clock

__all__ = [
    "ESCAPE",
    "ChangeStatements",
    "Conditions",
    "EndingStatements",
    "PersonalStatements",
    "ReadStatements",
    "RotationStatements",
    "without_session",
]

ESCAPE = "!"
"""Before what would stand for other characters in a pattern."""


class Conditions:
    """What the statements ask of a row.

    Attributes:
        now: The caller's time, ms.
        live: Neither revoked nor expired at that time: the only form of this rule in SQL.
        expired: Not revoked, and the idle end has come. The absolute end is never before it (see ``repository``).
        of_handle: Has this handle.
        of_handles: Has one of these handles.
        of_user: Is this user's.
        not_kept: Is not the one session to keep.
        newest_first: The order of lists.
    """

    def __init__(self, sessions: Table) -> None:
        s = sessions.c
        self.now = integer("now")
        self.live = and_(s.revoked_at.is_(None), s.expires_at > self.now, s.idle_expires_at > self.now)
        self.expired = and_(s.revoked_at.is_(None), s.idle_expires_at <= self.now)
        self.of_handle = s.handle == bindparam("p_handle")
        self.of_handles = s.handle.in_(bindparam("handles", expanding=True))
        self.of_user = s.user_id == bindparam("p_user_id")
        self.not_kept = s.handle != bindparam("except_handle")
        self.newest_first = (s.created_at.desc(), s.handle.desc())


def without_session(tables: Tables) -> ColumnElement[bool]:
    """An entry of the index leads to no session, live or not."""
    s = tables.sessions.c
    return ~select(s.handle).where(s.handle == tables.session_index.c.handle).exists()


def _end_of_now(tables: Tables) -> ColumnElement[int]:
    """``revoked_at`` of what ends now."""
    # A consistent read takes no lock on the clock's row (READ COMMITTED): no revocation waits for another one.
    return greatest(database_now(), revocation_clock(tables))


class ReadStatements:
    """What reads sessions, all but `find` live ones only."""

    def __init__(self, tables: Tables) -> None:
        sessions = tables.sessions
        s, which = sessions.c, Conditions(sessions)
        row = tuple(s[name] for name in READ_COLUMNS)
        size = integer("size")
        created_at = integer("created_at")
        older = or_(s.created_at < created_at, and_(s.created_at == created_at, s.handle < bindparam("p_after")))

        self.find = prepared(select(*row).where(which.of_handle))
        self.get_info = prepared(select(s.session_info).where(which.of_handle, which.live))
        part = s.session_info.like(bindparam("pattern"), escape=ESCAPE)
        self.infos_with = select(s.handle, s.session_info).where(which.of_handles, which.live, part)
        self.living = select(s.handle).where(which.of_handles, which.live)
        page = select(*row).where(which.of_user, which.live).order_by(*which.newest_first).limit(size)
        self.list_of = prepared(page)
        self.list_older = prepared(page.where(older))
        self.handles_of = prepared(select(s.handle).where(which.of_user, which.live).order_by(*which.newest_first))
        # Those in which somebody else acts do not count among the user's own.
        own = select(*(s[name] for name in ListedSession._fields)).where(which.of_user, which.live, s.actor.is_(None))
        self.newest_of = prepared(own.order_by(*which.newest_first).limit(size))
        self.last_used_of = prepared(own.order_by(s.last_active_at.desc(), *which.newest_first).limit(size))


class ChangeStatements:
    """What stores a session, and changes what a live one holds."""

    def __init__(self, tables: Tables) -> None:
        sessions = tables.sessions
        s, which = sessions.c, Conditions(sessions)
        changed = update(sessions).where(which.of_handle, which.live)
        new_payload = changed.values(jwt_payload=bindparam("text"), payload_version=s.payload_version + 1)

        self.insert = prepared(insert(sessions).values({name: bindparam(name) for name in COLUMNS}))
        self.set_info = prepared(changed.values(session_info=bindparam("text")))
        # The value itself tells whether somebody has replaced it: also a worker of a version that counts no changes.
        self.swap_info = prepared(
            changed.where(s.session_info == bindparam("replaced")).values(session_info=bindparam("text"))
        )
        version = integer("version")
        c = tables.payload_changes.c
        by_somebody_else = select(c.handle).where(
            c.handle == bindparam("p_handle"), c.payload_version > integer("known")
        )
        swapped = new_payload.where(s.payload_version == version)
        self.swap_payload = prepared(swapped)
        self.swap_own_payload = prepared(swapped.where(~by_somebody_else.exists()))
        # The version grows too: what access tokens say of the session has changed.
        self.swap_methods = prepared(
            changed.where(s.methods == bindparam("replaced"), s.payload_version == version).values(
                methods=bindparam("text"), auth_time=integer("auth_time"), payload_version=s.payload_version + 1
            )
        )
        self.touch = prepared(
            changed.where(s.last_active_at < which.now - integer("unless_since")).values(
                last_active_at=which.now, idle_expires_at=bindparam("idle")
            )
        )


class RotationStatements:
    """The compare-and-swaps that move a session's chain of refresh tokens.

    Those ``in_background`` leave the idle end where it is: it moves by requests that extend the session alone.
    """

    def __init__(self, tables: Tables) -> None:
        sessions = tables.sessions
        s, which = sessions.c, Conditions(sessions)
        generation, now = integer("generation"), which.now
        parent, grandparent = (
            bindparam("parent_hash", type_=LargeBinary),
            bindparam("grandparent_hash", type_=LargeBinary),
        )
        apart = func.abs(s.cur_iat - integer("parent_issued_at"))
        used = {"last_active_at": now, "idle_expires_at": bindparam("idle")}
        served = {"late_gen": generation, "late_at": now}
        promotion = (
            update(sessions)
            .where(
                which.of_handle,
                s.gen == generation - 1,
                which.live,
                or_(s.cur == parent, and_(s.prev == grandparent, apart <= integer("sibling_window"))),
            )
            .values(
                gen=generation,
                cur=bindparam("token_hash"),
                cur_iat=bindparam("issued_at"),
                prev=parent,
                promoted_at=now,
            )
        )
        service = (
            update(sessions)
            .where(
                which.of_handle,
                s.gen == generation,
                which.live,
                or_(s.late_gen.is_(None), s.late_gen < generation),
            )
            .values(late_count=s.late_count + integer("parents"), **served)
        )

        self.promote = prepared(promotion.values(used))
        self.promote_and_serve = prepared(promotion.values(used | served))
        self.serve = prepared(service.values(used))
        self.promote_in_background = prepared(promotion)
        self.promote_and_serve_in_background = prepared(promotion.values(served))
        self.serve_in_background = prepared(service)


class PersonalStatements:
    """What reads, and what takes away, that which sessions hold about people.

    Of each pair about a part of all rows the second one is for the last part.
    """

    def __init__(self, tables: Tables) -> None:
        sessions = tables.sessions
        s, which = sessions.c, Conditions(sessions)
        over = not_(which.live)
        acted = s.actor == bindparam("p_user_id")
        from_first, before_beyond = s.handle >= bindparam("first"), s.handle < bindparam("beyond")
        forget = (
            update(sessions)
            .where(from_first, s.ip_address.is_not(None), s.created_at < integer("begun_before"))
            .values(ip_address=None)
        )

        acting = select(s.handle).where(from_first, acted)

        self.handles_of = prepared(select(s.handle).where(which.of_user).order_by(*which.newest_first))
        self.acting = prepared(acting.where(before_beyond)), prepared(acting)
        # Whose they are is asked again: meanwhile a session may have been erased.
        self.export = select(*(s[name] for name in EXPORTED_COLUMNS)).where(which.of_handles, or_(which.of_user, acted))
        self.over_of = prepared(select(s.handle).where(which.of_user, over).limit(integer("size")))
        # What has merely expired is over for ever too: another worker's clock may be behind.
        buried = {
            "revoked_at": func.coalesce(s.revoked_at, _end_of_now(tables)),
            "revoked_reason": func.coalesce(s.revoked_reason, ERASURE),
        }
        erased = {**ERASED, **buried}
        self.erase = update(sessions).where(which.of_handles, over, or_(which.of_user, acted)).values(erased)
        self.forget_addresses = prepared(forget.where(before_beyond)), prepared(forget)
        index = tables.session_index
        i = index.c
        of_handles = i.handle.in_(bindparam("handles", expanding=True))
        is_erased = select(s.handle).where(s.handle == i.handle, s.user_id == NOBODY).exists()
        self.index_of = select(i.handle, i.name, i.digest).where(of_handles).order_by(i.name, i.digest)
        self.unindex = delete(index).where(of_handles, is_erased)


class EndingStatements:
    """What ends live sessions, and deletes what has ended.

    Attributes:
        purgeable: What selects handles by an index, and what deletes these, by reason.
        unindex: Deletes what has led to sessions that are no more.
    """

    def __init__(self, tables: Tables) -> None:
        sessions = tables.sessions
        s, which = sessions.c, Conditions(sessions)
        end = update(sessions).values(revoked_at=_end_of_now(tables), revoked_reason=bindparam("reason"))
        rows = sessions.alias("of_user")  # the ended ones too: an index alone tells their number
        number = select(func.count().label("number")).where(rows.c.user_id == bindparam("p_user_id"))
        # MySQL lets a statement read the table that it changes where it has put the outcome aside.
        few = select(number.subquery("counted").c.number).scalar_subquery() <= integer("few")
        part = end.where(which.of_user, which.not_kept, which.live, s.handle >= bindparam("first"))
        any_part = end.where(
            which.not_kept, which.live, s.created_at < integer("begun_before"), s.handle >= bindparam("first")
        )

        self.revoke = prepared(end.where(which.of_handle, which.live))
        self.revoke_own = prepared(end.where(which.of_handle, which.of_user, which.live))
        self.revoke_many = end.where(which.of_handles, which.live)
        self.revoke_all = prepared(end.where(which.of_user, which.live, few))
        self.revoke_others = prepared(end.where(which.of_user, which.not_kept, which.live, few))
        self.revoke_part = prepared(part.where(s.handle < bindparam("beyond")))
        self.revoke_last_part = prepared(part)
        self.revoke_any_part = prepared(any_part.where(s.handle < bindparam("beyond")))
        self.revoke_last_any_part = prepared(any_part)
        self.handle_in_order = prepared(select(s.handle).order_by(s.handle).limit(1).offset(integer("place")))
        other = select(s.handle).where(which.of_user, which.not_kept, which.live)
        self.count_of = prepared(number.where(other.exists()))

        forgotten: ColumnElement[bool] = s.revoked_at < integer("tombstones_before")
        self.purgeable = [
            (
                select(s.handle).where(dead).order_by(s.revoked_at, s.idle_expires_at).limit(integer("batch")),
                delete(sessions).where(which.of_handles, dead),
            )
            for dead in (which.expired, forgotten)
        ]
        i = tables.session_index.c
        of_handles = i.handle.in_(bindparam("handles", expanding=True))
        self.unindex = delete(tables.session_index).where(of_handles, without_session(tables))
