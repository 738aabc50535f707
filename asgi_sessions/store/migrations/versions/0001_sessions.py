"""The first tables: sessions, signing_keys, leases.

Written out, and not taken from ``schema.py``, which goes on. MySQL commits each statement, so a start that
died here left some of it behind: only what is missing is made.
"""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _ascii(length: int) -> sa.types.TypeEngine[str]:
    collated = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(collated, "mysql", "mariadb")


def _binary(length: int) -> sa.types.TypeEngine[bytes]:
    return sa.LargeBinary(length).with_variant(mysql.VARBINARY(length), "mysql", "mariadb")


def _json() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    prefix: str = context.config.attributes["table_prefix"]
    _create_table(
        f"{prefix}sessions",
        sa.Column("handle", _ascii(32), primary_key=True),
        sa.Column("user_id", _binary(260), nullable=False),
        sa.Column("gen", sa.BigInteger, nullable=False),
        sa.Column("cur", _binary(32), nullable=False),
        sa.Column("cur_iat", sa.BigInteger, nullable=False),
        sa.Column("prev", _binary(32)),
        sa.Column("promoted_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_active_at", sa.BigInteger, nullable=False),
        sa.Column("auth_time", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("idle_expires_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("revoked_reason", _ascii(20)),
        sa.Column("jwt_payload", _json(), nullable=False),
        sa.Column("session_info", _json(), nullable=False),
        sa.Column("device_label", sa.String(100), nullable=False),
        sa.Column("ip_address", _ascii(45)),
    )
    _create_index(f"ix_{prefix}sessions_user_id", f"{prefix}sessions", "user_id")
    _create_index(f"ix_{prefix}sessions_ended", f"{prefix}sessions", "revoked_at", "idle_expires_at")
    _create_table(
        f"{prefix}signing_keys",
        sa.Column("purpose", _ascii(20), primary_key=True),
        sa.Column("serial", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key_id", _ascii(32), nullable=False),
        sa.Column("algorithm", _ascii(10), nullable=False),
        sa.Column("material", _binary(4096), nullable=False),
        sa.Column("seal_id", _ascii(32)),
        sa.Column("signs_from", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    _create_index(f"ux_{prefix}signing_keys_key_id", f"{prefix}signing_keys", "key_id", unique=True)
    _create_table(
        f"{prefix}leases",
        sa.Column("name", _ascii(40), primary_key=True),
        sa.Column("holder", _ascii(64), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )


def _create_table(name: str, *columns: sa.Column[Any]) -> None:
    if not sa.inspect(op.get_bind()).has_table(name):
        op.create_table(name, *columns, mysql_engine="InnoDB", mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin")


def _create_index(name: str, table: str, *columns: str, unique: bool = False) -> None:
    indexes = sa.inspect(op.get_bind()).get_indexes(table)
    if name not in {index["name"] for index in indexes}:
        op.create_index(name, table, list(columns), unique=unique)
