"""The signing keys in the database: one row per serial number, so that only one worker adds the next."""

from dataclasses import dataclass, field, fields, replace

from sqlalchemy import (
    Dialect,
    Integer,
    LargeBinary,
    TypeDecorator,
    bindparam,
    delete,
    insert,
    select,
    type_coerce,
    update,
)

from asgi_sessions.store.engine import Database, DuplicateKey
from asgi_sessions.store.schema import Tables, of_tables

__all__ = ["KeyRow", "SigningKeyStore"]


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A row of the signing keys table.

    Attributes:
        purpose: What the key is for, at most 20 ASCII characters.
        serial: Counts up within a purpose. The database admits each only once.
        key_id: The public ``kid``, unique, at most 32 ASCII characters.
        algorithm: The algorithm as in a JWT's header.
        material: The key, sealed if ``seal_id`` is set. At most 4096 bytes.
        seal_id: The id of the secret that seals the key; None if none does.
        signs_from: When it begins to sign, ms.
        created_at: ms.
    """

    purpose: str
    serial: int
    key_id: str
    algorithm: str
    material: bytes = field(repr=False)
    seal_id: str | None
    signs_from: int
    created_at: int


_COLUMNS = tuple(field.name for field in fields(KeyRow))


class _Hidden(bytes):
    def __repr__(self) -> str:
        return "<key material>"


class _Unlogged(TypeDecorator[bytes]):
    """Bytes that SQLAlchemy's log does not show: at DEBUG it writes every row, and this one may be unsealed."""

    impl = LargeBinary
    cache_ok = True

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        return None if value is None else _Hidden(value)


class _Statements:
    """Those about signing keys, built once."""

    def __init__(self, tables: Tables) -> None:
        keys = tables.signing_keys
        k = keys.c
        of_purpose = k.purpose == bindparam("p_purpose")
        serial = bindparam("p_serial", type_=Integer)
        shown = (k[name] if name != "material" else type_coerce(k.material, _Unlogged) for name in _COLUMNS)
        self.load = select(*shown).where(of_purpose).order_by(k.serial)
        self.key_id = select(k.key_id).where(of_purpose, k.serial == serial)
        self.insert = insert(keys).values({name: bindparam(name) for name in _COLUMNS})
        self.reseal = (
            update(keys)
            .where(of_purpose, k.serial == serial, k.material == bindparam("old", type_=LargeBinary))
            .values(material=bindparam("material"), seal_id=bindparam("seal_id"))
        )
        self.remove = delete(keys).where(of_purpose, k.serial < serial)


class SigningKeyStore:
    """Reads, adds and removes signing keys. Failures as in ``SessionRepository``."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self._run = database.run
        self._statements = of_tables(_Statements, tables)

    async def load(self, purpose: str) -> list[KeyRow]:
        """Return the keys of a purpose, oldest first, with what any other worker has added just now."""
        outcome = await self._run(self._statements.load, {"p_purpose": purpose}, strong=True)
        return [replace(row, material=bytes(row.material)) for row in (KeyRow(*found) for found in outcome.rows)]

    async def add(self, row: KeyRow) -> bool:
        """Add a key. False if another worker was first with this serial: load again."""
        try:
            await self._run(self._statements.insert, {name: getattr(row, name) for name in _COLUMNS})
        except DuplicateKey as taken:
            if not taken.after_interruption:
                return False
        else:
            return True
        # The connection was lost under the first try: whose row is it?
        place = {"p_purpose": row.purpose, "p_serial": row.serial}
        return (await self._run(self._statements.key_id, place, strong=True)).rows == [(row.key_id,)]

    async def reseal(self, row: KeyRow, sealed: bytes, seal_id: str | None) -> bool:
        """Replace the sealed form of a key. False if it is no longer what ``row`` says."""
        values = {
            "p_purpose": row.purpose,
            "p_serial": row.serial,
            "old": row.material,
            "material": sealed,
            "seal_id": seal_id,
        }
        return (await self._run(self._statements.reseal, values)).rowcount == 1

    async def remove_before(self, purpose: str, serial: int) -> int:
        """Delete the keys of a purpose with a smaller serial number; return how many."""
        return (await self._run(self._statements.remove, {"p_purpose": purpose, "p_serial": serial})).rowcount
