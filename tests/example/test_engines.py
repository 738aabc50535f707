"""The example on each database, with two workers that start and make the tables at the same time."""

import time
from pathlib import Path

from tests.example.running_site import IPHONE, Site, Visitor
from tests.patience import PATIENCE

SECRET_KEY = "for the tests only and of 32 bytes or more"


def is_signed_out_soon(visitor: Visitor) -> bool:
    deadline = time.monotonic() + PATIENCE
    while visitor.is_signed_in:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_two_workers_share_accounts_and_sessions(database_url: str, tmp_path: Path) -> None:
    settings = {"ASGI_SESSIONS_DATABASE_URL": database_url, "ASGI_SESSIONS_SECRET_KEY": SECRET_KEY}
    with Site(tmp_path, workers=2, **settings) as site:
        # A connection goes to either worker, so several of them reach both sooner or later.
        laptop, phone, other, *strangers = visitors = [
            Visitor(site),
            Visitor(site, IPHONE),
            *(Visitor(site) for _ in range(4)),
        ]
        name = "Ada 😀"
        assert laptop.sign_up(name).status_code == 303
        assert strangers[0].sign_up("ADA 😀").status_code == 409
        assert strangers[1].sign_up("Adá 😀").status_code == 303
        assert strangers[2].sign_up("Ada 😎").status_code == 303
        assert phone.sign_in(name).status_code == 303
        assert other.sign_up("Somebody").status_code == 303
        assert laptop.get("/api/me").json()["admin"]
        assert not other.get("/api/me").json()["admin"]

        devices = laptop.get("/api/devices").json()
        assert {device["label"] for device in devices} == {"Firefox 140 on Linux", "Safari 18 on iPhone, iOS 18.5"}
        (handle,) = [device["session_handle"] for device in devices if not device["this_device"]]
        assert laptop.submit("/devices/log-out", {"session": handle}).status_code == 303
        assert is_signed_out_soon(phone)

        number = other.get("/api/me").json()["user_id"]
        assert laptop.submit("/admin/log-out-user", {"user_id": str(number)}).status_code == 303
        assert is_signed_out_soon(other)
        assert "Somebody" in laptop.get("/admin").text
        for visitor in visitors:
            visitor.close()
    assert "Traceback" not in site.log


def test_users_may_live_in_a_database_of_their_own(tmp_path: Path) -> None:
    users = tmp_path / "users.db"
    with Site(tmp_path, EXAMPLE_DATABASE_URL=f"sqlite+aiosqlite:///{users}") as site:
        visitor = Visitor(site)
        assert visitor.sign_up("Ada").status_code == 303
        visitor.close()
    assert b"example_users" in users.read_bytes()
    assert b"example_users" not in (tmp_path / "sessions.db").read_bytes()
