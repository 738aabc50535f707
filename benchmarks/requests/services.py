"""The servers that variants need, each started at its first use."""

import re
import secrets
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.requests.environments import Environment
from benchmarks.requests.variants import Variant
from benchmarks.requests.workers import LAUNCH
from tests.servers import MariaDB, Redis
from tools.engines import ProgramMissing, find_program


def missing(variant: Variant) -> str | None:
    """Return which server the variant cannot have because it is not installed, None if all are there."""
    needed = {"mariadb": "mariadbd", "redis": "redis-server"}
    for name in needed.keys() & {variant.database, *variant.services}:
        try:
            find_program(needed[name])
        except ProgramMissing:
            return name
    return None


class Services:
    """MariaDB, Redis and the stub of the SuperTokens core; all end with the stack."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-requests-")))
        self._mariadb: MariaDB | None = None
        self._redis: Redis | None = None
        self._core: str | None = None
        self._databases: dict[str, str] = {}

    def variables(self, variant: Variant, environment: Environment) -> dict[str, str]:
        """Return the environment variables by which the variant finds its servers, which are then running."""
        found = dict(variant.variables)
        if variant.database is not None:
            url = self._databases.get(variant.name) or self._new_database(variant)
            found["BENCHMARK_DATABASE_URL"] = url
            if variant.ours:
                found["ASGI_SESSIONS_DATABASE_URL"] = url
                found["ASGI_SESSIONS_SECRET_KEY"] = self._secret_key
        if "redis" in variant.services:
            if self._redis is None:
                self._redis = Redis()
                self._stack.callback(self._redis.close)
            found["BENCHMARK_REDIS_URL"] = self._redis.url()
        if "core" in variant.services:
            found["BENCHMARK_CORE_URL"] = self._core or self._new_core(environment)
        return found

    _secret_key = secrets.token_urlsafe(48)

    def _new_database(self, variant: Variant) -> str:
        if variant.database == "sqlite":
            url = f"sqlite+aiosqlite:///{self._folder / variant.name}.db"
        else:
            if self._mariadb is None:
                self._mariadb = MariaDB()
                self._stack.callback(self._mariadb.close)
            name = re.sub(r"\W", "_", variant.name)
            self._mariadb.sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
            url = self._mariadb.url(name)
        self._databases[variant.name] = url
        return url

    def _new_core(self, environment: Environment) -> str:
        process = subprocess.Popen(
            [environment.python, "-P", str(LAUNCH), "supertokens_core"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment.variables,
            text=True,
        )
        self._stack.enter_context(process)  # closes its input, at which it ends
        assert process.stdout is not None
        self._core = f"http://127.0.0.1:{int(process.stdout.readline())}"
        return self._core
