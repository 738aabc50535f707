"""What an answer does to the client's tokens: five contents, and the moves from one to another.

=======  =====================  ======  =========  ====================  =============  ========  ==========
content  what leaves            issued  refreshed  access_token_changed  session_ended  withdraw  handed_out
=======  =====================  ======  =========  ====================  =============  ========  ==========
NOTHING  no token               LOGIN   PAIR       ACCESS                CLEARED        NOTHING   NOTHING
LOGIN    a new session's pair,  LOGIN   PAIR       LOGIN                 CLEARED        NOTHING   PAIR
         which nobody holds yet
PAIR     the next pair          LOGIN   PAIR       PAIR                  CLEARED        NOTHING   PAIR
ACCESS   an access token alone  LOGIN   PAIR       ACCESS                CLEARED        NOTHING   ACCESS
CLEARED  cleared cookies        LOGIN   PAIR       CLEARED               CLEARED        CLEARED   CLEARED
=======  =====================  ======  =========  ====================  =============  ========  ==========

The moves are methods of `Answer`. Two rules hold for LOGIN alone: the client says whether its tokens leave in headers,
and where its response does not leave the session ends, since nobody holds it.
"""

from enum import Enum


class Content(Enum):
    """What an answer does to the client's tokens: the state of an `Answer`."""

    NOTHING = "nothing"
    LOGIN = "the pair of a new session"
    PAIR = "the next pair of a session"
    ACCESS = "an access token alone"
    CLEARED = "cleared cookies"

    @property
    def is_pair(self) -> bool:
        """Whether both tokens leave."""
        return self in {Content.LOGIN, Content.PAIR}


class Move(Enum):
    """What changes the content of an answer, by the name of the method of `Answer`."""

    ISSUED = "issued"
    REFRESHED = "refreshed"
    ACCESS_TOKEN_CHANGED = "access_token_changed"
    SESSION_ENDED = "session_ended"
    WITHDRAW = "withdraw"
    HANDED_OUT = "handed_out"


_EVERYWHERE = {
    Move.ISSUED: Content.LOGIN,
    Move.REFRESHED: Content.PAIR,
    Move.SESSION_ENDED: Content.CLEARED,
}
MOVES: dict[tuple[Content, Move], Content] = {
    **{(content, move): after for content in Content for move, after in _EVERYWHERE.items()},
    (Content.NOTHING, Move.ACCESS_TOKEN_CHANGED): Content.ACCESS,
    **{(content, Move.WITHDRAW): Content.NOTHING for content in (Content.LOGIN, Content.PAIR, Content.ACCESS)},
    (Content.LOGIN, Move.HANDED_OUT): Content.PAIR,
}
"""The content after each move; the same as before where none is named."""
