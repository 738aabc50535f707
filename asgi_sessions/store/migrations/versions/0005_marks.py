"""What is remembered for a while: logouts of elsewhere, and messages that have been taken in.

Written out, and not taken from ``schema.py``, which goes on. Workers of the version before may go on beside it: they
do not know the new table. Only what is missing is made.
"""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    prefix: str = context.config.attributes["table_prefix"]
    table, index = f"{prefix}marks", f"ix_{prefix}marks_until"
    kind = sa.String(40).with_variant(mysql.VARCHAR(40, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
    digest = sa.LargeBinary(32).with_variant(mysql.VARBINARY(32), "mysql", "mariadb")
    if not sa.inspect(op.get_bind()).has_table(table):
        op.create_table(
            table,
            sa.Column("digest", digest, primary_key=True),
            sa.Column("kind", kind, primary_key=True),
            sa.Column("until", sa.BigInteger, nullable=False),
            mysql_engine="InnoDB",
            mysql_charset="utf8mb4",
            mysql_collate="utf8mb4_bin",
        )
    if index not in {there["name"] for there in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(index, table, ["until"])
