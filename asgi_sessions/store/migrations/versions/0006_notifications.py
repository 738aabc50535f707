"""The outbox: which ends of sessions are to be told to which receivers.

Written out, and not taken from ``schema.py``, which goes on. Workers of the version before may go on beside it: what
they end is found by its tombstone, as what the others end. Only what is missing is made.
"""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    prefix: str = context.config.attributes["table_prefix"]
    table = f"{prefix}notifications"
    if not sa.inspect(op.get_bind()).has_table(table):
        op.create_table(
            table,
            sa.Column("handle", _ascii(32), primary_key=True),
            sa.Column("receiver", _ascii(200), primary_key=True),
            sa.Column(
                "user_id",
                sa.LargeBinary(260).with_variant(mysql.VARBINARY(260), "mysql", "mariadb"),
                nullable=False,
            ),
            sa.Column("ended_at", sa.BigInteger, nullable=False),
            sa.Column("queued_at", sa.BigInteger, nullable=False),
            sa.Column("state", _ascii(10), nullable=False),
            sa.Column("next_at", sa.BigInteger, nullable=False),
            sa.Column("attempts", sa.BigInteger, nullable=False),
            sa.Column("failure", _ascii(40)),
            mysql_engine="InnoDB",
            mysql_charset="utf8mb4",
            mysql_collate="utf8mb4_bin",
        )
    indexes = {f"ix_{table}_due": ["state", "receiver", "next_at"], f"ix_{table}_user_id": ["user_id"]}
    there = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}
    for name, columns in indexes.items():
        if name not in there:
            op.create_index(name, table, columns)


def _ascii(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(
        mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
    )
