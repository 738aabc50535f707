"""Limits for a busy machine: importing this gives them to all that is run in the process.

The product gives up after seconds, on its users' behalf. A test that is about something else has as long as it takes:
it would rather wait for a server that hangs than fail on a machine that has other work to do. A test that is about a
limit gives its own.
"""

from asgi_sessions.store import engine

PATIENCE = 120.0
"""Seconds. Nothing takes so long unless it is broken."""

engine.STATEMENT_TIMEOUT_SECONDS = 60.0
