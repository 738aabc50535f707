"""In process: microseconds per request over the bare application, without a server between."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from benchmarks.measuring import Samples, turns
from benchmarks.requests.environments import Environment
from benchmarks.requests.services import Services
from benchmarks.requests.variants import Journey, Variant
from benchmarks.requests.workers import RemoteWorker

BLOCKS = 10
"""How often variant and bare application alternate within a turn."""

SLOW = 10
"""A variant that waits for a server gets one in so many requests."""


class InProcess:
    """All workers of the chosen variants."""

    def __init__(
        self, variants: Sequence[Variant], environments: Mapping[str, Environment], services: Services, requests: int
    ) -> None:
        self._variants = {variant.name: variant for variant in variants}
        self._environments = environments
        self._services = services
        self._requests = requests
        self._stack = ExitStack()
        self._workers: dict[str, RemoteWorker] = {}
        self._prepared: dict[str, object] = {}
        self.versions: dict[str, dict[str, str]] = {}

    def run(self, rounds: int, progress: Callable[[int, int, str], None]) -> Samples:
        """Return microseconds: ``bare_wall``, ``bare_cpu``, and ``over_wall``, ``over_cpu`` above those."""
        samples = Samples()
        with self._stack:
            for number, name in turns(list(self._variants), rounds):
                progress(number, rounds, name)
                samples.add(number, name, self._turn(self._variants[name]))
        return samples

    def _turn(self, variant: Variant) -> Mapping[str, float]:
        total = max(self._requests // (SLOW if variant.slow else 1), BLOCKS)
        size = {"count": total // BLOCKS, "blocks": BLOCKS}
        needed = size["count"] * (BLOCKS + 1)
        if variant.journey is Journey.NEW:
            # The tokens are the same in every round, and new to a worker that is new itself.
            if variant.name not in self._prepared:
                with self._start(variant) as issuer:
                    self._prepared[variant.name] = issuer.call("log_in", count=needed)
            with self._start(variant) as worker:
                worker.call("take", jars=self._prepared[variant.name])
                return self._result(worker, size)
        worker = self._worker(variant)
        if variant.journey is Journey.REFRESH and variant.name not in self._prepared:
            self._prepared[variant.name] = True
            worker.call("take", jars=worker.call("prepare_refresh", count=needed))
        return self._result(worker, size)

    def _result(self, worker: RemoteWorker, size: Mapping[str, int]) -> Mapping[str, float]:
        result: Mapping[str, float] = worker.call("turn", **size)
        return result

    def _worker(self, variant: Variant) -> RemoteWorker:
        if variant.name not in self._workers:
            self._workers[variant.name] = self._stack.enter_context(self._start(variant))
        return self._workers[variant.name]

    def _start(self, variant: Variant) -> RemoteWorker:
        environment = self._environments[variant.environment]
        worker = RemoteWorker(variant, environment, self._services.variables(variant, environment))
        self.versions[variant.environment] = worker.versions
        return worker
