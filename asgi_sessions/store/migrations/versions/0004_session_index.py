"""By what sessions are found besides their user: a table of indexed attributes.

Written out, and not taken from ``schema.py``, which goes on. Workers of the version before may go on beside it: they
do not know the new table, and what their purge leaves there is deleted by the others. Only what is missing is made.
"""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    prefix: str = context.config.attributes["table_prefix"]
    table, index = f"{prefix}session_index", f"ix_{prefix}session_index_handle"
    if not sa.inspect(op.get_bind()).has_table(table):
        op.create_table(
            table,
            sa.Column("name", _ascii(40), primary_key=True),
            sa.Column(
                "digest",
                sa.LargeBinary(32).with_variant(mysql.VARBINARY(32), "mysql", "mariadb"),
                primary_key=True,
            ),
            sa.Column("created_at", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("handle", _ascii(32), primary_key=True),
            mysql_engine="InnoDB",
            mysql_charset="utf8mb4",
            mysql_collate="utf8mb4_bin",
        )
    if index not in {there["name"] for there in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(index, table, ["handle"])


def _ascii(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(
        mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
    )
