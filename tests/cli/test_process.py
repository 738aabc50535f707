"""The program as a process: arguments of any bytes, pipes that close, terminals without Unicode."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.cli.conftest import AUDIT, SECRET_KEY, log_in

ROOT = Path(__file__).parents[2]


def run(
    arguments: Sequence[str | bytes], *, program: Sequence[str] = ("-m", "asgi_sessions"), **variables: str
) -> subprocess.CompletedProcess[bytes]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    return subprocess.run(
        [sys.executable, "-W", "error", *program, *arguments],
        env={**os.environ, "PYTHONPATH": path, **variables},
        capture_output=True,
        timeout=120,
        check=False,
    )


def test_it_runs_as_a_module_on_every_engine(database: str) -> None:
    log_in("42")
    done = run(["revoke-user", "42"])
    assert (done.returncode, done.stdout) == (0, b"Revoked 1 session of user '42'.\n")
    assert AUDIT.fullmatch(done.stderr.decode()), done.stderr


def test_without_an_error_output_stdout_is_as_it_was(sqlite: str) -> None:
    log_in("42")
    closed = "import os, runpy, sys; sys.stderr = None; sys.argv[0] = 'asgi-sessions'; "
    done = run(
        ["revoke-user", "42"], program=["-c", f"{closed} runpy.run_module('asgi_sessions', run_name='__main__')"]
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"Revoked 1 session of user '42'.\n", b"")


def test_the_script_of_the_project_is_this_program() -> None:
    import tomllib
    from importlib import import_module

    from asgi_sessions.cli import main

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, name = project["scripts"]["asgi-sessions"].partition(":")
    assert getattr(import_module(module), name) is main


def test_arguments_of_any_bytes_are_told_without_a_traceback(sqlite: str) -> None:
    done = run(["list", b"\xff\xfe\x1b[31m"])
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"\x1b" not in done.stderr


def test_a_terminal_without_unicode_gets_escapes(sqlite: str) -> None:
    done = run(["list", "jürgen"], PYTHONIOENCODING="ascii:strict")
    assert done.returncode == 1
    assert done.stderr.startswith(b"User 'j\\xfcrgen' has no live session in ")


def test_a_pipe_that_closes_early_is_no_error(sqlite: str) -> None:
    log_in(*["42"] * 3)
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "asgi_sessions", "list", "42"],
        env={**os.environ, "PYTHONPATH": path},
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=120,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_wrong_settings_end_the_process_with_2(environment: Callable[..., None]) -> None:
    environment(secret_key=SECRET_KEY, csrf="canary")
    done = run(["check"])
    assert done.returncode == 2
    assert done.stderr.startswith(b"csrf:")
