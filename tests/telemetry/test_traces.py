"""One trace an event, continuing the producer's, without PHI."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from sidecar.intake.admission import admit
from sidecar.intake.record import Record
from sidecar.telemetry.tracing import open_tracing, stage_span
from tests.support.notes import ENCOUNTER, document
from tests.support.worker import open_rig

TRACE = "0af7651916cd43dd8448eb211c80319c"
HEADERS = (("traceparent", f"00-{TRACE}-b7ad6b7169203331-01".encode()),)


async def test_an_event_is_one_trace_with_a_span_a_stage(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    with open_tracing(SimpleSpanProcessor(exporter)) as tracer:
        async with open_rig(tmp_path, tracer=tracer) as rig:
            rig.chart.put(ENCOUNTER)
            value = orjson.dumps(rig.chart.put(document()))
            await rig.pipeline.handle(admit(Record("notes", 2, 7, b"k", value, HEADERS)))
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {"process", "read", "extract", "draft", "review", "file", "settle"}
    process = spans["process"]
    assert {format(span.context.trace_id, "032x") for span in spans.values()} == {TRACE}
    assert format(process.parent.span_id, "016x") == "b7ad6b7169203331"
    assert [format(link.context.trace_id, "032x") for link in process.links] == [TRACE]
    assert all(span.parent.span_id == process.context.span_id for name, span in spans.items() if name != "process")
    assert process.attributes["messaging.kafka.offset"] == 7
    assert spans["draft"].attributes["gen_ai.request.model"] == "extractive"


async def test_spans_hold_no_words_of_the_note(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    with open_tracing(SimpleSpanProcessor(exporter)) as tracer:
        async with open_rig(tmp_path, tracer=tracer) as rig:
            rig.chart.put(ENCOUNTER)
            await rig.publish(document())
            await rig.event({**document(), "docStatus": {"text": "pneumonia"}})
    shown = " ".join(span.to_json() for span in exporter.get_finished_spans())
    assert "pneumonia" not in shown
    assert "lisinopril" not in shown


def test_an_exception_in_a_span_leaves_its_class_only() -> None:
    exporter = InMemorySpanExporter()
    with open_tracing(SimpleSpanProcessor(exporter)) as tracer, pytest.raises(ValueError), stage_span(tracer, "x"):  # noqa: PT011 - any
        raise ValueError("John Doe")
    (span,) = exporter.get_finished_spans()
    assert span.attributes == {"error.type": "ValueError"}
    assert "John" not in span.to_json()


def test_without_an_endpoint_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    with open_tracing() as tracer, stage_span(tracer, "x") as span:
        assert not span.is_recording()


def test_the_standard_variable_sends_otlp_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies: list[bytes] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Keep the test's output quiet."""

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    try:
        with open_tracing() as tracer, stage_span(tracer, "read"):
            pass
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    request = ExportTraceServiceRequest.FromString(bodies[0])
    (resource,) = request.resource_spans
    assert resource.scope_spans[0].spans[0].name == "read"
    assert any(item.value.string_value == "ehr-draft-sidecar" for item in resource.resource.attributes)
