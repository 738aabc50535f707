"""What all workers must remember: a table of numbers, the version of a payload, service without new tokens.

Written out, and not taken from ``schema.py``, which goes on. Workers of the version before may go on beside it: the
new columns have defaults. Only what is missing is made.
"""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    prefix: str = context.config.attributes["table_prefix"]
    name = sa.String(40).with_variant(mysql.VARCHAR(40, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
    if not sa.inspect(op.get_bind()).has_table(f"{prefix}state"):
        op.create_table(
            f"{prefix}state",
            sa.Column("name", name, primary_key=True),
            sa.Column("value", sa.BigInteger, nullable=False),
            mysql_engine="InnoDB",
            mysql_charset="utf8mb4",
            mysql_collate="utf8mb4_bin",
        )
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(f"{prefix}sessions")}
    for column in (
        sa.Column("payload_version", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("late_gen", sa.BigInteger),
        sa.Column("late_at", sa.BigInteger),
        sa.Column("late_count", sa.BigInteger, nullable=False, server_default="0"),
    ):
        if column.name not in there:
            op.add_column(f"{prefix}sessions", column)
