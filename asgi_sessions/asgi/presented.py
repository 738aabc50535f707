"""Which of the tokens that a request carries count.

At most `MAX_COPIES` tokens of one kind are verified for a request, whatever it carries. Tokens that cannot be told
apart count for nobody. A browser sends every cookie whose name, domain and path match, and does not say which host has
set it: where no prefix protects the name, a subdomain can add copies. More than `MAX_COPIES` are not searched for the
right one, since the attacker chooses their order: they are refused, and the answer clears all but ours.

Nothing here knows the answer: each function returns tokens or raises an error that says what is wrong with them.
"""

from collections.abc import Callable, Iterable
from itertools import islice

from asgi_sessions.asgi.credentials import MAX_COPIES, Credentials
from asgi_sessions.errors import TooManyCookies, Unauthorised
from asgi_sessions.manager.lifecycle import Lifecycle
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.refresh_token import RefreshToken


class Ambiguous(Unauthorised):
    """Several tokens came, and nothing tells which is the user's. None of their sessions is touched."""

    def __init__(self) -> None:
        super().__init__(clear_cookies=False)


async def access_token(lifecycle: Lifecycle, carried: Credentials) -> AccessToken | None:
    """The authentic access token that the request carries, perhaps expired.

    Raises:
        Ambiguous: It carries those of several sessions, of two domains or paths, or too many.
    """
    found: AccessToken | None = None
    for access in await _authentic_access(lifecycle, carried.access, Ambiguous):
        if found is not None and access.handle != found.handle:
            raise Ambiguous
        if found is None or access.issued_at > found.issued_at:
            found = access
    return found


async def refresh_token(
    lifecycle: Lifecycle, carried: Credentials, access: AccessToken | None
) -> tuple[RefreshToken, AccessToken | None]:
    """The one refresh token that counts, and the access token beside which it counts.

    Where ``__Host-`` does not protect the cookie, a subdomain can plant one. So only that of the access cookie's
    session counts; what does not match, or cannot be told apart, is refused without consequences.

    Args:
        lifecycle: The worker's.
        carried: What the request carries.
        access: Its access token.

    Returns:
        The refresh token, and `access`; None in place of that where it is left over (`is_left_over`).

    Raises:
        Unauthorised: There is none.
        Ambiguous: There are several, or too many.
    """
    try:
        return await _matching_refresh(lifecycle, carried, access), access
    except Unauthorised:
        if access is None or not await is_left_over(lifecycle, carried, access):
            raise
    return await _matching_refresh(lifecycle, carried, None), None


async def is_left_over(lifecycle: Lifecycle, carried: Credentials, access: AccessToken) -> bool:
    """Whether the access token's session has ended, and the one refresh token beside it is another session's.

    A late answer of an older version, or of a login in another tab, has put that access token over the newer one. It
    opens nothing, so the refresh token alone counts; but only where nobody but this host can have set that.

    Args:
        lifecycle: The worker's.
        carried: What the request carries.
        access: Its access token.
    """
    if len(carried.refresh) != 1 or not carried.only_host_sets_refresh:
        return False
    other = await lifecycle.refresher.authentic(carried.refresh[0])
    if other is None or other.handle == access.handle:
        return False
    try:
        await lifecycle.check(access)
    except Unauthorised:
        return True
    return False


async def _matching_refresh(lifecycle: Lifecycle, carried: Credentials, access: AccessToken | None) -> RefreshToken:
    found = await _authentic_refresh(lifecycle, carried.refresh, Ambiguous)
    if access is not None:
        matching = [token for token in found if token.handle == access.handle]
        if not matching and carried.refresh:
            raise Unauthorised(clear_cookies=False)
        found = matching
    elif len(found) > 1:
        raise Ambiguous
    if not found:
        raise Unauthorised
    return max(found, key=lambda token: (token.generation, token.issued_at))


async def held(lifecycle: Lifecycle, carried: Credentials) -> dict[str, AccessToken | None]:
    """Every session that the request proves to hold, by tokens that may have expired; leftovers of earlier cookies too.

    Returns:
        By its handle an access token of the session, None where the request carries none.

    Raises:
        TooManyCookies: There may be more, so that a logout must not say that it has ended all.
    """
    access = await _authentic_access(lifecycle, [*carried.access, *carried.left_access], TooManyCookies)
    refresh = await _authentic_refresh(lifecycle, [*carried.refresh, *carried.left_refresh], TooManyCookies)
    return {**dict.fromkeys(token.handle for token in refresh), **{token.handle: token for token in access}}


# Variables that hold tokens are called `token` or `credentials`, here and in the verifiers: error reports leave out
# such names.


async def _authentic_access(
    lifecycle: Lifecycle, credentials: Iterable[str], too_many: type[Exception]
) -> list[AccessToken]:
    verifier = lifecycle.verifier
    credentials = _few(credentials, verifier.looks_authentic, too_many)
    found = [await verifier.authentic(token) for token in credentials]
    return [access for access in found if access is not None]


async def _authentic_refresh(
    lifecycle: Lifecycle, credentials: Iterable[str], too_many: type[Exception]
) -> list[RefreshToken]:
    refresher = lifecycle.refresher
    credentials = _few(credentials, refresher.looks_authentic, too_many)
    found = [await refresher.authentic(token) for token in credentials]
    return [token for token in found if token is not None]


def _few(credentials: Iterable[str], looks_authentic: Callable[[str], bool], too_many: type[Exception]) -> list[str]:
    """The copies to verify: each once, and only those that cannot be told to be none of ours without that."""
    # One more than may be is as bad as any number.
    credentials = list(islice(filter(looks_authentic, dict.fromkeys(credentials)), MAX_COPIES + 1))
    if len(credentials) > MAX_COPIES:
        raise too_many
    return credentials
