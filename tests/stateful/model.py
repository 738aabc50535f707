"""The sessions table in memory, and what each operation on it answers."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from tests.stateful.events import Event
from tests.stateful.profiles import (
    ABSOLUTE,
    CLOCKS_APART,
    IDLE,
    KEPT,
    LATE,
    MOST_PARENTS,
    TOUCHED,
    WINDOW,
    YOUNG,
    Profile,
)
from tests.stateful.profiles import ACCESS as ACCESS_LIFETIME
from tests.stateful.records import Access, Login, Marker, Row, Time, Token
from tests.stateful.rotation_table import ANSWERED, PROMOTED, THEFT, Line, line_of

REPLACED, BY_HANDLE, BY_USER, STOLEN = "replaced", "logout", "logout_all", "theft"
"""The reasons in tombstones."""
"""Whose cookies a 401 leaves alone for a while: the jar may hold the next session already."""


Ended = Callable[[int, Login, bool], None]


class Refused(Exception):
    """401: there is no session."""

    def __init__(self, *, clear: bool = True) -> None:
        super().__init__()
        self.clear = clear


class Theft(Exception):
    """401: the session has been revoked."""


class TryRefresh(Exception):
    """401: the access token is no longer good."""


class Rotated(Exception):
    """409: another tab was faster."""


@dataclass
class Pair:
    """What a refresh or login hands out, and when the refresh token ends unless used."""

    token: Token
    access: Access
    until: int


class Model:
    """The table, the workers' memories, and what has been seen of either.

    Attributes:
        rows: Every row of the table.
        older: What each row looked like before each promotion: its backups.
        settled: By worker, the pairs whose first use it remembers.
        reached: How often each line and each event has occurred.
        session_ended: Told which worker has ended a session, and whether it was alive.
    """

    def __init__(self, profile: Profile, time: Time, reached: Counter[str]) -> None:
        self.profile = profile
        self.time = time
        self.rows: dict[Login, Row] = {}
        self.older: dict[Login, list[Row]] = {}
        self.settled: tuple[set[Token], set[Token]] = (set(), set())
        self.reached = reached
        self.session_ended: Ended = lambda worker, login, alive: None

    # -- tokens

    def log_in(
        self,
        worker: int,
        user: str,
        payload: Any,
        info: Any,
        *,
        address: str | None = None,
        replaces: Iterable[Login] = (),
    ) -> Pair:
        now = self.time.at(worker)
        for login in replaces:
            if self.end(worker, login, REPLACED):
                self.note(Event.REPLACED)
        login = Login()
        token = Token(login, 0, now, None)
        row = Row(
            login=login,
            user=user,
            current=token,
            promoted_at=None,
            created_at=now,
            last_active_at=now,
            expires_at=now + ABSOLUTE,
            idle_expires_at=now + IDLE,
            payload=payload,
            info=info,
            address=address,
        )
        self.rows[login] = row
        return self._pair(row, token, now)

    def refresh(
        self, worker: int, token: Token, marker: Marker | None, *, inline: bool
    ) -> tuple[Access, Pair | None, bool]:
        """Who it is, the next pair, None for a late parent, and whether the request is served."""
        now = self.time.at(worker)
        if now >= token.issued_at + IDLE:
            self.note(Event.TOKEN_TOO_OLD)
            raise Refused
        row = self.standing(worker, token.login)
        retried = (
            marker is not None
            and (marker.login, marker.generation) == (token.login, token.generation)
            and now <= marker.expires_at
        )
        line = self._line(token, row, now, retried=retried)
        if line is Line.LATE_PARENT:
            return self.describe(row, row.current, now), None, inline and self._serve_parent(row, now)
        if line in THEFT:
            self._accuse(worker, row)
        if line is Line.FUTURE:
            raise Refused
        assert line in ANSWERED
        if line in PROMOTED:
            promoted = self._promote(worker, token, row.expires_at)
            assert promoted, "what the table calls a child is what the compare-and-swap takes"
        else:
            self._touch(row, now)
        young = token.generation > 0 and now - token.issued_at < YOUNG
        self.note(Event.TWIN if young else Event.CHILD_ISSUED)
        following = token.twin() if young else token.child(now)
        pair = self._pair(row, following, now)
        return pair.access, pair, True

    def _serve_parent(self, row: Row, now: int) -> bool:
        """Whether a late parent is served, which it is beside others of this generation, or while there were few."""
        generation, arrived_at = row.current.generation, now
        if row.late_generation == generation:
            assert row.late_at is not None
            assert arrived_at - row.late_at < ACCESS_LIFETIME, "a late parent's window is shorter"
            self._touch(row, now)
            return True
        assert row.promoted_at is not None
        overtaken = arrived_at >= row.promoted_at  # else by a clock that is behind
        if overtaken and row.late_parents >= MOST_PARENTS:
            return False
        row.late_generation, row.late_at = generation, now
        row.late_parents += overtaken
        row.last_active_at, row.idle_expires_at = now, self._idle_end(now, row.expires_at)
        return True

    def _touch(self, row: Row, now: int) -> None:
        if now - row.last_active_at > TOUCHED:
            self.note(Event.TOUCHED)
            row.last_active_at, row.idle_expires_at = now, self._idle_end(now, row.expires_at)

    def stands(self, worker: int, access: Access, *, check_database: bool = False) -> Access:
        """Whether an access token in time is accepted; returns it, with the newest payload where the row was read."""
        if self.profile.first_use and access.pair.generation > 0:
            self._first_use(worker, access)
        if check_database or self.profile.checked:
            row = self.standing(worker, access.login)
            if row.version > access.version:
                self.note(Event.NEWER_PAYLOAD)
                return self.newest(row, access)
        return access

    def standing(self, worker: int, login: Login) -> Row:
        """The row of a live session, else `Refused`."""
        now = self.time.at(worker)
        row = self.rows.get(login)
        if row is None:
            self.note(Event.PURGED_ASKED)
            raise Refused
        if row.revoked_at is not None:
            spared = row.reason == REPLACED and now - row.revoked_at <= LATE
            self.note(Event.SPARED if spared else Event.CLEARED)
            raise Refused(clear=not spared)
        if not row.live(now):
            self.note(Event.EXPIRED)
            raise Refused
        return row

    def describe(self, row: Row, pair: Token, now: int) -> Access:
        return Access(
            pair=pair,
            user=row.user,
            issued_at=now,
            expires_at=min(now + ACCESS_LIFETIME, row.expires_at),
            session_expires_at=row.expires_at,
            auth_time=row.created_at,
            payload=row.payload,
            version=row.version,
        )

    def _pair(self, row: Row, token: Token, now: int) -> Pair:
        return Pair(token, self.describe(row, token, now), min(token.issued_at + IDLE, row.expires_at))

    def _accuse(self, worker: int, row: Row) -> None:
        assert self.end(worker, row.login, STOLEN)
        raise Theft

    def _first_use(self, worker: int, access: Access) -> None:
        token, now = access.pair, self.time.at(worker)
        if token in self.settled[worker]:
            self.note(Event.REMEMBERED)
            return
        if self._promote(worker, token, access.session_expires_at):
            self.note(Event.FIRST_USE)
        else:
            row = self.standing(worker, access.login)
            line = self._line(token, row, now, retried=False)
            if line is Line.FUTURE:
                raise Refused
            if line not in ANSWERED:
                if token.generation < row.current.generation:
                    self.note(Event.LEFT_BEHIND)
                    raise TryRefresh
                self.note(Event.FORK_AT_FIRST_USE)
                self._accuse(worker, row)
            assert line not in PROMOTED
        self.settled[worker].add(token)

    def _promote(self, worker: int, token: Token, expires_at: int) -> bool:
        now, row = self.time.at(worker), self.rows.get(token.login)
        if row is None or not row.live(now) or line_of(token, row, now, retried=False) not in PROMOTED:
            return False
        self.older.setdefault(row.login, []).append(replace(row))
        row.current = token
        row.promoted_at = row.last_active_at = now
        row.idle_expires_at = self._idle_end(now, expires_at)
        return True

    def _idle_end(self, now: int, expires_at: int) -> int:
        if now + IDLE > expires_at:
            self.note(Event.CAPPED)
        return min(now + IDLE, expires_at)

    def _line(self, token: Token, row: Row, now: int, *, retried: bool) -> Line:
        line = line_of(token, row, now, retried=retried)
        self.reached[line.name] += 1
        if line is Line.SIBLING and abs(token.issued_at - row.current.issued_at) == WINDOW:
            self.note(Event.EXACT_WINDOW)
        if line is Line.LATE_PARENT and row.promoted_at == now - LATE:
            self.note(Event.EXACT_LATENESS)
        return line

    # -- the end of sessions

    def end(self, worker: int, login: Login, reason: str) -> bool:
        """Revoke one session; whether it was alive, or over by this worker's clock alone."""
        alive = self._end(worker, login, reason)
        self.session_ended(worker, login, alive)
        return alive

    def _end(self, worker: int, login: Login, reason: str) -> bool:
        row, now = self.rows.get(login), self.time.at(worker)
        if row is None or row.revoked_at is not None:
            return False
        if not row.live(now - CLOCKS_APART):
            self.note(Event.LONG_OVER)
            return False
        if not row.live(now):
            self.note(Event.JUST_OVER)
        row.revoked_at, row.reason = self.time.now, reason
        return True

    def end_several(self, worker: int, logins: Iterable[Login]) -> int:
        return sum(self.end(worker, login, BY_HANDLE) for login in dict.fromkeys(logins))

    def end_all(self, worker: int, user: str, *, but: Login | None = None) -> int:
        of_user = [login for login, row in self.rows.items() if row.user == user and login is not but]
        count = sum(self.end(worker, login, BY_USER) for login in of_user)
        if count and but in self.rows and self.rows[but].user == user:
            self.note(Event.KEPT_OTHER)
        return count

    def purge(self, worker: int) -> int:
        """Delete what nobody needs any more."""
        now = self.time.at(worker)
        dead = [
            login
            for login, row in self.rows.items()
            if (row.idle_expires_at <= now if row.revoked_at is None else row.revoked_at < now - KEPT)
        ]
        for login in dead:
            row = self.rows.pop(login)
            self.note(Event.PURGED_SESSION if row.revoked_at is None else Event.PURGED_TOMBSTONE)
        return len(dead)

    def restore(self, row: Row) -> None:
        """Put a row back as it was."""
        self.rows[row.login] = replace(row)
        for worker in (0, 1):
            self.session_ended(worker, row.login, False)

    # -- data

    def devices(self, worker: int, user: str) -> list[Row]:
        """A user's live sessions, newest first."""
        live = [row for row in self.rows.values() if row.user == user and row.live(self.time.at(worker))]
        return sorted(live, key=lambda row: (row.created_at, row.login.handle), reverse=True)

    def info(self, worker: int, login: Login) -> Any:
        return self.standing(worker, login).info

    def set_info(self, worker: int, login: Login, info: Any) -> None:
        self.standing(worker, login).info = info

    def set_payload(self, worker: int, access: Access, payload: Any) -> Access:
        row = self.standing(worker, access.login)
        row.payload, row.version = payload, row.version + 1
        return self.newest(row, access)

    def newest(self, row: Row, access: Access) -> Access:
        """The access token with the payload that the row has now."""
        return replace(access, payload=row.payload, version=row.version)

    # -- the workers

    def forget(self, worker: int) -> None:
        """The worker has been started again."""
        self.settled[worker].clear()

    def note(self, event: Event) -> None:
        self.reached[event.name] += 1
