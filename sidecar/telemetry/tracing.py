"""Spans of one event, and the exporter that the standard OTEL_* variables ask for."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from sidecar import __version__
from sidecar.errors import Ended, SidecarError
from sidecar.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span, Tracer

    from sidecar.intake.record import Record

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


@contextmanager
def open_tracing(processor: SpanProcessor | None = None) -> Iterator[Tracer]:
    """Give a tracer that exports over OTLP/HTTP, or one that records nothing when no endpoint is set.

    At the end what is buffered is sent. `processor` replaces the exporter in tests.
    """
    provider = _provider(processor)
    if provider is None:
        yield trace.NoOpTracer()
        return
    try:
        yield provider.get_tracer(names.SERVICE_NAME, __version__, schema_url=names.SCHEMA_URL)
    finally:
        provider.shutdown()


def _provider(processor: SpanProcessor | None) -> TracerProvider | None:
    wanted = any(os.environ.get(name) for name in _ENDPOINTS)
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if processor is None and (disabled or not wanted):
        return None
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - a worker without tracing does without the SDK
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above

    resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", names.SERVICE_NAME)})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor or _otlp_processor())
    return provider


def _otlp_processor() -> SpanProcessor:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - heavy
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - heavy

    return BatchSpanProcessor(OTLPSpanExporter())


@contextmanager
def process_span(tracer: Tracer, record: Record, group_id: str) -> Iterator[Span]:
    """Open the root span of a record: child of the producer's span and linked to it, where it sent one."""
    carrier = {name: record.header(name) or "" for name in ("traceparent", "tracestate")}
    context = TraceContextTextMapPropagator().extract(carrier)
    producer = trace.get_current_span(context).get_span_context()
    with _span(
        tracer,
        names.PROCESS,
        context=context,
        kind=SpanKind.CONSUMER,
        links=[Link(producer)] if producer.is_valid else [],
        attributes={
            names.MESSAGING_SYSTEM: "kafka",
            names.MESSAGING_OPERATION_TYPE: "process",
            names.MESSAGING_DESTINATION: record.topic,
            names.MESSAGING_PARTITION: str(record.partition),
            names.MESSAGING_GROUP: group_id,
            names.KAFKA_OFFSET: record.offset,
        },
    ) as span:
        yield span


@contextmanager
def stage_span(tracer: Tracer, name: str) -> Iterator[Span]:
    """Open the span of one stage under the current one."""
    with _span(tracer, name) as span:
        yield span


@contextmanager
def _span(tracer: Tracer, name: str, **options: object) -> Iterator[Span]:
    """Record an exception's class and code, never its text or stack: they may quote a note."""
    with tracer.start_as_current_span(
        name,
        record_exception=False,
        set_status_on_exception=False,
        **options,  # type: ignore[arg-type]  # the keyword arguments of start_as_current_span
    ) as span:
        try:
            yield span
        except Ended:
            raise  # a decision, not an error
        except Exception as error:
            span.set_attribute(
                names.ERROR_TYPE, error.code if isinstance(error, SidecarError) else type(error).__name__
            )
            span.set_status(Status(StatusCode.ERROR))
            raise
