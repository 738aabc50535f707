"""A command whose output is kept, with the longest time in which it said nothing."""

import contextlib
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Self


class Watched:
    """Runs from ``__enter__`` to ``__exit__``, which kills what is still there.

    Args:
        command: Its words. Killing its process must end all that it has started.
        log: The file for all that it prints.

    Attributes:
        silence: The longest time without output, in seconds.
        silent_after: The last words before it.
    """

    def __init__(self, command: list[str], log: Path) -> None:
        self.silence = 0.0
        self.silent_after = ""
        self._command = command
        self._log = log
        self._last_words = ""

    def __enter__(self) -> Self:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._heard = time.monotonic()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        self._listener.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def status(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._process.poll()

    @property
    def last_line(self) -> str:
        return self._last_words.rstrip().rpartition("\n")[2][-100:].strip()

    @property
    def printed(self) -> str:
        return self._log.read_text(errors="replace")

    def wait(self, seconds: float) -> bool:
        """Return whether it has ended; wait so long for it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=seconds)
        return self.status is not None

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._log.open("wb") as log:
            while chunk := os.read(self._process.stdout.fileno(), 65_536):
                now = time.monotonic()
                if now - self._heard > self.silence:
                    self.silence = now - self._heard
                    self.silent_after = self.last_line
                self._heard = now
                log.write(chunk)
                log.flush()
                self._last_words = (self._last_words + chunk.decode(errors="replace"))[-1000:]
