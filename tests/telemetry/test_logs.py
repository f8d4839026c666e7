from __future__ import annotations

import json
import logging

from sidecar.telemetry.logs import JsonFormatter


def line(name: str, message: object, *args: object, **extra: object) -> dict[str, object]:
    record = logging.LogRecord(name, logging.INFO, "f", 1, message, args, None)
    vars(record).update(extra)
    parsed: dict[str, object] = json.loads(JsonFormatter().format(record))
    return parsed


def test_our_lines_carry_known_keys_and_drop_all_others() -> None:
    out = line("sidecar.x", "parked", reason="no-content", patient="John Doe")
    assert (out["event"], out["reason"]) == ("parked", "no-content")
    assert "John" not in json.dumps(out)


def test_a_library_line_is_its_template_without_arguments() -> None:
    assert line("aiokafka.x", "Heartbeat failed: %s", "John Doe")["event"] == "Heartbeat failed: %s"


def test_a_library_line_that_was_formatted_already_is_withheld() -> None:
    assert line("httpx", "GET /Patient?name=Doe")["event"] == "library-message"
    assert "Doe" not in json.dumps(line("x", ValueError("Doe")))


def test_an_exception_leaves_its_class_only() -> None:
    error = ValueError("John Doe")
    info = (ValueError, error, None)
    record = logging.LogRecord("sidecar.x", logging.ERROR, "f", 1, "poison", (), info)
    text = JsonFormatter().format(record)
    assert json.loads(text)["error_class"] == "ValueError"
    assert "John" not in text
