"""The example application as curl sees it: real workers, a real database, real time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import free_port

ROOT = Path(__file__).parents[2]


def test_a_client_that_is_no_test_client_logs_in_goes_on_and_logs_out_by_each_form(
    mariadb_url: str, tmp_path: Path
) -> None:
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASGI_SESSIONS_")} | {
        "ASGI_SESSIONS_DATABASE_URL": mariadb_url,
        "ASGI_SESSIONS_SECRET_KEY": "a-secret-for-this-test-alone-of-32-bytes-or-more",
        "ASGI_SESSIONS_ACCESS_TOKEN_LIFETIME": "2s",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "uvicorn", "example_app.main:app", "--port", str(port), "--workers", "2"]
    command += ["--timeout-worker-healthcheck", "60"]  # workers that start on a busy machine are not dead
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log)
        try:
            tour = subprocess.run(
                [ROOT / "example_app" / "tour.sh", f"http://localhost:{port}", "2"],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        finally:
            server.terminate()
            server.wait(30)
    served = (tmp_path / "server.log").read_text()
    if tour.returncode != 0:
        pytest.fail(f"{tour.stdout}\n{tour.stderr}\n{served}")
    assert "every answer was as expected" in tour.stdout
    assert "Traceback" not in served
