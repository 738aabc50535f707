"""Your devices: where you are signed in, and a way out of each."""

from fastapi import APIRouter, Request, Response

from example_app.devices import address_of, log_out_device
from example_app.rendering import page, see_other
from example_app.sessions import Member, MemberAtForm, sessions

router = APIRouter(include_in_schema=False)


@router.get("/devices")
async def your_devices(request: Request, session: Member) -> Response:
    devices = await sessions.list_sessions_for_user(session.user_id)
    devices.sort(key=lambda device: device.session_handle != session.session_handle)  # this one first
    return page(request, "devices.html", session, devices=devices, address_of=address_of, settings=sessions.settings)


@router.post("/devices/log-out-others")
async def log_out_others(request: Request, session: MemberAtForm) -> Response:
    count = await session.revoke_other_sessions()
    return see_other(request, "/devices", notice="others-logged-out", count=count)


@router.post("/devices/{session_handle}/log-out")
async def log_out_one(request: Request, session_handle: str, session: MemberAtForm) -> Response:
    known = await log_out_device(session, session_handle)
    if session_handle == session.session_handle:
        return see_other(request, "/sign-in", notice="logged-out")
    return see_other(request, "/devices", notice="device-logged-out" if known else "no-such-device")
