"""The library's pages with this application's head: your devices, and for the administrator those of others."""

from asgi_sessions import require_session
from asgi_sessions.pages import administrators_router, device_label, pages_router
from example_app.head import links_of, name_of
from example_app.sessions import sessions

sessions.label_devices(device_label)  # "Firefox 152 on Linux", in place of "Firefox on Linux"

# Without `sign_in_url` guests get the application's own answer, which says why they are at the form: errors.py.
router = pages_router(sessions, brand="Example", home_url="/", user_name=name_of, account_links=links_of)
administration = administrators_router(
    sessions,
    permission=require_session(claims={"admin": True}),
    brand="Example",
    home_url="/",
    user_name=name_of,
    account_links=links_of,
)
