"""Limits for a busy machine: importing this gives them to all that is run in the process.

A product gives up on its users' behalf after seconds. A test that is about something else has as long as it takes, and
would rather wait for a server that hangs than fail on a machine with other work to do. A test that is about a limit
gives its own.
"""

from asgi_sessions.store import engine

STATEMENT_TIMEOUT_SECONDS = 60.0

engine.STATEMENT_TIMEOUT_SECONDS = STATEMENT_TIMEOUT_SECONDS
