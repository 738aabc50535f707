"""OpenTelemetry with every header captured: through the exporter no token leaves, and all else does."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from asgi_sessions import SessionManager, SessionMiddleware, SessionSettings, get_session
from tests.installed import installed
from tests.security.browser import Browser
from tests.security.canary import Canary

SETTINGS: list[dict[str, Any]] = [
    {},
    {"cookie_prefix": "__Host-shop-", "csrf": "both", "client_protocol": "supertokens"},
    {"cookie_domain": "example.com", "token_transport": "any"},
]


async def login(request: Request) -> Response:
    await request.app.state.sessions.create_new_session(request, "alice")
    return Response()


async def fail(request: Request) -> Response:
    await get_session(request)
    error = ValueError(f"no such order, said {request.headers['cookie']}")
    installed("opentelemetry.trace", extra="dev").get_current_span().record_exception(error)
    raise error


class Traced:
    """An application under tracing, and what leaves with and without the scrubber."""

    def __init__(self, sessions: SessionManager) -> None:
        tracing = installed("opentelemetry.sdk.trace", extra="dev")
        export = installed("opentelemetry.sdk.trace.export", extra="dev")
        memory = installed("opentelemetry.sdk.trace.export.in_memory_span_exporter", extra="dev")
        instrumentation = installed("opentelemetry.instrumentation.asgi", extra="dev")
        from asgi_sessions.scrubbing.opentelemetry import ScrubbingSpanExporter

        self.scrubbed, self.plain = memory.InMemorySpanExporter(), memory.InMemorySpanExporter()
        resource = installed("opentelemetry.sdk.resources", extra="dev").Resource({"service.name": "shop"})
        self.provider = tracing.TracerProvider(resource=resource)
        for exporter in (ScrubbingSpanExporter(self.scrubbed), self.plain):
            self.provider.add_span_processor(export.SimpleSpanProcessor(exporter))
        app = Starlette(routes=[Route("/login", login, methods=["POST"]), Route("/fail", fail)])
        app.state.sessions = sessions
        app.add_middleware(SessionMiddleware, manager=sessions)
        captured = {f"http_capture_headers_server_{kind}": [".*"] for kind in ("request", "response")}
        self.app = instrumentation.OpenTelemetryMiddleware(app, tracer_provider=self.provider, **captured)

    def left(self, exporter: Any) -> list[Any]:
        return [span.to_json() for span in exporter.get_finished_spans()]


@pytest.fixture(params=SETTINGS, ids=lambda settings: "-".join(settings) or "defaults")
async def traced(request: pytest.FixtureRequest) -> AsyncIterator[Traced]:
    settings = SessionSettings(database_url="sqlite+aiosqlite://", purge_interval=0, **request.param)
    async with SessionManager(settings) as sessions:
        yield Traced(sessions)


async def test_no_token_leaves_and_all_else_does(traced: Traced) -> None:
    canary = Canary()
    browser = Browser(traced.app, host="example.com")
    answer = await browser.post("/login", [("x-order", "tea")])
    canary.watch_answer(answer)
    headers = [("anti-csrf", token) for token in answer.all("anti-csrf")]
    with pytest.raises(ValueError, match="no such order"):
        await browser.get("/fail", headers)
    await browser.post("/login", [("authorization", "Bearer " + browser.find("sAccessToken"))])

    plain, scrubbed = traced.left(traced.plain), traced.left(traced.scrubbed)
    assert len(canary.found_in("".join(plain))) >= 2
    assert canary.found_in("".join(scrubbed)) == set()
    assert [keys_of(span) for span in traced.scrubbed.get_finished_spans()] == [
        keys_of(span) for span in traced.plain.get_finished_spans()
    ]
    text = "".join(scrubbed)
    assert "tea" in text
    assert "no such order" in text
    assert "Path=/" not in text  # whole Set-Cookie headers


def keys_of(span: Any) -> Any:
    """What a span consists of."""
    events = [(event.name, event.timestamp, sorted(event.attributes)) for event in span.events]
    times = span.start_time, span.end_time
    return (
        span.name,
        span.context,
        span.parent,
        span.kind,
        times,
        sorted(span.attributes),
        events,
        span.status.status_code,
    )


async def test_links_and_resources_stay_and_the_exporters_life_is_passed_on() -> None:
    async with SessionManager(SessionSettings(database_url="sqlite+aiosqlite://")) as sessions:
        traced = Traced(sessions)
        trace = installed("opentelemetry.trace", extra="dev")
        tracer = traced.provider.get_tracer("shop")
        with tracer.start_as_current_span("order") as first:
            pass
        cookie = f"sAccessToken={'x' * 40}"
        link = trace.Link(first.get_span_context(), {"cookie": cookie, "n": 1})
        with tracer.start_as_current_span(cookie, links=[link]) as second_span:
            second_span.set_status(trace.StatusCode.ERROR, f"refused {cookie}")
        second = traced.scrubbed.get_finished_spans()[-1]
        assert dict(second.links[0].attributes) == {"cookie": "[Filtered]", "n": 1}
        assert second.links[0].context == first.get_span_context()
        assert second.name == "sAccessToken=[Filtered]"
        assert (second.status.status_code, second.status.description) == (
            trace.StatusCode.ERROR,
            "refused sAccessToken=[Filtered]",
        )
        assert second.resource.attributes["service.name"] == "shop"
        assert second.instrumentation_scope.name == "shop"
        assert traced.provider.force_flush()
        traced.provider.shutdown()
        assert traced.scrubbed._stopped
