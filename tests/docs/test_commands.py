"""The commands that the documentation shows exist and take the arguments that it gives them."""

import os
import re
import shlex
from pathlib import Path

import pytest

from asgi_sessions.cli import main
from tests.docs.pages import PAGES, blocks_of

COMMANDS = sorted(
    {
        command
        for page in PAGES
        for block in blocks_of(page)
        for command in re.findall(r"^\$ ((?:ASGI_SESSIONS_\w+=\S+ )*asgi-sessions [^#\n]*)", block.code, re.MULTILINE)
    }
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_shown_command_works(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in os.environ:
        if name.upper().startswith("ASGI_SESSIONS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)
    program = words.index("asgi-sessions")
    for variable in words[:program]:
        monkeypatch.setenv(*variable.split("=", 1))
    assert main(["migrate"]) == 0
    done_or_nothing_found = {0, 1}
    assert main(words[program + 1 :]) in done_or_nothing_found, capsys.readouterr().err


def test_some_commands_are_shown() -> None:
    assert COMMANDS
