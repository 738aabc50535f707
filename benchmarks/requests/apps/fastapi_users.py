"""fastapi-users: a cookie with a JWT or, where the environment says so, a token that is looked up in the database.

Either way the user is read from the database at each request; that is what its documentation shows.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi.responses import PlainTextResponse, Response
from fastapi_users import BaseUserManager, FastAPIUsers, IntegerIDMixin
from fastapi_users.authentication import AuthenticationBackend, CookieTransport, JWTStrategy
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users_db_sqlalchemy import SQLAlchemyBaseUserTable, SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import SQLAlchemyAccessTokenDatabase, SQLAlchemyBaseAccessTokenTable
from sqlalchemy import ForeignKey
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

LIFETIME = 24 * 60 * 60
engine = create_async_engine(os.environ["BENCHMARK_DATABASE_URL"])
new_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTable[int], Base):
    id: Mapped[int] = mapped_column(primary_key=True)


class AccessToken(SQLAlchemyBaseAccessTokenTable[int], Base):
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="cascade"))


class UserManager(IntegerIDMixin, BaseUserManager[User, int]):
    pass


async def database() -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        yield session


async def users_in(session: Annotated[AsyncSession, Depends(database)]) -> AsyncIterator[Any]:
    yield SQLAlchemyUserDatabase(session, User)


async def tokens_in(session: Annotated[AsyncSession, Depends(database)]) -> AsyncIterator[Any]:
    yield SQLAlchemyAccessTokenDatabase(session, AccessToken)


async def user_manager(users: Annotated[Any, Depends(users_in)]) -> AsyncIterator[UserManager]:
    yield UserManager(users)


def jwt_strategy() -> JWTStrategy[User, int]:
    return JWTStrategy(secret="benchmark-secret-key-of-32-bytes", lifetime_seconds=LIFETIME)


def database_strategy(tokens: Annotated[Any, Depends(tokens_in)]) -> DatabaseStrategy[User, int, AccessToken]:
    return DatabaseStrategy(tokens, lifetime_seconds=LIFETIME)


strategy = database_strategy if os.environ.get("BENCHMARK_STRATEGY") == "database" else jwt_strategy
backend = AuthenticationBackend(name="cookie", transport=CookieTransport(), get_strategy=strategy)
current_user = FastAPIUsers[User, int](user_manager, [backend]).current_user(active=True)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with new_session() as session:
        if await session.get(User, 42) is None:
            session.add(User(id=42, email="alice@example.com", hashed_password="unused", is_active=True))
            await session.commit()
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.post("/log-in")
async def log_in(
    found: Annotated[Any, Depends(strategy)], users: Annotated[UserManager, Depends(user_manager)]
) -> Response:
    response: Response = await backend.login(found, await users.get(42))
    return response


@app.get("/me")
async def me(user: Annotated[User, Depends(current_user)]) -> PlainTextResponse:
    return PlainTextResponse(str(user.id))
