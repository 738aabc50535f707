"""A company's OpenID provider on one's own machine: npm's oidc-provider, for tests and for ``make run-oidc``.

python -m tools.openid_provider --cache .oidc-provider -- uvicorn example_app.main:app
"""

import json
import os
import queue
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from tools.engines import find_program

__all__ = ["OLDEST_NODE", "PASSWORD", "VERSION", "OpenIDProvider", "fetched", "node_version"]

VERSION: Final = "9.13.3"
OLDEST_NODE: Final = 20
PASSWORD: Final = "correct horse"
"""Of each of its users, ada and grace."""
START_SECONDS: Final = 60.0
_SCRIPT: Final = Path(__file__).with_name("provider.mjs")


def node_version() -> int:
    """The first number of Node's version.

    Raises:
        ProgramMissing: There is no Node.
    """
    told = subprocess.run([find_program("node"), "--version"], check=True, capture_output=True, text=True, timeout=60)
    return int(told.stdout.strip().lstrip("v").partition(".")[0])


def fetched(cache: Path) -> Path:
    """Return the module, from the cache or by npm, once.

    Args:
        cache: A folder of ours.

    Raises:
        ProgramMissing: There is no npm.
        subprocess.CalledProcessError: npm cannot fetch it.
        subprocess.TimeoutExpired: It takes minutes.
    """
    folder = cache.resolve() / f"oidc-provider-{VERSION}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            own = Path(temporary) / "packages"
            own.mkdir()
            options = ["--prefix", str(own), "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--silent"]
            command = [find_program("npm"), "install", *options, f"oidc-provider@{VERSION}"]
            subprocess.run(command, check=True, capture_output=True, cwd=own, timeout=300)
            try:
                os.replace(own, folder)  # of several processes each has a whole one
            except OSError:
                if not folder.exists():  # another one was faster
                    raise
    return folder / "node_modules" / "oidc-provider" / "lib" / "index.js"


class OpenIDProvider:
    """As a context manager: it runs meanwhile.

    Args:
        module: What `fetched` has returned.
        port: On 127.0.0.1.
        clients: The applications, by the names of OpenID Connect Dynamic Client Registration 1.0.

    Attributes:
        issuer: Its own.
    """

    def __init__(self, module: Path, port: int, clients: Sequence[Mapping[str, Any]]) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self._input = json.dumps({"module": str(module), "port": port, "clients": clients})
        self._told: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._errors = tempfile.TemporaryFile("w+b")  # noqa: SIM115  # closed where the provider ends
        self._process: subprocess.Popen[str] | None = None

    def next_told(self, seconds: float) -> dict[str, Any]:
        """Return what it says next of what it has done: of each back-channel logout whether it was ``told``.

        Raises:
            RuntimeError: It says nothing more.
        """
        try:
            told = self._told.get(timeout=seconds)
        except queue.Empty:
            told = None
        if told is None:
            self._errors.seek(0)
            raise RuntimeError(f"The provider says nothing: {self._errors.read().decode(errors='replace')[-3000:]}")
        return told

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [find_program("node"), str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        try:
            self._process.stdin.write(f"{self._input}\n")
            self._process.stdin.flush()
            first = self.next_told(START_SECONDS)
            if first["what"] != "listens":
                raise RuntimeError(f"The provider did not start: {first}")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it; nothing of what it keeps stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=START_SECONDS)
            self._reader.join(timeout=START_SECONDS)
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None
        self._errors.close()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._told.put(json.loads(line))
        self._told.put(None)
