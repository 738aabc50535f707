"""For OpenTelemetry: an exporter around yours, through which no token leaves. Needs ``opentelemetry-sdk``."""

from collections.abc import Sequence

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Status

from asgi_sessions.scrubbing import scrubbed

__all__ = ["ScrubbingSpanExporter"]


class ScrubbingSpanExporter(SpanExporter):
    """Takes tokens out of spans: names, attributes (captured headers among them), events, links and status.

    Write ``BatchSpanProcessor(ScrubbingSpanExporter(OTLPSpanExporter()))``.

    Args:
        exporter: What sends the spans.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export copies of these spans."""
        return self._exporter.export([_scrubbed(span) for span in spans])

    def shutdown(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Have the exporter send what it holds, within so many milliseconds."""
        return self._exporter.force_flush(timeout_millis)


def _scrubbed(span: ReadableSpan) -> ReadableSpan:
    status = span.status
    return ReadableSpan(
        name=scrubbed(span.name),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=scrubbed(span.attributes),
        events=[Event(scrubbed(event.name), scrubbed(event.attributes), event.timestamp) for event in span.events],
        links=[Link(link.context, scrubbed(link.attributes)) for link in span.links],
        kind=span.kind,
        status=Status(status.status_code, scrubbed(status.description)),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
