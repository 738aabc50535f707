"""docs/settings.md tells every setting with its real default, and the README's short table agrees."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from asgi_sessions import SessionSettings
from asgi_sessions.protocol.durations import format_duration
from tests.docs.pages import README, ROOT

_ROW = re.compile(r"^\| `(\w+)` \| ([^|]*?) \|", re.MULTILINE)


def documented_in(page: Path) -> dict[str, str]:
    rows = {name: default.strip("`") for name, default in _ROW.findall(page.read_text())}
    return {name: default for name, default in rows.items() if name in SessionSettings.model_fields}


def written(name: str) -> str:
    default = SessionSettings.model_fields[name].default
    if name == "cookie_prefix" and default is None:
        return "automatic"
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, timedelta):
        return format_duration(default)
    if isinstance(default, bool):
        return str(default).lower()
    return "none" if default in (None, ()) else str(default)


def test_every_setting_is_documented_and_none_that_does_not_exist() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(SessionSettings.model_fields)


@pytest.mark.parametrize("page", [ROOT / "docs" / "settings.md", README], ids=lambda page: page.name)
def test_documented_defaults_are_the_real_ones(page: Path) -> None:
    documented = documented_in(page)
    assert documented
    assert documented == {name: written(name) for name in documented}
