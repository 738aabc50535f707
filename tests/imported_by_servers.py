"""What the servers of the tests import, and nothing of their applications, which look at the environment."""

import importlib
from contextlib import suppress

import tests.patience  # noqa: F401

for name in (
    "aiosqlite",
    "argon2",
    "asgi_sessions.fastapi",
    "asgi_sessions.pages",
    "asyncmy",
    "asyncpg",
    "httptools",
    "jinja2",
    "python_multipart",
    "redis.asyncio",
    "sqlalchemy.dialects.mysql.asyncmy",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.main",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
    "uvloop",
):
    with suppress(ImportError):  # an extra that is not installed
        importlib.import_module(name)
