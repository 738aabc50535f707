"""Docker does not run here, so what can be said without it: that the files fit each other and the project."""

import json
import re
import tomllib
from typing import Any

import pytest
import yaml

from asgi_sessions import SessionSettings
from tests.uvicorn_server import PROJECT

IGNORED_VARIABLES = {"PATH", "PYTHONUNBUFFERED"}


@pytest.fixture
def compose() -> Any:
    return yaml.safe_load((PROJECT / "docker-compose.yml").read_text())


@pytest.fixture
def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's, with continued lines joined."""
    text = (PROJECT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def copied(instructions: list[tuple[str, str]]) -> set[str]:
    """What comes from the project's folder."""
    return {
        source for word, rest in instructions if word == "COPY" and "--from" not in rest for source in rest.split()[:-1]
    }


def variables(instructions: list[tuple[str, str]]) -> dict[str, str]:
    text = " ".join(rest for word, rest in instructions if word == "ENV")
    return dict(re.findall(r"(\S+?)=(\S+)", text))


def test_the_image_copies_what_the_package_and_the_example_need(instructions: list[tuple[str, str]]) -> None:
    pyproject = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    project = pyproject["project"]
    packages = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed = {"pyproject.toml", project["readme"], *project["license-files"], *packages, "example_app"}
    assert copied(instructions) == needed
    assert all((PROJECT / name).exists() for name in needed)


def test_nothing_that_is_copied_is_ignored(instructions: list[tuple[str, str]]) -> None:
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == copied(instructions)


def test_the_image_installs_extras_that_exist_on_the_python_that_we_support(
    instructions: list[tuple[str, str]],
) -> None:
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    run = " ".join(rest for word, rest in instructions if word == "RUN")
    (installed,) = re.findall(r"pip install .*\"\.\[([\w,]+)\]\"", run)
    assert installed.split(",") == ["example", "mysql"]
    assert {"example", "mysql"} <= set(extras)
    assert {rest.split()[0] for word, rest in instructions if word == "FROM"} == {"python:3.11-slim"}


def test_the_image_does_not_run_as_root(instructions: list[tuple[str, str]]) -> None:
    words = [word for word, _ in instructions]
    assert dict(instructions)["USER"] not in {"root", "0"}
    assert words.index("USER") < words.index("CMD")


def test_the_variables_of_image_and_services_are_settings(instructions: list[tuple[str, str]], compose: Any) -> None:
    given = variables(instructions).keys() | compose["services"]["app"]["environment"].keys()
    known = {f"ASGI_SESSIONS_{name.upper()}" for name in SessionSettings.model_fields} | {"EXAMPLE_DATABASE_URL"}
    assert given - IGNORED_VARIABLES <= known


def test_the_settings_of_the_services_are_good_together(compose: Any) -> None:
    environment = compose["services"]["app"]["environment"]
    values = {name: filled_in(text, SECRET) for name, text in environment.items()}
    settings = SessionSettings(**{name.lower().removeprefix("asgi_sessions_"): value for name, value in values.items()})
    database = compose["services"]["db"]["environment"]
    assert settings.database_url_text == (
        f"mysql+asyncmy://{database['MYSQL_USER']}:{filled_in(database['MYSQL_PASSWORD'], '')}@db:3306/"
        f"{database['MYSQL_DATABASE']}"
    )
    assert settings.cookie_secure


SECRET = "x" * 48


def filled_in(text: str, required: str) -> str:
    """What Compose makes of ``${NAME:-default}`` and ``${NAME:?message}``."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    return re.sub(r"\$\{\w+:\?[^}]+\}", required, text)


def test_nothing_starts_without_a_secret_key_of_ones_own(compose: Any) -> None:
    key = compose["services"]["app"]["environment"]["ASGI_SESSIONS_SECRET_KEY"]
    assert re.fullmatch(r"\$\{ASGI_SESSIONS_SECRET_KEY:\?[^}]+\}", key)


def test_the_application_waits_for_a_database_that_answers(compose: Any) -> None:
    db, app = compose["services"]["db"], compose["services"]["app"]
    assert db["image"] == "mysql:8.4"
    assert "127.0.0.1" in db["healthcheck"]["test"][1]
    assert app["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert "ports" not in db


def test_the_data_outlives_the_container(compose: Any) -> None:
    assert compose["services"]["db"]["volumes"] == ["database:/var/lib/mysql"]
    assert "database" in compose["volumes"]


def test_several_workers_serve_the_application(compose: Any, instructions: list[tuple[str, str]]) -> None:
    command = compose["services"]["app"]["command"]
    assert command[: command.index("--workers")] == json.loads(dict(instructions)["CMD"])
    assert int(command[command.index("--workers") + 1]) > 1
    assert compose["services"]["app"]["ports"] == ["127.0.0.1:8000:8000"]
