"""The package's own test clients. Imports Starlette's: see `clients`."""

from collections.abc import Sequence
from typing import Any, Self

from anyio.from_thread import BlockingPortal
from pydantic import SecretStr
from starlette.testclient import TestClient

from asgi_sessions.manager import SessionManager
from asgi_sessions.protocol import anti_csrf

_OF_ONE_LOGIN = frozenset({"authorization", anti_csrf.HEADER, "cookie"})


class InMemoryClient(TestClient):
    """A ``TestClient`` that gives each manager an empty SQLite database in memory while it runs the application.

    Args:
        app: The application.
        managers: The application's managers. A manager that is running already stays as it is on that event loop.
        **options: The options of ``TestClient``.
    """

    def __init__(self, app: Any, managers: Sequence[SessionManager], **options: Any) -> None:
        super().__init__(app, **{"base_url": "https://testserver"} | options)
        self._managers = managers
        self._settings = [manager.settings for manager in managers]

    def __enter__(self) -> Self:
        for manager in self._managers:
            manager.settings = manager.settings.model_copy(
                update={
                    "database_url": SecretStr("sqlite+aiosqlite://"),
                    "migrate_on_start": True,
                    "revocation_channel_url": None,
                }
            )
        try:
            return super().__enter__()
        except BaseException:
            self._restore()
            raise

    def __exit__(self, *args: Any) -> None:
        try:
            super().__exit__(*args)
        finally:
            self._restore()

    def _restore(self) -> None:
        for manager, settings in zip(self._managers, self._settings, strict=True):
            manager.settings = settings


class SecondClient(TestClient):
    """A ``TestClient`` that runs its requests on the first client's event loop, for as long as the first is running.

    Args:
        first: The first client.
        transport: The first client's transport, which knows its options.
    """

    def __init__(self, first: TestClient, transport: Any) -> None:
        self._first = first
        headers = {name: value for name, value in first.headers.items() if name.lower() not in _OF_ONE_LOGIN}
        super().__init__(
            first.app,
            base_url=str(first.base_url),
            raise_server_exceptions=getattr(transport, "raise_server_exceptions", True),
            root_path=getattr(transport, "root_path", ""),
            headers=headers,
            follow_redirects=first.follow_redirects,
            client=getattr(transport, "client", ("testclient", 50000)),
        )
        self.app_state.update(first.app_state)  # the transport holds this very object

    @property
    def portal(self) -> BlockingPortal | None:  # type: ignore[override]  # never set: only `__enter__` would
        return self._first.portal

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: Any) -> None:
        self.close()
