"""Tokens that somebody carries by hand: the operations without a request."""

from collections.abc import Callable
from typing import Any

from tests.stateful import pages
from tests.stateful.chances import Occasion
from tests.stateful.profiles import persistent
from tests.stateful.story import Story
from tests.stateful.tampering import Tampering, forged


class ByHand(Story):
    """The steps of an application that has no cookies. What it gets goes into a jar, where requests find it too."""

    def log_in_by_hand(self, at: Occasion) -> None:
        manager, model, user = self.world.manager(at.worker), self.world.model, ("alice", "bob")[at.jar % 2]
        issued = self.world.call(
            lambda: manager.create_new_session_without_request(
                user, jwt_payload={"by": "hand"}, persistent=persistent(user)
            ),
            lambda: model.log_in(at.worker, user, {"by": "hand"}, None),
        )
        self.keep_issued(self.jar(at.jar), issued)

    def refresh_by_hand(self, at: Occasion) -> None:
        jar, manager = self.jar(at.jar), self.world.manager(at.worker)
        text = jar.find(self.world.profile.refresh_cookie) or ""
        if text and at.how is Tampering.FORGED_REFRESH:
            text = forged(text)
        token = self.world.wire.token(text)
        issued = self.world.call(
            lambda: manager.refresh_session_without_request(text),
            lambda: pages.refresh_token_alone(self.world.model, at.worker, token),
        )
        self.keep_issued(jar, issued)

    def verify_by_hand(self, at: Occasion) -> None:
        text, check = self.jar(at.jar).find(self.world.profile.access_cookie) or "", at.jar % 3 == 0
        manager, access = self.world.manager(at.worker), self.world.wire.access(text)

        async def verify() -> Any:
            session = await manager.get_session_without_request(text, check_database=check)
            return {"handle": session.session_handle, "payload": session.jwt_payload}

        self.world.call(verify, lambda: pages.access_token_alone(self.world.model, at.worker, access, check=check))


BY_HAND: dict[str, Callable[[Any, Occasion], None]] = {
    "a login by hand": ByHand.log_in_by_hand,
    "a refresh by hand": ByHand.refresh_by_hand,
    "a verification by hand": ByHand.verify_by_hand,
}
