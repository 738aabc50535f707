"""The example application as curl sees it: real workers, a real database, real time."""

import subprocess
from pathlib import Path

import pytest

from tests.uvicorn_server import PROJECT, SECRET, UvicornServer


def test_a_client_that_is_no_test_client_logs_in_goes_on_and_logs_out_by_each_form(
    mariadb_url: str, curl: str, tmp_path: Path
) -> None:
    settings = {
        "ASGI_SESSIONS_DATABASE_URL": mariadb_url,
        "ASGI_SESSIONS_SECRET_KEY": SECRET,
        "ASGI_SESSIONS_ACCESS_TOKEN_LIFETIME": "2s",
    }
    with UvicornServer("example_app.main:app", tmp_path, settings, workers=2) as server:
        tour = subprocess.run(
            [PROJECT / "example_app" / "tour.sh", f"http://localhost:{server.port}", "2"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    if tour.returncode != 0:
        pytest.fail(f"{tour.stdout}\n{tour.stderr}\n{server.log}")
    assert "every answer was as expected" in tour.stdout
    assert "Traceback" not in server.log
