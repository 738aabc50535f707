"""Runs a command that takes long and says meanwhile how far it is; what it prints goes into a file.

python -m tools.progress "Types" -- mypy
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

INTERVAL_SECONDS = 10.0
_CHATTER = ("invoke-rc.d:", "debconf:", "(Reading database")


class CommandFailed(Exception):
    """The command ended with another status than 0; the message holds the end of what it printed."""


def run(title: str, command: Sequence[str], *, environment: dict[str, str] | None = None) -> str:
    """Run a command, with a line at its start, every ten seconds, and at its end.

    Args:
        title: What is done.
        command: Its words.
        environment: Its variables; by default those of this process.

    Returns:
        What it printed.

    Raises:
        CommandFailed: It failed.
    """
    print(f"{title} ...", flush=True)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="progress-") as folder:
        log = Path(folder) / "log"
        with (
            log.open("wb") as output,
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
            ) as process,
        ):
            status = None
            while status is None:
                try:
                    status = process.wait(timeout=INTERVAL_SECONDS)
                except subprocess.TimeoutExpired:
                    print(f"    {time.monotonic() - begun:3.0f} s  {_last_line(log)}", flush=True)
        printed = log.read_text(errors="replace")
    if status != 0:
        end = "\n".join(printed.splitlines()[-40:])
        raise CommandFailed(f"{title}: `{' '.join(command)}` failed with status {status}:\n{end}")
    print(f"    {time.monotonic() - begun:3.0f} s  done", flush=True)
    return printed


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    told = [line for line in lines if line and not line.startswith(_CHATTER)]
    return told[-1][:100] if told else "still at it"


if __name__ == "__main__":
    given_title, _, *given_command = sys.argv[1:]
    try:
        print(run(given_title, given_command), end="")
    except CommandFailed as failure:
        sys.exit(str(failure))
