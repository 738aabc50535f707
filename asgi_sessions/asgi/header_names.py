"""The names of the headers in which tokens travel, and what says how they do; lower case, as in ASGI."""

from typing import Final

from asgi_sessions.protocol import anti_csrf

ACCESS_HEADER: Final = b"st-access-token"
REFRESH_HEADER: Final = b"st-refresh-token"
RETRY_HEADER: Final = b"st-retry-marker"
MODE_HEADER: Final = b"st-auth-mode"
"""A request's: ``header`` asks for the tokens in headers."""
BACKGROUND_HEADER: Final = b"x-background-request"
"""A request's: ``1`` says that a page makes it by itself, and that it does not extend the session."""
FORM_TAG_HEADER: Final = b"form-tag"
"""A request's: for which session the page was made that sends it; see `Session.form_tag`."""
ANTI_CSRF_HEADER: Final = anti_csrf.HEADER.encode()
