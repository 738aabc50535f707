"""`make run-oidc` says what is missing, and leaves nothing behind."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.patience import PATIENCE
from tests.servers import free_port
from tools import openid_provider
from tools.engines import ProgramMissing
from tools.openid_provider.__main__ import main


def arguments(cache: Path, *command: str, port: int = 1) -> list[str]:
    return ["--cache", str(cache), "--address", "http://localhost:1", "--port", str(port), "--", *command]


@pytest.mark.parametrize("missing", ["node", "npm"])
def test_without_node_or_npm_it_says_so_and_names_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v20.0.0\n")
    node.chmod(0o755)

    def find_program(name: str) -> str:
        if name == missing:
            raise ProgramMissing(f"{name} is not installed")
        return str(node)

    monkeypatch.setattr(openid_provider, "find_program", find_program)
    with pytest.raises(SystemExit, match=rf"make run-oidc needs Node\.js and npm: {missing} is not installed") as ended:
        main(arguments(tmp_path, "true"))
    assert "apt-get install nodejs npm" in str(ended.value)
    assert "make run." in str(ended.value)


def test_an_old_node_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.openid_provider.__main__.node_version", lambda: 18)
    with pytest.raises(SystemExit, match=r"make run-oidc needs Node.js 20 or newer, here is 18"):
        main(arguments(tmp_path, "true"))


def test_the_application_is_told_and_all_is_gone_when_it_ends(
    oidc_provider: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    show = (
        "import os, urllib.request as u;"
        "issuer = os.environ['EXAMPLE_OIDC_ISSUER'];"
        "print(u.urlopen(issuer + '/.well-known/openid-configuration').status, issuer);"
        "print(os.environ['ASGI_SESSIONS_DATABASE_URL']); raise SystemExit(7)"
    )
    port = free_port()
    cache = oidc_provider.parents[3].parent
    assert main(arguments(cache, sys.executable, "-c", show, port=port)) == 7
    told = capfd.readouterr().out
    assert f"200 http://127.0.0.1:{port}" in told
    database = Path(told.strip().rpartition("sqlite+aiosqlite:///")[2])
    assert not database.parent.exists()
    assert not answers(port)


def test_a_port_that_is_taken_is_named(oidc_provider: Path) -> None:
    port = free_port()
    with openid_provider.OpenIDProvider(oidc_provider, port, []), pytest.raises(RuntimeError, match="EADDRINUSE"):
        openid_provider.OpenIDProvider(oidc_provider, port, []).__enter__()


def test_it_ends_with_whoever_has_started_it(oidc_provider: Path) -> None:
    port = free_port()
    code = (
        "import os; from pathlib import Path; from tools.openid_provider import OpenIDProvider;"
        f"OpenIDProvider(Path({str(oidc_provider)!r}), {port}, []).__enter__(); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=120)
    assert done.returncode == 9
    deadline = time.monotonic() + PATIENCE
    while answers(port):
        assert time.monotonic() < deadline, "it goes on"


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            return True
    except ConnectionError:  # refused, or taken by one that is ending
        return False
