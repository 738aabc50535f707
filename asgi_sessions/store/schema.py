"""The tables. All times are signed milliseconds: on MySQL an unsigned difference below zero is an error."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

from asgi_sessions.protocol.authentication_methods import MAX_LENGTH as METHODS_LENGTH
from asgi_sessions.protocol.session_index import DIGEST_LENGTH, NAME_LENGTH

__all__ = ["DEFAULT_TABLE_PREFIX", "Tables", "build_tables", "of_tables", "sessions_metadata"]

DEFAULT_TABLE_PREFIX = "asgi_sessions_"
HANDLE_LENGTH = 32
USER_ID_LENGTH = 260
RECEIVER_LENGTH = 200

PREFIXES = 16
"""For so many a process keeps the tables, and what is made of them: a third of a megabyte each."""

_T = TypeVar("_T")


def _ascii(length: int) -> TypeEngine[str]:
    # ascii_bin: the server's default collation would take "A" for "a".
    return String(length).with_variant(
        mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
    )


def _binary(length: int) -> TypeEngine[bytes]:
    return LargeBinary(length).with_variant(mysql.VARBINARY(length), "mysql", "mariadb")


def _json() -> TypeEngine[str]:
    # MySQL's TEXT ends at 64 KiB. No JSON type: it reorders and rounds, and texts are kept as written.
    return Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")


@dataclass(frozen=True, slots=True)
class Tables:
    """The package's tables under one prefix."""

    sessions: Table
    signing_keys: Table
    leases: Table
    state: Table
    payload_changes: Table
    session_index: Table
    marks: Table
    notifications: Table


@lru_cache(PREFIXES)
def build_tables(table_prefix: str = DEFAULT_TABLE_PREFIX) -> Tables:
    """Describe the tables, once in a process (see `PREFIXES`).

    Args:
        table_prefix: What all names of tables and indexes begin with.
    """
    return _describe(table_prefix, MetaData())


@lru_cache(PREFIXES * 16)
def of_tables(make: Callable[..., _T], tables: Tables, *arguments: Hashable) -> _T:
    """Give what is made of the tables, such as statements about them: once in a process, since it takes long.

    Args:
        make: Makes it. What it makes is never changed.
        tables: Of `build_tables`.
        arguments: What else it is made of.
    """
    return make(tables, *arguments)


def _describe(table_prefix: str, metadata: MetaData) -> Tables:
    options: dict[str, Any] = {
        f"{dialect}_{name}": value
        for dialect in ("mysql", "mariadb")
        for name, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
    }
    sessions = Table(
        f"{table_prefix}sessions",
        metadata,
        Column("handle", _ascii(HANDLE_LENGTH), primary_key=True),
        Column("user_id", _binary(USER_ID_LENGTH), nullable=False),
        Column("gen", BigInteger, nullable=False),
        Column("cur", _binary(32), nullable=False),
        Column("cur_iat", BigInteger, nullable=False),
        Column("prev", _binary(32)),
        Column("promoted_at", BigInteger),
        Column("created_at", BigInteger, nullable=False),
        Column("last_active_at", BigInteger, nullable=False),
        Column("auth_time", BigInteger, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        Column("idle_expires_at", BigInteger, nullable=False),
        Column("revoked_at", BigInteger),
        Column("revoked_reason", _ascii(20)),
        Column("jwt_payload", _json(), nullable=False),
        Column("session_info", _json(), nullable=False),
        Column("device_label", String(100), nullable=False),
        Column("ip_address", _ascii(45)),
        Column("payload_version", BigInteger, nullable=False, server_default="0"),
        Column("late_gen", BigInteger),
        Column("late_at", BigInteger),
        Column("late_count", BigInteger, nullable=False, server_default="0"),
        Column("idle_timeout", BigInteger),
        Column("persistent", Integer, nullable=False, server_default="1"),
        Column("actor", _binary(USER_ID_LENGTH)),
        Column("methods", _ascii(METHODS_LENGTH), nullable=False, server_default="{}"),
        Index(f"ix_{table_prefix}sessions_user_id", "user_id"),
        # One index for both kinds of dead rows: tombstones by age, and the never revoked by the time they
        # went idle (idle_expires_at never exceeds expires_at). On its own, an index of revoked_at alone would
        # be intersected with that of user_id by MySQL's optimizer, which is a known source of deadlocks.
        Index(f"ix_{table_prefix}sessions_ended", "revoked_at", "idle_expires_at"),
        **options,
    )
    signing_keys = Table(
        f"{table_prefix}signing_keys",
        metadata,
        Column("purpose", _ascii(20), primary_key=True),
        Column("serial", Integer, primary_key=True, autoincrement=False),
        Column("key_id", _ascii(32), nullable=False),
        Column("algorithm", _ascii(10), nullable=False),
        Column("material", _binary(4096), nullable=False),
        Column("seal_id", _ascii(32)),
        Column("signs_from", BigInteger, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Index(f"ux_{table_prefix}signing_keys_key_id", "key_id", unique=True),
        **options,
    )
    leases = Table(
        f"{table_prefix}leases",
        metadata,
        Column("name", _ascii(40), primary_key=True),
        Column("holder", _ascii(64), nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        **options,
    )
    state = Table(
        f"{table_prefix}state",
        metadata,
        Column("name", _ascii(40), primary_key=True),
        Column("value", BigInteger, nullable=False),
        **options,
    )
    # Apart from the sessions: few rows, and no index more to write at each refresh.
    payload_changes = Table(
        f"{table_prefix}payload_changes",
        metadata,
        Column("handle", _ascii(HANDLE_LENGTH), primary_key=True),
        Column("changed_at", BigInteger, nullable=False),
        Column("payload_version", BigInteger, nullable=False),
        Index(f"ix_{table_prefix}payload_changes_changed_at", "changed_at"),
        **options,
    )
    # The time of creation gives lists their order, and lets what a failed login has left be told from a running one.
    session_index = Table(
        f"{table_prefix}session_index",
        metadata,
        Column("name", _ascii(NAME_LENGTH), primary_key=True),
        Column("digest", _binary(DIGEST_LENGTH), primary_key=True),
        Column("created_at", BigInteger, primary_key=True, autoincrement=False),
        Column("handle", _ascii(HANDLE_LENGTH), primary_key=True),
        Index(f"ix_{table_prefix}session_index_handle", "handle"),
        **options,
    )
    marks = Table(
        f"{table_prefix}marks",
        metadata,
        Column("digest", _binary(DIGEST_LENGTH), primary_key=True),  # the first: the purge names it alone
        Column("kind", _ascii(NAME_LENGTH), primary_key=True),
        Column("until", BigInteger, nullable=False),
        Index(f"ix_{table_prefix}marks_until", "until"),
        **options,
    )
    # One row for an end and a receiver. The delivered ones stay only while their tombstones are read again and again.
    notifications = Table(
        f"{table_prefix}notifications",
        metadata,
        Column("handle", _ascii(HANDLE_LENGTH), primary_key=True),
        Column("receiver", _ascii(RECEIVER_LENGTH), primary_key=True),
        Column("user_id", _binary(USER_ID_LENGTH), nullable=False),
        Column("ended_at", BigInteger, nullable=False),
        Column("queued_at", BigInteger, nullable=False),
        Column("state", _ascii(10), nullable=False),
        Column("next_at", BigInteger, nullable=False),
        Column("attempts", BigInteger, nullable=False),
        Column("failure", _ascii(40)),
        Index(f"ix_{table_prefix}notifications_due", "state", "receiver", "next_at"),
        Index(f"ix_{table_prefix}notifications_user_id", "user_id"),
        **options,
    )
    return Tables(sessions, signing_keys, leases, state, payload_changes, session_index, marks, notifications)


def sessions_metadata(table_prefix: str = DEFAULT_TABLE_PREFIX) -> MetaData:
    """Return the tables as metadata, for an application whose own Alembic set-up creates them.

    Such an application adds the metadata to its own in ``target_metadata`` and sets ``migrate_on_start=False``.

    Args:
        table_prefix: As in ``SessionSettings.table_prefix``.

    Raises:
        TypeError: The prefix is no `str`.
    """
    if not isinstance(table_prefix, str):
        raise TypeError(f"table_prefix must be str, not {type(table_prefix).__name__}")
    metadata = MetaData()
    _describe(table_prefix, metadata)
    return metadata
