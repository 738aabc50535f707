"""The browser helper as it is shipped: how large it is, how it is served, and what bundlers and type checkers find."""

import gzip
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from asgi_sessions import SessionManager, SessionMiddleware, session_routes, testing
from asgi_sessions.fastapi import session_router
from tests.uvicorn_server import PROJECT

FOLDER = PROJECT / "asgi_sessions" / "browser"
SCRIPT = FOLDER / "session.js"
MOST_BYTES = 3072
TYPESCRIPT = "typescript@5.9.3"
OPTIONS = ["--allowJs", "--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2023,dom,dom.iterable"]

# An application's code, as strict as that can be.
USE = """
import { Session } from "asgi-user-sessions";
import type { SessionView, SignedOutEvent } from "asgi-user-sessions/types";
const session = new Session({ auth: new URL("https://api.example.com/auth"), socket: "/live", fetch });
session.addEventListener("signedout", event => { const reason: string = (event as SignedOutEvent).reason; });
const answer: Promise<Response> = session.fetch("/me", { method: "POST", body: "text" });
const same: typeof globalThis.fetch = session.fetch;
const view: Promise<SessionView | null | undefined> = session.check();
const out: Promise<Response> = session.signOut();
// @ts-expect-error: no such option
new Session({ auht: "/auth" });
"""


@pytest.fixture(params=["session_router", "session_routes"])
def client(request: pytest.FixtureRequest) -> Iterator[TestClient]:
    app: Starlette
    if request.param == "session_router":
        app = FastAPI()
        app.include_router(session_router(), prefix="/auth")
    else:
        app = Starlette(routes=[Mount("/auth", routes=session_routes())])
    app.add_middleware(SessionMiddleware, manager=SessionManager())
    with testing.client(app) as client:
        yield client


def test_it_is_small() -> None:
    assert len(gzip.compress(SCRIPT.read_bytes())) <= MOST_BYTES


def test_it_imports_nothing_and_makes_no_code_from_text() -> None:
    """So that it needs no more than ``script-src 'self'`` of a Content-Security-Policy."""
    text = SCRIPT.read_text()
    assert not re.search(
        r"^\s*import\b|\bimport\(|\brequire\(|\beval\(|\bFunction\(|innerHTML|createElement", text, re.M
    )


def test_the_routes_serve_it_as_it_is(client: TestClient) -> None:
    answer = client.get("/auth/session.js")
    assert answer.content == SCRIPT.read_bytes()
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "vary" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert client.head("/auth/session.js").headers == answer.headers
    assert client.post("/auth/session.js").status_code == 405


def test_it_is_the_same_for_whoever_is_logged_in(client: TestClient) -> None:
    before = client.get("/auth/session.js").headers
    testing.login(client, "alice")
    assert client.get("/auth/session.js").headers == before


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', "*"])
def test_whoever_has_it_is_not_sent_it_again(client: TestClient, known: str) -> None:
    tag = client.get("/auth/session.js").headers["etag"]
    answer = client.get("/auth/session.js", headers={"If-None-Match": known.format(tag)})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert answer.headers["cache-control"] == "public, max-age=3600"


def test_whoever_has_another_one_is(client: TestClient) -> None:
    assert client.get("/auth/session.js", headers={"If-None-Match": '"other"'}).status_code == 200


def test_the_package_is_what_it_says() -> None:
    package = json.loads((FOLDER / "package.json").read_text())
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert (package["name"], package["version"]) == (project["name"], project["version"])
    named = {package["types"], *(path for paths in package["exports"].values() for path in paths.values())}
    assert {name.removeprefix("./") for name in named} <= set(package["files"])
    assert {*package["files"], "package.json"} == {path.name for path in FOLDER.iterdir()}


def test_its_name_leads_to_it(node: str, tmp_path: Path) -> None:
    installed(tmp_path)
    code = 'import { Session } from "asgi-user-sessions"; console.log(Session.name);'
    done = subprocess.run(
        [node, "--input-type=module", "-e", code], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout == "Session\n"


def installed(folder: Path) -> None:
    """As npm lays packages out."""
    target = folder / "node_modules" / "asgi-user-sessions"
    shutil.copytree(FOLDER, target)


@pytest.fixture(scope="module")
def tsc(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command of TypeScript's compiler, which npm fetches."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed: TypeScript cannot be fetched")
    folder = tmp_path_factory.mktemp("typescript")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), TYPESCRIPT]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    return [str(folder / "node_modules" / ".bin" / "tsc"), *OPTIONS]


def test_its_types_are_right(tsc: list[str]) -> None:
    checked = subprocess.run([*tsc, "--noEmit", "--checkJs", str(SCRIPT)], check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_the_declarations_are_those_of_the_script(tsc: list[str], tmp_path: Path) -> None:
    """``tsc`` with these options writes them."""
    options = ["--declaration", "--emitDeclarationOnly", "--outDir", str(tmp_path), str(SCRIPT)]
    subprocess.run([*tsc, *options], check=True, capture_output=True)
    assert (tmp_path / "session.d.ts").read_text() == (FOLDER / "session.d.ts").read_text()


def test_an_application_in_typescript_can_use_it(tsc: list[str], tmp_path: Path) -> None:
    installed(tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "use.ts").write_text(USE)
    command = [*tsc, "--noEmit", str(tmp_path / "use.ts")]
    checked = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
