"""Over uvicorn: requests per second, and CPU of the server per request, beside the bare application."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from benchmarks.measuring import Samples, turns
from benchmarks.requests import load
from benchmarks.requests.environments import Environment
from benchmarks.requests.jars import Jar, WrongAnswer, check
from benchmarks.requests.servers import UvicornServer
from benchmarks.requests.services import Services
from benchmarks.requests.variants import EXPIRED_SECONDS, Journey, Variant
from benchmarks.requests.workers import RemoteWorker

WARM_UP = 10
"""One in so many prepared tokens warms up the new server that gets the others."""

WARM_UP_SECONDS = 0.3
"""At most."""


class OverHttp:
    """All servers of the chosen variants, one uvicorn worker each."""

    def __init__(
        self,
        variants: Sequence[Variant],
        environments: Mapping[str, Environment],
        services: Services,
        seconds: float,
        pool: int,
    ) -> None:
        self._variants = {variant.name: variant for variant in variants}
        self._environments = environments
        self._services = services
        self._seconds = seconds
        self._pool = pool
        self._stack = ExitStack()
        self._bare: dict[tuple[str, str], UvicornServer] = {}
        self._servers: dict[str, UvicornServer] = {}
        self._jars: dict[str, list[Jar]] = {}
        self._used_at: dict[str, float] = {}

    def run(self, rounds: int, progress: Callable[[int, int, str], None]) -> Samples:
        """Return ``rate`` and ``bare_rate`` in requests/s, ``cpu`` and ``bare_cpu`` in microseconds per request."""
        samples = Samples()
        with self._stack:
            for number, name in turns(list(self._variants), rounds):
                progress(number, rounds, name)
                samples.add(number, name, self._turn(self._variants[name], bare_first=number % 2 == 0))
        return samples

    def _turn(self, variant: Variant, *, bare_first: bool) -> dict[str, float]:
        bare = self._bare_server(variant)
        with ExitStack() as stack:
            server = self._server(variant, stack)
            jars = self._jars_for(variant, server)
            measured: dict[str, float] = {}
            for is_bare in (True, False) if bare_first else (False, True):
                rate, cpu = self._measure(variant, bare if is_bare else server, jars, bare=is_bare)
                measured |= {"bare_rate": rate, "bare_cpu": cpu} if is_bare else {"rate": rate, "cpu": cpu}
            self._used_at[variant.name] = time.monotonic()
        return measured

    def _measure(self, variant: Variant, server: UvicornServer, jars: list[Jar], *, bare: bool) -> tuple[float, float]:
        path = variant.journey.path

        def judge(jar: Jar, status: int, body: bytes, set_cookies: list[str]) -> None:
            sets = bool(set_cookies)
            check(path, jar, status, body, sets_cookies=sets, bare=bare, may_set_cookies=variant.may_set_cookies)

        if variant.journey.one_use or not load.has_wrk():
            if bare:  # one jar again and again: the bare application is too fast for a pool
                jars = [Jar(jars[0].user, dict(jars[0].cookies))]
            if variant.journey is Journey.NEW:  # on a server that has just started
                warm_up = len(jars) // WARM_UP
                load.python(server.port, path, jars[:warm_up] or jars, WARM_UP_SECONDS, judge)
                jars = jars[warm_up:]
            used = server.cpu_seconds()
            done = load.python(server.port, path, jars, self._seconds, judge)
        else:
            length = self._answer_bytes(server, path, jars[0], judge)  # this also warms up
            used = server.cpu_seconds()
            done = load.wrk(server.port, path, jars[0], self._seconds, length)
        used = server.cpu_seconds() - used
        if not variant.journey.one_use:
            judge(jars[0], *server.request("GET", path, jars[0]))
        return done.requests / done.seconds, used / done.requests * 1e6

    def _answer_bytes(self, server: UvicornServer, path: str, jar: Jar, judge: load.Judge) -> int:
        """Ask as wrk will, have the answers judged, and return how long they are on the wire."""
        lengths: set[int] = set()
        for _ in range(2):
            judge(jar, *server.request("GET", path, jar))
            lengths.add(server.answer_bytes(path, jar))
        if len(lengths) > 1:
            raise WrongAnswer(f"GET {path}: answers of {sorted(lengths)} bytes")
        return lengths.pop()

    def _bare_server(self, variant: Variant) -> UvicornServer:
        key = (variant.environment, variant.base)
        if key not in self._bare:
            server = UvicornServer(variant.base, self._environments[variant.environment], {})
            self._bare[key] = self._stack.enter_context(server)
        return self._bare[key]

    def _server(self, variant: Variant, stack: ExitStack) -> UvicornServer:
        if variant.journey is Journey.NEW:  # what it has never seen it has never seen in any round
            return stack.enter_context(self._start(variant))
        if variant.name not in self._servers:
            self._servers[variant.name] = self._stack.enter_context(self._start(variant))
        return self._servers[variant.name]

    def _start(self, variant: Variant) -> UvicornServer:
        environment = self._environments[variant.environment]
        return UvicornServer(variant.app, environment, self._services.variables(variant, environment))

    def _jars_for(self, variant: Variant, server: UvicornServer) -> list[Jar]:
        if not variant.journey.logs_in:
            return [Jar()]
        if not variant.journey.one_use:
            if variant.name not in self._jars:
                jar = Jar()
                status, _, _ = server.request("POST", "/log-in?user=42", jar)
                if status not in {200, 204}:
                    raise WrongAnswer(f"POST /log-in: {status}")
                self._jars[variant.name] = [jar]
            return self._jars[variant.name]
        if variant.name not in self._jars:
            environment = self._environments[variant.environment]
            command = "log_in" if variant.journey is Journey.NEW else "prepare_refresh"
            pool = self._pool if variant.journey is Journey.NEW else self._pool // 10
            with RemoteWorker(variant, environment, self._services.variables(variant, environment)) as issuer:
                self._jars[variant.name] = [Jar(**jar) for jar in issuer.call(command, count=pool)]
            self._used_at[variant.name] = time.monotonic()
        if variant.journey is Journey.REFRESH:
            time.sleep(max(0.0, self._used_at[variant.name] + EXPIRED_SECONDS - time.monotonic()))
        return self._jars[variant.name]
