from typing import Any

import pytest

from asgi_sessions import SessionManager
from asgi_sessions.testing import MovableClock
from tests.frameworks.sites import FRAMEWORKS, blocks_under, pasted
from tests.installed import installed


@pytest.fixture(scope="session", params=FRAMEWORKS)
def pasted_site(request: pytest.FixtureRequest) -> Any:
    """A framework's code of the page, executed once: these frameworks keep a register of applications."""
    framework = installed(FRAMEWORKS[request.param], extra="frameworks")
    if request.param == "Sanic":
        framework.Sanic.test_mode = True  # it starts more than once
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASGI_SESSIONS_DATABASE_URL", "sqlite+aiosqlite://")  # a new one at each start
        patch.setenv("ASGI_SESSIONS_PURGE_INTERVAL", "0")
        if request.param == "Django":
            configure_django()
            patch.setenv("DJANGO_SETTINGS_MODULE", "shop.settings")
        first, *others = blocks_under(request.param)
        site = pasted(first, "shop.sessions")
        for block in others:
            site.app = pasted(block, "shop.asgi").application  # type: ignore[attr-defined]
        return site


def configure_django() -> None:
    """What `manage.py startproject` writes, as far as it matters."""
    from django.conf import settings

    settings.configure(
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["django.middleware.common.CommonMiddleware", "shop.sessions.SessionErrors"],
        ROOT_URLCONF="shop.sessions",
        SECRET_KEY="a secret of Django's",
        LOGGING_CONFIG=None,
    )


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def site(pasted_site: Any, clock: MovableClock) -> Any:
    """A framework's application of the page: `app`, and the manager `sessions`."""
    pasted_site.sessions.clock = clock
    return pasted_site


@pytest.fixture
def sessions(site: Any) -> SessionManager:
    manager: SessionManager = site.sessions
    return manager
