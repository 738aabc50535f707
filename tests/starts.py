"""What opens, and how often."""

import pytest

from asgi_sessions.manager.runtime import Runtime


def noted_starts(monkeypatch: pytest.MonkeyPatch) -> list[Runtime]:
    """Every start from now on that opens something."""
    opened: list[Runtime] = []
    opens = Runtime.open

    async def noted(runtime: Runtime) -> None:
        opened.append(runtime)
        await opens(runtime)

    monkeypatch.setattr(Runtime, "open", noted)
    return opened
