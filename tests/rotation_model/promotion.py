"""What a promotion makes of a session's row; tests/store holds the statement against it."""

from asgi_sessions.protocol.rotation import Chain, Lineage


def after_promotion(presented: Lineage, chain: Chain, now: int) -> Chain:
    """What the row knows once a CHILD has been promoted; a row that is not its parent's stays as it is.

    Args:
        presented: The child's lineage.
        chain: The row that `decide` saw.
        now: The time, ms.
    """
    if presented.generation != chain.generation + 1:
        return chain
    return Chain(
        generation=presented.generation,
        current_hash=presented.token_hash,
        current_issued_at=presented.issued_at,
        previous_hash=presented.parent_hash,
        promoted_at=now,
    )
