"""A test client that shares another one's running application. Imports Starlette's test client: see `clients`."""

from typing import Any, Self

from anyio.from_thread import BlockingPortal
from starlette.testclient import TestClient

_OF_ONE_LOGIN = frozenset({"authorization", "anti-csrf", "cookie"})


class SecondClient(TestClient):
    """Runs its requests on the first client's event loop, for as long as that one is running.

    Args:
        first: Whose application this is.
        transport: That client's transport, which knows its options.
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
