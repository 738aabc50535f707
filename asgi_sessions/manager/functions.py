"""What the functions that an application gives must be: async, or plain."""

import inspect
from typing import Any

__all__ = ["is_async", "plain_function"]


def is_async(function: Any) -> bool:
    """Whether what a function, or an object that can be called, returns has to be awaited."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def plain_function(value: Any, name: str) -> Any:
    """A function that is called and not awaited.

    Raises:
        TypeError: It is none, or an async one, of which nothing would come.
    """
    if callable(value) and not is_async(value):
        return value
    raise TypeError(f"{name} must be a plain function, not {'async' if callable(value) else type(value).__name__}")
