"""The public names as text: what applications can import, call and pass. Annotations are mypy's to compare."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import asgi_sessions

MODULES = (
    "asgi_sessions",
    "asgi_sessions.errors",
    "asgi_sessions.fastapi",
    "asgi_sessions.oidc",
    "asgi_sessions.scrubbing",
    "asgi_sessions.testing",
)
STORED = Path(__file__).with_name("names.txt")
OWN = "asgi_sessions"
NEVER_BUILT_BY_HAND = {"FakeSession", "Session", "SessionDependency"}


def described() -> str:
    """One line for each name, in the order of ``__all__``; indented what belongs to a class."""
    lines: list[str] = []
    told: list[Any] = []
    for module in MODULES:
        lines += [f"# {module}", ""]
        for name in import_module(module).__all__:
            value = getattr(import_module(module), name)
            if any(value is other for other in told):
                lines.append(f"{name}: see above")
            else:
                told.append(value)
                lines += described_name(name, value)
        lines.append("")
    return "\n".join(lines)


def described_name(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value):
        own = [base.__name__ for base in value.__bases__ if base.__name__ in asgi_sessions.__all__]
        yield f"class {name}({', '.join(own)})"
        for member in sorted(members(value)):
            yield f"    {described_member(value, member)}"
    elif inspect.isroutine(value):
        yield f"{name}{signature(value)}"
    else:
        yield f"{name}: {type(value).__name__}"


def members(kind: type) -> set[str]:
    """What a class has of its own or of another class of the package, by its public names."""
    found: set[str] = set()
    for ancestor in kind.__mro__:
        if ancestor.__module__.startswith(OWN):
            names = {*vars(ancestor), *inspect.get_annotations(ancestor)}
            found |= {name for name in names if not name.startswith("_")} | (names & {"__call__", "__init__"})
    if issubclass(kind, BaseModel):
        return found & kind.model_fields.keys()
    return found - {"__init__"} if kind.__name__ in NEVER_BUILT_BY_HAND else found


def described_member(kind: type, name: str) -> str:
    value = inspect.getattr_static(kind, name, None)
    if isinstance(value, classmethod | staticmethod):
        value = value.__func__
    if inspect.isfunction(value):
        function = inspect.unwrap(value)
        return f"{'async ' if inspect.iscoroutinefunction(function) else ''}{name}{signature(function)}"
    return f"{name} = {value!r}" if name in {"code", "status_code"} and isinstance(value, str | int) else name


def signature(function: Any) -> str:
    """The parameters by their names, with defaults: ``(self, user_id, *, limit=100)``."""
    described, bare = [], False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not bare:
            bare = True
            described.append("*")
        star = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "")
        bare = bare or star == "*"
        described.append(f"{star}{parameter.name}{default(parameter)}")
    return f"({', '.join(described)})"


def default(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return ""
    return f"={parameter.default.__name__ if inspect.isroutine(parameter.default) else repr(parameter.default)}"
