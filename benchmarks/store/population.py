"""Tables full of sessions: rows whose every value follows from their number, so that nobody has to read them back."""

import hashlib
from dataclasses import dataclass

from asgi_sessions.protocol.rotation import Lineage
from asgi_sessions.store.repository import SessionRow
from tests.servers import Server

__all__ = [
    "FIRST_TOMBSTONE",
    "HOUR",
    "NOW",
    "SESSIONS_PER_USER",
    "TABLE",
    "Population",
    "child_of",
    "dead_handles",
    "dead_sessions",
    "new_row",
    "token_of",
]

NOW = 4_000_000_000_000
"""Far ahead: what the benchmark itself revokes carries the server's time, and so stands before all tombstones."""
HOUR = 3_600_000
FIRST_TOMBSTONE = NOW - 24 * HOUR
"""The oldest tombstone's time; each is a millisecond later than the one before."""
SESSIONS_PER_USER = 10
TOMBSTONE_SHARE = 20
"""One in so many of the rows is a tombstone."""

TABLE = "asgi_sessions_sessions"
COLUMNS = (
    "handle,user_id,gen,cur,cur_iat,prev,promoted_at,created_at,last_active_at,auth_time,expires_at,idle_expires_at,"
    "revoked_at,revoked_reason,jwt_payload,session_info,device_label,ip_address"
)
PAYLOAD = '{"role":"user","plan":"team"}'
LABEL = "Firefox on Linux"
ADDRESS = "192.0.2.1"


def handle_of(name: str) -> str:
    """Random as far as an index can tell, like real handles: 32 hex digits."""
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


def token_of(handle: str, generation: int) -> bytes:
    """The stored hash of a session's token."""
    return hashlib.sha256(f"{handle}/{generation}".encode()).digest()


def new_row(name: str) -> SessionRow:
    """A session that is not in the table yet, like the live ones that are."""
    handle = handle_of(name)
    return SessionRow(
        handle=handle,
        user_id=f"s:{name}".encode(),
        gen=0,
        cur=token_of(handle, 0),
        cur_iat=NOW,
        prev=None,
        promoted_at=None,
        created_at=NOW,
        last_active_at=NOW,
        auth_time=NOW,
        expires_at=NOW + 2400 * HOUR,
        idle_expires_at=NOW + 336 * HOUR,
        revoked_at=None,
        revoked_reason=None,
        jwt_payload=PAYLOAD,
        device_label=LABEL,
        ip_address=ADDRESS,
        session_info="{}",
    )


def child_of(handle: str) -> Lineage:
    """The first token that follows a login's."""
    return Lineage(
        generation=1,
        token_hash=token_of(handle, 1),
        issued_at=NOW + 1,
        parent_hash=token_of(handle, 0),
        parent_issued_at=NOW,
        grandparent_hash=None,
    )


@dataclass(frozen=True, slots=True)
class Population:
    """What stands in one database: `size` rows, of which every twentieth is a tombstone.

    Attributes:
        server: Where.
        database: Its name. The tables are there and empty.
        size: How many rows; a multiple of 200.
    """

    server: Server
    database: str
    size: int

    @property
    def users(self) -> int:
        """How many users, each with ten sessions; every second of them has one tombstone among these."""
        return self.size // SESSIONS_PER_USER

    @property
    def tombstones(self) -> int:
        return self.size // TOMBSTONE_SHARE

    @property
    def last_tombstone(self) -> int:
        """The newest tombstone's time, ms."""
        return FIRST_TOMBSTONE + self.tombstones - 1

    def handle(self, user: int, number: int) -> str:
        """A session's handle; number 1 of a user with an odd number is a tombstone."""
        return handle_of(str((number - 1) * self.users + user))

    def user_id(self, user: int) -> bytes:
        """The stored form of a user's id; users count from 1."""
        return f"s:{user}".encode()

    def fill(self) -> None:
        """Insert all rows, in the order of the primary key; the other indexes are built afterwards, which is faster."""
        tombstone = f"IF(seq <= {self.users} AND seq % 2 = 1"
        indexes = {f"ix_{TABLE}_user_id": "user_id", f"ix_{TABLE}_ended": "revoked_at, idle_expires_at"}
        self.sql(f"ALTER TABLE {TABLE} " + ", ".join(f"DROP INDEX {name}" for name in indexes))
        for eighth in range(8):
            self._insert(
                f"SELECT MD5(seq), CONCAT('s:', 1 + (seq - 1) % {self.users}), 0, "
                f"UNHEX(SHA2(CONCAT(MD5(seq), '/0'), 256)), {NOW}, NULL, NULL, {NOW} - seq, {NOW}, {NOW}, "
                f"{NOW + 2400 * HOUR}, {NOW + 336 * HOUR}, "
                f"{tombstone}, {FIRST_TOMBSTONE} + (seq - 1) DIV 2, NULL), {tombstone}, 'logout', NULL), "
                f"'{PAYLOAD}', '{{}}', '{LABEL}', '{ADDRESS}' FROM seq_1_to_{self.size} "
                f"WHERE CONV(LEFT(MD5(seq), 1), 16, 10) DIV 2 = {eighth} ORDER BY MD5(seq)"
            )
        for name, columns in indexes.items():
            self.sql(f"ALTER TABLE {TABLE} ADD INDEX {name} ({columns})")
        self.sql(f"ANALYZE TABLE {TABLE}")

    def sql(self, statement: str) -> list[list[str]]:
        """Run a statement here as the administrator."""
        return self.server.sql(statement, self.database)

    def _insert(self, rows: str) -> None:
        self.sql(f"INSERT INTO {TABLE} ({COLUMNS}) {rows}")


def dead_handles(batch: str, count: int) -> list[str]:
    """The handles that `dead_sessions` inserts, in the order in which they are purged."""
    return [handle_of(f"{batch}/{number}") for number in range(1, count + 1)]


def dead_sessions(batch: str, count: int, number: int) -> str:
    """The statement that inserts sessions which went idle before all others, after those of a lower number."""
    return (
        f"INSERT INTO {TABLE} ({COLUMNS}) "
        f"SELECT MD5(CONCAT('{batch}/', seq)), 's:dead', 0, UNHEX(SHA2('dead', 256)), {NOW}, NULL, NULL, {NOW}, "
        f"{NOW}, {NOW}, {NOW}, {NOW - HOUR + number * count} + seq, NULL, NULL, '{PAYLOAD}', '{{}}', '{LABEL}', "
        f"'{ADDRESS}' FROM seq_1_to_{count}"
    )
