"""What happened to a session before the race: one story for each kind of token that a jar may present.

Times are seconds before the present. A token that is older than 240 s is not young any more; an access token of
more than 300 s has expired.
"""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from asgi_sessions import SessionManager
from asgi_sessions.manager.issued_session import IssuedSession
from tests.races.cluster import Clock, Pair


@dataclass
class Story:
    """One session up to the present.

    Attributes:
        user: Of this story alone.
        pairs: All that was handed out, in order.
        presented: The pair that the race is about; set when the story has been told.
        handle: The session's.
    """

    manager: SessionManager
    clock: Clock
    user: str = field(default_factory=lambda: uuid.uuid4().hex)
    pairs: list[Pair] = field(default_factory=list)
    presented: Pair = field(init=False)
    handle: str = field(init=False)

    async def login(self, at: int) -> Pair:
        self.clock.at(at)
        issued = await self.manager.create_new_session_without_request(self.user)
        self.handle = issued.session.session_handle
        return self._pair(issued)

    async def refresh(self, pair: Pair, at: int) -> Pair:
        self.clock.at(at)
        return self._pair(await self.manager.refresh_session_without_request(pair.refresh))

    def _pair(self, issued: IssuedSession) -> Pair:
        self.pairs.append(Pair(issued.access_token.value, issued.refresh_token.value))
        return self.pairs[-1]


async def _first(story: Story) -> Pair:
    return await story.login(-250)


async def _head(story: Story) -> Pair:
    child = await story.refresh(await story.login(-750), -500)
    await story.refresh(child, -250)  # an answer that was lost
    return child


async def _child(story: Story) -> Pair:
    return await story.refresh(await story.login(-500), -250)


async def _expired_child(story: Story) -> Pair:
    return await story.refresh(await story.login(-700), -350)


async def _sibling(story: Story) -> Pair:
    parent = await story.login(-800)
    promoted, sibling = await story.refresh(parent, -500), await story.refresh(parent, -495)
    await story.refresh(promoted, -250)
    return sibling


async def _child_of_sibling(story: Story) -> Pair:
    parent = await story.login(-800)
    promoted, sibling = await story.refresh(parent, -550), await story.refresh(parent, -545)
    await story.refresh(promoted, -260)
    return await story.refresh(sibling, -250)


async def _young_child(story: Story) -> Pair:
    return await story.refresh(await story.login(-270), -10)


async def _twin(story: Story) -> Pair:
    young = await story.refresh(await story.login(-270), -20)
    return await story.refresh(young, -10)


async def _late_parent(story: Story) -> Pair:
    parent = await story.login(-800)
    child = await story.refresh(parent, -500)
    await story.refresh(child, -30)
    return parent


STORIES: dict[str, Callable[[Story], Awaitable[Pair]]] = {
    "generation 0": _first,
    "head": _head,
    "child": _child,
    "expired child": _expired_child,
    "sibling": _sibling,
    "child of a sibling": _child_of_sibling,
    "young child": _young_child,
    "twin": _twin,
    "late parent": _late_parent,
}

PROMOTES = frozenset({"child", "expired child", "child of a sibling", "young child"})
"""Whose presentation moves the chain."""


async def tell(kind: str, manager: SessionManager, clock: Clock) -> Story:
    """Let a session come to the point where a token of this kind is presented; it is the present then."""
    story = Story(manager, clock)
    clock.renew()
    story.presented = await STORIES[kind](story)
    clock.at(0)
    return story
