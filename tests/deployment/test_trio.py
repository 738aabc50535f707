"""A server on trio ends at its start, and says what is needed."""

import subprocess
import sys
from pathlib import Path

from tests.deployment.app_servers import APP
from tests.servers import free_port
from tests.uvicorn_server import environment_with


def test_hypercorn_on_trio_ends_and_says_that_asyncio_is_needed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hypercorn", "-k", "trio", "-b", f"127.0.0.1:{free_port()}", APP],
        cwd=tmp_path,
        env=environment_with({}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "asgi_sessions: No asyncio event loop runs here" in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())  # nothing was opened
