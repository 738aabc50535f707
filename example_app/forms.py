"""What a form has sent."""

from typing import Annotated

from fastapi import Depends, Request
from pydantic import ValidationError


async def _submitted(request: Request) -> dict[str, str]:
    async with request.form(max_files=0, max_fields=20) as form:
        return {name: value for name, value in form.multi_items() if isinstance(value, str)}


Submitted = Annotated[dict[str, str], Depends(_submitted)]
"""The fields by name; what was left out is not there, and what is no form at all has none."""


def problems(error: ValidationError) -> dict[str, str]:
    """A sentence for each field that is wrong."""
    return {str(detail["loc"][0]): detail["msg"] for detail in error.errors(include_input=False, include_url=False)}
