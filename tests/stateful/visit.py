"""One request as the model sees it: what it carries, whom it is served as, which cookies its answer changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.security.browser import ADDRESS
from tests.stateful.events import Event
from tests.stateful.model import BY_HANDLE, Model, Pair, Refused, Rotated, Theft, TryRefresh
from tests.stateful.profiles import FRESH_ANSWER, IDLE, LONGEST_ANSWER, MARKER, persistent
from tests.stateful.records import Access, Login, Marker, Token


@dataclass
class Carried:
    """The cookies of a request, in their order.

    Attributes:
        access: None for what no worker has signed; likewise `refresh`.
        marker: Whether and which.
    """

    access: Sequence[Access | None] = ()
    refresh: Sequence[Token | None] = ()
    marker: Sequence[Marker | None] = ()

    @property
    def empty(self) -> bool:
        return not (self.access or self.refresh or self.marker)


@dataclass
class SetTo:
    """A cookie that an answer sets, and when the browser shall forget it: None for when it is closed."""

    record: Token | Access | Marker
    until: int | None


@dataclass
class Expected:
    """An answer.

    Attributes:
        status: As in HTTP.
        code: The error's name.
        body: None where it does not matter.
        cookies: By the cookie's short name; None where it is cleared.
        sent_at: By the worker's clock.
    """

    status: int
    code: str | None = None
    body: Any = None
    cookies: dict[str, SetTo | None] = field(default_factory=dict)
    sent_at: int = 0


NO_CONTENT = object()
"""What a page returns that answers 204."""


class Missing(Exception):
    """404."""


class Visit:
    """A request on its way through the middleware, with the model in place of the database."""

    def __init__(self, model: Model, worker: int, carried: Carried, path: str) -> None:
        self.model = model
        self.worker = worker
        self.carried = carried
        self.path = path
        self._pair: Pair | None = None
        self._access: Access | None = None
        self._marker: Marker | None = None
        self._marker_stays = True
        self._refreshed_at: int | None = None
        self._clear = False

    @property
    def now(self) -> int:
        return self.model.time.at(self.worker)

    def answer(self, page: Callable[["Visit"], Any]) -> Expected:
        """Run a page, and say what leaves."""
        try:
            body = page(self)
        except (Refused, Theft, TryRefresh, Rotated, Missing) as error:
            status, code = ERRORS[type(error)]
            expected = Expected(status, code)
        else:
            expected = Expected(204) if body is NO_CONTENT else Expected(200, body=body)
        self._look_again()
        expected.sent_at = self.now
        expected.cookies = self._cookies()
        return expected

    # -- what pages do

    def session(self, *, check_database: bool = False) -> Access:
        """Whom the request is served as."""
        try:
            return self._resolve(check_database)
        except (Refused, Theft) as error:
            self._refuse(error)
            raise

    def optional_session(self) -> Access | None:
        try:
            return self.session()
        except Refused:
            return None

    def refresh(self) -> Access:
        """The refresh endpoint."""
        try:
            return self._refresh(self._access_of(), inline=False)
        except (Refused, Theft) as error:
            self._refuse(error)
            raise

    def log_in(self, user: str, payload: Any, info: Any) -> Access:
        replaces = self._logins()
        self._pair = self.model.log_in(self.worker, user, payload, info, address=ADDRESS, replaces=replaces)
        return self._pair.access

    def sign_out(self) -> None:
        """The sign-out endpoint: whatever the request holds ends."""
        for login in self._logins():
            self.model.end(self.worker, login, BY_HANDLE)
        self._end()

    def revoke(self, access: Access) -> None:
        self.model.end(self.worker, access.login, BY_HANDLE)
        self._end()

    def set_payload(self, access: Access, payload: Any) -> Access:
        try:
            changed = self.model.set_payload(self.worker, access, payload)
        except Refused as error:
            self._refuse(error)
            raise
        if self._marker is None:  # a late parent gets no token
            self._access = changed
        return changed

    def require_live(self, access: Access) -> None:
        """The row is read, whatever the access token is good for."""
        try:
            self.model.standing(self.worker, access.login)
        except Refused as error:
            self._refuse(error)
            raise

    def info(self, access: Access) -> Any:
        try:
            return self.model.info(self.worker, access.login)
        except Refused as error:
            self._refuse(error)
            raise

    def set_info(self, access: Access, info: Any) -> None:
        try:
            self.model.set_info(self.worker, access.login, info)
        except Refused as error:
            self._refuse(error)
            raise

    # -- who it is

    def _resolve(self, check_database: bool) -> Access:
        access, inline = self._access_of(), not self.model.profile.endpoint
        if access is not None and self.now < access.expires_at:
            try:
                newest = self.model.stands(self.worker, access, check_database=check_database)
                if newest is not access:
                    self._access, self._refreshed_at = newest, self.now
                return newest
            except TryRefresh:
                if not (inline and self.carried.refresh):
                    raise
            except Refused:
                if not (inline and self._is_left_over(access)):
                    raise
        if not inline:
            if self.carried.access or self.carried.refresh:
                raise TryRefresh
            raise Refused
        if not self.carried.refresh:
            raise Refused
        return self._refresh(access, inline=True)

    def _access_of(self) -> Access | None:
        found = [access for access in self.carried.access if access is not None]
        if len({access.login for access in found}) > 1:
            self.model.note(Event.TWO_ACCESS)
            raise Refused(clear=False)
        return max(found, key=lambda access: access.issued_at, default=None)

    def _refresh(self, access: Access | None, *, inline: bool) -> Access:
        token = self._token_for(access)
        marker = self.carried.marker[0] if self.carried.marker else None
        now = self.now
        who, pair, served = self.model.refresh(self.worker, token, marker, inline=inline)
        if pair is None:
            self._marker = Marker(token.login, token.generation, now + MARKER)
            self._marker_stays = persistent(who.user)
            if not served:
                raise Rotated
            self.model.note(Event.LATE_SERVED)
        else:
            self._pair, self._refreshed_at = pair, now
        return who

    def _token_for(self, access: Access | None) -> Token:
        found = [token for token in self.carried.refresh if token is not None]
        if access is not None and not self._is_left_over(access):
            matching = [token for token in found if token.login is access.login]
            if len(matching) < len(found):
                self.model.note(Event.PLANTED)
            if not matching and self.carried.refresh:
                raise Refused(clear=False)
            found = matching
        elif len(found) > 1:
            self.model.note(Event.TWO_REFRESH)
            raise Refused(clear=False)
        if not found:
            raise Refused
        return max(found, key=lambda token: (token.generation, token.issued_at))

    def _is_left_over(self, access: Access) -> bool:
        """Whether it is of an ended session, beside another one's refresh token, which nobody can have planted."""
        others = [token for token in self.carried.refresh if token is not None]
        if self.model.profile.endpoint or len(others) != 1 or others[0].login is access.login:
            return False
        try:
            self.model.standing(self.worker, access.login)
        except Refused:
            self.model.note(Event.LEFT_OVER)
            return True
        return False

    def _logins(self) -> list[Login]:
        """Every session that the request holds, by tokens of any age."""
        held = [*self.carried.access, *self.carried.refresh]
        return list(dict.fromkeys(record.login for record in held if record is not None))

    # -- what leaves

    def _refuse(self, error: Refused | Theft) -> None:
        if isinstance(error, Theft) or error.clear:
            self._end()

    def _end(self) -> None:
        self._pair, self._access, self._clear = None, None, True

    def _look_again(self) -> None:
        """What took too long leaves without tokens, and without them too if the session has ended meanwhile."""
        leaves = self._access or (self._pair.access if self._pair else None)
        age = 0 if self._refreshed_at is None else self.now - self._refreshed_at
        if leaves is None or (self._access is None and age <= FRESH_ANSWER):
            return
        if age <= LONGEST_ANSWER:
            try:
                row = self.model.standing(self.worker, leaves.login)
            except Refused:
                self.model.note(Event.WITHDRAWN)
            else:
                if row.version > leaves.version:
                    self._access = self.model.newest(row, leaves)
                return
        else:
            self.model.note(Event.TOO_SLOW)
        self._pair = self._access = self._refreshed_at = None

    def _cookies(self) -> dict[str, SetTo | None]:
        pair, model = self._pair, self.model
        if self._clear:
            return self._cleared()
        cookies: dict[str, SetTo | None] = {}
        if pair is not None:
            until = pair.until if persistent(pair.access.user) else None
            cookies["access"] = SetTo(self._access or pair.access, until)
            cookies["refresh"] = SetTo(pair.token, until)
            if self._refreshed_at is not None and self.carried.marker:
                model.note(Event.MARKER_TAKEN_BACK)
                cookies["marker"] = None
        elif self._access is not None:
            until = min(self.now + IDLE, self._access.session_expires_at)
            cookies["access"] = SetTo(self._access, until if persistent(self._access.user) else None)
        if self._marker is not None:
            cookies["marker"] = SetTo(self._marker, self.now + MARKER if self._marker_stays else None)
        return cookies

    def _cleared(self) -> dict[str, SetTo | None]:
        """Cookies that were sent, and those that the browser does not send here."""
        cookies: dict[str, SetTo | None] = {}
        elsewhere = self.model.profile.endpoint and self.path != self.model.profile.refresh_path
        if self.carried.access:
            cookies["access"] = None
        if self.carried.refresh or (elsewhere and not self.carried.empty):
            cookies["refresh"] = None
        return cookies


ERRORS: dict[type[Exception], tuple[int, str | None]] = {
    Refused: (401, "unauthorised"),
    Theft: (401, "token_theft_detected"),
    TryRefresh: (401, "try_refresh_token"),
    Rotated: (409, "already_rotated"),
    Missing: (404, None),
}
