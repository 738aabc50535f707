"""Alembic's entry: uses the connection that it is given, under whose lock it runs."""

from alembic import context

from asgi_sessions.store.migrations import version_table
from asgi_sessions.store.schema import sessions_metadata

_attributes = context.config.attributes
context.configure(
    connection=_attributes["connection"],
    target_metadata=sessions_metadata(_attributes["table_prefix"]),
    version_table=version_table(_attributes["table_prefix"]).name,
)
with context.begin_transaction():
    context.run_migrations()
