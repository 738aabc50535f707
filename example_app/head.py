"""What the head of each page names and leads to, on this application's own pages and on the library's."""

from example_app.sessions import MemberSession

GUEST_LINKS = [("Sign in", "/sign-in"), ("Sign up", "/sign-up")]


def name_of(session: MemberSession) -> str:
    return session.jwt_payload["name"]


def links_of(session: MemberSession) -> list[tuple[str, str]]:
    """Texts and paths for somebody who is signed in."""
    links = [("Home", "/"), ("Devices", "/devices")]
    if session.actor is None:
        links.append(("Your data", "/your-data"))
    if session.jwt_payload["admin"]:
        links.append(("Admin", "/admin"))
    return links
