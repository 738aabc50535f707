"""Child processes of the in-process benchmark, seen from outside."""

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.requests.environments import Environment
from benchmarks.requests.variants import Variant

LAUNCH = Path(__file__).with_name("launch.py")


class WorkerFailed(Exception):
    """A child process has ended; what it had to say is on stderr."""


class RemoteWorker:
    """A variant's child process.

    Attributes:
        versions: Of Python and of the packages in its environment.
    """

    def __init__(self, variant: Variant, environment: Environment, variables: dict[str, str]) -> None:
        self._name = variant.name
        self._process = subprocess.Popen(
            [environment.python, "-P", str(LAUNCH), "child", variant.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment.variables | variables,
            text=True,
        )
        self.versions: dict[str, str] = self._read()

    def call(self, command: str, **arguments: Any) -> Any:
        """Have it do something, and return the answer.

        Raises:
            WorkerFailed: It could not.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, "with": arguments}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise WorkerFailed(f"{self._name}: exit status {self._process.wait()}")
        return json.loads(line)

    def __enter__(self) -> "RemoteWorker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
