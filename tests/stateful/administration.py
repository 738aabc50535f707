"""What happens past all browsers: by session handle, by user, to the database, to a worker."""

from collections.abc import Callable
from typing import Any

from tests.stateful import pages
from tests.stateful.chances import Occasion
from tests.stateful.jar import Jar
from tests.stateful.model import BY_HANDLE
from tests.stateful.profiles import CLOCKS_APART, REFRESH_PATH
from tests.stateful.story import Story

_USERS = ("alice", "bob")
_OVER = (-1, 0, CLOCKS_APART - 1, CLOCKS_APART)
_INFOS = (None, {"seen": True}, ["a", "b"])


class Administration(Story):
    """The steps of administrators. `which` are numbers for whatever there is to choose."""

    def end_by_handle(self, at: Occasion, which: list[int]) -> None:
        manager, model = self.world.manager(at.worker), self.world.model
        logins = [self.login(number) for number in which]
        if len(logins) == 1:
            self.world.call(
                lambda: manager.revoke_session_using_session_handle(logins[0].handle),
                lambda: model.end(at.worker, logins[0], BY_HANDLE),
            )
        else:
            self.world.call(
                lambda: manager.revoke_multiple_sessions([login.handle for login in logins]),
                lambda: model.end_several(at.worker, logins),
            )

    def end_by_user(self, at: Occasion, which: list[int]) -> None:
        manager, model, user = self.world.manager(at.worker), self.world.model, _USERS[at.jar % 2]
        kept = self.login(which[0]) if which else None
        self.world.call(
            lambda: manager.revoke_all_sessions_for_user(user, except_handle=kept.handle if kept else None),
            lambda: model.end_all(at.worker, user, but=kept),
        )

    def end_what_is_over(self, at: Occasion, which: list[int]) -> None:
        """A session that has just expired, by this worker's clock, or almost."""
        token = self.token_in(self.jar(at.jar))
        row = self.world.model.rows.get(token.login) if token is not None else None
        if row is not None:
            length = _OVER[len(which) % len(_OVER)]
            time = self.world.time
            time.now = max(time.now, row.idle_expires_at + length - time.off[at.worker])
            if at.jar % 2:
                self.end_by_user(at, [])
            else:
                self.end_by_handle(at, [list(self.world.model.rows).index(row.login)])

    def list_sessions(self, at: Occasion, _which: list[int]) -> None:
        manager, user = self.world.manager(at.worker), _USERS[at.jar % 2]

        async def both() -> Any:
            records = await manager.list_sessions_for_user(user)
            return {
                "handles": await manager.get_all_session_handles_for_user(user),
                "records": [[record.session_handle, record.expires_at.isoformat()] for record in records],
            }

        self.world.call(both, lambda: pages.listed(self.world.model, at.worker, user))

    def read_and_change_info(self, at: Occasion, which: list[int]) -> None:
        manager, model, login = self.world.manager(at.worker), self.world.model, self.login(at.jar)
        info = _INFOS[len(which) % len(_INFOS)]
        self.world.call(lambda: manager.get_session_info(login.handle), lambda: model.info(at.worker, login))
        self.world.call(
            lambda: manager.update_session_info(login.handle, info), lambda: model.set_info(at.worker, login, info)
        )

    def purge(self, at: Occasion, _which: list[int]) -> None:
        self.world.call(self.world.manager(at.worker).purge_expired_sessions, lambda: self.world.model.purge(at.worker))

    def start_a_worker_again(self, at: Occasion, _which: list[int]) -> None:
        self.world.restart(at.worker)

    def restore_a_backup(self, at: Occasion, which: list[int]) -> None:
        """And somebody comes by."""
        jar = self.jar(at.jar)
        self.restore_backup_of(jar, which[0] if which else 0)
        self.send(at, jar, "POST", REFRESH_PATH, pages.refresh)

    def restore_backup_of(self, jar: Jar, how_old: int) -> None:
        """Put the row of a jar's session back to what it was before one of its promotions."""
        token, model = self.token_in(jar), self.world.model
        if token is not None and token.login in model.rows and model.older.get(token.login):
            backups = model.older[token.login]
            self.world.restore(backups[how_old % len(backups)])


ADMINISTRATION: dict[str, Callable[[Any, Occasion, list[int]], None]] = {
    "sessions end by their handles": Administration.end_by_handle,
    "a user's sessions end": Administration.end_by_user,
    "a session ends that is over": Administration.end_what_is_over,
    "sessions are listed": Administration.list_sessions,
    "info is read and changed": Administration.read_and_change_info,
    "the dead are purged": Administration.purge,
    "a worker starts again": Administration.start_a_worker_again,
    "a backup is restored": Administration.restore_a_backup,
}
