"""Routes of Starlette as a router of FastAPI: what is no part of an API, such as pages and receivers."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from starlette.routing import Route

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["as_fastapi_router"]


def as_fastapi_router(routes: Iterable[Route]) -> "APIRouter":
    """Make a router of these routes. None of them is in the OpenAPI document."""
    from fastapi import APIRouter  # noqa: PLC0415 - Starlette alone is enough for the others

    router = APIRouter(include_in_schema=False)
    for route in routes:
        router.add_route(route.path, route.endpoint, methods=list(route.methods or ()), include_in_schema=False)
    return router
