"""The store's tests run on the versions that they name."""

import pytest
from sqlalchemy import text

from asgi_sessions.store.engine import Database

VERSIONS = {"mariadb_11_8": "11.8.", "postgresql_16": "16.", "postgresql_17": "17.", "postgresql_18": "18."}


@pytest.mark.parametrize("database", VERSIONS, indirect=True)
async def test_the_server_is_of_that_version(database: Database, request: pytest.FixtureRequest) -> None:
    version = "SELECT VERSION()" if database.engine.dialect.name == "mysql" else "SHOW server_version"
    async with database.engine.connect() as connection:
        told = (await connection.execute(text(version))).scalar_one()
    assert told.startswith(VERSIONS[request.node.callspec.params["database"]])
