"""What users call their devices: kept with the session, in its server-side data, under a key of our own.

Why not in a column of its own: it would be a migration and a wider row, read at each refresh, for a feature of an extra
that most installations do not have. The price is told in docs/pages.md: `update_session_info` replaces the name with
all else (`change_session_info` keeps it), and where the data are no object there is no room for a name.
"""

import unicodedata
from collections.abc import Sequence
from typing import Any, Final

from asgi_sessions.manager.manager import SessionManager
from asgi_sessions.protocol import device
from asgi_sessions.store.repository import LIVING_BATCH

__all__ = ["KEY", "LONGEST_NAME", "NoRoom", "cleaned", "names_of", "rename"]

KEY: Final = "asgi_sessions.device_name"
LONGEST_NAME: Final = 60
"""Characters."""


class NoRoom(Exception):
    """The application keeps something in the session's data that is no object."""


def cleaned(text: str) -> str | None:
    """What a user has typed as a name: one line without control characters, composed (NFC); None for nothing."""
    return device.one_line(unicodedata.normalize("NFC", text)) or None


async def names_of(sessions: SessionManager, handles: Sequence[str]) -> dict[str, str]:
    """The names of those sessions that have one. One statement for each 500 sessions."""
    found: dict[str, Any] = {}
    for start in range(0, len(handles), LIVING_BATCH):
        found |= await sessions.lifecycle.data.infos_with(KEY, handles[start : start + LIVING_BATCH])
    names = {handle: cleaned(name) for handle, name in found.items() if isinstance(name, str)}
    return {handle: name for handle, name in names.items() if name is not None}


async def rename(sessions: SessionManager, handle: str, name: str | None) -> None:
    """Give a session a name, or take it away. No other change of its data is lost.

    Raises:
        NoRoom: There is no place for it.
        Unauthorised: The session is gone.
    """

    def named(info: Any) -> Any:
        if not isinstance(info, dict | None):
            raise NoRoom
        others = {key: value for key, value in (info or {}).items() if key != KEY}
        return others if name is None else {**others, KEY: name}

    await sessions.change_session_info(handle, named)
