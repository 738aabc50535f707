"""A command that takes long is never silent for long."""

import io
import os
import sys
from pathlib import Path

import pytest

from tools import progress


class Reader(io.StringIO):
    """Somebody who lets the command go on once its progress has been told."""

    def __init__(self, fifo: Path) -> None:
        super().__init__()
        self._fifo = fifo
        self.was_told = False

    def write(self, text: str) -> int:
        if " s  " in text and "still at it" not in text and not self.was_told:
            self.was_told = True
            self._fifo.write_text("go on")
        return super().write(text)


def test_what_a_command_printed_last_is_told_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = Reader(fifo)
    monkeypatch.setattr(sys, "stdout", reader)
    monkeypatch.setattr(progress, "INTERVAL_SECONDS", 0.01)
    script = f"echo Unpacking half of it; echo 'invoke-rc.d: denied'; read line < {fifo}; echo all"
    assert progress.run("Doing", ["sh", "-c", script]) == "Unpacking half of it\ninvoke-rc.d: denied\nall\n"
    assert reader.getvalue().startswith("Doing ...\n")
    assert reader.getvalue().endswith("done\n")
    assert " s  Unpacking half of it\n" in reader.getvalue()
    assert "invoke-rc.d" not in reader.getvalue()


def test_a_command_that_fails_is_told_with_the_end_of_what_it_printed() -> None:
    with pytest.raises(progress.CommandFailed, match=r"Doing: .* failed with status 3:\nno disk"):
        progress.run("Doing", ["sh", "-c", "echo no disk; exit 3"])
