"""The applications of docs/frameworks.md, as its readers would paste them, and a server around them."""

import asyncio
import re
import sys
import types
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

import uvicorn
from starlette.types import ASGIApp, Message

from tests.docs.pages import ROOT, Block, blocks_of
from tests.servers import free_port

PAGE = ROOT / "docs" / "frameworks.md"
FRAMEWORKS = {name: name.lower() for name in ("Litestar", "Quart", "BlackSheep", "Sanic", "Django")}
"""Sections that show a whole site, and what to import for them."""
PATIENCE = 60.0
"""Seconds. Nothing here takes so long unless it is broken."""


def blocks_under(heading: str) -> list[Block]:
    """The code below one heading of the page."""
    lines = PAGE.read_text().splitlines()
    first = lines.index(f"## {heading}") + 1
    after = [number for number, line in enumerate(lines, 1) if number > first and line.startswith("## ")]
    last = after[0] if after else len(lines)
    return [block for block in blocks_of(PAGE) if first < block.line < last]


def pasted(block: Block, name: str) -> types.ModuleType:
    """A module of the page's code."""
    spec = spec_from_loader(name, SourceFileLoader(name, str(PAGE)))
    assert spec is not None  # Python 3.15 warns of a module without one when it prints a traceback
    module = module_from_spec(spec)
    sys.modules[name] = module
    exec(compile("\n" * (block.line - 1) + block.code, str(PAGE), "exec"), module.__dict__)
    return module


def headings() -> list[str]:
    """The page's sections."""
    return re.findall(r"^## (.*)$", PAGE.read_text(), re.MULTILINE)


@asynccontextmanager
async def started(app: ASGIApp) -> AsyncIterator[None]:
    """The application's lifespan, as a server runs it."""
    to_say: asyncio.Queue[Message] = asyncio.Queue()
    said: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}

    async def run() -> None:
        await app(scope, to_say.get, said.put)

    running = asyncio.create_task(run())

    async def tell(what: str) -> None:
        await to_say.put({"type": f"lifespan.{what}"})
        async with asyncio.timeout(PATIENCE):
            answer = await said.get()
        assert answer["type"] == f"lifespan.{what}.complete", answer

    await tell("startup")
    try:
        yield
    finally:
        await tell("shutdown")
        await running


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[int]:
    """The application under uvicorn, on this event loop; its port on 127.0.0.1."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, lifespan="on", log_level="warning", ws="websockets-sansio"))
    running = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(PATIENCE):
            while not server.started:
                assert not running.done(), "it has not started"
                await asyncio.sleep(0.01)
        yield port
    finally:
        server.should_exit = True
        await running
