"""The application that real uvicorn serves, and the servers themselves: in threads, so that tests move their clock."""

import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import Body, Depends, FastAPI, Request
from starlette.middleware.cors import CORSMiddleware

from asgi_sessions import Session, SessionManager, SessionMiddleware, SessionSettings, cors_headers, require_session
from asgi_sessions.fastapi import CurrentSession, session_router
from asgi_sessions.testing import MovableClock
from tests.reference.browser import Answer, Browser
from tests.reference.profiles import Profile

Json = Annotated[Any, Body(embed=True)]
Administrator = Annotated[Session, Depends(require_session(claims={"role": "admin"}))]


def build_app(manager: SessionManager, *, cors: str | None = None) -> FastAPI:
    """An application with everything that the rows need.

    Args:
        manager: Its sessions.
        cors: Where CORSMiddleware goes, ``inside`` or ``outside`` of ours; None for nowhere.
    """
    app = FastAPI()
    if cors == "inside":
        app.add_middleware(CORSMiddleware, **cors_headers(manager.settings))
    app.add_middleware(SessionMiddleware, manager=manager)
    if cors == "outside":
        app.add_middleware(CORSMiddleware, **cors_headers(manager.settings))
    app.include_router(session_router(), prefix="/auth")

    @app.post("/login")
    async def login(request: Request, user_id: Json, jwt_payload: Json = None) -> Any:
        return describe(await manager.create_new_session(request, user_id, jwt_payload=jwt_payload, session_info={}))

    @app.get("/me")
    @app.post("/me")
    async def me(session: CurrentSession) -> Any:
        return describe(session)

    @app.get("/administrator")
    async def administrator(session: Administrator) -> Any:
        return describe(session)

    @app.post("/logout")
    async def logout(session: CurrentSession) -> Any:
        await session.revoke_session()
        return {"message": "success"}

    @app.post("/logout-of-a-session-that-is-gone")
    async def late_logout(session: CurrentSession) -> Any:
        gone = await manager.revoke_session_using_session_handle(session.session_handle)
        await session.revoke_session()
        return {"gone": gone}

    @app.get("/info")
    async def get_info(session: CurrentSession) -> Any:
        return {"info": await session.get_session_info()}

    @app.put("/info")
    async def put_info(session: CurrentSession, info: Json) -> Any:
        await session.update_session_info(info)
        return {}

    @app.put("/payload")
    async def put_payload(session: CurrentSession, payload: Json) -> Any:
        await session.update_jwt_payload(payload)
        return {}

    @app.post("/administration/revoke")
    async def revoke(handle: Json) -> Any:
        return {"revoked": await manager.revoke_session_using_session_handle(handle)}

    @app.post("/administration/payload")
    async def change_payload(handle: Json, payload: Json) -> Any:
        return {"payload": await manager.change_jwt_payload(handle, lambda _: payload)}

    @app.post("/administration/revoke-all")
    async def revoke_all(user_id: Json) -> Any:
        return {"revoked": await manager.revoke_all_sessions_for_user(user_id)}

    @app.post("/administration/handles")
    async def handles(user_id: Json) -> Any:
        return {"handles": await manager.get_all_session_handles_for_user(user_id)}

    @app.post("/administration/purge")
    async def purge() -> Any:
        return {"purged": await manager.purge_expired_sessions()}

    return app


def describe(session: Session) -> dict[str, Any]:
    return {"handle": session.session_handle, "user_id": session.user_id, "jwt_payload": session.jwt_payload}


class Server:
    """A uvicorn on a real socket, in a thread of this process.

    Attributes:
        settings: The application's.
        clock: Its time.
        url: Its address.
    """

    def __init__(
        self,
        settings: SessionSettings,
        clock: MovableClock,
        *,
        cors: str | None = None,
        more: Callable[[FastAPI, SessionManager], None] | None = None,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        """Serve `build_app`, to which a function may add routes; by TLS with a certificate and its key."""
        self.settings = settings
        self.clock = clock
        manager = SessionManager(settings, clock=clock)
        app = build_app(manager, cors=cors)
        if more is not None:
            more(app, manager)
        file, key = certificate or (None, None)
        config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=0,
            lifespan="on",
            ws="none",
            log_config=None,
            ssl_certfile=file,
            ssl_keyfile=key,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the server did not start; its log says why")
            time.sleep(0.005)
        scheme = "http" if certificate is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def browser(self) -> Browser:
        return Browser(self.url)

    def log_in(self, user_id: Any = None, jwt_payload: Any = None) -> tuple[Browser, Answer]:
        """A browser that has logged in, as a user of its own where none is given."""
        browser = self.browser()
        user_id = f"user {uuid.uuid4()}" if user_id is None else user_id
        answer = browser.post("/login", {"user_id": user_id, "jwt_payload": jwt_payload})
        assert answer.status == 200, answer
        return browser, answer

    def ask_to_stop(self) -> None:
        self._server.should_exit = True

    def close(self) -> None:
        if self._server.config.is_ssl:  # browsers that are open do not end their connections when a server does
            loop = self._server.servers[0].get_loop()
            for connection in list(self._server.server_state.connections):
                loop.call_soon_threadsafe(connection.transport.abort)
        self.ask_to_stop()
        self._thread.join(timeout=20)


class Servers:
    """All servers of a module on one engine: each has tables of its own, all have one clock.

    Attributes:
        database_url: Their database.
        clock: Their time.
    """

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url
        self.clock = MovableClock()
        self._running: dict[str, Server] = {}
        self._prefixes: dict[str, str] = {}

    def __call__(self, profile: Profile, *, worker: int = 1, cors: str | None = None, **settings: Any) -> Server:
        """A running server.

        Args:
            profile: Its settings.
            worker: Another number is another server on the same tables.
            cors: As in `build_app`.
            **settings: What differs from the profile.
        """
        kind = f"{profile.name} {cors} {sorted(settings.items())}"
        prefix = self._prefixes.setdefault(kind, f"t{len(self._prefixes)}_")
        name = f"{kind} {worker}"
        if name not in self._running:
            given = profile.settings(self.database_url, table_prefix=prefix, **settings)
            self._running[name] = Server(given, self.clock, cors=cors)
        return self._running[name]

    def close(self) -> None:
        for server in self._running.values():
            server.ask_to_stop()  # all at once: a server takes its time
        for server in self._running.values():
            server.close()
