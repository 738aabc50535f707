"""What a login says about its session, and which payloads somebody else has changed.

Written out, and not taken from ``schema.py``, which goes on. Workers of the version before may go on beside it: the
new columns have defaults, and they do not know the new table. Only what is missing is made.
"""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    prefix: str = context.config.attributes["table_prefix"]
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(f"{prefix}sessions")}
    for column in (
        sa.Column("idle_timeout", sa.BigInteger),
        sa.Column("persistent", sa.Integer, nullable=False, server_default="1"),
        sa.Column("actor", sa.LargeBinary(260).with_variant(mysql.VARBINARY(260), "mysql", "mariadb")),
        sa.Column("methods", _ascii(500), nullable=False, server_default="{}"),
    ):
        if column.name not in there:
            op.add_column(f"{prefix}sessions", column)
    changes, index = f"{prefix}payload_changes", f"ix_{prefix}payload_changes_changed_at"
    if not sa.inspect(op.get_bind()).has_table(changes):
        op.create_table(
            changes,
            sa.Column("handle", _ascii(32), primary_key=True),
            sa.Column("changed_at", sa.BigInteger, nullable=False),
            sa.Column("payload_version", sa.BigInteger, nullable=False),
            mysql_engine="InnoDB",
            mysql_charset="utf8mb4",
            mysql_collate="utf8mb4_bin",
        )
    if index not in {there["name"] for there in sa.inspect(op.get_bind()).get_indexes(changes)}:
        op.create_index(index, changes, ["changed_at"])


def _ascii(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(
        mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
    )
