"""The user's sessions as the page shows them: this device first, then by last use, one browser's sessions together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from asgi_sessions.manager.records import SessionRecord, read_cursor
from asgi_sessions.manager.session import Session
from asgi_sessions.pages.labels import kind_of, title_of, versions_of
from asgi_sessions.protocol.durations import datetime_to_ms
from asgi_sessions.protocol.ip_address import truncated

__all__ = ["MOST", "MOST_AT_ONCE", "Device", "Devices", "Group", "arranged", "group_of", "version_of"]

MOST = 1000
"""Sessions that are looked at: one statement reads them. Further ones can be logged out all at once."""
MOST_AT_ONCE = 900
"""Sessions that one form names: it may have a thousand fields."""
PAGE = 25
"""Groups on one page."""
NEW = timedelta(days=7)
"""For so long a sign-in after that of this device counts as new."""


@dataclass(frozen=True, slots=True)
class Device:
    """One session.

    Attributes:
        handle: The session's.
        title: What the label says without versions.
        label: The label, as the session has it. A client may have chosen it.
        versions: What the title leaves out of it.
        kind: What its icon shows; see `labels.KINDS`.
        name: What the user calls it; None for nothing.
        address: From where it has signed in, as far as that is kept, and this user's to know.
        created_at: When it has signed in.
        last_active_at: When it was last used, by an access token's lifetime at most too early.
        is_active: Whether that is as good as now.
        is_here: Whether it is the session that asks.
        is_new: Whether it has signed in not long ago, and after the session that asks.
        is_acting: Whether somebody else acts as the user there.
    """

    handle: str
    title: str
    label: str
    versions: tuple[str, ...]
    kind: str
    name: str | None
    address: str | None
    created_at: datetime
    last_active_at: datetime
    is_active: bool
    is_here: bool
    is_new: bool
    is_acting: bool

    @property
    def shown_name(self) -> str:
        """The user's name for it, or else what it says of itself."""
        return self.name or self.title

    @property
    def position(self) -> tuple[int, str]:
        """Where it stands among all, by its last use."""
        return datetime_to_ms(self.last_active_at), self.handle


@dataclass(frozen=True, slots=True)
class Group:
    """The sessions of what seems to be one browser, the last used first: often the same, signed in many times."""

    devices: tuple[Device, ...]

    @property
    def first(self) -> Device:
        """The one that was used last."""
        return self.devices[0]

    @property
    def cursor(self) -> str:
        """Where the next page begins. No secret."""
        return "-".join(map(str, self.first.position))


@dataclass(frozen=True, slots=True)
class Devices:
    """A page of them.

    Attributes:
        here: The session that asks; None on later pages, and where it is not among the newest `MOST`.
        groups: The others.
        entries: How many groups there are on all pages.
        next: The cursor of the next page; None on the last one.
        is_first: Whether this is the first page.
        is_cut: Whether there are more sessions than are looked at.
        version: See `version_of`.
    """

    here: Device | None
    groups: tuple[Group, ...]
    entries: int
    next: str | None
    is_first: bool
    is_cut: bool
    version: str


def arranged(
    records: Sequence[SessionRecord[Any]],
    names: Mapping[str, str],
    session: Session[Any, Any],
    *,
    now: datetime,
    accuracy: timedelta,
    after: str | None = None,
) -> Devices:
    """Sort and group a user's sessions.

    Args:
        records: The sessions.
        names: What the user calls some of them, by handle.
        session: The one that asks.
        now: The time.
        accuracy: By how much a last use may be too early: an access token's lifetime.
        after: The cursor of the page; None for the first one.

    Raises:
        ValueError: It is no cursor.
    """
    begin = None if after is None else read_cursor(after)
    since = max(
        (record.created_at for record in records if record.session_handle == session.session_handle), default=now
    )
    devices = sorted(
        (_device(record, names, session, now=now, accuracy=accuracy, since=since) for record in records),
        key=lambda device: device.position,
        reverse=True,
    )
    here = next((device for device in devices if device.is_here), None)
    everything = _grouped([device for device in devices if not device.is_here])
    groups = [group for group in everything if begin is None or group.first.position < begin]
    page = tuple(groups[:PAGE])
    return Devices(
        here=here if begin is None else None,
        groups=page,
        entries=len(everything),
        next=page[-1].cursor if len(groups) > len(page) else None,
        is_first=begin is None,
        is_cut=len(records) >= MOST,
        version=version_of(record.session_handle for record in records),
    )


def group_of(devices: Sequence[Device], handle: str) -> tuple[Device, ...]:
    """The group in which a session is shown, as far as one form can name it; empty where there is no such session."""
    groups = _grouped([device for device in devices if not device.is_here])
    found = next((g.devices for g in groups if any(device.handle == handle for device in g.devices)), ())
    return found[:MOST_AT_ONCE]


def every(
    records: Sequence[SessionRecord[Any]], names: Mapping[str, str], session: Session[Any, Any], now: datetime
) -> list[Device]:
    """All sessions, the last used first."""
    devices = (_device(record, names, session, now=now, accuracy=timedelta(), since=now) for record in records)
    return sorted(devices, key=lambda device: device.position, reverse=True)


def version_of(handles: Any) -> str:
    """A text that changes when sessions begin or end. It tells nobody which."""
    return sha256("".join(sorted(handles)).encode()).hexdigest()[:16]


def _device(
    record: SessionRecord[Any],
    names: Mapping[str, str],
    session: Session[Any, Any],
    *,
    now: datetime,
    accuracy: timedelta,
    since: datetime,
) -> Device:
    is_here = record.session_handle == session.session_handle
    return Device(
        handle=record.session_handle,
        title=title_of(record.device_label),
        label=record.device_label,
        versions=tuple(versions_of(record.device_label)),
        kind=kind_of(record.device_label),
        name=names.get(record.session_handle),
        # Where whoever acts as the user is, only that one may know.
        address=record.ip_address if record.actor in {None, session.actor} else None,
        created_at=record.created_at,
        last_active_at=record.last_active_at,
        is_active=is_here or now - record.last_active_at <= accuracy,
        is_here=is_here,
        is_new=not is_here and record.created_at > since and now - record.created_at < NEW,
        is_acting=record.actor is not None,
    )


def _grouped(devices: Sequence[Device]) -> list[Group]:
    """Those of the same label and network together. What the user has named stands alone, and so does an actor's."""
    groups: dict[Any, list[Device]] = {}
    for device in devices:
        alone = device.name is not None or device.is_acting
        key: Any = device.handle if alone else (device.title, device.address and truncated(device.address))
        groups.setdefault(key, []).append(device)
    return [Group(tuple(group)) for group in groups.values()]
